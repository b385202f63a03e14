"""The report for people: the verdict first, one line a check, problems with why and fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.report import SUMMARY_LIMIT, shorten
from nodecheck.model.verdict import Status
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.report import Report
    from nodecheck.model.verdict import Evidence, Verdict

MESSAGE_LIMIT: Final = 1000
LEAST_WIDTH: Final = 60

_UNICODE: Final = {
    Status.OK: "✔",
    Status.WARN: "!",
    Status.UNKNOWN: "?",
    Status.CRIT: "✘",
    Status.SKIP: "-",
}
_ASCII: Final = {**_UNICODE, Status.OK: "+", Status.CRIT: "x"}
_COLOURS: Final = {
    Status.OK: "32",
    Status.WARN: "33",
    Status.UNKNOWN: "35",
    Status.CRIT: "1;31",
    Status.SKIP: "2",
}


@dataclass(frozen=True, slots=True)
class Style:
    """How the terminal wants it. ``width`` 0 leaves lines as long as they are."""

    unicode: bool = True
    colour: bool = False
    width: int = 0
    verbose: bool = False
    quiet: bool = False


def verdict_line(report: Report) -> str:
    """Return the first line of every report: the verdict, at most 300 characters.

    It is what State Manager and Run Command keep when they cut everything else.
    """
    return shorten(f"{report.verdict.value.upper()}: {report.summary}", SUMMARY_LIMIT)


def render(report: Report, style: Style) -> str:
    """Return the whole report as text, ending in a newline."""
    lines = [_coloured(verdict_line(report), report.verdict, style)]
    if not style.quiet:
        lines += ["", _header(report), ""]
        id_width = max(len(check.check_id) for check in report.checks)
        for check in report.checks:
            lines += _check_lines(check, id_width, style)
        lines += ["", *_footer(report)]
    text = "\n".join(lines) + "\n"
    return text if style.unicode else _to_ascii(text)


def _header(report: Report) -> str:
    node, run = report.node, report.run
    started = f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC"
    if report.corrected is None:
        started += " by the local clock"
    elif abs((run.started_at - run.local_started_at).total_seconds()) >= 1:
        started += f" (corrected; the local clock said {run.local_started_at:%Y-%m-%d %H:%M:%S})"
    who = [node.node_id or "not registered", node.region or "no Region", node.os, node.arch]
    parts = (f"nodecheck {report.tool.version}", *(shorten(part, 80) for part in who), started)
    return "  ".join(parts)


def _check_lines(check: Verdict, id_width: int, style: Style) -> list[str]:
    symbol = (_UNICODE if style.unicode else _ASCII)[check.status]
    label = _coloured(f"{symbol} {check.status.value:<7}", check.status, style)
    start = f" {label}  {check.check_id:<{id_width}}  "
    indent = " " * (id_width + 14)
    lines = _wrapped(start, check.message, indent, style.width)
    for finding in check.findings[1:]:
        lines += _part("also", finding.message, style.width)
    if check.findings:
        cause = f"explained by {check.caused_by}: mend that first" if check.caused_by else ""
        lines += _part("why", cause or check.why, style.width)
        for fix in check.fixes:
            note = "   # interrupts running commands" if fix.disruptive else ""
            lines.append(f"     {'fix':<5} {shorten(fix.command, MESSAGE_LIMIT)}{note}")
        if not check.check_id.startswith("run."):  # a run that could not begin: no manual page
            lines += _part("docs", f"nodecheck explain {check.check_id}", 0)
    if style.verbose:
        for item in check.evidence:
            lines.append(f"           {_evidence(item)}")
    return lines


def _part(label: str, text: str, width: int) -> list[str]:
    return _wrapped(f"     {label:<5} ", text, " " * 11, width) if text else []


def _evidence(item: Evidence) -> str:
    value = ", ".join(item.value) if isinstance(item.value, tuple) else str(item.value)
    source = f"   ({shorten(item.source, MESSAGE_LIMIT)})" if item.source else ""
    return f"{item.name} = {shorten(value, MESSAGE_LIMIT)}{source}"


def _wrapped(start: str, text: str, indent: str, width: int) -> list[str]:
    line = shorten(text, MESSAGE_LIMIT)
    if width < LEAST_WIDTH:
        return [start + line]
    from textwrap import wrap

    parts = wrap(line, max(20, width - len(indent)), break_long_words=False) or [""]
    return [start + parts[0], *(indent + part for part in parts[1:])]


def _footer(report: Report) -> list[str]:
    counts = ", ".join(f"{number} {name}" for name, number in report.counts.items() if number)
    lines = [f"{counts} in {report.run.duration_ms / 1000:.1f} s (exit {report.exit_code})"]
    if not report.run.privileged:
        lines.append("not run as root: some things could not be seen")
    for item in report.deliveries:
        if item.state == "dry-run":
            lines += ["", f"report {item.sink}, dry run: nothing was sent", "", item.detail]
        else:
            detail = shorten(item.detail, MESSAGE_LIMIT)
            lines.append(f"report {item.state}: {item.sink}: {detail}")
    return lines


def _coloured(text: str, status: Status, style: Style) -> str:
    return f"\x1b[{_COLOURS[status]}m{text}\x1b[0m" if style.colour else text


def _to_ascii(text: str) -> str:
    plain = text.replace("±", "+-").replace("→", "->")
    return plain.encode("ascii", "replace").decode("ascii")
