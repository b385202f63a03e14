"""Say offsets, bounds and sources of time as people say them."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from nodecheck.model.clock import ENDPOINT, NO_REGION

if TYPE_CHECKING:
    from nodecheck.model.clock import (
        ClockFacts,
        DateReading,
        Estimate,
        SourceFailure,
        SourceReading,
    )

STEPS = ((1e-4, 1e6, ".0f", "µs"), (1.0, 1e3, ".1f", "ms"), (120.0, 1, ".1f", "s"))
"""Below how many seconds to write a duration times what, with which digits, in which unit."""

UNITS = ((365 * 86400, "y"), (86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
NAMES_SHOWN = 2


def describe(facts: ClockFacts, estimate: Estimate) -> str:
    """Return offset, direction, bound and sources in words."""
    amount = (
        f"{human(abs(estimate.offset_s))} {side(estimate.offset_s)} ± {human(estimate.bound_s)}"
    )
    date = facts.date.name if facts.date else ""
    others = [name for name in estimate.sources if name != date]
    who = ", ".join(others[:NAMES_SHOWN])
    if len(others) > NAMES_SHOWN:
        who += f" and {len(others) - NAMES_SHOWN} more"
    if date in estimate.sources:
        who = f"{who}; {date} agrees" if who else f"Date of {date}"
    if facts.falsetickers:
        who += f"; not believed: {', '.join(facts.falsetickers)}"
    for failure in facts.failures:
        if failure.name == ENDPOINT:
            is_unknown = failure.reason == NO_REGION
            who += f"; the SSM endpoint {'was not asked' if is_unknown else 'did not answer'}"
    return f"{amount} ({who})"


def side(offset_s: float) -> str:
    """Return the direction of an offset: positive means slow."""
    return "slow" if offset_s > 0 else "fast"


def human(seconds: float) -> str:
    """Return a duration as people say it.

    >>> [human(value) for value in (2.5e-5, 0.0035, 0.8, 42.25, 432, 473040000)]
    ['25 µs', '3.5 ms', '800.0 ms', '42.2 s', '7 min 12 s', '15 y 0 d']
    """
    for below_s, factor, digits, unit in STEPS:
        if seconds < below_s:
            return f"{seconds * factor:{digits}} {unit}"
    whole_s = round(seconds) if math.isfinite(seconds) else 0
    for (size_s, unit), (next_s, next_unit) in pairwise(UNITS):
        if whole_s >= size_s:
            count, rest_s = divmod(whole_s, size_s)
            return f"{count} {unit} {rest_s // next_s} {next_unit}"
    return f"{seconds} s"


def claim(reading: SourceReading | DateReading, facts: ClockFacts) -> str:
    """Return the offset that one source alone would give."""
    offset_s = (reading.interval.best_ns + facts.now.monotonic_ns - facts.now.wall_ns) / 1e9
    bound_s = reading.interval.width_ns / 2e9
    return f"{human(abs(offset_s))} {side(offset_s)} ± {human(bound_s)}"


def failures_by_source(failures: tuple[SourceFailure, ...]) -> tuple[tuple[str, str], ...]:
    """Return reason and sentence of each failure; addresses that failed alike are put together."""
    addresses: dict[tuple[str, str, str], list[str]] = {}
    for item in failures:
        known = addresses.setdefault((item.name, item.reason, item.message), [])
        if item.address and item.address not in item.name:
            known.append(item.address)
    return tuple(
        (reason, f"{name} ({', '.join(known)}): {message}" if known else f"{name}: {message}")
        for (name, reason, message), known in addresses.items()
    )
