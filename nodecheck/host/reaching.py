"""Connect to several endpoints at once, and tell how far each connection came."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING, Final

from nodecheck.host import trust_store
from nodecheck.host.http_head import HeadConnection, Stage
from nodecheck.host.mailbox import Mailbox
from nodecheck.model.endpoints import Reach
from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.door import Address, LocalClock
    from nodecheck.model.endpoints import Target

    Resolver = Callable[[str, int, float], tuple[Address, ...]]

SECOND_NS: Final = 1_000_000_000
GRACE_S: Final = 0.1
"""For threads to post what they found at the deadline."""

WORTHWHILE_S: Final = 0.02
PROXY_AUTHENTICATION: Final = 407
STAGES: Final = {
    Stage.NAME: "dns-failed",
    Stage.CONNECT: "tcp-unreachable",
    Stage.TUNNEL: "proxy-refused",
    Stage.TLS: "tls-failed",
    Stage.REPLY: "no-reply",
}
WITH_PROXY: Final = {Stage.NAME: "proxy-unreachable", Stage.CONNECT: "proxy-unreachable"}
OWN: Final = {
    "certificate-refused": "tls-untrusted",
    "bad-proxy": "proxy-not-understood",
    "bad-url": "bad-url",
}
"""Reasons that say more than the stage."""


class Reaching:
    """Connections to several targets that share a trust store and a deadline."""

    def __init__(
        self, clock: LocalClock, resolve: Resolver, ca_file: str, timeout_s: float
    ) -> None:
        """Start the clock and read the trust store: the one named, else this system's.

        Raises:
            ProbeError: the named one cannot be used.
        """
        self._clock = clock
        self._resolve = resolve
        self._deadline_ns = clock.monotonic_ns() + int(timeout_s * SECOND_NS)
        self._context = trust_store.tls_context({"SSL_CERT_FILE": ca_file} if ca_file else {})

    def all(self, targets: tuple[Target, ...]) -> tuple[Reach, ...]:
        """Return how far each target was reached, in their order."""
        found: dict[str, Reach] = {}
        with Mailbox() as box:
            for rank, target in enumerate(targets):
                box.start(str(rank), partial(self._one, target))
            while len(found) < len(targets) and self._left_s() > -GRACE_S:
                results = box.wait(self._left_s() + GRACE_S)
                found |= {name: reach for name, reach in results if isinstance(reach, Reach)}
        late = Reach("not-observed", "this node was too slow to look")
        return tuple(found.get(str(rank), late) for rank in range(len(targets)))

    def _left_s(self) -> float:
        return (self._deadline_ns - self._clock.monotonic_ns()) / SECOND_NS

    def _one(self, target: Target) -> Reach:
        try:
            link = self._connection(target, self._context)
        except ProbeError as exc:
            return Reach(exc.reason, str(exc))
        try:
            with link:
                reply = link.ask()
        except ProbeError as exc:
            return self._failed(target, link, exc)
        return Reach(
            addresses=tuple(address.ip for address in link.addresses),
            via=reply.via,
            tls=link.tls,
            chain=reply.chain,
            issuers=link.issuers,
            status=reply.status,
            headers=reply.headers,
        )

    def _connection(self, target: Target, context: ssl.SSLContext) -> HeadConnection:
        environment = {"https_proxy": target.proxy} if target.proxy else {}
        left_s = max(self._left_s(), 0)
        return HeadConnection(
            target.url, environment, self._clock, left_s, self._resolve, context=context
        )

    def _failed(self, target: Target, link: HeadConnection, exc: ProbeError) -> Reach:
        failure = _name(link, exc, is_proxied=bool(target.proxy))
        return Reach(
            failure,
            str(exc),
            addresses=tuple(address.ip for address in link.addresses),
            via=link.via,
            tls=link.tls,
            issuers=self._presented(target) if failure == "tls-untrusted" else link.issuers,
        )

    def _presented(self, target: Target) -> tuple[str, ...]:
        """Return who signs the certificates that a server shows; nothing is sent to it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if self._left_s() < WORTHWHILE_S:
            return ()
        try:
            with self._connection(target, context) as link:
                return link.issuers
        except ProbeError:
            return ()


def _name(link: HeadConnection, exc: ProbeError, *, is_proxied: bool) -> str:
    """Return the reason code of a failed connection."""
    if exc.reason in OWN:
        return OWN[exc.reason]
    if is_proxied and link.stage in WITH_PROXY:
        return WITH_PROXY[link.stage]
    if link.stage is Stage.TUNNEL and link.proxy_status == PROXY_AUTHENTICATION:
        return "proxy-authentication"
    if link.stage is Stage.CONNECT and isinstance(exc.__cause__, TimeoutError):
        return "tcp-timeout"
    if link.stage is Stage.CONNECT and isinstance(exc.__cause__, ConnectionRefusedError):
        return "tcp-refused"
    return STAGES[link.stage]
