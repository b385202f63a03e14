from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.model.report import ClockReading
from nodecheck.model.reporting import CloudWatchPolicy
from nodecheck.model.verdict import Evidence, SkipReason, Status, Verdict
from nodecheck.records import replace
from nodecheck.sinks import emf
from tests.reports import IDS, bad, ok, report, right

POLICY = CloudWatchPolicy()
MOMENT_MS = 1_795_446_000_000


def document(made: Any = None, policy: CloudWatchPolicy = POLICY) -> dict[str, Any]:  # noqa: ANN401
    line = emf.emf_line(made or report(), policy, MOMENT_MS)
    assert "\n" not in line
    assert line.isascii()
    found: dict[str, Any] = json.loads(line, parse_constant=pytest.fail)
    return found


def check_form(found: dict[str, Any]) -> None:
    """Apply the specification of the embedded metric format."""
    assert isinstance(found["_aws"]["Timestamp"], int)
    for directive in found["_aws"]["CloudWatchMetrics"]:
        assert 1 <= len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert isinstance(found[metric["Name"]], (int, float))
            assert math.isfinite(found[metric["Name"]])
            assert metric.get("Unit", "None") in {"None", "Seconds"}
        for names in directive["Dimensions"]:
            for name in names:
                value = found[name]
                assert 1 <= len(value) <= 1024
                assert value.isascii()
                assert value.isprintable()
                assert not value.startswith(":")


def test_the_event_has_metrics_by_fleet_and_the_node_as_a_property() -> None:
    found = document()
    check_form(found)
    fleet, status = found["_aws"]["CloudWatchMetrics"]
    assert fleet["Dimensions"] == [["Platform"]]
    assert status["Dimensions"] == [["Platform", "Status"]]
    assert [item["Name"] for item in status["Metrics"]] == ["Runs"]
    assert [item["Name"] for item in fleet["Metrics"]] == [item.name for item in emf.METRICS]
    assert found["_aws"]["Timestamp"] == 1_795_446_000_000
    assert found["node"] == "i-0123456789abcdef0"
    assert found["run"] == "01JD0000000000000000000000"
    assert found["ClockOffsetAbs"] == 412.0312
    assert found["ClockHeadroom"] == -112.0833
    assert found["checks"]["clock"] == {"offset": "ok", "discipline": "ok", "forecast": "ok"}


def test_an_event_of_all_checks_stays_within_its_price() -> None:
    # 1,410 bytes and 26 of overhead, 1,460 times a month at 0.502 USD/GB: 0.1 cent.
    whole = report(*(right(name) for name in IDS))
    assert len(emf.emf_line(whole, POLICY, MOMENT_MS)) <= 1_415


def test_an_event_tells_what_queries_sort_agents_by() -> None:
    version = (Evidence("installed_version", "3.3.1.0"), Evidence("days_behind", 131))
    found = document(report(Verdict.ok("agent.version", "fine", version)))
    assert (found["agent_version"], found["behind_days"]) == ("3.3.1.0", 131)
    assert "key_days" not in found


def test_without_status_there_is_one_dimension_set() -> None:
    found = document(policy=CloudWatchPolicy(by_status=False, namespace="Mine"))
    (directive,) = found["_aws"]["CloudWatchMetrics"]
    assert (directive["Dimensions"], directive["Namespace"]) == ([["Platform"]], "Mine")


def test_verdicts_and_flags_are_gauges() -> None:
    made = report(
        ok("clock.offset"),
        bad("agent.version", Status.WARN, "behind"),
        bad("agent.files", Status.CRIT, "digest-differs"),
    )
    found = document(made)
    assert (found["Warn"], found["Crit"], found["Unknown"]) == (0, 1, 0)
    assert (found["ClockFail"], found["AgentVersionFail"]) == (0, 1)
    assert (found["SignatureFail"], found["AgentFail"]) == (1, 1)
    assert found["Status"] == found["verdict"] == "crit"
    assert found["checks"]["agent"] == {"version": "warn behind", "files": "crit digest-differs"}


SKIP = Verdict("agent.files", Status.SKIP, "offline", skip_reason=SkipReason.OFFLINE)
UNKNOWN = bad("agent.files", Status.UNKNOWN, "not-observed")


@pytest.mark.parametrize(
    ("checks", "flag"),
    [
        ((ok("agent.signature"),), 0),
        ((ok("agent.signature"), SKIP), 0),
        ((ok("agent.signature"), UNKNOWN), None),
        ((UNKNOWN,), None),
        ((SKIP,), None),
        ((ok("clock.offset"),), None),
        ((UNKNOWN, bad("agent.running", Status.CRIT)), 1),
        ((bad("agent.signature", Status.WARN), ok("agent.files")), 1),
    ],
)
def test_what_was_not_proven_good_is_never_zero(
    checks: tuple[Verdict, ...], flag: int | None
) -> None:
    found = document(report(*checks))
    assert found.get("SignatureFail") == flag
    names = [item["Name"] for item in found["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    assert ("SignatureFail" in names) == (flag is not None)


@pytest.mark.parametrize(
    "clock",
    [
        None,
        ClockReading(math.nan, 0.1, "https", ()),
        ClockReading(math.inf, 0.1, "https", ()),
        ClockReading(0.1, math.inf, "https", ()),
    ],
)
def test_an_unmeasured_clock_has_no_metric(clock: ClockReading | None) -> None:
    found = document(report(clock=clock))
    assert "ClockOffsetAbs" not in found
    assert "ClockHeadroom" not in found
    check_form(found)


def test_a_fast_clock_counts_like_a_slow_one() -> None:
    found = document(report(clock=ClockReading(-250.0, 10.0, "ntp", ())))
    assert found["ClockOffsetAbs"] == 250.0
    assert found["offset_s"] == -250.0


def test_an_event_is_dated_when_it_is_sent_and_an_uncertain_time_is_marked() -> None:
    kept = emf.emf_document(report(corrected=None), POLICY)
    assert "Timestamp" not in kept["_aws"]  # type: ignore[operator]
    certain = emf.stamped(kept, MOMENT_MS, is_certain=True)
    assert certain == document(report(corrected=None))
    assert emf.stamped(kept, MOMENT_MS, is_certain=False) == {**certain, "time_uncertain": True}


@pytest.mark.parametrize("strange", [{}, {"_aws": None}, {"_aws": []}, {"Runs": 1}])
def test_what_is_no_event_gets_no_date(strange: dict[str, object]) -> None:
    assert emf.stamped(strange, MOMENT_MS, is_certain=True) is None


def test_thousands_of_checks_stay_within_the_limit() -> None:
    many = tuple(bad(f"agent.{number}" + "x" * 5000, Status.CRIT) for number in range(5000))
    assert len(emf.emf_line(report(*many), POLICY, MOMENT_MS)) < emf.LIMIT_BYTES


@given(
    st.text(st.characters(), max_size=2000),
    st.text(st.characters(), max_size=2000),
    st.floats(),
)
def test_no_text_of_the_node_breaks_the_line(name: str, reason: str, offset_s: float) -> None:
    made = report()
    node = replace(made.node, platform=name, node_id=name, os=name)
    made = replace(
        made,
        node=node,
        clock=ClockReading(offset_s, 0.1, name, ()),
        checks=(bad(f"agent.{name}", Status.CRIT, reason or "-"),),
    )
    check_form(document(made))


def test_every_metric_is_documented_once() -> None:
    names = [item.name for item in emf.METRICS]
    assert len(names) == len(set(names))
    assert all(item.meaning for item in emf.METRICS)
    assert set(emf.metric_values(report())) == set(names)
    assert len(IDS) == 19
