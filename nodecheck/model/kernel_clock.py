"""What the kernel and Amazon's ClockBound record of the clock, as values."""

from __future__ import annotations

from math import inf
from typing import Final

from nodecheck.records import dataclass

MAX_KERNEL_ERROR_S: Final = 16.0
"""NTP_PHASE_LIMIT of the kernel (include/linux/timex.h): maxerror stops there, nobody steers."""

KERNEL_GROWTH: Final = 500e-6
"""MAXFREQ: maxerror grows by 500 us each second since it was last set (kernel/time/ntp.c)."""


@dataclass(frozen=True, slots=True)
class KernelClock:
    """The kernel's record of who steers the clock (adjtimex(2)).

    ``coarse_monotonic_ns`` is CLOCK_MONOTONIC_COARSE at the same moment, for shared memory that is
    stamped with it.
    """

    maxerror_s: float
    esterror_s: float
    frequency_ppm: float
    coarse_monotonic_ns: int = 0

    @property
    def synchronised(self) -> bool:
        """Tell whether anybody steered it; STA_UNSYNC does not tell (chronyd without rtcsync)."""
        return self.maxerror_s < MAX_KERNEL_ERROR_S

    @property
    def steered_within_s(self) -> float:
        """Return how long ago, at most, it was last steered."""
        return self.maxerror_s / KERNEL_GROWTH if self.synchronised else inf


@dataclass(frozen=True, slots=True)
class ClockBound:
    """What Amazon's ClockBound daemon left in shared memory; ``valid`` until its void-after."""

    status: str
    bound_s: float
    age_s: float
    valid: bool
