"""A systemd unit file or drop-in, as far as it decides which program runs.

Source: https://www.freedesktop.org/software/systemd/man/latest/systemd.syntax.html
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UnitFile:
    """One file of a unit, as its settings in order. Sections do not matter to what is judged."""

    path: str
    settings: tuple[tuple[str, str], ...]


def parse_unit(text: str) -> tuple[tuple[str, str], ...]:
    r"""Return the settings of a unit file; what systemd ignores is left out.

    A backslash at the end of a line joins it with the next one, comments between them aside.

    >>> parse_unit("[Service]\n# no\nExecStart = \\\n; no\n/bin/true\njunk\n")
    (('ExecStart', '/bin/true'),)
    """
    settings: list[tuple[str, str]] = []
    held = ""
    for raw in [*text.split("\n"), ""]:
        line = raw.strip()
        if line.startswith(("#", ";")):
            continue
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        key, equals, value = (held + line).partition("=")
        held = ""
        if equals and not key.strip().startswith("["):
            settings.append((key.strip(), value.strip()))
    return tuple(settings)
