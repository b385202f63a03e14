"""Wait for worker threads with a limit that neither a wrong nor a stepping wall clock can move.

Python's timed lock waits follow the wall clock where the C library lacks ``sem_clockwait``
(glibc before 2.30): a clock that is mended during the run would stretch or cut the deadline of the
very program that measures it. Waiting for a socket is bound to the kernel's monotonic clock
everywhere, and it is woken by signals.
"""

from __future__ import annotations

import socket
from collections import deque
from threading import Thread
from typing import TYPE_CHECKING, Self

from nodecheck.host.waiting import is_readable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Mailbox:
    """Results of calls made in daemon threads, in the order in which they arrive."""

    def __init__(self) -> None:
        """Open the socket pair that wakes the waiter."""
        self._sender, self._receiver = socket.socketpair()
        self._results: deque[tuple[str, object]] = deque()
        self.interrupted = ""

    def __enter__(self) -> Self:
        """Return this mailbox."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the waiter's end; a thread that answers later writes into the void."""
        self._receiver.close()
        self._sender.close()

    def start(self, name: str, call: Callable[[], object]) -> None:
        """Make a call in a thread of its own. It must not raise; its result is posted."""

        def work() -> None:
            self._results.append((name, call()))
            try:
                self._sender.send(b"x")
            except OSError:  # nobody waits any more
                return

        Thread(target=work, name=name, daemon=True).start()

    def interrupt(self, signal_name: str) -> None:
        """Wake the waiter because a signal arrived; safe in a signal handler."""
        self.interrupted = signal_name
        self._sender.send(b"x")

    def wait(self, timeout_s: float) -> tuple[tuple[str, object], ...]:
        """Return what has arrived, waiting for it if nothing has; empty when time ran out."""
        if is_readable(self._receiver, timeout_s):
            self._receiver.recv(65536)
        found = []
        while self._results:
            found.append(self._results.popleft())
        return tuple(found)
