"""Decide which sources to believe, and what they prove together.

The rule is RFC 5905 section 11.2.1: with m votes, find the smallest number f < m/2 of falsetickers
such that the other m - f intervals have a point in common; the truth lies between the lowest and
the highest such point. Two sources that disagree therefore prove nothing. Unlike in the RFC no
midpoint is counted: the interval is what a source claims, and a wide honest one is no liar.

One operator has one vote, however many addresses it answers on. The AWS endpoint judges this node's
signatures, so its authenticated ``Date`` rules: an NTP majority narrows it and never overrules it.

A ``Date`` may be stale by a fraction of a second: servers cache it for a second (nginx and Apache
do), and RFC 9110 section 6.6.1 asks for one second's resolution only. Held against NTP it has an
allowance of 1 s either way; beyond that it rules alone, with the allowance in its bound. With no
NTP majority to hold it against, it is taken at its word: the bound then assumes a fresh ``Date``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.model.clock import (
    ENDPOINT,
    ClockFacts,
    ClockPair,
    DateReading,
    Discipline,
    Estimate,
    Interval,
    NtpFacts,
    SourceFailure,
    SourceReading,
)
from nodecheck.model.errors import ProbeError
from nodecheck.model.moment import CorrectedTime
from nodecheck.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterable

SECOND_NS = 1_000_000_000
DATE_ALLOWANCE_NS = SECOND_NS
"""How far beyond its own interval a cached ``Date`` may be from the truth, either way."""


def agree(votes: tuple[Interval | None, ...]) -> Interval | None:
    """Return the interval that a strict majority proves; None is a vote that contradicts itself.

    >>> honest, liar = Interval(0, 1, 2), Interval(90, 91, 92)
    >>> agree((honest, honest, liar))
    Interval(low_ns=0, best_ns=1, high_ns=2)
    >>> agree((honest, liar)) is None
    True
    """
    claims = [vote for vote in votes if vote is not None]
    for falsetickers in range((len(votes) + 1) // 2):
        needed = len(votes) - falsetickers
        lows = [item.low_ns for item in claims if _support(claims, item.low_ns) >= needed]
        highs = [item.high_ns for item in claims if _support(claims, item.high_ns) >= needed]
        if lows and highs:
            return _settle(min(lows), max(highs), claims)
    return None


def _support(claims: list[Interval], point_ns: int) -> int:
    return sum(item.low_ns <= point_ns <= item.high_ns for item in claims)


def _settle(low_ns: int, high_ns: int, claims: list[Interval]) -> Interval:
    hull = Interval(low_ns, low_ns, high_ns)
    within = [item for item in claims if item.meet(hull)]
    best = min(within, key=lambda item: item.width_ns).best_ns
    return Interval(low_ns, min(max(best, low_ns), high_ns), high_ns)


def combine(
    ntp: NtpFacts | ProbeError,
    date: DateReading | ProbeError | None,
    now: ClockPair,
    discipline: Discipline = Discipline.NONE,
) -> ClockFacts:
    """Join what both probes found, each of which may have failed, into facts about the clock.

    Args:
        ntp: what the NTP servers said.
        date: what the endpoint said; None where no endpoint is known or asked.
        now: both clocks, read together after the probes.
        discipline: what is configured to steer the clock.
    """
    failures: tuple[SourceFailure, ...] = ()
    readings: tuple[SourceReading, ...] = ()
    if isinstance(ntp, ProbeError):
        failures += (SourceFailure("NTP", "", ntp.reason, str(ntp)),)
    else:
        readings, failures = tuple(_aged(item, now) for item in ntp.readings), ntp.failures
    if isinstance(date, ProbeError):
        failures += (SourceFailure(ENDPOINT, "", date.reason, str(date)),)
        date = None
    if date is not None:
        age_ns = now.monotonic_ns - date.taken_ns
        date = replace(date, interval=date.interval.aged(age_ns))
    proven = _prove(readings, date, now)
    if proven is None:
        return ClockFacts(None, readings, date, failures, (), now, discipline)
    sources = tuple(_named(readings, date, proven, meets=True))
    field = proven
    if date is not None and proven in {date.interval, allowed(date.interval)}:
        sources, field = (date.name,), allowed(date.interval)
    liars = tuple(_named(readings, date, field, meets=False))
    estimate = _estimate(proven, sources, now)
    return ClockFacts(estimate, readings, date, failures, liars, now, discipline)


def allowed(interval: Interval) -> Interval:
    """Return the endpoint's interval with the allowance for a cached ``Date`` on either side."""
    return Interval(
        interval.low_ns - DATE_ALLOWANCE_NS, interval.best_ns, interval.high_ns + DATE_ALLOWANCE_NS
    )


def is_narrow(ntp: NtpFacts | ProbeError, date: DateReading, now_ns: int) -> bool:
    """Tell whether NTP has narrowed the endpoint's ``Date``, so that one request is enough.

    It has not where no server answered, no majority agrees, or the majority contradicts the date.
    """
    if isinstance(ntp, ProbeError):
        return False
    readings = (
        replace(item, interval=item.interval.aged(now_ns - item.taken_ns)) for item in ntp.readings
    )
    majority = agree(operator_votes(tuple(readings)))
    interval = allowed(date.interval.aged(now_ns - date.taken_ns))
    return majority is not None and interval.meet(majority) is not None


def _aged(reading: SourceReading, now: ClockPair) -> SourceReading:
    age_ns = now.monotonic_ns - reading.taken_ns
    return replace(reading, interval=reading.interval.aged(age_ns))


def _prove(
    readings: tuple[SourceReading, ...], date: DateReading | None, now: ClockPair
) -> Interval | None:
    votes = operator_votes(readings)
    if date is None:
        return agree(votes)
    if not votes:
        return date.interval
    if not date.authenticated:
        return agree((*votes, allowed(date.interval)))
    majority = agree(votes)
    if majority is None:
        return date.interval
    return allowed(date.interval).meet(majority) or _endpoint_alone(date, majority, now)


def _endpoint_alone(date: DateReading, majority: Interval, now: ClockPair) -> Interval | None:
    """Return what the endpoint says against the NTP majority.

    If the majority were right and the certificate were not valid then, the endpoint could be anyone
    with an old key: nobody is believed.
    """
    true_s = (majority.best_ns + now.monotonic_ns) // SECOND_NS
    is_valid = date.valid_from_s <= true_s <= date.valid_until_s
    return allowed(date.interval) if is_valid else None


def operator_votes(readings: tuple[SourceReading, ...]) -> tuple[Interval | None, ...]:
    """Return a vote for each operator: what its addresses agree on, None where they do not."""
    by_operator: dict[str, list[Interval]] = {}
    for reading in readings:
        by_operator.setdefault(reading.operator, []).append(reading.interval)
    return tuple(agree(tuple(intervals)) for intervals in by_operator.values())


def _named(
    readings: tuple[SourceReading, ...], date: DateReading | None, proven: Interval, *, meets: bool
) -> Iterable[str]:
    """Name each source once that is, or is not, compatible with what is proven; narrowest first."""
    sources = [(item.interval, item.name) for item in readings]
    if date is not None:
        sources.append((allowed(date.interval), date.name))
    sources.sort(key=lambda item: item[0].width_ns)
    return dict.fromkeys(
        name for interval, name in sources if (interval.meet(proven) is not None) is meets
    )


def _estimate(proven: Interval, sources: tuple[str, ...], now: ClockPair) -> Estimate:
    true_ns = proven.best_ns + now.monotonic_ns
    reach_ns = max(proven.high_ns - proven.best_ns, proven.best_ns - proven.low_ns)
    bound_s = (reach_ns + now.skew_ns) / SECOND_NS
    corrected = CorrectedTime(true_ns, now.monotonic_ns, bound_s, ", ".join(sources))
    return Estimate((true_ns - now.wall_ns) / SECOND_NS, bound_s, sources, corrected)
