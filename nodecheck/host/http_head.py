"""Send HEAD requests over a connection of their own, as an instrument.

``requests`` hides the instants that matter, checks certificates against the clock under test, and
costs 115 ms at start; ``http.client`` waits anew for each line, and costs 44 ms. Here the head of
the reply is read under one deadline, so a server that drips cannot lengthen a run, and at most
32 KiB of it.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from nodecheck.host import proxy, trust_store
from nodecheck.host.door import HttpsReply
from nodecheck.host.reply_head import ReplyHead, parse_head
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
CONNECT_SHARE = 0.5
"""Share of the time left that one of several addresses may take: the next one gets a chance."""


class Stage(Enum):
    """How far a connection has come."""

    NAME = "name"
    CONNECT = "connect"
    TUNNEL = "tunnel"
    TLS = "tls"
    REPLY = "reply"


class HeadConnection:
    """One connection with one deadline for all that is asked on it.

    ``stage``, ``via`` (the proxy), ``addresses`` (of the proxy, where there is one),
    ``proxy_status``, ``tls`` and ``issuers`` say how far it came and whom it met, even in failure.
    """

    def __init__(  # noqa: PLR0913 - one argument for each thing that a connection depends on
        self,
        url: str,
        environment: Mapping[str, str],
        clock: LocalClock,
        timeout_s: float,
        resolve: Resolver,
        *,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Take the URL apart and start the clock; without a context, TLS is as ``trust_store``'s.

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
        self._context = context
        self.via = ""
        self._chain: tuple[tuple[int, int, str], ...] = ()
        self.stage = Stage.NAME
        self.addresses: tuple[Address, ...] = ()
        self.proxy_status = 0
        self.tls = ""
        self.issuers: tuple[str, ...] = ()

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
        self.stage = Stage.REPLY
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
        self.stage = Stage.TLS
        try:
            context = self._context or trust_store.tls_context(self._environment)
            plain.settimeout(self._left_s())
            secured = context.wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise
        self._socket, self.tls = secured, secured.version() or ""
        is_verified = context.verify_mode is ssl.CERT_REQUIRED
        self._chain = trust_store.verified_chain(secured) if is_verified else ()
        self.issuers = trust_store.issuers(secured, verified=is_verified)

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
            return self._connect(self._host, self._port)
        self.via = f"{via.host}:{via.port}"
        try:
            connection = self._connect(via.host, via.port)
        except OSError as exc:
            msg = f"proxy {self.via}: {exc.strerror or exc}"
            raise ProbeError(msg, "proxy-unreachable") from exc
        try:
            self._tunnel(connection, via)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, name: str, port: int) -> socket.socket:
        self.addresses = self._resolve(name, port, self._left_s())
        self.stage = Stage.CONNECT
        refused: OSError = OSError("no address")
        for rank, address in enumerate(self.addresses, start=1):
            share = 1 if rank == len(self.addresses) else CONNECT_SHARE
            try:
                return socket.create_connection(
                    (address.ip, address.port), timeout=self._left_s() * share
                )
            except OSError as exc:
                refused = exc
        raise refused

    def _tunnel(self, connection: socket.socket, via: proxy.Proxy) -> None:
        self.stage = Stage.TUNNEL
        target = f"[{self._host}]" if ":" in self._host else self._host
        lines = [f"CONNECT {target}:{self._port} HTTP/1.1", f"Host: {target}:{self._port}"]
        if via.authorization:
            lines.append(f"Proxy-Authorization: {via.authorization}")
        self._send(connection, lines)
        self.proxy_status = self._read_head(connection).status
        if self.proxy_status != HTTP_OK:
            status = f"status {self.proxy_status}"
            msg = f"proxy {via.host}:{via.port} refused the way to {target}: {status}"
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
            self.via,
        )

    def _send(self, connection: socket.socket, lines: list[str]) -> None:
        connection.settimeout(self._left_s())
        connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))

    def _read_head(self, connection: socket.socket) -> ReplyHead:
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
