"""The plugin output, read by a parser made from the guidelines' grammar."""

from __future__ import annotations

import re
from typing import Final

import pytest
from hypothesis import given, settings

from nodecheck.model.limits import Limits
from nodecheck.model.report import ClockReading, Report
from nodecheck.model.settings import DEFAULTS
from nodecheck.model.verdict import Evidence, Finding, Fix, Status, Verdict
from nodecheck.policies import limits
from nodecheck.records import replace
from nodecheck.sinks import nagios
from nodecheck.sinks.text import verdict_line
from tests.hostile_reports import hostile_reports
from tests.reports import bad, ok, report

LIMITS: Final = limits(DEFAULTS)

# Monitoring Plugins Development Guidelines, "Performance data" and "Threshold and ranges".
NUMBER: Final = r"-?[0-9]+(?:\.[0-9]+)?"
RANGE: Final = rf"@?(?:(?:~|{NUMBER}):)?(?:{NUMBER})?"
ITEM: Final = re.compile(
    rf"(?P<label>'(?:[^']|'')+'|[^\s'=]+)=(?P<value>{NUMBER})(?P<unit>s|us|ms|%|B|KB|MB|TB|c)?"
    rf"(?:;(?P<warn>{RANGE}))?(?:;(?P<crit>{RANGE}))?(?:;(?:{NUMBER})?)?(?:;(?:{NUMBER})?)?"
)


def parse(output: str) -> tuple[str, dict[str, re.Match[str]], list[str]]:
    """Split plugin output into its text, its performance data by label, and the long text."""
    assert output.endswith("\n")
    assert output.isascii()
    assert len(output) <= 4096
    first, *long = output[:-1].split("\n")
    assert all(line.isprintable() for line in (first, *long))
    assert output.count("|") == 1
    assert len(first) < 1024
    text, data = first.split("|")
    items = {}
    for word in data.split(" "):
        match = ITEM.fullmatch(word)
        assert match, word
        assert match["label"] not in items
        items[match["label"]] = match
    assert len({label[:19] for label in items}) == len(items)
    return text, items, long


def alerts(match: re.Match[str], which: str) -> bool:
    """Judge a value by a range of the guidelines."""
    start, colon, end = (match[which] or "").rpartition(":")
    value = float(match["value"])
    low = float(start or "0") if colon or end else float("-inf")
    return value < low or (bool(end) and value > float(end))


def offset_check(offset_s: float, bound_s: float = 0.5, tolerance_s: float = 300.0) -> Verdict:
    evidence = (
        Evidence("offset_s", offset_s),
        Evidence("headroom_s", tolerance_s - abs(offset_s) - bound_s),
        Evidence("tolerance_s", tolerance_s),
    )
    return Verdict.ok("clock.offset", "measured", evidence)


def measured(offset_s: float, days: float | None = 12, left: float = 366.5) -> Report:
    version = (Evidence("offered_version", "3"), Evidence("installed_version", "3"))
    if days is not None:
        version = (Evidence("offered_version", "4"), Evidence("days_behind", days))
    return report(
        offset_check(offset_s),
        Verdict.ok("agent.version", "version", version),
        Verdict.ok("agent.signing-key", "key", (Evidence("days_left", left),)),
        clock=ClockReading(offset_s, 0.5, "ntp", ()),
    )


def test_a_healthy_node() -> None:
    text, items, long = parse(nagios.render(measured(0.000_004, days=None), LIMITS))
    assert text == "OK: 3 checks passed"
    shown = {label: match[0].partition("=")[2] for label, match in items.items()}
    assert shown == {
        "clock_offset": "0.000004s;-60:60;-300:300",
        "clock_bound": "0.5s;;;0",
        "clock_headroom": "299.499996s;240:;0:",
        "agent_days_behind": "0;30;90;0",
        "signing_key_days": "366.5;60:;7:",
        "run_time": "0.812s;;;0",
        "checks_ok": "3;;;0",
        "checks_warn": "0;;;0",
        "checks_crit": "0;;;0",
        "checks_unknown": "0;;;0",
        "checks_skip": "0;;;0",
    }
    assert long[-1] == "3 ok in 0.8 s (exit 0)"


@pytest.mark.parametrize(
    ("offset_s", "days", "left", "warns", "crits"),
    [
        (0.1, 1, 100, (), ()),
        (-0.1, 30, 60, (), ()),
        (61, 31, 59, ("clock_offset", "clock_headroom"), ()),
        (-61, 1, 100, ("clock_offset", "clock_headroom"), ()),
        (-301, 91, 6, ("clock_offset",), ("clock_offset", "clock_headroom", "agent_days_behind")),
    ],
)
def test_thresholds_say_what_the_checks_say(
    offset_s: float, days: int, left: int, warns: tuple[str, ...], crits: tuple[str, ...]
) -> None:
    _, items, _ = parse(nagios.render(measured(offset_s, days, left), LIMITS))
    assert {label for label in items if alerts(items[label], "warn")} >= set(warns)
    assert {label for label in items if alerts(items[label], "crit")} >= set(crits)
    assert alerts(items["agent_days_behind"], "warn") == (days > 30)
    assert alerts(items["agent_days_behind"], "crit") == (days > 90)
    assert alerts(items["signing_key_days"], "warn") == (left < 60)
    assert alerts(items["signing_key_days"], "crit") == (left < 7)
    if not warns:
        assert not any(alerts(items[label], "warn") for label in items)


def test_what_is_not_known_has_no_number() -> None:
    _, items, _ = parse(nagios.render(report(clock=None), LIMITS))
    assert set(items) == {"run_time"} | {f"checks_{name}" for name in report().counts}


@pytest.mark.parametrize("tolerance_s", [0.0, -1.0])
def test_a_tolerance_without_width_is_no_threshold(tolerance_s: float) -> None:
    clock = ClockReading(1.0, 0.5, "ntp", ())
    made = report(offset_check(1.0, tolerance_s=tolerance_s), clock=clock)
    _, items, _ = parse(nagios.render(made, LIMITS))
    assert (items["clock_offset"]["warn"], items["clock_offset"]["crit"]) == ("-60:60", None)


def test_no_number_is_made_up() -> None:
    offered = (Evidence("offered_version", "4"), Evidence("installed_version", "3"))
    made = report(
        Verdict.ok("agent.version", "age not known", offered),
        Verdict.ok("agent.signing-key", "key", (Evidence("days_left", value=True),)),
    )
    _, items, _ = parse(nagios.render(made, LIMITS))
    assert not {"agent_days_behind", "signing_key_days"} & set(items)


def test_a_tolerance_below_the_warning_limit_narrows_it() -> None:
    narrow = report(offset_check(1.0, tolerance_s=10.0), clock=ClockReading(1.0, 0.5, "ntp", ()))
    _, items, _ = parse(nagios.render(narrow, LIMITS))
    assert (items["clock_offset"]["warn"], items["clock_headroom"]["warn"]) == ("-10:10", "0:")


def test_quiet_is_one_line_and_verbose_shows_evidence() -> None:
    sick = report(bad("clock.offset", Status.CRIT), ok("agent.files"))
    quiet = nagios.render(sick, LIMITS, quiet=True)
    assert parse(quiet)[::2] == (verdict_line(sick), [])
    assert not any("looked" in line for line in parse(nagios.render(sick, LIMITS))[2])
    assert any("looked" in line for line in parse(nagios.render(sick, LIMITS, verbose=True))[2])


def test_a_command_is_shown_whole_or_not_at_all() -> None:
    finding = (Finding("broken", "broken: a|b"),)
    fixes = (Fix("get | filter"), Fix("run --now"), Fix("rm é"))
    sick = report(Verdict.of("agent.files", Status.CRIT, finding, fixes=fixes))
    _, _, long = parse(nagios.render(sick, LIMITS))
    assert [line.split()[1:] for line in long if line.startswith("     fix")] == [["run", "--now"]]
    assert any("broken: a/b" in line for line in long)
    assert any("nodecheck explain agent.files" in line for line in long)


def test_long_output_is_cut_between_lines_and_says_so() -> None:
    many = report(*(bad(f"agent.x{number}", Status.CRIT) for number in range(200)))
    _, _, long = parse(nagios.render(many, LIMITS))
    assert long[-1] == nagios.CUT
    assert long[-2].startswith(("     ", " x "))


def test_the_exit_code_is_told_as_it_is() -> None:
    sick = report(bad("agent.version", Status.WARN)).exiting("crit")
    text, _, long = parse(nagios.render(sick, replace(LIMITS, fail_on="crit")))
    assert text.startswith("WARN: ")
    assert long[-1].endswith("(exit 0)")


@settings(deadline=None)
@given(hostile_reports())
def test_nothing_from_a_node_breaks_the_output(made: Report) -> None:
    text, items, _ = parse(nagios.render(made, LIMITS, verbose=True))
    assert text.startswith(f"{made.verdict.value.upper()}: ")
    assert set(items) <= {
        "clock_offset", "clock_bound", "clock_headroom", "agent_days_behind", "signing_key_days",
        "run_time", "checks_ok", "checks_warn", "checks_crit", "checks_unknown", "checks_skip",
    }  # fmt: skip


def test_limits_come_from_the_settings() -> None:
    assert Limits(60.0, 30, 90, 60, 7, "warn") == LIMITS
