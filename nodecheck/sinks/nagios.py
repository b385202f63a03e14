"""Write a report as the output of a monitoring plugin, for Nagios, Icinga, Naemon and NRPE.

The first line is the verdict, a ``|`` and the performance data; the rest is the long text. All of
it is ASCII without any other ``|``. Sources:

- Monitoring Plugins Development Guidelines, "Performance data": label=value[UOM];warn;crit;min;max
  separated by spaces; a label with a space, ``=`` or ``'`` needs quotes (ours have none), the
  first 19 characters of a label should be unique, a value is of the class [-0-9.].
- The same, "Threshold and ranges": ``10:`` alerts below 10, ``-5:5`` outside of -5 to 5.
- Nagios plugin API, "Plugin Output Length Restrictions": 4 KB are read; NRPE of version 2
  passes 1 KB on, so the first line is shorter than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.records import replace
from nodecheck.sinks.measures import measures
from nodecheck.sinks.text import Style
from nodecheck.sinks.text import render as render_text

if TYPE_CHECKING:
    from nodecheck.model.limits import Limits
    from nodecheck.model.report import Report
    from nodecheck.model.verdict import Verdict

LIMIT_BYTES: Final = 4000
CUT: Final = "(cut here: run nodecheck on the node)"


def render(report: Report, limits: Limits, *, verbose: bool = False, quiet: bool = False) -> str:
    """Return the plugin output, ending in a newline; ``quiet`` leaves the first line only."""
    shown = replace(report, checks=tuple(_with_safe_fixes(check) for check in report.checks))
    style = Style(unicode=False, verbose=verbose, quiet=quiet)
    first, *rest = render_text(shown, style).replace("|", "/").splitlines()
    lines = [f"{first}|{performance_data(report, limits)}"]
    left = LIMIT_BYTES - len(lines[0]) - len(CUT) - 2
    for line in filter(str.strip, rest):
        left -= len(line) + 1
        if left < 0:
            lines.append(CUT)
            break
        lines.append(line)
    return "\n".join(lines) + "\n"


def _with_safe_fixes(check: Verdict) -> Verdict:
    """Leave out commands that would not survive: one that was changed must not be pasted."""
    whole = (fix for fix in check.fixes if "|" not in fix.command and fix.command.isascii())
    return replace(check, fixes=tuple(whole))


def performance_data(report: Report, limits: Limits) -> str:
    """Return the performance data; a value that is not known is left out."""
    found = measures(report)
    most_s = found.tolerance_s
    warn_s = limits.clock_warn_s if most_s is None else min(limits.clock_warn_s, most_s)
    warns, refuses = f"-{_number(warn_s)}:{_number(warn_s)}", ""
    headroom_warns = ""
    if most_s is not None:
        refuses = f"-{_number(most_s)}:{_number(most_s)}"
        headroom_warns = f"{_number(most_s - warn_s)}:"
    behind = (_number(limits.behind_warn_days), _number(limits.behind_crit_days), "0")
    left = (f"{_number(limits.key_warn_days)}:", f"{_number(limits.key_crit_days)}:")
    items = [
        _item("clock_offset", found.offset_s, "s", warns, refuses),
        _item("clock_bound", found.bound_s, "s", "", "", "0"),
        _item("clock_headroom", found.headroom_s, "s", headroom_warns, "0:"),
        _item("agent_days_behind", found.behind_days, "", *behind),
        _item("signing_key_days", found.key_days, "", *left),
        _item("run_time", report.run.duration_ms / 1000, "s", "", "", "0"),
    ]
    items += [
        _item(f"checks_{status}", number, "", "", "", "0")
        for status, number in report.counts.items()
    ]
    return " ".join(filter(None, items))


def _item(label: str, value: float | None, unit: str, *limits: str) -> str:
    if value is None:
        return ""
    return ";".join((f"{label}={_number(value)}{unit}", *limits)).rstrip(";")


def _number(value: float) -> str:
    """Return a number without an exponent.

    >>> _number(1e-9), _number(-0.25), _number(300.0)
    ('0', '-0.25', '300')
    """
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
