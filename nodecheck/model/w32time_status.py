"""Read what W32Time says of itself, in whatever language.

``w32tm /query /status /verbose`` writes words in the language of the node. Their order is the same
everywhere: nine lines, an empty one, seven lines, each with its value after the first colon. Only
numbers are read, each where it must stand; a form that does not fit is not understood.

Sources: MicrosoftDocs/windowsserverdocs, Windows-Time-Service-Tools-and-Settings.md; MS-W32T.
"""

from __future__ import annotations

import re
from math import inf
from typing import Final

from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.w32time import HIGHEST_POLL
from nodecheck.records import dataclass

LOCAL_CLOCK: Final = 0x4C4F_434C
"""The reference id LOCL: a clock that follows only itself (RFC 4330 section 4)."""

_BLOCKS: Final = [9, 7]
_LEAP_NOBODY: Final = 3
_LAST_STRATUM: Final = 15
_NOT_STARTED: Final = b"0x80070426"
_NO_ACCESS: Final = b"0x80070005"
_BLANKS: Final = b" \t\xa0\xff\xc2"
"""Among them the blank that does not break, in the code pages of Western Europe and in UTF-8."""

_COUNT: Final = re.compile(rb"(-?[0-9]{1,10})(?![0-9.,])")
_SECONDS: Final = re.compile(rb"(-?[0-9]{1,12})(?:[.,]([0-9]{1,9}))?s?(?![0-9.,A-Za-z])")
_HEX: Final = re.compile(rb"0x([0-9A-Fa-f]{1,8})(?![0-9A-Fa-f])")


@dataclass(frozen=True, slots=True)
class W32Status:
    """What W32Time says of itself.

    ``phase_s`` is how far the clock is from its source, in a direction that is not documented;
    ``since_s`` is how long ago W32Time last synchronised.
    """

    leap: int
    stratum: int
    poll_s: float
    root_delay_s: float
    root_dispersion_s: float
    reference: int
    source: str
    phase_s: float
    state: int
    last_error: int
    since_s: float

    @property
    def synchronised(self) -> bool:
        """Tell whether it says that it follows a source other than this node's own clock."""
        follows = 0 < self.stratum <= _LAST_STRATUM and self.reference != LOCAL_CLOCK
        return follows and self.leap != _LEAP_NOBODY

    @property
    def bound_s(self) -> float:
        """Return how far the clock may be off by its word: root distance and distance from it."""
        return abs(self.root_delay_s) / 2 + self.root_dispersion_s + abs(self.phase_s)


def parse_status(output: bytes) -> W32Status:
    """Return what ``w32tm /query /status /verbose`` says, in whatever language and code page.

    Raises:
        ProbeError: the service does not run, or this is not such an output.
        Denied: this user may not ask.
    """
    if _NOT_STARTED in output:
        msg = "w32tm: the service does not run"
        raise ProbeError(msg, "not-running")
    if _NO_ACCESS in output:
        msg = "w32tm: access denied"
        raise Denied(msg)
    values = _values(output)
    count, seconds = _count, _seconds
    count(values[2], -63, 0)  # the precision is of no use, but proves the place
    return W32Status(
        leap=count(values[0], 0, 3),
        stratum=count(values[1], 0, 255),
        poll_s=2.0 ** count(values[8], 0, HIGHEST_POLL),
        root_delay_s=seconds(values[3]),
        root_dispersion_s=seconds(values[4], 0.0),
        reference=int(_match(_HEX, values[5])[1], 16),
        source=_printable(values[7]),
        phase_s=seconds(values[9]),
        state=count(values[11], 0, 255),
        last_error=count(values[14], -(2**31), 2**32),
        since_s=seconds(values[15], 0.0),
    )


def _values(output: bytes) -> tuple[bytes, ...]:
    """Return what stands after the first colon of each of the sixteen lines."""
    lines = [line.strip() for line in output.splitlines()]
    blocks: list[list[bytes]] = [[]]
    for line in lines:
        if line:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    blocks = [block for block in blocks if block]
    if [len(block) for block in blocks] != _BLOCKS:
        msg = f"{len(lines)} lines, expected are nine, an empty one and seven"
        raise _strange(msg)
    return tuple(line.partition(b":")[2].lstrip(_BLANKS) for block in blocks for line in block)


def _match(pattern: re.Pattern[bytes], value: bytes) -> re.Match[bytes]:
    found = pattern.match(value)
    if found is None:
        msg = f"{_printable(value)[:40]!r} is not the number that stands there"
        raise _strange(msg)
    return found


def _count(value: bytes, least: int, most: int) -> int:
    number = int(_match(_COUNT, value)[1])
    if not least <= number <= most:
        msg = f"{number} is not between {least} and {most}"
        raise _strange(msg)
    return number


def _seconds(value: bytes, least: float = -inf) -> float:
    found = _match(_SECONDS, value)
    number = float(f"{int(found[1])}.{(found[2] or b'0').decode('ascii')}")
    number = -abs(number) if found[1].startswith(b"-") else number
    if number < least:
        msg = f"{number} s"
        raise _strange(msg)
    return number


def _printable(value: bytes) -> str:
    text = value.decode("ascii", "replace").replace("\ufffd", "?")
    return "".join(filter(str.isprintable, text))[:80]


def _strange(what: str) -> ProbeError:
    return ProbeError(f"w32tm /query /status: not understood ({what})", "not-understood")
