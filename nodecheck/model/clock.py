"""The clock: what each source said, and what their words prove together.

Sources are never compared with the clock under test. Every reading bounds one quantity, the
*epoch*: true time minus the monotonic clock, in nanoseconds. It stays put while the wall clock is
stepped; the offset (true time minus local clock, seconds, positive: the clock is slow) follows from
it once, at the end, from one reading of both clocks.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from nodecheck.model.report import ClockReading
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.moment import CorrectedTime
    from nodecheck.model.time_server import TimeServer

PHI = 15e-6
"""How fast a quartz clock may wander, seconds a second (RFC 5905 section 7.2)."""


class Discipline(Enum):
    """What is configured to steer the clock of this node."""

    CHRONY = "chrony"
    TIMESYNCD = "timesyncd"
    NTPD = "ntpd"
    W32TIME = "w32time"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval that contains the epoch, with the likeliest value inside it; nanoseconds."""

    low_ns: int
    best_ns: int
    high_ns: int

    def __post_init__(self) -> None:
        """Refuse an interval that does not hold its own value."""
        if not self.low_ns <= self.best_ns <= self.high_ns:
            msg = f"interval [{self.low_ns}, {self.best_ns}, {self.high_ns}]"
            raise ValueError(msg)

    @property
    def width_ns(self) -> int:
        """Return the distance between both ends."""
        return self.high_ns - self.low_ns

    def meet(self, other: Interval) -> Interval | None:
        """Return what both intervals contain; the narrower one gives the value.

        >>> Interval(0, 5, 10).meet(Interval(4, 5, 6))
        Interval(low_ns=4, best_ns=5, high_ns=6)
        >>> Interval(0, 5, 10).meet(Interval(11, 12, 13)) is None
        True
        """
        low, high = max(self.low_ns, other.low_ns), min(self.high_ns, other.high_ns)
        if low > high:
            return None
        best = min(self, other, key=lambda item: item.width_ns).best_ns
        return Interval(low, min(max(best, low), high), high)

    def aged(self, age_ns: int) -> Interval:
        """Return this interval after some time, wider by what the local clock may have wandered."""
        slack = int(max(age_ns, 0) * PHI) + 1
        return Interval(self.low_ns - slack, self.best_ns, self.high_ns + slack)


@dataclass(frozen=True, slots=True)
class ClockPair:
    """Wall and monotonic clock read together; ``skew_ns`` is how far apart at most."""

    wall_ns: int
    monotonic_ns: int
    skew_ns: int = 0


@dataclass(frozen=True, slots=True)
class TimeConfiguration:
    """Which servers to ask, which daemon is configured, and which files could not be read."""

    servers: tuple[TimeServer, ...]
    discipline: Discipline
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceReading:
    """What one address said. ``ignored`` counts the replies that were not believed, by reason."""

    name: str
    address: str
    operator: str
    interval: Interval
    taken_ns: int
    stratum: int
    reference: str
    samples: int
    ignored: tuple[tuple[str, int], ...] = ()


ENDPOINT = "endpoint"
NO_REGION = "no-region"
"""The name of the endpoint among the sources that failed, and the reason where none is known."""


@dataclass(frozen=True, slots=True)
class SourceFailure:
    """A source that proves nothing: a stable reason code and a sentence."""

    name: str
    address: str
    reason: str
    message: str
    ignored: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class NtpFacts:
    """What came of asking every NTP server."""

    readings: tuple[SourceReading, ...]
    failures: tuple[SourceFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class DateReading:
    """The ``Date`` of the endpoint that judges this node's signatures.

    ``valid_from_s`` and ``valid_until_s`` bound, in seconds since 1970, when every certificate of
    its verified chain is valid; without TLS the reading is not authenticated and both are 0.
    ``requests`` is how many replies it was bisected from, ``via`` the proxy between.
    """

    name: str
    interval: Interval
    taken_ns: int
    authenticated: bool
    valid_from_s: int = 0
    valid_until_s: int = 0
    requests: int = 1
    via: str = ""


@dataclass(frozen=True, slots=True)
class BisectedDate:
    """The endpoint's ``Date`` after as many requests as it took; the first where one was enough."""

    reading: DateReading


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the sources prove: offset of the local clock, its bound, and by whom."""

    offset_s: float
    bound_s: float
    sources: tuple[str, ...]
    corrected: CorrectedTime


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """Everything seen of the clock. Without an estimate the sources prove no interval together."""

    estimate: Estimate | None
    readings: tuple[SourceReading, ...]
    date: DateReading | None
    failures: tuple[SourceFailure, ...]
    falsetickers: tuple[str, ...]
    now: ClockPair
    discipline: Discipline = Discipline.NONE

    @property
    def corrected(self) -> CorrectedTime | None:
        """Return corrected time, where an interval is proven."""
        return self.estimate.corrected if self.estimate else None

    @property
    def reading(self) -> ClockReading | None:
        """Return the clock as the report carries it, where an interval is proven."""
        if self.estimate is None:
            return None
        sources = ", ".join(self.estimate.sources)
        return ClockReading(
            self.estimate.offset_s, self.estimate.bound_s, sources, self.falsetickers
        )


@dataclass(frozen=True, slots=True)
class ClockPolicy:
    """How far the clock may be off: AWS refuses beyond the tolerance, we warn earlier; seconds.

    The 300 s are those of the error texts of SSM: ``Signature expired: ... (... - 5 min.)``; the
    900 s of S3 are its MaxAllowedSkewMilliseconds. ``source`` tells who set the tolerance.
    """

    tolerance_s: float = 300.0
    warn_s: float = 60.0
    storage_tolerance_s: float = 900.0
    source: str = "default, what SSM is known to allow"

    def __post_init__(self) -> None:
        """Refuse limits that are negative, out of order or not numbers."""
        if not 0 <= self.warn_s <= self.tolerance_s or not self.storage_tolerance_s > 0:
            msg = f"clock limits: warn {self.warn_s} s, tolerance {self.tolerance_s} s"
            raise ValueError(msg)
