"""The kernel's record of who steers its clock, the socket of a daemon, hardware clocks."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from posixpath import dirname
from typing import TYPE_CHECKING, Final

from nodecheck.host.door import Received
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.hardware_clock import HardwareStamp
from nodecheck.model.kernel_clock import KernelClock

if TYPE_CHECKING:
    from nodecheck.host.door import Datagrams, LocalClock

assert sys.platform != "win32"  # noqa: S101 - tells the type checker which platform this is

DATAGRAM_LIMIT: Final = 2048
MONOTONIC_COARSE: Final = 6
"""CLOCK_MONOTONIC_COARSE of linux/time.h; the time module has no name for it."""

MICROSECOND_S: Final = 1e-6
FREQUENCY_UNIT_PPM: Final = 2.0**-16
"""Units of struct timex: microseconds, and ppm with a 16-bit fraction (adjtimex(2))."""


class PosixSteering:
    """``Steering`` of a Linux node."""

    def __init__(self, clock: LocalClock) -> None:
        """Take the clock that stamps arrivals."""
        self._clock = clock

    def kernel_clock(self) -> KernelClock:
        """Return what adjtimex(2) tells; nothing is set.

        Raises:
            ProbeError: this C library or sandbox has no such call.
        """
        maxerror_us, esterror_us, frequency = _adjtimex()
        coarse_ns = time.clock_gettime_ns(MONOTONIC_COARSE)
        return KernelClock(
            maxerror_s=maxerror_us * MICROSECOND_S,
            esterror_s=esterror_us * MICROSECOND_S,
            frequency_ppm=frequency * FREQUENCY_UNIT_PPM,
            coarse_monotonic_ns=coarse_ns,
        )

    def daemon_socket(self, path: str) -> Datagrams:
        """Connect to the datagram socket of a daemon.

        Raises:
            Absent: there is none, or nobody listens.
            Denied: this user may not.
            ProbeError: it is no such socket.
        """
        return _UnixSocket(path, self._clock)

    def hardware_clock(self, path: str) -> HardwareStamp:
        """Read a PTP hardware clock, by the clock id of its open device (clock_gettime(3)).

        Raises:
            Absent: there is no such device.
            Denied: this user may not open it.
            ProbeError: it is no clock.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                before_ns = self._clock.monotonic_ns()
                clock_ns = time.clock_gettime_ns((~descriptor << 3) | 3)
                return HardwareStamp(before_ns, clock_ns, self._clock.monotonic_ns())
            finally:
                os.close(descriptor)
        except OSError as exc:
            raise _translated(path, exc, "not there") from exc


def _adjtimex() -> tuple[int, int, int]:
    """Return maxerror, esterror and frequency, as the kernel has them."""
    import ctypes

    class Timex(ctypes.Structure):
        _fields_ = (
            ("modes", ctypes.c_uint),  # 0: read only
            ("offset", ctypes.c_long),
            ("frequency", ctypes.c_long),
            ("maxerror", ctypes.c_long),
            ("esterror", ctypes.c_long),
            ("rest", ctypes.c_byte * 512),  # more than any architecture writes
        )

    record = Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(record))
    except AttributeError as exc:
        msg = "this C library has no adjtimex"
        raise ProbeError(msg) from exc
    if state < 0:
        msg = f"adjtimex: {os.strerror(ctypes.get_errno())}"
        raise ProbeError(msg)
    return record.maxerror, record.esterror, record.frequency


class _UnixSocket:
    """Bound beside the daemon's socket, as chronyc does: the daemon answers to a name only."""

    def __init__(self, path: str, clock: LocalClock) -> None:
        self._path, self._clock = path, clock
        self._own = f"{dirname(path)}/nodecheck.{os.getpid()}.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            with suppress(FileNotFoundError):
                os.unlink(self._own)
            self._socket.bind(self._own)
            os.chmod(self._own, 0o666)  # noqa: S103 - the daemon has dropped its privileges
            self._socket.connect(path)
        except OSError as exc:
            self.close()
            raise _translated(path, exc) from exc

    def send(self, data: bytes) -> None:
        """Send one datagram; a full queue of the daemon is no answer, not a wait."""
        self._socket.settimeout(0.1)
        try:
            self._socket.send(data)
        except OSError as exc:
            raise _translated(self._path, exc) from exc

    def receive(self, timeout_s: float) -> Received | None:
        """Return the next datagram, or None when the timeout has passed."""
        self._socket.settimeout(max(timeout_s, 1e-6))
        try:
            data = self._socket.recv(DATAGRAM_LIMIT)
        except TimeoutError:
            return None
        except OSError as exc:
            raise _translated(self._path, exc) from exc
        wall_ns = self._clock.wall_ns()
        return Received(data, wall_ns, self._clock.monotonic_ns(), None)

    def close(self) -> None:
        """Close the socket and take its name away."""
        self._socket.close()
        with suppress(OSError):
            os.unlink(self._own)


def _translated(path: str, exc: OSError, absent: str = "nothing listens") -> ProbeError:
    if isinstance(exc, (FileNotFoundError, NotADirectoryError, ConnectionRefusedError)):
        return Absent(f"{path}: {absent}")
    if isinstance(exc, PermissionError):
        return Denied(f"{path}: permission denied")
    return ProbeError(f"{path}: {exc.strerror or exc}")
