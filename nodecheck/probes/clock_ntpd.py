"""Ask ntpd or ntpsec what it says of itself, by NTP control messages on loopback.

Its system variables, its list of sources and where each is: questions that change nothing. chronyd,
where it holds the port, does not answer them.
"""

from __future__ import annotations

import secrets
from contextlib import closing
from typing import TYPE_CHECKING, Final

from nodecheck.host.door import Address
from nodecheck.model import ntp_control
from nodecheck.model.clock import Discipline
from nodecheck.model.discipline import DaemonWord
from nodecheck.model.errors import ProbeError
from nodecheck.model.time_server import NTP_PORT
from nodecheck.records import dataclass, replace

if TYPE_CHECKING:
    from nodecheck.host.door import Datagrams, Host, LocalClock

TRIES: Final = 2
TRY_S: Final = 0.25
FRAGMENT_LIMIT: Final = 16


def ask(host: Host) -> DaemonWord:
    """Return what ntpd says of itself.

    Raises:
        ProbeError: none answers, or it refuses.
    """
    with closing(host.network.datagrams(Address("127.0.0.1", NTP_PORT, 4))) as link:
        talk = _Talk(link, host.clock)
        found = ntp_control.variables(talk.ask(ntp_control.READ_VARIABLES))
        listed = ntp_control.associations(talk.ask(ntp_control.READ_STATUS))
        sources = tuple(replace(source, name=talk.name(number)) for number, source in listed)
    return DaemonWord(
        discipline=Discipline.NTPD,
        asked=f"UDP 127.0.0.1:{NTP_PORT}",
        synchronised=found.synchronised,
        source=found.reference if found.synchronised else "",
        stratum=found.stratum,
        offset_s=found.offset_s,
        bound_s=found.root_distance_s,
        updated_ns=found.updated_ns,
        frequency_ppm=found.frequency_ppm,
        sources=sources,
    )


@dataclass(frozen=True, slots=True)
class _Talk:
    """A connection to ntpd: questions and their answers."""

    link: Datagrams
    clock: LocalClock

    def name(self, association: int) -> str:
        """Return where a source is, or its number where ntpd does not say."""
        try:
            text = self.ask(ntp_control.READ_VARIABLES, association)
        except ProbeError:
            text = b""  # it has been removed meanwhile
        return ntp_control.address(text) or f"association {association}"

    def ask(self, operation: int, association: int = 0) -> bytes:
        """Return the whole answer; foreign datagrams do not lengthen the wait."""
        for _ in range(TRIES):
            sequence = secrets.randbits(16)
            self.link.send(ntp_control.request(operation, sequence, association))
            content = self._collect(operation, sequence)
            if content is not None:
                return content
        msg = "ntpd does not answer control queries"
        raise ProbeError(msg, "no-answer")

    def _collect(self, operation: int, sequence: int) -> bytes | None:
        """Return the fragments joined, None where some are missing in the end."""
        parts: dict[int, bytes] = {}
        length = -1
        end_ns = self.clock.monotonic_ns() + int(TRY_S * 1e9)
        while (left_s := (end_ns - self.clock.monotonic_ns()) / 1e9) > 0:
            received = self.link.receive(left_s)
            if received is None or len(parts) > FRAGMENT_LIMIT:
                return None
            fragment = ntp_control.fragment(received.data, operation, sequence)
            if fragment is None:
                continue
            offset, content, more = fragment
            parts[offset] = content
            length = length if more else offset + len(content)
            joined = b"".join(parts[key] for key in sorted(parts))
            if len(joined) == length:
                return joined
        return None
