"""Fetch public files over HTTP, with a bound on time, size and hosts.

What is fetched (a Region's VERSION and manifest) is no secret and is not signed by its transport;
certificates are judged at corrected time if that is known, else by the local clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urljoin, urlsplit

from nodecheck import VERSION
from nodecheck.aws.client import TransportError
from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nodecheck.aws.transport import Reply, Streamed
    from nodecheck.host.door import Host
    from nodecheck.model.moment import CorrectedTime

REDIRECTS: Final = 3
HTTP_OK: Final = 200
HEADERS: Final = {
    "User-Agent": f"nodecheck/{VERSION}",
    "Accept-Encoding": "identity",
    "Cache-Control": "no-cache",
}


class Downloads:
    """Fetches that share their connections. Serves one thread."""

    def __init__(self, host: Host, corrected: CorrectedTime | None) -> None:
        """Read the CA bundle.

        Raises:
            ProbeError: a CA bundle named by the environment cannot be read.
        """
        from nodecheck.aws.transport import Transport  # requests costs 160 ms

        self._clock = host.clock
        try:
            self._transport = Transport(host, corrected)
        except TransportError as exc:
            raise ProbeError(str(exc)) from exc

    def fetch(self, url: str, *, limit_bytes: int, timeout_s: float, method: str = "GET") -> Reply:
        """Return the reply, whatever its status; redirects are followed on the same host only.

        Raises:
            ProbeError: no complete reply of this size in this time; names URL and cause.
        """
        ends_ns = self._clock.monotonic_ns() + int(timeout_s * 1e9)
        for _ in range(REDIRECTS + 1):
            left_s = max((ends_ns - self._clock.monotonic_ns()) / 1e9, 0.001)
            try:
                reply = self._transport.send(
                    method, url, HEADERS, timeout_s=left_s, limit_bytes=limit_bytes
                )
            except TransportError as exc:
                raise ProbeError(str(exc)) from exc
            target = _redirection(url, reply.status, reply.headers)
            if not target:
                return reply
            url = target
        msg = f"{url}: more than {REDIRECTS} redirects"
        raise ProbeError(msg)

    def stream(self, url: str, *, limit_bytes: int, timeout_s: float) -> Iterator[bytes]:
        """Return the body of a file as it comes; redirects are followed on the same host only.

        Raises:
            ProbeError: no such file, or not all of it in this size and this time; names the URL.
        """
        ends_ns = self._clock.monotonic_ns() + int(timeout_s * 1e9)
        for _ in range(REDIRECTS + 1):
            left_s = max((ends_ns - self._clock.monotonic_ns()) / 1e9, 0.001)
            try:
                with self._transport.stream(
                    "GET", url, HEADERS, timeout_s=left_s, limit_bytes=limit_bytes
                ) as reply:
                    target = _redirection(url, reply.status, reply.headers)
                    if not target:
                        yield from _body(url, reply)
                        return
            except TransportError as exc:
                raise ProbeError(str(exc)) from exc
            url = target
        msg = f"{url}: more than {REDIRECTS} redirects"
        raise ProbeError(msg)

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        """Return this object."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self.close()


def fetch(  # noqa: PLR0913 - where, by which clock, and three limits
    url: str,
    host: Host,
    corrected: CorrectedTime | None,
    *,
    limit_bytes: int,
    timeout_s: float,
    method: str = "GET",
) -> Reply:
    """Fetch one file over a connection of its own; see ``Downloads.fetch``.

    Raises:
        ProbeError: no complete reply of this size in this time; names URL and cause.
    """
    with Downloads(host, corrected) as downloads:
        return downloads.fetch(url, limit_bytes=limit_bytes, timeout_s=timeout_s, method=method)


def _redirection(url: str, status: int, headers: Mapping[str, str]) -> str:
    """Return where a reply points to, '' where it is the answer itself.

    Raises:
        ProbeError: it points to another host.
    """
    target = urljoin(url, headers.get("Location", ""))
    if status not in {301, 302, 303, 307, 308} or target == url:
        return ""
    if _origin(target) != _origin(url):
        msg = f"{url}: answers {status} and points to another host, {target}"
        raise ProbeError(msg)
    return target


def _body(url: str, reply: Streamed) -> Iterator[bytes]:
    if reply.status != HTTP_OK:
        msg = f"{url}: HTTP status {reply.status}"
        raise ProbeError(msg, "http-status")
    yield from reply.chunks


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
