"""Send HEAD requests over a connection of their own, as an instrument.

``requests`` hides the instants that matter, checks certificates against the clock under test, and
costs 115 ms at start; ``http.client`` waits anew for each line, and costs 44 ms. Here the head of
the reply is read under one deadline, so a server that drips cannot lengthen a run, and at most
32 KiB of it.
"""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import urlsplit

from nodecheck.host import proxy, trust_store
from nodecheck.host.door import HttpsReply
from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from nodecheck.host.door import Address, LocalClock

    Resolver = Callable[[str, int, float], tuple[Address, ...]]

HEAD_LIMIT = 32 * 1024
READ_SIZE = 4096
SECOND_NS = 1_000_000_000
HTTPS_PORT = 443
HTTP_PORT = 80
HTTP_OK = 200
HEADERS = ("Cache-Control: no-cache", "User-Agent: nodecheck")
STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([2-5][0-9][0-9])(?: [^\r\n]*)?\r?\n")
CONNECT_SHARE = 0.5
"""Share of the time left that one of several addresses may take: the next one gets a chance."""


class _Head(NamedTuple):
    status: int
    headers: dict[str, str]


class HeadConnection:
    """One connection with one deadline for all that is asked on it."""

    def __init__(
        self,
        url: str,
        environment: Mapping[str, str],
        clock: LocalClock,
        timeout_s: float,
        resolve: Resolver,
    ) -> None:
        """Take the URL apart and start the clock.

        Raises:
            ProbeError: not an http or https URL.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as exc:
            msg = f"{url}: not a URL"
            raise ProbeError(msg, "bad-url") from exc
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            msg = f"{url}: not an http or https URL"
            raise ProbeError(msg, "bad-url")
        self._is_tls = parts.scheme == "https"
        self._host = parts.hostname
        self._port = port or (HTTPS_PORT if self._is_tls else HTTP_PORT)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._environment = environment
        self._clock = clock
        self._deadline_ns = clock.monotonic_ns() + int(timeout_s * SECOND_NS)
        self._resolve = resolve
        self._via = ""
        self._chain: tuple[tuple[int, int, str], ...] = ()

    def __enter__(self) -> Self:
        """Connect, through the proxy if there is one, and shake hands.

        Raises:
            ProbeError: no connection, no trust, or not in time.
        """
        with self._told():
            self._socket = self._open()
            if self._is_tls:
                self._secure()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self._socket.close()

    def ask(self) -> HttpsReply:
        """Send a request and read the head of the reply.

        Raises:
            ProbeError: no reply in time, or not HTTP.
        """
        with self._told():
            return self._exchange()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell what goes wrong on the way in sentences and reason codes."""
        try:
            yield
        except ssl.SSLCertVerificationError as exc:
            msg = f"{self._host}: certificate refused: {exc.verify_message}"
            raise ProbeError(msg, "certificate-refused") from exc
        except TimeoutError as exc:
            msg = f"{self._host}:{self._port}: no complete reply in time"
            raise ProbeError(msg, "no-answer") from exc
        except (OSError, ValueError) as exc:  # SSLError is an OSError; ValueError: a host name
            msg = f"{self._host}:{self._port}: {getattr(exc, 'strerror', None) or exc}"
            raise ProbeError(msg, "unreachable") from exc

    def _secure(self) -> None:
        plain = self._socket
        try:
            context = trust_store.tls_context(self._environment)
            plain.settimeout(self._left_s())
            secured = context.wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise
        self._socket, self._chain = secured, trust_store.verified_chain(secured)

    def _left_s(self) -> float:
        left_ns = self._deadline_ns - self._clock.monotonic_ns()
        if left_ns <= 0:
            raise TimeoutError
        return left_ns / SECOND_NS

    def _open(self) -> socket.socket:
        via = None
        if self._is_tls:
            via = proxy.choose(self._environment, self._host, self._port)
        if via is None:
            return self._connect(self._resolve(self._host, self._port, self._left_s()))
        self._via = f"{via.host}:{via.port}"
        try:
            connection = self._connect(self._resolve(via.host, via.port, self._left_s()))
        except OSError as exc:
            msg = f"proxy {self._via}: {exc.strerror or exc}"
            raise ProbeError(msg, "proxy-unreachable") from exc
        try:
            self._tunnel(connection, via)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, addresses: tuple[Address, ...]) -> socket.socket:
        refused: OSError = OSError("no address")
        for rank, address in enumerate(addresses, start=1):
            share = 1 if rank == len(addresses) else CONNECT_SHARE
            try:
                return socket.create_connection(
                    (address.ip, address.port), timeout=self._left_s() * share
                )
            except OSError as exc:
                refused = exc
        raise refused

    def _tunnel(self, connection: socket.socket, via: proxy.Proxy) -> None:
        target = f"[{self._host}]" if ":" in self._host else self._host
        lines = [f"CONNECT {target}:{self._port} HTTP/1.1", f"Host: {target}:{self._port}"]
        if via.authorization:
            lines.append(f"Proxy-Authorization: {via.authorization}")
        self._send(connection, lines)
        status = self._read_head(connection).status
        if status != HTTP_OK:
            msg = f"proxy {via.host}:{via.port} refused the way to {target}: status {status}"
            raise ProbeError(msg, "proxy-refused")

    def _exchange(self) -> HttpsReply:
        host = f"[{self._host}]" if ":" in self._host else self._host
        lines = [f"HEAD {self._path} HTTP/1.1", f"Host: {host}:{self._port}", *HEADERS]
        sent_wall_ns, sent_ns = self._clock.wall_ns(), self._clock.monotonic_ns()
        self._send(self._socket, lines)
        head = self._read_head(self._socket)
        received_wall_ns, received_ns = self._clock.wall_ns(), self._clock.monotonic_ns()
        return HttpsReply(
            head.status,
            head.headers,
            sent_wall_ns,
            sent_ns,
            received_wall_ns,
            received_ns,
            self._chain,
            self._via,
        )

    def _send(self, connection: socket.socket, lines: list[str]) -> None:
        connection.settimeout(self._left_s())
        connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))

    def _read_head(self, connection: socket.socket) -> _Head:
        """Read up to the empty line; each read waits no longer than the one deadline allows."""
        data = b""
        while b"\r\n\r\n" not in data and b"\n\n" not in data:
            connection.settimeout(self._left_s())
            chunk = connection.recv(READ_SIZE)
            data += chunk
            if not chunk or len(data) > HEAD_LIMIT:
                what = "ended early" if not chunk else f"is larger than {HEAD_LIMIT} bytes"
                msg = f"{self._host}: the head of the reply {what}"
                raise ProbeError(msg, "bad-reply")
        return parse_head(data, self._host)


def parse_head(data: bytes, name: str) -> _Head:
    """Return status and headers (names in lower case) of the head of an HTTP/1 reply.

    Raises:
        ProbeError: not the head of an HTTP/1 reply.
    """
    line = STATUS_LINE.match(data)
    if line is None:
        msg = f"{name}: the reply is not HTTP/1"
        raise ProbeError(msg, "bad-reply")
    headers: dict[str, str] = {}
    for raw in data[line.end() :].decode("latin-1").split("\n"):
        row = raw.rstrip("\r")
        key, colon, value = row.partition(":")
        if row and (not colon or not key or key != key.strip()):
            msg = f"{name}: the reply has a line that is no header"
            raise ProbeError(msg, "bad-reply")
        if not row:
            break
        lowered, value = key.lower(), value.strip()
        headers[lowered] = f"{headers[lowered]}, {value}" if lowered in headers else value
    return _Head(int(line[1]), headers)
