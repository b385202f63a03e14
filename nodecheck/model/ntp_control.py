"""NTP control messages (mode 6), as ntpd and ntpsec answer them: requests and replies as values.

Layout and status words: RFC 9327. Variables of ntpq(8): ``offset``, ``rootdelay`` and ``rootdisp``
in milliseconds, ``frequency`` in ppm; the offset is that of the source against this host, true
minus local as ours.
"""

from __future__ import annotations

import re
import struct
from math import isfinite
from typing import Final

from nodecheck.model.discipline import SourceState
from nodecheck.model.errors import ProbeError
from nodecheck.records import dataclass

READ_STATUS, READ_VARIABLES = 1, 2
MODE_AND_VERSION: Final = 0x16
MODE_MASK, MODE = 0x07, 6
RESPONSE, ERROR, MORE, OPERATION = 0x80, 0x40, 0x20, 0x1F
LENGTH_LIMIT: Final = 4096
SOURCE_LIMIT: Final = 16

_HEADER: Final = struct.Struct("!BBHHHHH")
_PAIR: Final = struct.Struct("!HH")
_VARIABLE: Final = re.compile(r'\s*([A-Za-z_][\w.]*)=("[^"]*"|[^,"]*)')
_STAMP: Final = re.compile(r"0x([0-9a-f]{8})\.([0-9a-f]{8})")

REACHED: Final = 0x1000
SELECTION: Final = 0x0700
STATES: Final = (
    "rejected",
    "falseticker",
    "excess",
    "outlier",
    "candidate",
    "backup",
    "selected",
    "selected (PPS)",
)
UNSYNCHRONISED_LEAP: Final = 3
STRATUM_LIMIT: Final = 16
UNIX_IN_NTP_S: Final = 2_208_988_800
SECOND_NS: Final = 1_000_000_000
OWN_CLOCKS: Final = ("LOCAL", "LOCL", "127.127.1.")
"""The undisciplined local clock driver (refclock 1): ntpd follows its own clock."""


@dataclass(frozen=True, slots=True)
class SystemVariables:
    """What ntpd says of itself; ``updated_ns`` is 0 where it never had a time."""

    synchronised: bool
    reference: str
    stratum: int
    offset_s: float
    root_distance_s: float
    frequency_ppm: float
    updated_ns: int


def request(operation: int, sequence: int, association: int = 0) -> bytes:
    """Return a request about the daemon itself (association 0) or one of its sources."""
    return _HEADER.pack(MODE_AND_VERSION, operation, sequence, 0, association, 0, 0)


def fragment(data: bytes, operation: int, sequence: int) -> tuple[int, bytes, bool] | None:
    """Return offset and content of one reply and whether more follow; None where it is none.

    Raises:
        ProbeError: ntpd refuses.
    """
    if len(data) < _HEADER.size:
        return None
    first, flags, number, _, _, offset, length = _HEADER.unpack_from(data)
    is_ours = first & MODE_MASK == MODE and flags & RESPONSE and number == sequence
    if not is_ours or flags & OPERATION != operation:
        return None
    if flags & ERROR:
        msg = "ntpd refuses control queries (restrict ... noquery)"
        raise ProbeError(msg, "refused")
    content = data[_HEADER.size : _HEADER.size + length]
    if len(content) < length or offset + length > LENGTH_LIMIT:
        return None
    return offset, content, bool(flags & MORE)


def variables(text: bytes) -> SystemVariables:
    """Return the system variables in the text of a reply.

    Raises:
        ProbeError: one that is needed is missing or is not a number.
    """
    found = _pairs(text)
    leap, stratum = int(_number(found, "leap")), int(_number(found, "stratum"))
    shown = _shown(found.get("refid", ""))
    is_own = shown.startswith(OWN_CLOCKS)
    distance_ms = _number(found, "rootdelay") / 2 + _number(found, "rootdisp")
    return SystemVariables(
        synchronised=leap != UNSYNCHRONISED_LEAP and 0 < stratum < STRATUM_LIMIT and not is_own,
        reference=shown,
        stratum=stratum,
        offset_s=_number(found, "offset") / 1000,
        root_distance_s=abs(distance_ms) / 1000,
        frequency_ppm=_number(found, "frequency"),
        updated_ns=_stamp(found.get("reftime", "")),
    )


def address(text: bytes) -> str:
    """Return where a source is, in the text of a reply about it; '' where it does not tell."""
    return _shown(_pairs(text).get("srcadr", ""))


def associations(data: bytes) -> tuple[tuple[int, SourceState], ...]:
    """Return the sources in a reply to READ_STATUS: number and status word of each.

    Raises:
        ProbeError: it is not made of pairs.
    """
    if len(data) % _PAIR.size:
        msg = f"ntpd: list of sources is cut short ({len(data)} bytes)"
        raise ProbeError(msg, "not-understood")
    return tuple(
        (number, SourceState("", STATES[(word & SELECTION) >> 8], bool(word & REACHED)))
        for number, word in list(_PAIR.iter_unpack(data))[:SOURCE_LIMIT]
    )


def _pairs(text: bytes) -> dict[str, str]:
    return dict(_VARIABLE.findall(text.decode("ascii", "replace").replace("\r\n", " ")))


def _shown(text: str) -> str:
    """Return text of the network as a name: printable ASCII, and not much of it."""
    plain = text.strip().strip('"')
    return "".join(ch for ch in plain if ch.isascii() and ch.isprintable())[:40]


def _number(found: dict[str, str], name: str) -> float:
    try:
        value = float(found[name])
    except (KeyError, ValueError) as exc:
        msg = f"ntpd: variable {name} is {found.get(name, 'missing')!r}"
        raise ProbeError(msg, "not-understood") from exc
    if not isfinite(value) or abs(value) > 1e15:  # noqa: PLR2004 - beyond any clock
        msg = f"ntpd: variable {name} is {value}"
        raise ProbeError(msg, "not-understood")
    return value


def _stamp(text: str) -> int:
    """Return an NTP stamp of era 0 as nanoseconds since 1970, 0 where there is none.

    >>> _stamp("0xeeaee0e7.80000000") // SECOND_NS
    1795449447
    >>> _stamp("0x00000000.00000000")
    0
    """
    match = _STAMP.fullmatch(text.strip())
    if match is None or not int(match[1], 16):
        return 0
    seconds = int(match[1], 16) - UNIX_IN_NTP_S
    return seconds * SECOND_NS + (int(match[2], 16) * SECOND_NS >> 32)
