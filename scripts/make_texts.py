#!/usr/bin/env python3
"""Write packaging/nodecheck.1, packaging/config.toml and the table of checks in README.md anew.

    python -m scripts.make_texts

The manual page is made of the parser, the catalogue and the settings; the settings file holds every
key with its default, commented out; the table has a row for each check, and on which systems it is
judged. A test fails when one is no longer what this prints.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nodecheck import VERSION
from nodecheck.catalogue import CHECKS
from nodecheck.completion import commands
from nodecheck.model.settings import KEYS, Kind
from nodecheck.plan import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nodecheck.completion import Command, Word
    from nodecheck.model.settings import Key, Setting

TOP: Final = Path(__file__).parents[1]
FOLDER: Final = TOP / "packaging"
README: Final = TOP / "README.md"
TABLE_BEGIN: Final = "<!-- python -m scripts.make_texts -->\n"
TABLE_END: Final = "<!-- to here -->\n"

SETTINGS_HEAD: Final = """\
# Settings of nodecheck. Every line below is a default: remove the # to change it.
# Then: nodecheck config check. What is in force, and from where: nodecheck config show.
# Variables (NODECHECK_CLOCK_WARN_S and so on) and flags come after this file.
"""
SETTINGS_TAIL: Final = """\

# A finding that is accepted until a day, with a reason and somebody to ask:
#[[waivers]]
#check = "agent.version"
#reason = "frozen until the release"
#owner = "platform team"
#expires = "2027-01-31"
#reasons = ["behind"]
"""
NOTES: Final = {
    "report.file": "the systemd service can write in /var/log/nodecheck",
    "state.dir": "the systemd service can write in /var/lib/nodecheck",
}
"""What holds for a key where a package runs nodecheck."""

FILES: Final = {
    "/etc/nodecheck/config.toml": "settings",
    "/var/lib/nodecheck": "history of the clock, what was verified, reports that wait",
    "/var/log/nodecheck": "a folder that the systemd service can write, for report.file",
    "/usr/lib/systemd/system/nodecheck.timer": "runs every 30 minutes",
    "/usr/lib/systemd/system/nodecheck-boot.service": "runs once after boot",
    "/etc/cron.d/nodecheck": "the same for hosts without systemd",
}
EXIT_CODES: Final = {
    "0": "ok, or milder than --fail-on",
    "1": "warn",
    "2": "crit",
    "3": "unknown: not proven",
    "64": "wrong command line",
    "70": "internal error",
    "78": "wrong configuration",
}
DESCRIPTION: Final = """\
nodecheck tells, with proof, whether AWS Systems Manager can manage the node it runs on: is the
clock right enough for signed requests, is the SSM Agent recent, is it the bytes that Amazon signed,
and is that what is running. What it could not prove it calls unknown, never ok. It changes nothing
on the node and prints the command that mends. Without a command it checks this node."""
VALUES_LIMIT: Final = 8
"""So many values are listed with an option; checks have a section of their own."""


def settings_file() -> str:
    """Return the settings file that packages install."""
    parts = [SETTINGS_HEAD]
    table = ""
    for key in KEYS:
        here, _, name = key.name.partition(".")
        if here != table:
            parts.append(f"\n[{here}]\n")
            table = here
        notes = [key.meaning, *_allowed(key), *filter(None, [NOTES.get(key.name)])]
        parts.append(f"# {'; '.join(notes)}\n#{name} = {_toml(key.default)}\n")
    return "".join(parts) + SETTINGS_TAIL


def _allowed(key: Key) -> Iterator[str]:
    if key.choices:
        yield f"{'any' if key.kind is Kind.LIST else 'one'} of {', '.join(key.choices)}"


def _toml(value: Setting) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def manual_page() -> str:
    """Return the manual page in man(7)."""
    found = commands()
    parts = [
        f'.TH NODECHECK 1 "" "nodecheck {VERSION}" "User Commands"\n',
        ".SH NAME\nnodecheck \\- tell whether AWS Systems Manager can manage this node\n",
        ".SH SYNOPSIS\n",
        *(_synopsis(command) for command in found),
        f".SH DESCRIPTION\n{_roff(DESCRIPTION)}\n",
        ".SH COMMANDS\n",
        *_section((command.name, f"{command.meaning}.") for command in found),
    ]
    for command in found:
        words = [word for word in command.options if "--help" not in word.names]
        if words:
            parts.append(f".SH OPTIONS OF {command.name.upper()}\n")
            parts += _section((_spelled(word), _meaning(word)) for word in words)
    parts.append(".SH CHECKS\nnodecheck explain ID is the whole page of each.\n")
    parts += _section((check.check_id, check.question) for check in CHECKS)
    parts.append(".SH EXIT STATUS\n")
    parts += _section(EXIT_CODES.items())
    parts.append(
        ".SH SETTINGS\nDefaults, then the settings file, then the environment, then options.\n"
    )
    parts += _section((f"{key.name}, {key.variable}", _setting(key)) for key in KEYS)
    parts.append(".SH FILES\n")
    parts += _section(FILES.items())
    parts.append(".SH SEE ALSO\n.BR systemd.timer (5),\n.BR chronyc (1)\n")
    return "".join(parts)


def _synopsis(command: Command) -> str:
    words = "".join(f" {_roff(word.name)}" for word in command.positionals)
    return f".B nodecheck {command.name}\n[OPTION]...{words}\n.br\n"


def _section(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in rows:
        yield f".TP\n.B {_roff(name)}\n{_roff(text)}\n"


def _spelled(word: Word) -> str:
    return ", ".join(f"{name} {word.name}".strip() for name in word.names)


def _meaning(word: Word) -> str:
    values = f": {', '.join(word.values)}" if 0 < len(word.values) <= VALUES_LIMIT else ""
    return f"{word.meaning}{values}."


def _setting(key: Key) -> str:
    notes = [key.meaning, *_allowed(key), f"{key.kind.value}, default {_toml(key.default)}"]
    return "; ".join(notes) + "."


def _roff(text: str) -> str:
    """Return a text in which roff finds no commands."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    lines = escaped.split("\n")
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in lines)


def table_of_checks() -> str:
    """Return the table of the README: each check, and on which systems it is judged."""
    lines = ["| check | question | Linux | Windows |", "| --- | --- | --- | --- |"]
    for check in CHECKS:
        judged = ("yes" if system in check.systems else "-" for system in SYSTEMS)
        lines.append(f"| `{check.check_id}` | {check.question} | {' | '.join(judged)} |")
    return "\n".join(lines) + "\n"


def readme() -> str:
    """Return the README with the table as it must be."""
    before, begin, rest = README.read_text("utf-8").partition(TABLE_BEGIN)
    _, end, after = rest.partition(TABLE_END)
    return before + begin + table_of_checks() + end + after


TEXTS: Final = {
    FOLDER / "nodecheck.1": manual_page,
    FOLDER / "config.toml": settings_file,
    README: readme,
}

if __name__ == "__main__":
    for path, make in TEXTS.items():
        path.write_text(make(), "utf-8")
