"""Carry one HTTP exchange through requests, at corrected time and by a hard deadline.

requests bounds each wait, not their sum: a server that drips one byte a second, or a name with
eight unreachable addresses, keeps it busy for minutes. Here names are resolved by the host, each
address gets half of what is left of the time, and every wait for bytes ends by the same deadline.
Nothing is read from the process environment (no netrc, no cookies), and no redirect is followed.

One transport serves one thread; it keeps connections open until ``close``. Imports requests: import
this module only where a connection is about to be made.
"""

from __future__ import annotations

import ssl
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

from nodecheck.aws.client import TransportError, Untrusted
from nodecheck.aws.deadline import Deadline, TimedSocket
from nodecheck.aws.tls import client_context
from nodecheck.host.proxy import is_exempt
from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.aws.deadline import Wire
    from nodecheck.host.door import Host
    from nodecheck.model.moment import CorrectedTime


CHUNK_BYTES: Final = 65_536

# Certificates are judged at corrected time here: a local clock in 1970 is our subject, not news.
warnings.filterwarnings("ignore", category=urllib3.exceptions.SystemTimeWarning)


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete HTTP reply; names of headers are compared without case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """HTTP exchanges, verified at corrected time if that is known, else by the local clock."""

    def __init__(self, host: Host, corrected: CorrectedTime | None) -> None:
        """Read the CA bundle.

        Raises:
            TransportError: a CA bundle named by the environment cannot be read.
        """
        clock = host.clock
        now_ns = (lambda: corrected.unix_ns(clock.monotonic_ns())) if corrected else None
        try:
            context = client_context(host.environment, now_ns)
        except ProbeError as exc:
            raise TransportError(str(exc)) from exc
        self._environment = host.environment
        self._deadline = Deadline(clock)
        self._adapter = _Adapter(context, _pools(host, self._deadline))

    def send(  # noqa: PLR0913 - what an HTTP request consists of, and its two limits
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | str | None = None,
        *,
        timeout_s: float,
        limit_bytes: int,
    ) -> Reply:
        """Send one request and return the whole reply.

        Raises:
            TransportError: no complete reply of at most ``limit_bytes`` in ``timeout_s`` seconds.
        """
        self._deadline.restart(timeout_s)
        try:
            request = requests.Request(method, url, headers=dict(headers), data=body).prepare()
            response = self._adapter.send(
                request,
                stream=True,
                timeout=timeout_s,
                proxies=proxies(url, self._environment),
            )
            with response:
                content = _read(response.raw, limit_bytes)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            root = _root(exc)
            kind = Untrusted if isinstance(root, ssl.SSLCertVerificationError) else TransportError
            msg = f"{url}: {_sentence(root)}"
            raise kind(msg) from exc
        return Reply(response.status_code, response.headers, content)

    def close(self) -> None:
        """Close all connections."""
        self._adapter.close()

    def __enter__(self) -> Self:
        """Return this transport."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self.close()


def proxies(url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy for a URL as requests wants it; lower-case variables win, as in curl.

    >>> proxies("https://ssm.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.1"})
    {'https': 'http://p:1'}
    >>> proxies("https://ssm.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example"})
    {}
    """
    parts = urlsplit(url)

    def value(name: str) -> str:
        return (environment.get(name) or environment.get(name.upper()) or "").strip()

    proxy = value(f"{parts.scheme}_proxy") or value("all_proxy")
    port = parts.port or {"http": 80}.get(parts.scheme, 443)
    if not proxy or is_exempt(value("no_proxy"), parts.hostname or "", port):
        return {}
    return {parts.scheme: proxy}


def _pools(host: Host, deadline: Deadline) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools with connections that keep the deadline."""

    def connect(connection: HTTPConnection) -> Any:  # noqa: ANN401 - a socket, opened by urllib3
        """Try each address with half of the time that is left."""
        try:
            addresses = host.network.resolve(connection.host, connection.port or 0)
        except ProbeError as exc:
            raise OSError(str(exc)) from exc
        failures: list[str] = []
        for address in addresses:
            target = (address.ip, address.port)
            patience_s = deadline.left_s() / (1 if address is addresses[-1] else 2)
            try:
                return create_connection(target, patience_s, None, connection.socket_options)
            except OSError as exc:
                failures.append(f"{address.ip} port {address.port}: {exc}")
        raise OSError("; ".join(failures) or f"{connection.host} has no address")

    def receive(wire: Wire, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - http.client's own
        timed: Any = TimedSocket(wire, deadline)
        return HTTPConnection.response_class(timed, *args, **kwargs)

    class Plain(HTTPConnection):
        response_class = staticmethod(receive)  # type: ignore[assignment]
        _new_conn = connect

    class Secure(HTTPSConnection):
        response_class = staticmethod(receive)  # type: ignore[assignment]
        _new_conn = connect

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Adapter(HTTPAdapter):
    """requests' adapter with this context and these pools, also through proxies."""

    def __init__(self, context: ssl.SSLContext, pools: dict[str, type[HTTPConnectionPool]]) -> None:
        self._context = context
        self._pools = pools
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' own
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - requests' own
        kwargs |= {"ssl_context": self._context, "proxy_ssl_context": self._context}
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def build_connection_pool_key_attributes(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Name scheme, host and port only: the context says everything about verification."""
        return super().build_connection_pool_key_attributes(*args, **kwargs)[0], {}

    def cert_verify(self, *_: object) -> None:
        """Add no CA bundle to those of the context."""


def _read(raw: urllib3.BaseHTTPResponse, limit_bytes: int) -> bytes:
    """Return a whole body; only the read that finds its end notices that one was cut short."""
    content = bytearray()
    while chunk := raw.read(CHUNK_BYTES, decode_content=False):
        content += chunk
        if len(content) > limit_bytes:
            msg = f"reply is larger than {limit_bytes} bytes"
            raise OSError(msg)
    return bytes(content)


def _root(exc: BaseException) -> BaseException:
    """Return the innermost error that requests and urllib3 wrapped."""
    candidates = (getattr(exc, "reason", None), *exc.args)
    inner = next((item for item in candidates if isinstance(item, BaseException)), None)
    return exc if inner is None else _root(inner)


def _sentence(exc: BaseException) -> str:
    if isinstance(exc, (TimeoutError, urllib3.exceptions.TimeoutError)):
        return "no complete reply in time"
    return " ".join(str(exc).split()) or type(exc).__name__
