"""Ask chronyd what it says of itself, by its command protocol; no chronyc is needed.

By UDP on loopback first, where everybody may ask; then by its Unix socket, for a chronyd with
``cmdport 0``. Three questions, all of them harmless: tracking, number of sources, each source.
"""

from __future__ import annotations

import secrets
from contextlib import closing
from typing import TYPE_CHECKING, Final

from nodecheck.host.door import Address
from nodecheck.model import chrony
from nodecheck.model.clock import Discipline
from nodecheck.model.discipline import DaemonWord
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.host.door import Datagrams, Host, LocalClock

SOCKET: Final = "/run/chrony/chronyd.sock"
SOURCE_LIMIT: Final = 16
TRIES: Final = 2
TRY_S: Final = 0.25
"""chronyd answers on loopback within a millisecond; it may be waiting for its own DNS."""


def ask(host: Host) -> DaemonWord:
    """Return what chronyd says of itself.

    Raises:
        ProbeError: none answers by either way; the reason is that of the way that got further.
    """
    try:
        address = Address("127.0.0.1", chrony.PORT, 4)
        with closing(host.network.datagrams(address)) as link:
            return _converse(_Talk(link, host.clock), f"UDP 127.0.0.1:{chrony.PORT}")
    except ProbeError as by_network:
        try:
            with closing(host.steering.daemon_socket(SOCKET)) as link:
                return _converse(_Talk(link, host.clock), SOCKET)
        except ProbeError as by_socket:
            # That there is no socket says less than that nothing listens, and more says more.
            best = by_network if isinstance(by_socket, Absent) else by_socket
            raise best from by_network


@dataclass(frozen=True, slots=True)
class _Talk:
    """A connection to chronyd: questions and their answers."""

    link: Datagrams
    clock: LocalClock

    def ask(self, command: int, index: int = 0) -> bytes:
        """Return the body of the answer; foreign datagrams do not lengthen the wait."""
        for _ in range(TRIES):
            sequence = secrets.randbits(32)
            self.link.send(chrony.request(command, sequence, index))
            end_ns = self.clock.monotonic_ns() + int(TRY_S * 1e9)
            while (left_s := (end_ns - self.clock.monotonic_ns()) / 1e9) > 0:
                received = self.link.receive(left_s)
                if received is None:
                    break
                body = chrony.body(received.data, command, sequence)
                if body is not None:
                    return body
        msg = "chronyd does not answer"
        raise ProbeError(msg, "no-answer")


def _converse(talk: _Talk, asked: str) -> DaemonWord:
    tracking = chrony.tracking(talk.ask(chrony.TRACKING))
    count = min(chrony.count(talk.ask(chrony.N_SOURCES)), SOURCE_LIMIT)
    sources = tuple(chrony.source(talk.ask(chrony.SOURCE_DATA, index)) for index in range(count))
    follows = tracking.synchronised and not tracking.is_local
    return DaemonWord(
        discipline=Discipline.CHRONY,
        asked=asked,
        synchronised=follows,
        source=tracking.source if follows else "",
        stratum=tracking.stratum,
        offset_s=tracking.offset_s,
        bound_s=tracking.root_distance_s,
        updated_ns=tracking.updated_ns,
        frequency_ppm=tracking.frequency_ppm,
        skew_ppm=tracking.skew_ppm,
        sources=sources,
    )
