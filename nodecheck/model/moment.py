"""Corrected time: what the true time is, as far as this run could prove it.

The local clock under test measures nothing. A corrected time is therefore kept as one true instant
and the monotonic instant at which it held, so that a step of the wall clock during the run cannot
move it. Units: nanoseconds since 1970-01-01 UTC and seconds for bounds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from nodecheck.records import dataclass

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(unix_ns: int) -> datetime:
    """Return nanoseconds since 1970 as an aware UTC datetime (microsecond resolution).

    >>> instant(1_700_000_000_000_000_000).isoformat()
    '2023-11-14T22:13:20+00:00'
    """
    return EPOCH + timedelta(microseconds=unix_ns // 1000)


def unix_ns(moment: datetime) -> int:
    """Return an aware datetime as nanoseconds since 1970.

    >>> unix_ns(instant(1_700_000_000_123_456_000))
    1700000000123456000
    """
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


@dataclass(frozen=True, slots=True)
class CorrectedTime:
    """The true time at one monotonic instant, and half the width of the interval it lies in."""

    true_ns: int
    monotonic_ns: int
    bound_s: float
    source: str

    def __post_init__(self) -> None:
        """Refuse a bound that is negative or not a number."""
        if not self.bound_s >= 0:
            msg = f"bound of corrected time is {self.bound_s}"
            raise ValueError(msg)

    def at(self, monotonic_ns: int) -> datetime:
        """Return the true time at a monotonic instant of this boot."""
        return instant(self.unix_ns(monotonic_ns))

    def unix_ns(self, monotonic_ns: int) -> int:
        """Return the true time at a monotonic instant, in nanoseconds since 1970."""
        return self.true_ns + (monotonic_ns - self.monotonic_ns)
