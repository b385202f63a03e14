"""A stand-in for the CloudWatch agent's listener on TCP port 25888, and what can go wrong with it.

It reads lines as the agent does, until the other side has ended, and then closes. Modes: ``read``,
``reset`` (cuts the connection in the middle), ``deaf`` (accepts and reads nothing), ``mute`` (reads
and never closes), ``talk`` (sends without end).
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Self

LINGER_0 = struct.pack("ii", 1, 0)


class EmfListener:
    """A listener in a thread; ``lines`` keeps what it read."""

    def __init__(self, mode: str = "read", family: int = socket.AF_INET) -> None:
        self.lines: list[bytes] = []
        self.connections = 0
        self._mode = mode
        self._ends = threading.Event()
        place = "127.0.0.1" if family == socket.AF_INET else "::1"
        self._socket = socket.create_server((place, 0), family=family)
        self.port = int(self._socket.getsockname()[1])
        name = place if family == socket.AF_INET else f"[{place}]"
        self.url = f"tcp://{name}:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while not self._ends.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection, suppress(OSError):
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        if self._mode == "deaf":
            self._ends.wait(10)
            return
        if self._mode == "reset":
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
            return
        while self._mode == "talk":
            connection.sendall(b"x" * 4096)
        content = b""
        while part := connection.recv(65_536):
            content += part
        self.lines += content.splitlines(keepends=True)
        if self._mode == "mute":
            self._ends.wait(10)
