"""Look for the agent in the dpkg database.

``/var/lib/dpkg/status`` holds one stanza of ``Field: value`` lines for each package, with a blank
line between stanzas (deb822(5), deb-control(5)). The third word of ``Status`` says what is there
(dpkg(1), "Package states"); the first is only what was asked for, so a held package is installed.
A database without the agent's stanza proves nothing while dpkg still keeps its list of files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel, Installation
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.install import Damage, DebFacts

if TYPE_CHECKING:
    from nodecheck.host.door import Files

STATUS: Final = "/var/lib/dpkg/status"
FILE_LIST: Final = "/var/lib/dpkg/info/amazon-ssm-agent.list"
EXECUTABLE: Final = "/usr/bin/amazon-ssm-agent"
LIMIT_BYTES: Final = 32 * 1024 * 1024
"""A node with 5,000 packages has about 6 MB."""

_START: Final = re.compile(
    rb"^package:[ \t]*amazon-ssm-agent[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_FIELD: Final = re.compile(rb"^([!-9;-~]+):[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_VERSION: Final = re.compile(r"(?:\d+:)?(\d+\.\d+\.\d+\.\d+)(?:-[A-Za-z0-9.+~]+)?", re.ASCII)
_GONE: Final = frozenset({"not-installed", "config-files"})
_BROKEN: Final = frozenset(
    {"half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"}
)
_STATUS_WORDS: Final = 3


def look(files: Files) -> DebFacts:
    """Return what dpkg knows of the agent; a node without its database has none.

    Raises:
        ProbeError: the database cannot be read or is not understood.
    """
    try:
        content = files.read(STATUS, LIMIT_BYTES)
    except Absent:
        return DebFacts((), present=False)
    facts = parse(content)
    if facts is None:
        _refuse_leftover(files)
        return DebFacts(())
    return facts


def parse(content: bytes) -> DebFacts | None:
    """Return the agent's stanzas of a status file, None where it has none.

    Raises:
        ProbeError: a stanza of the agent lacks a field or has one that is not understood.
    """
    stanzas = [_stanza(content, match.start()) for match in _START.finditer(content)]
    if not stanzas:
        return None
    installations: list[Installation] = []
    damaged: list[Damage] = []
    for fields in stanzas:
        package = "_".join(("amazon-ssm-agent", fields["version"], fields["architecture"]))
        state = _state(fields["status"])
        if state == "installed":
            version = _VERSION.fullmatch(fields["version"])
            number = version[1] if version else ""
            installations.append(Installation(Channel.DEB, number, package, EXECUTABLE))
        elif state not in _GONE:
            damaged.append(Damage(Channel.DEB, package, state))
    return DebFacts(tuple(installations), tuple(damaged))


def _stanza(content: bytes, start: int) -> dict[str, str]:
    first = content.rfind(b"\n\n", 0, start) + 1
    last = content.find(b"\n\n", start)
    if last < 0 and not content.endswith(b"\n"):
        msg = f"{STATUS} ends in the middle of a line"
        raise ProbeError(msg, "not-understood")
    text = content[first : last if last >= 0 else len(content)]
    pairs = [
        (name.decode("ascii", "replace").lower(), value.decode("utf-8", "replace"))
        for name, value in _FIELD.findall(text)
    ]
    fields = dict(pairs)
    if len(fields) != len(pairs):
        msg = f"{STATUS}: amazon-ssm-agent has a field twice"
        raise ProbeError(msg, "not-understood")
    if _state(fields.get("status", "")) in _GONE:
        return {"version": "", "architecture": "", **fields}
    for name in ("version", "architecture"):
        if not fields.get(name):
            msg = f"{STATUS}: amazon-ssm-agent has no {name}"
            raise ProbeError(msg, "not-understood")
    return fields


def _state(status: str) -> str:
    """Return the package state, and what is wrong where dpkg asks for a reinstallation."""
    words = status.split()
    known = len(words) == _STATUS_WORDS and words[2] in _GONE | _BROKEN | {"installed"}
    if not known or words[1] not in {"ok", "reinstreq"}:
        msg = f"{STATUS}: state of amazon-ssm-agent not understood: {status[:60]!r}"
        raise ProbeError(msg, "not-understood")
    return words[2] if words[1] == "ok" else f"{words[2]}, reinstallation required"


def _refuse_leftover(files: Files) -> None:
    try:
        files.state(FILE_LIST)
    except Absent:
        return
    msg = f"{STATUS} does not name amazon-ssm-agent, but {FILE_LIST} is there"
    raise ProbeError(msg, "not-understood")
