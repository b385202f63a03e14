"""Write a report as JUnit XML: one test suite, a test case for each check.

A case fails exactly where its check alone would make the run exit non-zero: ``failure`` for warn
and crit, ``error`` for unknown (nothing was proven), both only from ``--fail-on`` on. What else
makes the run fail, a lost report or a run that judged nothing, is an error case of its own: a
server that reads the file is red if and only if the exit code is not 0.

There is no standard; elements and attributes are those of the schema that Jenkins's xUnit plugin
checks (jenkinsci/xunit-plugin, junit-10.xsd). XML 1.0 section 2.2 has no control characters, not
even as references: they become U+FFFD. The document is ASCII: no encoding of stdout can break it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.report import shorten
from nodecheck.model.verdict import Status
from nodecheck.sinks.text import verdict_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nodecheck.model.report import Report
    from nodecheck.model.verdict import Evidence, Verdict

LINE_LIMIT: Final = 1000
LINES_LIMIT: Final = 50

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAGS: Final = {
    Status.WARN: "failure",
    Status.CRIT: "failure",
    Status.UNKNOWN: "error",
    Status.SKIP: "skipped",
}


def render(report: Report, fail_on: str = "warn", *, verbose: bool = False) -> str:
    """Return the document, ending in a newline; ``verbose`` adds the evidence of each check."""
    cases = [_case(check, _fails(check.weight, fail_on), verbose) for check in report.checks]
    cases += _more_cases(report, fail_on)
    numbers = _attributes(
        tests=len(cases),
        failures=sum("<failure" in case for case in cases),
        errors=sum("<error" in case for case in cases),
    )
    suite = _attributes(
        skipped=report.counts[Status.SKIP.value],
        time=_seconds(report.run.duration_ms),
        timestamp=f"{report.run.started_at:%Y-%m-%dT%H:%M:%S}",
        hostname=shorten(report.node.node_id or "", LINE_LIMIT) or "unknown",
    )
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="nodecheck"{numbers}>',
        f'<testsuite name="nodecheck"{numbers}{suite}>',
        "<properties>",
        *(_property(name, text) for name, text in _facts(report)),
        "</properties>",
        *cases,
        f"<system-out>{_quoted(verdict_line(report))}</system-out>",
        "</testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _property(name: str, text: str) -> str:
    return f"<property{_attributes(name=name, value=shorten(text, LINE_LIMIT))}/>"


def _fails(status: Status, fail_on: str) -> bool:
    """Tell whether a status makes the run exit non-zero, by the order of ``Report.exiting``."""
    return fail_on != "never" and status.severity >= Status(fail_on).severity


def _case(check: Verdict, fails: bool, verbose: bool) -> str:  # noqa: FBT001 - private, two places
    said = [_shown(item) for item in check.evidence] if verbose else []
    tag = _TAGS.get(check.status, "")
    result = ""
    if check.status is Status.SKIP or (tag and fails):
        about = _attributes(message=shorten(check.message, LINE_LIMIT), type=check.reason)
        result = f"<{tag}{about}>{_lines(_details(check))}</{tag}>"
    else:
        milder = " (milder than --fail-on)" if tag else ""
        said = [f"{check.status.value}{milder}: {check.message}", *said]
    group = check.check_id.partition(".")[0]
    return _case_of(check.check_id, group, result, said, check.duration_ms)


def _case_of(name: str, group: str, result: str, said: list[str], took_ms: int = 0) -> str:
    about = _attributes(classname=f"nodecheck.{group}", name=name, time=_seconds(took_ms))
    out = f"<system-out>{_lines(said)}</system-out>" if said else ""
    return f"<testcase{about}>{result}{out}</testcase>"


def _more_cases(report: Report, fail_on: str) -> list[str]:
    """Return cases for what makes the verdict unknown although no check is."""
    if not _fails(Status.UNKNOWN, fail_on):
        return []
    problems = [
        (f"report.{item.sink}", "not-delivered", f"report not delivered: {item.detail}")
        for item in report.deliveries
        if item.state == "failed"
    ]
    if all(check.weight is Status.SKIP for check in report.checks):
        problems.append(("run.judged", "nothing-judged", "nothing was judged"))
    cases = []
    for name, reason, message in problems:
        about = _attributes(message=shorten(message, LINE_LIMIT), type=reason)
        cases.append(_case_of(name, name.partition(".")[0], f"<error{about}/>", []))
    return cases


def _details(check: Verdict) -> list[str]:
    lines = [finding.message for finding in check.findings]
    if check.caused_by:
        lines.append(f"explained by {check.caused_by}: mend that first")
    elif check.why:
        lines.append(check.why)
    for fix in check.fixes:
        note = " # interrupts running commands" if fix.disruptive else ""
        lines.append(f"fix: {fix.command}{note}")
    return lines


def _facts(report: Report) -> Iterable[tuple[str, str]]:
    node, run = report.node, report.run
    yield from (
        ("verdict", report.verdict.value),
        ("exit", str(report.exit_code)),
        ("version", report.tool.version),
        ("run", run.run_id),
        ("clock", "corrected" if report.corrected is not None else "local"),
        ("region", node.region or ""),
        ("account", node.account or ""),
        ("os", node.os),
        ("arch", node.arch),
    )


def _shown(item: Evidence) -> str:
    value = ", ".join(item.value) if isinstance(item.value, tuple) else str(item.value)
    return f"{item.name} = {value}"


def _lines(lines: list[str]) -> str:
    return _quoted("\n".join(shorten(line, LINE_LIMIT) for line in lines[:LINES_LIMIT]))


def _attributes(**values: str | int) -> str:
    return "".join(f' {name}="{_quoted(str(value))}"' for name, value in values.items())


def _seconds(duration_ms: int) -> str:
    return f"{duration_ms / 1000:.3f}"


def _quoted(text: str) -> str:
    """Return text as it may stand in an element or between double quotes."""
    plain = _NO_XML.sub("\ufffd", text).replace("&", "&amp;").replace("<", "&lt;")
    plain = plain.replace(">", "&gt;").replace('"', "&quot;")
    return plain.encode("ascii", "xmlcharrefreplace").decode("ascii")
