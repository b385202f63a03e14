"""The Prometheus report, read by the parser of prometheus_client."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from prometheus_client.parser import text_string_to_metric_families

from nodecheck.model.report import ClockReading, Report
from nodecheck.model.verdict import Evidence, SkipReason, Status, Verdict
from nodecheck.sinks import prometheus
from nodecheck.sinks.text import verdict_line
from tests.hostile_reports import hostile_reports
from tests.reports import bad, ok, report

if TYPE_CHECKING:
    from collections.abc import Mapping

Labels = frozenset[tuple[str, str]]


def parse(text: str) -> dict[str, dict[Labels, float]]:
    """Return value by labels and name; the rules are those of the textfile collector."""
    assert text.endswith("\n")
    assert text.isascii()
    assert all(line.isprintable() for line in text[:-1].split("\n"))
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.name not in found
        assert family.type == "gauge"
        assert family.documentation.endswith(".")
        found[family.name] = {}
        for sample in family.samples:
            assert sample.name == family.name
            assert sample.timestamp is None
            assert math.isfinite(sample.value)
            labels = frozenset(sample.labels.items())
            assert labels not in found[family.name]
            found[family.name][labels] = sample.value
        assert found[family.name]
    # Nothing between the samples is anything but HELP, TYPE or the verdict.
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert len(comments) == 1 + 2 * len(found)
    samples = len(text.splitlines()) - len(comments)
    assert samples == sum(len(values) for values in found.values())
    return found


def one(found: Mapping[str, Mapping[Labels, float]], name: str) -> float:
    (value,) = found[name].values()
    return value


def states(found: Mapping[str, Mapping[Labels, float]], name: str) -> dict[str, str]:
    """Return the state that is 1, by the check; each set has exactly one."""
    true: dict[str, str] = {}
    for labels, value in found[name].items():
        known = dict(labels)
        assert value in {0, 1}
        if value:
            assert known.get("check", "") not in true
            true[known.get("check", "")] = known["status"]
    return true


def test_a_sick_node() -> None:
    made = report(
        Verdict.ok(
            "clock.offset", "fine", (Evidence("headroom_s", -3.5), Evidence("tolerance_s", 300.0))
        ),
        Verdict.ok("agent.version", "old", (Evidence("days_behind", 2),)),
        Verdict.ok("agent.signing-key", "key", (Evidence("days_left", 0.5),)),
        bad("agent.files", Status.CRIT),
        bad("agent.running", Status.UNKNOWN),
        Verdict.skip("node.image", SkipReason.NOT_APPLICABLE, "no image"),
    ).exiting("warn")
    text = prometheus.render(made)
    assert text.splitlines()[0] == f"# {verdict_line(made)}"
    found = parse(text)
    assert states(found, "nodecheck_verdict") == {"": "crit"}
    assert states(found, "nodecheck_check_status") == {
        "clock.offset": "ok",
        "agent.version": "ok",
        "agent.signing-key": "ok",
        "agent.files": "crit",
        "agent.running": "unknown",
        "node.image": "skip",
    }
    assert len(found["nodecheck_check_status"]) == 30
    values = {name: one(found, name) for name in found if len(found[name]) == 1}
    assert values == {
        "nodecheck_exit_code": 2,
        "nodecheck_clock_offset_seconds": 412.0312,
        "nodecheck_clock_bound_seconds": 0.0521,
        "nodecheck_clock_headroom_seconds": -3.5,
        "nodecheck_clock_tolerance_seconds": 300,
        "nodecheck_agent_behind_seconds": 172_800,
        "nodecheck_signing_key_left_seconds": 43_200,
        "nodecheck_run_timestamp_seconds": 1_795_446_000,
        "nodecheck_run_local_timestamp_seconds": 1_795_445_588,
        "nodecheck_run_duration_seconds": 0.812,
        "nodecheck_info": 1,
    }
    ((labels, _),) = found["nodecheck_info"].items()
    assert dict(labels) == {
        "version": "0.1.0",
        "node": "i-0123456789abcdef0",
        "region": "eu-central-1",
        "account": "123456789012",
        "platform": "linux",
        "os": "Debian GNU/Linux 12",
        "arch": "x86_64",
    }


def test_what_is_not_known_is_absent() -> None:
    found = parse(prometheus.render(report(clock=None, corrected=None)))
    assert set(found) == {
        "nodecheck_verdict",
        "nodecheck_check_status",
        "nodecheck_exit_code",
        "nodecheck_run_local_timestamp_seconds",
        "nodecheck_run_duration_seconds",
        "nodecheck_info",
    }


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e300])
def test_what_is_no_number_is_absent(number: float) -> None:
    found = parse(prometheus.render(report(clock=ClockReading(number, number, "x", ()))))
    assert "nodecheck_clock_offset_seconds" not in found
    assert "nodecheck_clock_bound_seconds" not in found


def test_a_label_comes_back_as_it_was() -> None:
    made = report(ok('agent."\\{}=,x'))
    assert states(parse(prometheus.render(made)), "nodecheck_check_status") == {
        'agent."\\{}=,x': "ok"
    }


@settings(deadline=None)
@given(hostile_reports())
def test_nothing_from_a_node_breaks_the_file(made: Report) -> None:
    found = parse(prometheus.render(made))
    assert all(name.startswith("nodecheck_") for name in found)
    assert states(found, "nodecheck_verdict") == {"": made.verdict.value}
    told = states(found, "nodecheck_check_status")
    assert told == {check.check_id: check.status.value for check in made.checks}
