"""Forecast when a clock that nobody steers leaves the tolerance.

The offset (true minus local, seconds) is in [offset - bound, offset + bound] and grows by a rate in
[rate - error, rate + error]. It reaches the edge to which the rate leads after so many seconds:

    (tolerance - offset -+ bound) / rate    (for negative rates: tolerance + offset, and -rate)

Over all possible rates that is a range of dates; a rate that may be 0 may never lead there. A clock
that a daemon keeps right does not drift: there is nothing to forecast while it does.
"""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Final

from nodecheck.checks import clock_fix
from nodecheck.checks.discipline_causes import contradiction
from nodecheck.model.clock_history import Drift
from nodecheck.model.verdict import Evidence, Finding, Status, Verdict
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.clock import ClockFacts, ClockPolicy, Estimate
    from nodecheck.model.clock_history import HistoryFacts
    from nodecheck.model.discipline import DisciplineFacts

CHECK_ID = "clock.forecast"
QUESTION = "at the measured drift, when does the clock leave the tolerance?"
EXPLANATION = """\
WHAT IS JUDGED
  A clock that no daemon keeps right drifts, and one day AWS refuses what it signs. This check says
  when, from what earlier runs of nodecheck measured. While a daemon keeps the clock right
  (clock.discipline), the answer is: none.

LIMITS
  ok       steered; or at the measured drift not within 30 days; or, without a history, not
           within 30 days even at 500 ppm
  warn     within 30 days at the measured drift, or at the fastest that is possible where its
           direction is proven: before the next monthly maintenance, the rhythm in which AWS asks
           for agent updates
  crit     within 1 day by every possible rate, or already outside the tolerance: before anybody
           who reads a daily report can act
  unknown  not-observed: the clock was not measured
           no-history: unsteered, and 500 ppm could lead outside within 30 days, which is always
           so with a tolerance of 300 s; nothing measured yet, or over so short a time that
           neither the direction nor a rate within 100 ppm is proven. A later run knows more.

HOW IT IS MEASURED
  Every run keeps its measurement (clock-history.json in the state folder, 64 at most): boot id,
  monotonic and true time, offset, bound, and whether a daemon steered. Two of one boot, with no
  step and no steering between, give a rate; it is wrong by at most both bounds over the time
  between them, plus 15 ppm for the wander of a quartz. The best-proven pair counts.
  Without two measurements up to 500 ppm are possible either way: what NTP is made to tolerate.
  The median of 20,000 hosts is 78 ppm, so the day at 100 ppm is said too; it proves nothing.

HOW TO MEND
  Let a daemon steer the clock: nodecheck explain clock.discipline.

SOURCES
  RFC 5905 section 7.2 (PHI, 15 ppm) and appendix A.1 (MAXFREQ, 500 ppm)
  D. Mills, Computer Network Time Synchronization, chapter 15: frequency errors of 20,000 hosts
  https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-agent-automatic-updates.html
"""

USUAL_RATE: Final = 100e-6
"""What most clocks stay below; a measured drift that may be beyond it is not harmless."""

MAX_RATE: Final = 500e-6
"""RFC 5905 MAXFREQ: the worst clock that NTP is made to tolerate."""

WARN_S: Final = 30 * 86400.0
CRIT_S: Final = 86400.0
FAR_S: Final = 100 * 365 * 86400.0
"""Beyond a century no date is worth saying."""

PPM: Final = 1e6


@dataclass(frozen=True, slots=True)
class _Span:
    """Seconds until the clock leaves: at the earliest, at the likeliest rate, at the latest."""

    earliest_s: float
    likely_s: float
    latest_s: float


def judge(
    clock: ClockFacts,
    discipline: DisciplineFacts,
    history: HistoryFacts | None,
    policy: ClockPolicy,
    now: datetime | None,
) -> Verdict:
    """Return the verdict on the clock's future.

    Args:
        clock: the independent measure.
        discipline: what steers the clock.
        history: earlier measurements, None where there are none.
        policy: how far the clock may be off.
        now: the true time.
    """
    estimate = clock.estimate
    if estimate is None or now is None:
        finding = Finding("not-observed", "the clock was not measured, so its future is not known")
        return Verdict.of(CHECK_ID, Status.UNKNOWN, (finding,))
    drift = history.drift if history is not None else None
    evidence = _evidence(drift, history, discipline)
    word = discipline.word
    is_kept = discipline.keeper and not (word is not None and contradiction(word, clock))
    if is_kept and not _is_outside(estimate, policy):
        return Verdict.ok(CHECK_ID, f"none: steered by {discipline.keeper}", evidence)
    limit = f"tolerance {policy.tolerance_s:g} s, warning {WARN_S / 86400:g} days before"
    fixes = clock_fix.start_fixes(discipline) if not discipline.steering else ()
    status, reason, text = _forecast(estimate, drift, policy, now)
    if status is Status.OK:
        return Verdict.ok(CHECK_ID, text, evidence, limit)
    finding = Finding(reason, text)
    return Verdict.of(CHECK_ID, status, (finding,), evidence=evidence, limit=limit, fixes=fixes)


def _forecast(
    estimate: Estimate, drift: Drift | None, policy: ClockPolicy, now: datetime
) -> tuple[Status, str, str]:
    """Return status, reason and sentence for a clock that nobody keeps right."""
    tolerance_s = policy.tolerance_s
    if _is_outside(estimate, policy):
        text = f"the clock has already left the tolerance of {tolerance_s:g} s"
        return Status.CRIT, "already-outside", text
    if drift is None or (drift.error >= MAX_RATE and not _is_directed(drift)):
        return _unmeasured(estimate, tolerance_s, now)
    span = _span(estimate, drift, tolerance_s)
    side = "slower" if drift.rate > 0 else "faster"
    speed = f"{abs(drift.rate) * PPM:.1f} ppm ± {drift.error * PPM:.1f} ppm {side}"
    text = f"nobody steers the clock, it goes {speed}: leaves the tolerance {_when(now, span)}"
    if span.latest_s <= CRIT_S:
        return Status.CRIT, "within-a-day", text
    is_bounded = drift.error <= USUAL_RATE
    if (_is_directed(drift) and span.earliest_s <= WARN_S) or (
        is_bounded and span.likely_s <= WARN_S
    ):
        return Status.WARN, "within-30-days", text
    if max(-drift.low, drift.high) > USUAL_RATE and span.earliest_s <= WARN_S:
        return Status.UNKNOWN, "no-history", f"{text}; measured over too short a time"
    return Status.OK, "ok", text


def _unmeasured(estimate: Estimate, tolerance_s: float, now: datetime) -> tuple[Status, str, str]:
    """Return status, reason and sentence where no drift is proven: any up to 500 ppm.

    A measurement that proves less than that proves nothing.
    """
    worst_s = _span(estimate, Drift(0.0, MAX_RATE, 0.0), tolerance_s).earliest_s
    usual_s = _span(estimate, Drift(0.0, USUAL_RATE, 0.0), tolerance_s).earliest_s
    text = (
        "nobody steers the clock, no drift measured yet: it leaves the tolerance not before "
        f"{_day(now, worst_s)} (at {MAX_RATE * PPM:g} ppm), usually not before "
        f"{_day(now, usual_s)} (at {USUAL_RATE * PPM:g} ppm)"
    )
    is_far = worst_s > WARN_S
    return (Status.OK, "ok", text) if is_far else (Status.UNKNOWN, "no-history", text)


def _is_directed(drift: Drift) -> bool:
    """Tell whether the drift is proven not to be 0."""
    return drift.low > 0 or drift.high < 0


def _is_outside(estimate: Estimate, policy: ClockPolicy) -> bool:
    return abs(estimate.offset_s) - estimate.bound_s > policy.tolerance_s


def _span(estimate: Estimate, drift: Drift, tolerance_s: float) -> _Span:
    low, high = drift.low, drift.high
    ends = (low, high)
    earliest_s = min(_reach(estimate, rate, tolerance_s, estimate.bound_s) for rate in ends)
    likely_s = _reach(estimate, drift.rate, tolerance_s, 0.0)
    latest_s = inf
    if _is_directed(drift):
        latest_s = max(_reach(estimate, rate, tolerance_s, -estimate.bound_s) for rate in ends)
    return _Span(earliest_s, likely_s, latest_s)


def _reach(estimate: Estimate, rate: float, tolerance_s: float, slack_s: float) -> float:
    """Return in how many seconds the offset reaches the edge to which this rate leads."""
    if rate == 0:
        return inf
    gone_s = estimate.offset_s if rate > 0 else -estimate.offset_s
    return max(tolerance_s - gone_s - slack_s, 0.0) / abs(rate)


def _day(now: datetime, seconds: float) -> str:
    """Return the day that is so many seconds away.

    >>> from datetime import UTC, datetime
    >>> start = datetime(2026, 11, 23, tzinfo=UTC)
    >>> _day(start, 86400.0), _day(start, inf)
    ('2026-11-24', 'a century from now')
    """
    if not seconds < FAR_S:
        return "a century from now"
    return f"{now + timedelta(seconds=seconds):%Y-%m-%d}"


def _when(now: datetime, span: _Span) -> str:
    if span.latest_s < FAR_S:
        return f"between {_day(now, span.earliest_s)} and {_day(now, span.latest_s)}"
    return f"not before {_day(now, span.earliest_s)}"


def _evidence(
    drift: Drift | None, history: HistoryFacts | None, discipline: DisciplineFacts
) -> tuple[Evidence, ...]:
    count = len(history.epochs) if history is not None else 0
    found = [
        Evidence("steered_by", discipline.keeper or "nobody", "clock.discipline"),
        Evidence("measurements", count, "history"),
    ]
    if drift is not None:
        found += [
            Evidence("drift_ppm", round(drift.rate * PPM, 3), "history; positive: grows slower"),
            Evidence("drift_bound_ppm", round(drift.error * PPM, 3), "bounds / base + 15 ppm"),
            Evidence("drift_base_s", round(drift.base_s, 1), "history"),
        ]
    if history is not None and history.note:
        found.append(Evidence("history_note", history.note))
    return tuple(found)
