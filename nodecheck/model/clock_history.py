"""Earlier measurements of this clock, and the drift that they prove.

Measurements can be compared within one boot and between two steps only: then the wall clock and the
monotonic clock keep their distance, and the change of the offset is the drift. The rate of two
measurements is wrong by at most both bounds together over the time between them, plus what a quartz
wanders (PHI): a 20 s test missed the bound without it by 0.9 ppm.
"""

from __future__ import annotations

from itertools import combinations
from typing import Final

from nodecheck.model.clock import PHI
from nodecheck.records import dataclass

EPOCHS_KEPT: Final = 64
SPACING_NS: Final = 600 * 1_000_000_000
"""Closer measurements replace one another, so that 64 of them span hours on any schedule."""

STEP_NS: Final = 2_000_000
"""What the scheduler may put between reading both clocks is less than 2 ms, a step is more."""

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Epoch:
    """One measurement; ``steered`` says that a daemon kept the clock right at the time."""

    boot: str
    monotonic_ns: int
    true_ns: int
    offset_s: float
    bound_s: float
    steered: bool

    @property
    def distance_ns(self) -> int:
        """Return the wall clock minus the monotonic clock: it changes in a step only."""
        return self.true_ns - round(self.offset_s * SECOND_NS) - self.monotonic_ns


@dataclass(frozen=True, slots=True)
class Drift:
    """How fast the offset grows (true minus local), seconds a second, and its bound."""

    rate: float
    error: float
    base_s: float

    @property
    def low(self) -> float:
        """Return the lowest rate that is possible."""
        return self.rate - self.error

    @property
    def high(self) -> float:
        """Return the highest rate that is possible."""
        return self.rate + self.error


@dataclass(frozen=True, slots=True)
class HistoryFacts:
    """All measurements that are kept, oldest first; ``note`` says what is wrong with the file."""

    epochs: tuple[Epoch, ...]
    note: str = ""

    @property
    def drift(self) -> Drift | None:
        """Return the drift of the unsteered clock since its last step, where it is proven."""
        return drift_of(_segment(self.epochs))


def remembered(earlier: tuple[Epoch, ...], latest: Epoch) -> tuple[Epoch, ...]:
    """Return the measurements to keep; the latest replaces one that is closer than the spacing."""
    kept = list(earlier)
    if len(kept) > 1:
        before, last = kept[-2:]
        is_close = last.monotonic_ns - before.monotonic_ns < SPACING_NS
        if is_close and _follow(before, last) and _follow(last, latest):
            kept.pop()
    return (*kept, latest)[-EPOCHS_KEPT:]


def drift_of(segment: tuple[Epoch, ...]) -> Drift | None:
    """Return the best-proven rate of any two measurements, None where there are no two."""
    rates = [_rate(first, last) for first, last in combinations(segment, 2)]
    return min(rates, key=lambda item: item.error, default=None)


def _rate(first: Epoch, last: Epoch) -> Drift:
    base_s = (last.monotonic_ns - first.monotonic_ns) / SECOND_NS
    error = (first.bound_s + last.bound_s) / base_s + PHI
    return Drift((last.offset_s - first.offset_s) / base_s, error, base_s)


def _segment(epochs: tuple[Epoch, ...]) -> tuple[Epoch, ...]:
    """Return the latest measurements that can be compared with one another."""
    found: list[Epoch] = []
    for epoch in reversed(epochs):
        if epoch.steered or (found and not _follow(epoch, found[-1])):
            break
        found.append(epoch)
    return tuple(reversed(found))


def _follow(first: Epoch, last: Epoch) -> bool:
    """Tell whether one measurement is after another, with no boot, step or steering between."""
    return (
        first.boot == last.boot
        and first.steered == last.steered
        and first.monotonic_ns < last.monotonic_ns
        and abs(first.distance_ns - last.distance_ns) < STEP_NS
    )
