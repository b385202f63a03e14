"""W32Time, the time service of Windows: its settings, and what it may be misled by.

Source: MicrosoftDocs/windowsserverdocs, Windows-Time-Service-Tools-and-Settings.md.
"""

from __future__ import annotations

import re
from math import inf
from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.windows_service import WindowsService

SERVICE: Final = "W32Time"

NO_SYNC: Final = "nosync"
BY_LIST: Final = frozenset({"ntp", "allsync"})
BY_DOMAIN: Final = frozenset({"nt5ds", "allsync"})
"""Values of ``Type``: nobody, the list of servers, the hierarchy of the domain; lower case."""

NO_LIMIT: Final = 0xFFFF_FFFF
"""Of MaxPosPhaseCorrection and MaxNegPhaseCorrection: whatever the error is, it is corrected."""

SPECIAL_INTERVAL: Final = 0x1
"""The flag of a server that is asked every SpecialPollInterval seconds."""

PEERS_LIMIT: Final = 32
NAME_LIMIT: Final = 255
MISSED_POLLS: Final = 2.0
HIGHEST_POLL: Final = 17
"""Of any NTP: 2**17 s (RFC 5905 section 7.2)."""

_EPOCH_S: Final = 11_644_473_600
"""From 1601, where FILETIME begins, to 1970."""


@dataclass(frozen=True, slots=True)
class TimePeer:
    """One server of the list, with its flags."""

    name: str
    flags: int


@dataclass(frozen=True, slots=True)
class W32Settings:
    """What the registry tells W32Time; None: no value that could be read, and none is assumed.

    ``kind`` is ``Type`` in small letters. The limits are the largest corrections forward and
    backward, inf where there is none. ``by_policy`` names the values that a Group Policy sets.
    """

    kind: str = ""
    peers: tuple[TimePeer, ...] = ()
    forward_limit_s: float | None = None
    back_limit_s: float | None = None
    slew_limit_s: float | None = None
    special_poll_s: int | None = None
    longest_poll: int | None = None
    ntp_client: bool | None = None
    hyper_v: bool | None = None
    seeding: bool | None = None
    by_policy: tuple[str, ...] = ()

    @property
    def follows_nobody(self) -> str:
        """Return by which setting it follows no source at all, '' where it may follow one."""
        if self.kind == NO_SYNC:
            return "Type is NoSync"
        if self.ntp_client is False and self.hyper_v is False:
            return "NtpClient and VMICTimeProvider are not enabled"
        if self.kind == "ntp" and not self.peers and self.hyper_v is False:
            return "Type is NTP, and NtpServer names no server"
        return ""

    @property
    def rarest_poll_s(self) -> float:
        """Return the longest time that may lie between two polls, inf where it is not known."""
        if self.longest_poll is None or not 0 <= self.longest_poll <= HIGHEST_POLL:
            return inf
        special = any(peer.flags & SPECIAL_INTERVAL for peer in self.peers)
        if special and self.special_poll_s is None:
            return inf
        return max(2.0**self.longest_poll, self.special_poll_s or 0 if special else 0)


@dataclass(frozen=True, slots=True)
class SecureTime:
    """What Windows took from TLS handshakes: the time and its limits, in seconds since 1970."""

    estimated_s: float
    low_s: float
    high_s: float
    confidence: int | None = None


@dataclass(frozen=True, slots=True)
class W32Facts:
    """W32Time on this node: its service (None: there is none), its settings, its time of TLS.

    ``has_trigger``: Windows starts it on an event, which says nothing of when.
    """

    service: WindowsService | None
    settings: W32Settings
    secure_time: SecureTime | None = None
    has_trigger: bool = False


def parse_peers(text: str) -> tuple[TimePeer, ...]:
    """Return the servers of ``NtpServer``; what cannot be the name of one is left out.

    >>> parse_peers("169.254.169.123,0x9  time.windows.com,8 x")
    (TimePeer(name='169.254.169.123', flags=9), TimePeer(name='time.windows.com', flags=8), \
TimePeer(name='x', flags=0))
    """
    found: list[TimePeer] = []
    for word in text.split()[:PEERS_LIMIT]:
        name, _, flags = word.partition(",")
        if name and len(name) <= NAME_LIMIT and name.isprintable():
            found.append(TimePeer(name, _flags(flags)))
    return tuple(found)


def _flags(text: str) -> int:
    match = re.fullmatch(r"(?:0[xX]([0-9a-fA-F]{1,8})|([0-9]{1,9}))", text)
    if match is None:
        return 0
    return int(match[1], 16) if match[1] else int(match[2])


def filetime_s(ticks: int) -> float:
    """Return a FILETIME (100 ns since 1601) in seconds since 1970.

    >>> filetime_s(116_444_736_000_000_000)
    0.0
    """
    return ticks / 1e7 - _EPOCH_S
