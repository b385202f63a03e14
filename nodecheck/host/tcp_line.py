"""Hand one line over a TCP connection to a listener that answers nothing, such as a local agent."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nodecheck.host.door import Address

ANSWER_LIMIT_BYTES: Final = 65_536
"""Most that is read while the listener's end of the connection is waited for."""


def send_line(addresses: tuple[Address, ...], line: bytes, timeout_s: float) -> None:
    """Send a line to the first address that takes it, and wait until the listener has read it.

    It has, where it closes the connection after this side did.

    Raises:
        OSError: no address takes it, or the connection broke, or did not end in time.
    """
    end_s = time.monotonic() + timeout_s
    with _connect(addresses, end_s) as connection:
        connection.settimeout(_left_s(end_s))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        answered = 0
        while answered < ANSWER_LIMIT_BYTES:
            connection.settimeout(_left_s(end_s))
            more = connection.recv(4096)
            if not more:
                return
            answered += len(more)
        msg = "it talks instead of reading"
        raise OSError(msg)


def _connect(addresses: tuple[Address, ...], end_s: float) -> socket.socket:
    failure = OSError("its name has no address")
    for number, address in enumerate(addresses):
        share_s = _left_s(end_s) / (len(addresses) - number)
        try:
            return socket.create_connection((address.ip, address.port), share_s)
        except OSError as exc:
            failure = exc
    raise failure


def _left_s(end_s: float) -> float:
    left_s = end_s - time.monotonic()
    if left_s <= 0:
        msg = "timed out"
        raise TimeoutError(msg)
    return left_s
