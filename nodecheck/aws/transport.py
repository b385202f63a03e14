"""Carry one HTTP exchange through requests, at corrected time and by a hard deadline.

requests bounds each wait, not their sum: a server that drips one byte a second, or a name with
eight unreachable addresses, keeps it busy for minutes. Here names are resolved by the host, each
address gets half of what is left of the time, and every wait for bytes ends by the same deadline.
Nothing is read from the process environment (no netrc, no cookies), and no redirect is followed.

One transport serves one thread; it keeps connections open until ``close``. Imports requests: import
this module only where a connection is about to be made.
"""

from __future__ import annotations

import re
import ssl
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import requests
import urllib3

from nodecheck.aws.client import TransportError, Untrusted
from nodecheck.aws.connections import Adapter, pools
from nodecheck.aws.deadline import Deadline
from nodecheck.aws.tls import client_context
from nodecheck.host.proxy import is_exempt, parse
from nodecheck.model.errors import ProbeError
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


@dataclass(frozen=True, slots=True)
class Streamed:
    """The head of an HTTP reply, and its body as it comes."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


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
        self._adapter = Adapter(context, pools(host, self._deadline))

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
        with self.stream(
            method, url, headers, body, timeout_s=timeout_s, limit_bytes=limit_bytes
        ) as streamed:
            return Reply(streamed.status, streamed.headers, b"".join(streamed.chunks))

    @contextmanager
    def stream(  # noqa: PLR0913 - as above
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | str | None = None,
        *,
        timeout_s: float,
        limit_bytes: int,
    ) -> Iterator[Streamed]:
        """Send one request and return the head of the reply, and its body as it comes.

        Raises:
            TransportError: as ``send``, also while the body is read.
        """
        self._deadline.restart(timeout_s)
        with _told(url):
            request = requests.Request(method, url, headers=dict(headers), data=body).prepare()
            response = self._adapter.send(
                request,
                stream=True,
                timeout=timeout_s,
                proxies=proxies(url, self._environment),
            )
        with response:
            chunks = _read(url, response.raw, limit_bytes)
            yield Streamed(response.status_code, response.headers, chunks)

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

    Raises:
        TransportError: the proxy is written in a way that is not understood.
    """
    parts = urlsplit(url)

    def value(name: str) -> str:
        return (environment.get(name) or environment.get(name.upper()) or "").strip()

    proxy = value(f"{parts.scheme}_proxy") or value("all_proxy")
    port = parts.port or {"http": 80}.get(parts.scheme, 443)
    if not proxy or is_exempt(value("no_proxy"), parts.hostname or "", port):
        return {}
    try:
        parse(proxy)
    except ProbeError as exc:  # its words hold no password, those of the library would
        raise TransportError(str(exc)) from None
    return {parts.scheme: proxy}


def _read(url: str, raw: urllib3.BaseHTTPResponse, limit_bytes: int) -> Iterator[bytes]:
    """Return a whole body; only the read that finds its end notices that one was cut short."""
    left = limit_bytes
    while True:
        with _told(url):
            chunk = raw.read(CHUNK_BYTES, decode_content=False)
            left -= len(chunk)
            if left < 0:
                msg = f"reply is larger than {limit_bytes} bytes"
                raise OSError(msg)
        if not chunk:
            return
        yield chunk


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Turn whatever goes wrong on the wire into one error that names the URL."""
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
        root = _root(exc)
        kind = Untrusted if isinstance(root, ssl.SSLCertVerificationError) else TransportError
        msg = f"{_shown(url)}: {_sentence(root)}"
        raise kind(msg) from exc


def _shown(url: str) -> str:
    """Return a URL without user and password.

    >>> _shown("https://ann:pw@logs.example/"), _shown("https://logs.example/a@b")
    ('https://logs.example/', 'https://logs.example/a@b')
    """
    return re.sub(r"^(\w+://)[^/?#]*@", r"\1", url)


def _root(exc: BaseException) -> BaseException:
    """Return the innermost error that requests and urllib3 wrapped."""
    candidates = (getattr(exc, "reason", None), *exc.args)
    inner = next((item for item in candidates if isinstance(item, BaseException)), None)
    return exc if inner is None else _root(inner)


def _sentence(exc: BaseException) -> str:
    if isinstance(exc, (TimeoutError, urllib3.exceptions.TimeoutError)):
        return "no complete reply in time"
    return " ".join(str(exc).split()) or type(exc).__name__
