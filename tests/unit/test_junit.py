"""The JUnit report, read by libxml2 and held against a schema."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from nodecheck.arguments import FAIL_ON
from nodecheck.model.report import Delivery, Report
from nodecheck.model.verdict import Evidence, Finding, Fix, SkipReason, Status, Verdict
from nodecheck.sinks import junit
from nodecheck.sinks.text import verdict_line
from tests.hostile_reports import hostile_reports
from tests.reports import bad, ok, report

SCHEMA: Final = etree.XMLSchema(etree.parse(Path(__file__).parents[1] / "assets" / "junit.xsd"))
SKIPPED: Final = Verdict.skip("node.image", SkipReason.NOT_APPLICABLE, "no image")


def parse(text: str) -> etree._Element:
    assert text.isascii()
    assert text.endswith("\n")
    root = etree.fromstring(text.encode("ascii"), etree.XMLParser(resolve_entities=False))
    SCHEMA.assertValid(root)
    (suite,) = root
    cases = suite.findall("testcase")
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(name)) == sum(case.find(tag) is not None for case in cases)
    for name in ("tests", "failures", "errors"):
        assert root.get(name) == suite.get(name)
    assert int(suite.get("tests")) == len(cases)
    return suite


def outcomes(text: str) -> dict[str, str]:
    return {
        case.get("name"): case[0].tag if len(case) else "" for case in parse(text).iter("testcase")
    }


def test_a_sick_node() -> None:
    finding = (Finding("digest-differs", "/usr/bin/x <is> & not"), Finding("second", "other"))
    fixes = (Fix('dpkg -i "x"', disruptive=True),)
    files = Verdict.of("agent.files", Status.CRIT, finding, fixes=fixes).completed("It runs.", 1234)
    made = report(ok("clock.offset"), files, bad("agent.running", Status.UNKNOWN), SKIPPED)
    suite = parse(junit.render(made.exiting("warn")))
    shown = [suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")]
    assert shown == ["4", "1", "1", "1", "0.812"]
    assert (suite.get("hostname"), suite.get("timestamp")) == (
        "i-0123456789abcdef0",
        "2026-11-23T15:00:00",
    )
    fine, crit, unknown, skipped = suite.findall("testcase")
    assert (fine.get("classname"), fine.get("name")) == ("nodecheck.clock", "clock.offset")
    assert fine.findtext("system-out") == "ok: fine"
    failure = crit.find("failure")
    assert failure.get("message") == "/usr/bin/x <is> & not (and 1 more)"
    assert failure.get("type") == "digest-differs"
    assert failure.text.split("\n") == [
        "/usr/bin/x <is> & not",
        "other",
        "It runs.",
        'fix: dpkg -i "x" # interrupts running commands',
    ]
    assert crit.get("time") == "1.234"
    assert unknown.find("error").get("type") == "beyond-tolerance"
    assert skipped.find("skipped").get("type") == "not-applicable"
    facts = {item.get("name"): item.get("value") for item in suite.iter("property")}
    assert (facts["verdict"], facts["exit"], facts["clock"]) == ("crit", "2", "corrected")
    assert suite.findtext("system-out") == verdict_line(made)


@pytest.mark.parametrize(
    ("fail_on", "expected"),
    [
        ("warn", ["failure", "error", "failure"]),
        ("unknown", ["system-out", "error", "failure"]),
        ("crit", ["system-out", "system-out", "failure"]),
        ("never", ["system-out", "system-out", "system-out"]),
    ],
)
def test_a_case_fails_where_the_run_would(fail_on: str, expected: list[str]) -> None:
    made = report(
        *(bad(f"a.{item.value}", item) for item in (Status.WARN, Status.UNKNOWN, Status.CRIT))
    )
    text = junit.render(made, fail_on)
    assert list(outcomes(text).values()) == expected
    first = parse(text).find("testcase")
    if expected[0] == "system-out":
        assert first.findtext("system-out").startswith("warn (milder than --fail-on): a.warn: ")


def test_a_lost_report_and_a_run_that_judged_nothing_are_errors() -> None:
    lost = report(ok("a.b"), deliveries=(Delivery("cloudwatch", "failed", "refused"),))
    assert outcomes(junit.render(lost)) == {"a.b": "system-out", "report.cloudwatch": "error"}
    assert outcomes(junit.render(report(SKIPPED))) == {
        "node.image": "skipped",
        "run.judged": "error",
    }


def test_verbose_adds_evidence() -> None:
    evidence = (Evidence("names", ("a", "b<")), Evidence("offset_s", 0.5))
    made = report(Verdict.ok("a.b", "fine", evidence))
    assert parse(junit.render(made, verbose=True)).find("testcase").findtext("system-out") == (
        "ok: fine\nnames = a, b<\noffset_s = 0.5"
    )


def test_no_character_is_beyond_xml() -> None:
    (name,) = outcomes(junit.render(report(ok("a.\x00\x1b\ufffe\udcff<&\"'é"))))
    assert name == "a.\ufffd\ufffd\ufffd\ufffd<&\"'é"


@settings(deadline=None)
@given(hostile_reports(), st.sampled_from(FAIL_ON))
def test_nothing_from_a_node_breaks_the_document(made: Report, fail_on: str) -> None:
    told = made.exiting(fail_on)
    suite = parse(junit.render(told, fail_on, verbose=True))
    is_red = int(suite.get("failures")) + int(suite.get("errors")) > 0
    assert is_red == (told.exit_code != 0)
    names = [case.get("name") for case in suite.iter("testcase")]
    assert names[: len(made.checks)] == [check.check_id for check in made.checks]
    assert set(names[len(made.checks) :]) <= {"report.cloudwatch", "run.judged"}
