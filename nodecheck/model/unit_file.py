"""A systemd unit file or drop-in, as far as it decides which program runs, and where they lie.

Sources: https://www.freedesktop.org/software/systemd/man/latest/systemd.syntax.html and
systemd.unit.html. The order of the folders is that of ``systemd-analyze unit-paths --system``
(systemd 252).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.node import FileState

UNIT_FOLDERS: Final = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/run/systemd/generator.late",
)
"""The first that holds a unit file of a name decides; drop-ins are read from all of them."""

OVERRIDING_FOLDERS: Final = frozenset(
    {"/etc/systemd/system", "/run/systemd/system", "/etc/systemd", "/run/systemd"}
)
"""Above folders whose drop-ins replace those of the same name in every version of systemd."""

MANAGER_FILES: Final = tuple(
    f"{folder}/systemd/system.conf" for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib")
)
"""The manager's own settings (systemd-system.conf(5)); each may have a folder of drop-ins."""

_LINE_ENDS: Final = re.compile("[\n\r\0]")
_BLANKS: Final = " \t\n\r"
_LAST_BACKSLASHES: Final = re.compile(r"\\*\Z")


@dataclass(frozen=True, slots=True)
class UnitFile:
    """One file of a unit, as its settings in order. Sections do not matter to what is judged."""

    path: str
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StartFacts:
    """What systemd reads before it starts a unit.

    ``units`` are unit files in force and drop-ins, ``shadows`` what outranks the proven unit file,
    ``manager`` the settings of systemd itself. ``readings`` are all files that were read and nobody
    signed, as they finally are behind links; ``folders`` what is above them; ``places`` are folders
    in which a new file would be read, too.
    """

    units: tuple[UnitFile, ...] = ()
    shadows: tuple[FileState, ...] = ()
    manager: tuple[UnitFile, ...] = ()
    readings: tuple[FileState, ...] = ()
    folders: tuple[FileState, ...] = ()
    places: tuple[FileState, ...] = ()


def drop_in_names(unit: str) -> tuple[str, ...]:
    """Return the folders of drop-ins of a unit, the most specific first.

    >>> drop_in_names("a-b.service")
    ('a-b.service.d', 'a-.service.d', 'service.d')
    """
    stem, _, kind = unit.rpartition(".")
    parts = stem.split("-")
    prefixes = ["-".join(parts[:end]) + "-" for end in range(len(parts) - 1, 0, -1)]
    return (f"{unit}.d", *(f"{prefix}.{kind}.d" for prefix in prefixes), f"{kind}.d")


def parse_unit(text: str) -> tuple[tuple[str, str], ...]:
    r"""Return the settings of a unit file; what systemd ignores is left out.

    As in config_parse of systemd's conf-parser.c: lines end at a line feed, a carriage return or a
    zero byte; an odd number of backslashes at the very end joins a line with the next one, comments
    between them aside; blanks are space, tab and line ends, nothing else.

    >>> parse_unit("[Service]\n# no\nExecStart = \\\n; no\n/bin/true\njunk\n")
    (('ExecStart', '/bin/true'),)
    """
    settings: list[tuple[str, str]] = []
    held = ""
    for raw in [*_LINE_ENDS.split(text.removeprefix("\ufeff")), ""]:
        line = raw.lstrip(_BLANKS)
        if line.startswith(("#", ";")):
            continue
        joined = held + line
        last = _LAST_BACKSLASHES.search(joined)
        if last is not None and len(last[0]) % 2:
            held = joined[:-1] + " "
            continue
        held = ""
        key, equals, value = joined.partition("=")
        if equals and not key.strip(_BLANKS).startswith("["):
            settings.append((key.strip(_BLANKS), value.strip(_BLANKS)))
    return tuple(settings)
