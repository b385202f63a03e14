"""Verify TLS servers at corrected time: OpenSSL judges chain and name, nodecheck the dates.

OpenSSL asks the local clock whether a certificate is valid, and that clock is the patient. With
X509_V_FLAG_NO_CHECK_TIME it still builds and verifies the chain and compares the host name; the
dates of every certificate of the verified chain are then compared with corrected time at the end of
the handshake, before any byte of a request is sent. Python has no other way to give OpenSSL a time.

Imports ``ssl``: import this module only where a connection is about to be made.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from nodecheck.host.trust_store import NO_CHECK_TIME, tls_context, verified_chain
from nodecheck.model.moment import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECOND_NS = 1_000_000_000


def client_context(
    environment: Mapping[str, str], now_ns: Callable[[], int] | None
) -> ssl.SSLContext:
    """Return a verifying context that judges dates by ``now_ns``, nanoseconds since 1970.

    Without ``now_ns`` the dates are judged by OpenSSL and so by the local clock.

    Raises:
        ProbeError: the CA bundle that the operator named cannot be used.
    """
    context = tls_context(environment)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if now_ns is None:
        context.verify_flags &= ~NO_CHECK_TIME
    else:
        context.verify_flags |= NO_CHECK_TIME
        context.sslsocket_class = _dated_socket(now_ns)
        context.sslobject_class = _dated_object(now_ns)
    return context


def check_dates(chain: tuple[tuple[int, int, str], ...], now_ns: int) -> None:
    """Compare each (not before, not after, subject) of a verified chain with a time.

    Raises:
        ssl.SSLCertVerificationError: one is not valid yet or no more, or there is no chain.
    """
    if not chain:
        raise ssl.SSLCertVerificationError(1, "no verified certificate chain to judge")
    for begins_s, ends_s, subject in chain:
        if begins_s * SECOND_NS <= now_ns <= ends_s * SECOND_NS:
            continue
        expired = now_ns > ends_s * SECOND_NS
        edge = instant((ends_s if expired else begins_s) * SECOND_NS)
        text = (
            f"certificate of {subject} {'expired' if expired else 'is not valid before'} "
            f"{edge:%Y-%m-%d}, the corrected time is {instant(now_ns):%Y-%m-%d %H:%M:%S} UTC"
        )
        raise ssl.SSLCertVerificationError(1, text)


def _dated_socket(now_ns: Callable[[], int]) -> type[ssl.SSLSocket]:
    class DatedSocket(ssl.SSLSocket):
        """A TLS socket whose handshake ends with the judgement of dates."""

        def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as in ssl
            super().do_handshake(block)
            check_dates(verified_chain(self), now_ns())

    return DatedSocket


def _dated_object(now_ns: Callable[[], int]) -> type[ssl.SSLObject]:
    class DatedObject(ssl.SSLObject):
        """The same for TLS inside the TLS of a proxy."""

        def do_handshake(self) -> None:
            super().do_handshake()
            check_dates(verified_chain(self), now_ns())  # type: ignore[arg-type] # has the same

    return DatedObject
