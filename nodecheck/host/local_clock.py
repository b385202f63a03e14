"""The clock under test, and the monotonic one that measures it."""

from __future__ import annotations

import socket
import sys
import time
from typing import TYPE_CHECKING

from nodecheck.host.waiting import is_readable
from nodecheck.model.clock import ClockPair

if TYPE_CHECKING:
    from nodecheck.host.door import LocalClock

PAIR_READINGS = 5
"""The best of a few: one reading may be interrupted by the scheduler between its two clocks."""

if sys.platform == "win32":
    import ctypes

    _FILETIME_TO_UNIX_100NS = 116_444_736_000_000_000

    def _wall_ns() -> int:
        """Return the precise time: before 3.13 ``time.time_ns`` moves in steps of 15.6 ms."""
        stamp = ctypes.c_ulonglong()
        ctypes.windll.kernel32.GetSystemTimePreciseAsFileTime(ctypes.byref(stamp))
        return (stamp.value - _FILETIME_TO_UNIX_100NS) * 100

    def _monotonic_ns() -> int:
        """Return the performance counter, which runs on while the machine sleeps."""
        return time.perf_counter_ns()

else:

    def _wall_ns() -> int:
        return time.time_ns()

    def _monotonic_ns() -> int:
        """Return the time since boot: unlike CLOCK_MONOTONIC it runs on while suspended."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class SystemClock:
    """``LocalClock`` of this machine."""

    def wall_ns(self) -> int:
        """Return the local wall clock, nanoseconds since 1970."""
        return _wall_ns()

    def monotonic_ns(self) -> int:
        """Return nanoseconds that nobody steps, with an arbitrary start."""
        return _monotonic_ns()

    def pause(self, duration_s: float) -> None:
        """Wait for a silent socket: sleeps and timed locks may follow the wall clock."""
        if duration_s <= 0:
            return
        near, far = socket.socketpair()  # Windows refuses to wait for nothing
        with near, far:
            is_readable(near, duration_s)


def read_pair(clock: LocalClock) -> ClockPair:
    """Return both clocks read as closely together as a few attempts allow."""
    pairs = [_read_once(clock) for _ in range(PAIR_READINGS)]
    return min(pairs, key=lambda pair: pair.skew_ns)


def _read_once(clock: LocalClock) -> ClockPair:
    before_ns = clock.monotonic_ns()
    wall_ns = clock.wall_ns()
    gap_ns = max(clock.monotonic_ns() - before_ns, 0)
    return ClockPair(wall_ns, before_ns + gap_ns // 2, gap_ns // 2 + 1)
