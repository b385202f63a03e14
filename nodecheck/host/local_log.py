"""The local system log: one message to the socket on which journald, rsyslog and others listen."""

from __future__ import annotations

import errno
import os
import socket
import sys

SOCKET = "/dev/log"


def send_log(message: bytes, timeout_s: float, path: str = SOCKET) -> None:
    """Hand over one message, whole.

    Raises:
        OSError: nobody listens, nobody takes it in time, or this platform has no such log.
    """
    try:
        _send(socket.SOCK_DGRAM, message, timeout_s, path)
    except OSError as exc:
        if exc.errno != errno.EPROTOTYPE:
            raise
        # A daemon may listen on a stream, where NUL ends a message (as syslog(3) of glibc does).
        _send(socket.SOCK_STREAM, message + b"\0", timeout_s, path)


def process_id() -> int:
    """Return the id under which the log knows this process."""
    return os.getpid()


if sys.platform == "win32":

    def _send(_kind: int, _message: bytes, _timeout_s: float, _path: str) -> None:
        raise OSError(errno.ENOSYS, "this platform has no local log socket")

else:

    def _send(kind: int, message: bytes, timeout_s: float, path: str) -> None:
        with socket.socket(socket.AF_UNIX, kind) as sender:
            sender.settimeout(max(timeout_s, 1e-3))
            sender.connect(path)
            sender.sendall(message)
