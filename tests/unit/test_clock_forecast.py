"""The history of the clock, the drift that it proves, and the day that is forecast."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.checks.clock_forecast import judge
from nodecheck.host.boot import BOOT_ID
from nodecheck.model.clock import ClockPolicy
from nodecheck.model.clock_history import (
    EPOCHS_KEPT,
    SPACING_NS,
    Epoch,
    HistoryFacts,
    remembered,
)
from nodecheck.model.discipline import Running
from nodecheck.model.errors import ProbeError
from nodecheck.model.moment import CorrectedTime
from nodecheck.probes import clock_history
from nodecheck.records import replace
from tests.discipline_builders import FOLLOWING, NOW_NS, facts, measured
from tests.fake_host import FakeFiles, FakeState, fake_host

BOOT = "5b0c1a9e-8f5c-4b7e-9d2f-3f1f5a7e9c11"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR_NS = 3600 * 10**9
NOBODY = facts(processes=Running(), words=())


def epoch(hours: float, offset_s: float = 0.0, bound_s: float = 0.001, **changes: object) -> Epoch:
    """A measurement some hours after the start, on a clock that was never stepped."""
    monotonic_ns = round((hours + 1) * HOUR_NS)
    true_ns = NOW_NS + monotonic_ns + round(offset_s * 1e9)
    made = Epoch(BOOT, monotonic_ns, true_ns, offset_s, bound_s, steered=False)
    return replace(made, **changes)  # type: ignore[arg-type]


def drifting(
    ppm: float, hours: float = 10, now_s: float = 0.0, bound_s: float = 0.001
) -> HistoryFacts:
    """Two measurements of a clock whose offset grows by so much."""
    gone_s = ppm * 1e-6 * hours * 3600
    return HistoryFacts((epoch(0, now_s - gone_s, bound_s), epoch(hours, now_s, bound_s)))


# --- drift ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ppm", [-200.0, -15.0, 0.0, 3.0, 450.0])
def test_the_drift_of_two_measurements(ppm: float) -> None:
    found = drifting(ppm).drift
    assert found is not None
    assert found.rate * 1e6 == pytest.approx(ppm, abs=0.01)
    assert found.error * 1e6 == pytest.approx(15 + 0.002 / 36000 * 1e6)
    assert found.low < ppm * 1e-6 < found.high


@pytest.mark.parametrize(
    "between",
    [
        epoch(5, boot="another"),
        epoch(5, steered=True),
        epoch(5, true_ns=epoch(5).true_ns + 3_000_000),  # the clock was stepped by 3 ms
    ],
)
def test_nothing_is_compared_across_a_boot_a_step_or_a_daemon(between: Epoch) -> None:
    epochs = (epoch(0), between, epoch(10, 0.1))
    first_alone = HistoryFacts((epochs[0], epochs[2])).drift
    assert first_alone is not None
    assert HistoryFacts(epochs).drift is None


def test_the_monotonic_clock_never_goes_back() -> None:
    assert HistoryFacts((epoch(5), epoch(5))).drift is None
    assert HistoryFacts((epoch(5), epoch(4))).drift is None
    assert HistoryFacts(()).drift is None


def test_a_clock_that_was_steered_tells_nothing_of_its_drift() -> None:
    steered = (epoch(0, 0.0, steered=True), epoch(10, 0.1, steered=True))
    assert HistoryFacts(steered).drift is None
    assert HistoryFacts((*steered, epoch(20, 0.2))).drift is None


def test_the_best_proven_pair_counts() -> None:
    epochs = (epoch(0, -1.0, 0.5), epoch(1, -0.36, 0.001), epoch(11, 0.0, 0.001))
    found = HistoryFacts(epochs).drift
    assert found is not None
    assert found.rate * 1e6 == pytest.approx(10.0)


def test_close_measurements_replace_one_another() -> None:
    epochs: tuple[Epoch, ...] = ()
    for minute in range(600):
        epochs = remembered(epochs, epoch(minute / 60))
    assert 60 <= len(epochs) <= EPOCHS_KEPT
    gaps = [b.monotonic_ns - a.monotonic_ns for a, b in pairwise(epochs[:-1])]
    assert all(gap >= SPACING_NS for gap in gaps)
    for hour in range(100, 300):
        epochs = remembered(epochs, epoch(hour))
    assert len(epochs) == EPOCHS_KEPT
    assert epochs[-1] == epoch(299)


# --- the file ------------------------------------------------------------------------------------


def test_what_is_written_is_read() -> None:
    epochs = (epoch(0, 1.5), epoch(1, -2.25, steered=True))
    assert clock_history.load(clock_history.dump(epochs)) == epochs
    many = tuple(epoch(number, number / 3, 1 / 3) for number in range(EPOCHS_KEPT))
    assert len(clock_history.dump(many)) < clock_history.LIMIT_BYTES


ROW = [BOOT, 1, 2, 0.5, 0.1, False]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"schema": "nodecheck-clock-history/1"}',
        b'{"schema": "other/1", "epochs": []}',
        *(
            json.dumps({"schema": clock_history.SCHEMA, "epochs": epochs}).encode()
            for epochs in (
                "x",
                [ROW] * 65,
                [ROW[:5]],
                [[*ROW, 1]],
                [[1, *ROW[1:]]],
                [["b" * 37, *ROW[1:]]],
                [[BOOT, -1, 2, 0.5, 0.1, False]],
                [[BOOT, 1, 1 << 63, 0.5, 0.1, False]],
                [[BOOT, 1, 2, float("nan"), 0.1, False]],
                [[BOOT, 1, 2, float("inf"), 0.1, False]],
                [[BOOT, 1, 2, 10**400, 0.1, False]],
                [[BOOT, 1, 2, 0.5, -0.1, False]],
                [[BOOT, 1, 2, 0.5, 0.1, "no"]],
                [[BOOT, 1.5, 2, 0.5, 0.1, False]],
            )
        ),
    ],
)
def test_damaged_files_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        clock_history.load(content)


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(content: bytes) -> None:
    try:
        clock_history.load(content)
    except ValueError:
        return


def remember(state: FakeState, folder: str = "/state", offset_s: float = 0.25) -> HistoryFacts:
    files = FakeFiles({BOOT_ID: BOOT.encode() + b"\n"})
    corrected = CorrectedTime(NOW_NS, HOUR_NS, 0.001, "ntp.test")
    host = fake_host(files, state=state)
    return clock_history.look(host, folder, corrected, offset_s, steered=False)


def test_a_run_is_remembered() -> None:
    state = FakeState()
    assert remember(state).note == ""
    found = remember(state)
    assert len(found.epochs) == 2
    assert clock_history.load(state.contents["/state/clock-history.json"]) == found.epochs  # type: ignore[arg-type]


def test_a_damaged_file_is_set_aside_and_said() -> None:
    state = FakeState({"/state/clock-history.json": b"damaged"})
    found = remember(state)
    assert "kept as /state/clock-history.json.damaged" in found.note
    assert len(found.epochs) == 1
    assert state.contents["/state/clock-history.json.damaged"] == b"damaged"


def test_a_file_of_others_is_not_believed() -> None:
    state = FakeState({"/state/clock-history.json": ProbeError("others can write it", "no-state")})
    assert remember(state).note == "others can write it"


def test_without_a_folder_nothing_is_kept() -> None:
    state = FakeState()
    assert "no state folder" in remember(state, "").note
    assert state.contents == {}


def test_a_full_disk_is_said() -> None:
    class Full(FakeState):
        def write(self, folder: str, name: str, content: bytes) -> None:
            raise ProbeError("No space left", "no-state")  # noqa: EM101, TRY003

        def set_aside(self, folder: str, name: str) -> str:
            raise ProbeError("Read-only", "no-state")  # noqa: EM101

    assert remember(Full()).note == "No space left"
    note = remember(Full({"/state/clock-history.json": b"damaged"})).note
    assert note.endswith("Read-only; No space left")


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 40])
def test_a_boot_that_cannot_be_told(content: bytes) -> None:
    host = fake_host(FakeFiles({BOOT_ID: content}))
    corrected = CorrectedTime(NOW_NS, HOUR_NS, 0.001, "ntp.test")
    with pytest.raises(ProbeError, match="not understood"):
        clock_history.look(host, "/state", corrected, 0.0, steered=False)


# --- the forecast --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset_s", "history", "status", "reason"),
    [
        (0.0, None, "unknown", "no-history"),
        (0.0, drifting(5000.0, hours=0.004, bound_s=0.001), "crit", "within-a-day"),
        (0.0, drifting(-5000.0, hours=0.004, bound_s=0.001), "crit", "within-a-day"),
        (0.0, drifting(450.0, hours=0.004), "warn", "within-30-days"),
        (0.0, drifting(105.0), "warn", "within-30-days"),
        (0.0, drifting(0.0, hours=0.004), "unknown", "no-history"),
        (200.0, drifting(90.0, hours=0.008), "warn", "within-30-days"),
        (41.0, None, "unknown", "no-history"),
        (-41.0, None, "unknown", "no-history"),
        (299.0, drifting(0.0), "ok", "ok"),
        (0.0, drifting(100.0), "ok", "ok"),
        (0.0, drifting(120.0), "warn", "within-30-days"),
        (0.0, drifting(-120.0), "warn", "within-30-days"),
        (280.0, drifting(-100.0), "ok", "ok"),
        (-280.0, drifting(-100.0), "warn", "within-30-days"),
        (299.0, drifting(100.0), "crit", "within-a-day"),
        (299.0, drifting(20.0), "warn", "within-30-days"),
        (299.0, drifting(100.0, hours=0.001), "unknown", "no-history"),
        (301.0, drifting(-100.0), "crit", "already-outside"),
        (-301.0, None, "crit", "already-outside"),
    ],
)
def test_forecasts(offset_s: float, history: HistoryFacts | None, status: str, reason: str) -> None:
    verdict = judge(measured(offset_s), NOBODY, history, ClockPolicy(), NOW)
    assert (verdict.status.value, verdict.reason) == (status, reason), verdict.message


def test_a_fast_drift_that_is_proven_coarsely_is_said() -> None:
    history = drifting(5000.0, hours=0.00392)
    assert history.drift is not None
    assert history.drift.error * 1e6 == pytest.approx(157, abs=1)
    verdict = judge(measured(0.0), NOBODY, history, ClockPolicy(), NOW)
    assert (verdict.status.value, verdict.reason) == ("crit", "within-a-day")
    assert "5000.0 ppm ± 156.7 ppm slower" in verdict.message


def test_without_history_the_range_is_said() -> None:
    verdict = judge(measured(0.0), NOBODY, None, ClockPolicy(), NOW)
    # 300 s at 500 and 100 ppm: 6.9 and 34.7 days
    assert verdict.message == (
        "nobody steers the clock, no drift measured yet: it leaves the tolerance not before "
        "2026-11-30 (at 500 ppm), usually not before 2026-12-28 (at 100 ppm)"
    )


def test_a_measurement_that_proves_less_than_none_changes_nothing() -> None:
    history = drifting(35.0, hours=0.0003)
    assert history.drift is not None
    assert history.drift.error > 500e-6
    verdict = judge(measured(0.0), NOBODY, history, ClockPolicy(), NOW)
    assert verdict.message == judge(measured(0.0), NOBODY, None, ClockPolicy(), NOW).message


@pytest.mark.parametrize(("tolerance_s", "status"), [(1300.0, "ok"), (1290.0, "unknown")])
def test_without_history_only_a_wide_tolerance_is_safe(tolerance_s: float, status: str) -> None:
    policy = replace(ClockPolicy(), tolerance_s=tolerance_s)
    assert judge(measured(0.0), NOBODY, None, policy, NOW).status.value == status


@given(st.floats(-299, 299), st.floats(-600, 600), st.floats(0.0005, 40))
def test_a_drift_that_may_lead_out_soon_is_never_ok(
    offset_s: float, ppm: float, hours: float
) -> None:
    history = drifting(ppm, hours)
    drift = history.drift
    assert drift is not None
    verdict = judge(measured(offset_s), NOBODY, history, ClockPolicy(), NOW)
    for rate in (drift.low, drift.high):
        edge_s = 300 - offset_s if rate > 0 else 300 + offset_s
        if abs(rate) > 100e-6 and edge_s / abs(rate) <= 30 * 86400:
            assert verdict.status.value != "ok"


def test_the_range_of_dates() -> None:
    verdict = judge(measured(0.0), NOBODY, drifting(200.0), ClockPolicy(), NOW)
    # 300 s at 215.06 and 184.94 ppm: 16.1 and 18.8 days
    assert verdict.message == (
        "nobody steers the clock, it goes 200.0 ppm ± 15.1 ppm slower: "
        "leaves the tolerance between 2026-12-09 and 2026-12-12"
    )
    assert verdict.fixes


def test_a_drift_that_may_be_none_has_no_latest_day() -> None:
    verdict = judge(measured(0.0), NOBODY, drifting(-5.0), ClockPolicy(), NOW)
    assert verdict.message.endswith(
        "5.0 ppm ± 15.1 ppm faster: leaves the tolerance not before 2027-05-15"
    )


def test_no_drift_at_all_leads_nowhere() -> None:
    still = HistoryFacts((epoch(0), epoch(1)), "the file was damaged")
    verdict = judge(measured(0.0), NOBODY, still, ClockPolicy(), NOW)
    assert verdict.status.value == "ok"
    assert {item.name: item.value for item in verdict.evidence}["history_note"] == still.note


def test_a_steered_clock_has_no_such_day() -> None:
    verdict = judge(measured(0.0), facts(), drifting(500.0), ClockPolicy(), NOW)
    assert (verdict.status.value, verdict.message) == ("ok", "none: steered by chronyd")


def test_a_steered_clock_that_is_still_outside_is_outside() -> None:
    slewing = replace(FOLLOWING, offset_s=400.0)
    verdict = judge(measured(400.0), facts(words=(slewing,)), None, ClockPolicy(), NOW)
    assert verdict.reason == "already-outside"


def test_a_daemon_that_is_contradicted_steers_nothing() -> None:
    verdict = judge(measured(2.0), facts(), drifting(200.0, now_s=2.0), ClockPolicy(), NOW)
    assert verdict.reason == "within-30-days"


@pytest.mark.parametrize("now", [NOW, None])
def test_without_a_measurement_it_is_unknown(now: datetime | None) -> None:
    clock = measured(None if now else 0.0)
    verdict = judge(clock, NOBODY, None, ClockPolicy(), now)
    assert verdict.reason == "not-observed"


@given(
    st.floats(-299, 299),
    st.floats(-500, 500),
    st.floats(0, 1),
)
def test_the_range_holds_the_day_that_the_rate_leads_to(
    offset_s: float, ppm: float, bound_s: float
) -> None:
    clock = measured(offset_s, bound_s)
    verdict = judge(clock, NOBODY, drifting(ppm, bound_s=bound_s / 100), ClockPolicy(), NOW)
    assert verdict.status.value in {"ok", "warn", "crit", "unknown"}
    assert verdict.message
