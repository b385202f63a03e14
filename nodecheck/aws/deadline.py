"""Bound the sum of all waits of one exchange, not each wait alone.

``http.client`` reads through a file made from its socket. ``TimedSocket`` hands it a file that sets
the socket's timeout to what is left of the exchange before every wait, so that a server (or a
proxy) that drips single bytes cannot hold the run.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from nodecheck.host.door import LocalClock


class Deadline:
    """The end of the exchange that is under way."""

    def __init__(self, clock: LocalClock) -> None:
        """Start ended: ``restart`` opens it."""
        self._clock = clock
        self._ends_ns = 0

    def restart(self, timeout_s: float) -> None:
        """Begin a new exchange."""
        self._ends_ns = self._clock.monotonic_ns() + int(timeout_s * 1e9)

    def left_s(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: none are.
        """
        left_ns = self._ends_ns - self._clock.monotonic_ns()
        if left_ns <= 0:
            msg = "no complete reply in time"
            raise TimeoutError(msg)
        return left_ns / 1e9


class Wire(Protocol):
    """What is used of a connected socket."""

    def settimeout(self, value: float, /) -> None:
        """Bound the next wait, in seconds."""

    def makefile(self, mode: str, buffering: int = ...) -> io.RawIOBase:
        """Return the socket as an unbuffered file."""


class TimedSocket:
    """A socket as ``http.client`` replies see it: something that makes a file."""

    def __init__(self, wire: Wire, deadline: Deadline) -> None:
        """Read this wire until the deadline."""
        self._wire = wire
        self._deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return a file whose every wait ends by the deadline."""
        raw = self._wire.makefile(mode, buffering=0)
        return io.BufferedReader(_TimedReader(raw, self._wire, self._deadline))


class _TimedReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, wire: Wire, deadline: Deadline) -> None:
        super().__init__()
        self._raw = raw
        self._wire = wire
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - Buffer has a name from 3.12 on
        self._wire.settimeout(self._deadline.left_s())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
