"""An HTTP proxy that knows CONNECT only."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class ConnectProxy:
    """The proxy in a thread; ``targets`` keeps what was connected to."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.targets))
        self._http.daemon_threads = True
        self.port = int(self._http.server_address[1])
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _handler(targets: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            targets.append(self.path)
            host, _, port = self.path.partition(":")
            with socket.create_connection((host, int(port)), 10) as far:
                self.send_response(200)
                self.end_headers()
                with contextlib.suppress(OSError):
                    _pump(self.connection, far)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


def _pump(one: socket.socket, other: socket.socket) -> None:
    while True:
        for ready in select.select([one, other], [], [], 10)[0]:
            data = ready.recv(65_536)
            if not data:
                return
            (other if ready is one else one).sendall(data)
