from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.model.report import Delivery, Report
from nodecheck.model.verdict import (
    Evidence,
    Finding,
    Fix,
    SkipReason,
    Status,
    Verdict,
    worst,
)
from nodecheck.records import replace
from nodecheck.sinks import json_document, text
from nodecheck.sinks.json_schema import SCHEMA
from tests.reports import report

ALL = (Status.OK, Status.WARN, Status.CRIT, Status.UNKNOWN, Status.SKIP)
PLAIN = text.Style()


def verdict(check_id: str, status: Status, message: str = "", reason: str = "broken") -> Verdict:
    message = message or f"{check_id} is {status.value}"
    if status is Status.OK:
        return Verdict.ok(check_id, message, (Evidence("offset_s", 0.5, "server"),), "300 s")
    if status is Status.SKIP:
        return Verdict.skip(check_id, SkipReason.NOT_APPLICABLE, message)
    return Verdict.of(
        check_id,
        status,
        (Finding(reason, message), Finding("second", "another finding", "/usr/bin/x")),
        evidence=(Evidence("offset_s", 412.25, "server"), Evidence("names", ("a", "b"))),
        limit="300 s",
        fixes=(Fix("chronyc makestep"), Fix("systemctl restart agent", disruptive=True)),
    ).completed("Every request is refused.", 12)


def document(told: Report, limit_bytes: int | None = None) -> dict[str, Any]:
    line = json_document.render(told, limit_bytes)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert line.isascii()
    found: dict[str, Any] = json.loads(line)
    jsonschema.Draft202012Validator(SCHEMA).validate(found)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((Status.OK,), Status.OK),
        ((Status.OK, Status.SKIP), Status.OK),
        ((Status.OK, Status.WARN), Status.WARN),
        ((Status.WARN, Status.UNKNOWN), Status.UNKNOWN),
        ((Status.UNKNOWN, Status.CRIT), Status.CRIT),
        ((Status.SKIP,), Status.UNKNOWN),
        ((), Status.UNKNOWN),
    ],
)
def test_the_verdict_is_the_worst_and_never_ok_for_nothing(
    statuses: tuple[Status, ...], expected: Status
) -> None:
    assert worst(statuses) is expected


@pytest.mark.parametrize(
    ("status", "codes"),
    [
        (Status.OK, (0, 0, 0, 0)),
        (Status.WARN, (1, 0, 0, 0)),
        (Status.UNKNOWN, (3, 3, 0, 0)),
        (Status.CRIT, (2, 2, 2, 0)),
    ],
)
def test_exit_codes_and_fail_on(status: Status, codes: tuple[int, ...]) -> None:
    told = report(verdict("a.b", status))
    for fail_on, code in zip(("warn", "unknown", "crit", "never"), codes, strict=True):
        assert told.exiting(fail_on).exit_code == code


def test_a_report_that_went_nowhere_is_at_least_unknown() -> None:
    lost = (Delivery("cloudwatch", "failed", "refused"),)
    assert report(deliveries=lost).verdict is Status.UNKNOWN
    assert "not delivered to cloudwatch" in report(deliveries=lost).summary
    critical = report(verdict("a.b", Status.CRIT), deliveries=lost)
    assert critical.verdict is Status.CRIT
    kept = (Delivery("cloudwatch", "delivered", ""),)
    assert report(deliveries=kept).verdict is Status.OK


def test_a_mild_root_of_the_worst_stands_first() -> None:
    told = report(
        verdict("a.unread", Status.UNKNOWN),
        verdict("b.root", Status.WARN),
        verdict("c.effect", Status.CRIT).explained_by("b.root"),
    )
    assert told.summary.startswith(
        "b.root is warn (and 1 more); explains c.effect; also a.unread unknown"
    )


def test_a_long_reason_for_a_loss_stays_within_the_verdict_line() -> None:
    lost = (Delivery("cloudwatch", "failed", "refused " * 100),)
    assert len(report(deliveries=lost).summary) <= 300
    assert report(deliveries=lost).summary.startswith("19 checks passed; report not delivered to")


def test_nonsense_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="ok without evidence"):
        Verdict.ok("a.b", "fine", ())
    with pytest.raises(ValueError, match="0 findings"):
        Verdict.of("a.b", Status.CRIT, ())
    with pytest.raises(ValueError, match="1 findings"):
        Verdict("a.b", Status.OK, "fine", (Finding("x", "y"),))
    with pytest.raises(ValueError, match="skip reason"):
        Verdict("a.b", Status.SKIP, "left out")
    with pytest.raises(ValueError, match="without checks"):
        replace(report(), checks=())


def test_what_the_node_has_no_records_of_does_not_count() -> None:
    """A node whose log is young is healthy; it is not proven to be well kept."""
    beyond = Verdict.of(
        "hygiene.agent-update", Status.UNKNOWN, (Finding("beyond-retention", "log too short"),)
    )
    fine = Verdict.ok("clock.offset", "fine", (Evidence("offset_s", 0.1),))
    found = report(fine, beyond).exiting("warn")
    assert (found.verdict, found.exit_code) == (Status.OK, 0)
    assert found.summary == "1 check passed, 1 beyond what the node has records of"
    assert found.counts["unknown"] == 1
    alone = report(beyond).exiting("warn")
    assert (alone.verdict, alone.exit_code) == (Status.UNKNOWN, 3)
    blind = Verdict.of("hygiene.agent-update", Status.UNKNOWN, (Finding("not-observed", "no"),))
    assert report(fine, blind).verdict is Status.UNKNOWN


def test_the_verdict_line_names_the_root_and_what_it_explains() -> None:
    told = report(
        verdict("agent.channel", Status.CRIT).explained_by("clock.offset"),
        verdict("node.credentials", Status.CRIT).explained_by("agent.channel"),
        verdict("clock.offset", Status.CRIT, "clock is 412 s slow"),
        verdict("agent.version", Status.WARN),
    )
    line = text.verdict_line(told)
    assert line == (
        "CRIT: clock is 412 s slow (and 1 more); explains agent.channel, node.credentials; "
        "also agent.version warn"
    )


@given(st.text(), st.sampled_from(ALL))
def test_the_first_line_is_short_printable_and_one_line(words: str, status: Status) -> None:
    told = report(verdict("a.b", status, "x" + words * 20))
    first, *_ = text.render(told, PLAIN).splitlines()
    assert first == text.verdict_line(told)
    assert len(first) <= 300
    assert first.isprintable()
    assert first.startswith(worst((status,)).value.upper() + ": ")


def test_text_has_a_line_for_each_check_and_says_how_to_mend() -> None:
    told = report(*(verdict(f"check.{status.value}", status) for status in ALL))
    lines = text.render(told.exiting("warn"), PLAIN).splitlines()
    for symbol, status in zip("✔!✘?-", ALL, strict=True):
        start = f" {symbol} {status.value:<7}  check.{status.value}"
        assert sum(line.startswith(start) for line in lines) == 1, start
    assert "     why   Every request is refused." in lines
    assert "     also  another finding" in lines
    assert "     fix   chronyc makestep" in lines
    assert "     fix   systemctl restart agent   # interrupts running commands" in lines
    assert "     docs  nodecheck explain check.crit" in lines
    assert lines[-1] == "1 ok, 1 warn, 1 crit, 1 unknown, 1 skip in 0.8 s (exit 2)"


def test_quiet_verbose_ascii_and_colour() -> None:
    told = report(verdict("clock.offset", Status.CRIT, "off by ± 3 s"))
    assert text.render(told, text.Style(quiet=True)).count("\n") == 1
    assert "offset_s = 412.25   (server)" in text.render(told, text.Style(verbose=True))
    plain = text.render(told, text.Style(unicode=False))
    assert plain.isascii()
    assert "off by +- 3 s" in plain
    assert "\x1b[1;31m" in text.render(told, text.Style(colour=True))
    assert "\x1b" not in text.render(told, PLAIN)


def test_a_narrow_terminal_gets_short_lines() -> None:
    told = report(verdict("clock.offset", Status.CRIT, "word " * 40))
    lines = text.render(told, text.Style(width=70)).splitlines()
    assert all(len(line) <= 70 for line in lines[4:])


def test_the_header_tells_local_and_corrected_time() -> None:
    assert "by the local clock" in text.render(report(clock=None, corrected=None), PLAIN)
    assert "corrected; the local clock said 2026-11-23" in text.render(report(), PLAIN)
    right = report()
    right = replace(right, run=replace(right.run, local_started_at=right.run.started_at))
    assert "corrected" not in text.render(right, PLAIN)


def test_json_holds_everything() -> None:
    told = report(*(verdict(f"check.{status.value}", status) for status in ALL))
    found = document(told.exiting("warn"))
    assert (found["verdict"], found["exit"], found["schema"]) == ("crit", 2, "nodecheck/1")
    assert found["counts"] == {"ok": 1, "warn": 1, "crit": 1, "unknown": 1, "skip": 1}
    assert found["clock"]["offset_s"] == 412.0312
    crit = found["checks"][2]
    assert crit["evidence"] == {"offset_s": 412.25, "names": ["a", "b"]}
    assert crit["sources"] == {"offset_s": "server"}
    assert crit["findings"][1] == {
        "reason": "second",
        "message": "another finding",
        "path": "/usr/bin/x",
    }
    assert crit["fix"][1]["disruptive"] is True
    assert found["checks"][4]["reason"] == "not-applicable"
    assert found["run"]["started_at"] == "2026-11-23T15:00:00.000Z"
    assert found["run"]["local_started_at"] == "2026-11-23T14:53:08.000Z"
    assert document(report(clock=None, corrected=None))["clock"] is None


def test_json_under_systems_manager_fits_and_keeps_the_verdict() -> None:
    checks = [verdict(f"agent.c{chr(97 + i)}", ALL[i % 5], "long message " * 9) for i in range(20)]
    told = report(*checks)
    found = document(told, 2400)
    assert len(json_document.render(told, 2400)) <= 2400 + 1
    assert found["reduced"] is True
    assert found["verdict"] == "crit"
    problems = [c.check_id for c in checks if c.findings]
    assert [check["id"] for check in found["checks"] if check["status"] != "ok"] == problems
    assert sum(found["counts"].values()) == 20
    assert "reduced" not in document(report(verdict("clock.offset", Status.OK)), 2400)


@given(st.text(st.characters(), max_size=50), st.floats())
def test_nothing_from_a_node_breaks_the_document(words: str, number: float) -> None:
    odd = Verdict.of(
        "a.b",
        Status.WARN,
        (Finding("x", "y" + words, words),),
        evidence=(Evidence("value", number), Evidence("words", (words, "\udcff"), words)),
    )
    found = document(report(odd))
    value = found["checks"][0]["evidence"]["value"]
    assert value == number or value is None
