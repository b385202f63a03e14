"""Read lines of the agent's logs: pure text to values.

Two formats of time, before and since 3.3.808, in local time without a zone, and in ``errors.log``
the place in the source (seelog_unix.xml of https://github.com/aws/amazon-ssm-agent):

    2023-10-27 10:43:14 INFO [CredentialRefresher] credentialRefresher has started
    2026-11-23 12:48:55.8130 ERROR [minLog @ credentialrefresher.go.280] [CredentialRefresher] ...

Each process buffers, so that lines of different processes are not in the order of time; those of
one process are. A line that does not begin so continues the one before.

The zone follows from the time at which the file was last changed: the same clock gave that time and
the stamp of the last line. Zones are whole quarters of an hour, from UTC-12 to UTC+14.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from nodecheck.records import dataclass, replace

LINE_CHARS: Final = 4000
CONTINUED: Final = 12
"""How many lines of one entry are kept: an error and its ``caused by``."""

JITTER_S: Final = 120.0
"""How far lines may be out of order: the agent's processes flush within seconds."""

LATEST_LINES: Final = 8
FLUSH_S: Final = 90.0
QUARTER_S: Final = 900
HOUR_S: Final = 3600.0
WEST_S, EAST_S = -12 * 3600, 14 * 3600

_LINE: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))? "
    r"(TRACE|DEBUG|INFO|WARN|ERROR|CRITICAL) (?:\[([^\]@]{0,100} @ [^\]]{1,100})\] )?(.*)",
    re.ASCII | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Line:
    """One entry. ``local_s`` is its stamp in seconds since 1970, as if local time were UTC.

    ``is_dated`` is false where the clock was set back later: how long ago it was is not known.
    """

    local_s: float
    level: str
    place: str
    text: str
    is_dated: bool = True


def read_lines(data: bytes) -> tuple[Line, ...]:
    r"""Return the entries in the end of a log, as they stand there; what is none is left out.

    >>> lines = read_lines(b"cut\n2026-11-23 12:44:50.5 INFO [a] b - v1\n\tcaused by: c\n")
    >>> [(line.local_s % 86400, line.level, line.text) for line in lines]
    [(45890.5, 'INFO', '[a] b - v1\n\tcaused by: c')]
    """
    found: list[Line] = []
    more: list[str] = []
    for text in data.decode("utf-8", "replace").split("\n"):
        line = _line(text[:LINE_CHARS].rstrip("\r"))
        if line is None:
            more.append(text[:LINE_CHARS].rstrip("\r"))
            continue
        _close(found, more)
        found.append(line)
    _close(found, more)
    return tuple(found)


def _close(found: list[Line], more: list[str]) -> None:
    text = "\n".join(more[:CONTINUED]).rstrip()
    if found and text:
        found[-1] = replace(found[-1], text=f"{found[-1].text}\n{text}"[:LINE_CHARS])
    more.clear()


def _line(text: str) -> Line | None:
    match = _LINE.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        stamp = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    fraction = float(f"0.{match[7]}") if match[7] else 0.0
    return Line(stamp.timestamp() + fraction, match[8], match[9] or "", match[10])


def set_straight(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Return the lines by the clock of the last one, across the end of summer time.

    Where stamps go back by the hour of summer time, the lines before count an hour less. Where they
    go back otherwise, the clock was set, and the lines before have no age.
    """
    straight: list[Line] = []
    earliest_s, shift_s, is_dated = float("inf"), 0.0, True
    for line in reversed(lines):
        back_s = line.local_s - shift_s - earliest_s
        if back_s > JITTER_S and is_dated:
            if HOUR_S - 2 * QUARTER_S <= back_s <= HOUR_S:
                shift_s += HOUR_S
            else:
                is_dated = False
        local_s = line.local_s - shift_s
        earliest_s = min(earliest_s, local_s)
        straight.append(replace(line, local_s=local_s, is_dated=is_dated))
    return tuple(reversed(straight))


def zone_of(lines: tuple[Line, ...], changed_s: float) -> int | None:
    """Return how far local time was ahead of UTC, in seconds, None where the stamps do not fit.

    The last lines are tried from the end, because another process may have buffered one.

    >>> zone_of(read_lines(b"2026-11-23 12:44:50 INFO x"), 1795434290.4)
    3600
    >>> zone_of(read_lines(b"2026-11-23 12:44:50 INFO x"), 1795434890)
    """
    for line in lines[: -LATEST_LINES - 1 : -1]:
        ahead_s = line.local_s - changed_s
        zone_s = round(ahead_s / QUARTER_S) * QUARTER_S
        if -FLUSH_S <= ahead_s - zone_s <= 1 and WEST_S <= zone_s <= EAST_S:
            return zone_s
    return None


def stamp_of(local_s: float) -> str:
    """Return a stamp as the log writes it, without its fraction.

    >>> stamp_of(1795437890.5)
    '2026-11-23 12:44:50'
    """
    return datetime.fromtimestamp(local_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
