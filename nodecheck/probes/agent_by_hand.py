"""Look for executables of the agent where people and archives put them.

Whether a package owns such a file is decided when all channels are known. The version of a binary
is nowhere but in its code, and nodecheck never runs what it has not proven: it stays ''.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel, Installation
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.install import CORE, ByHandFacts
from nodecheck.model.node import FileKind

if TYPE_CHECKING:
    from nodecheck.host.door import Files
    from nodecheck.model.node import FileState

FOLDERS: Final = (
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/opt/aws/ssm/bin",
)
"""The packages' folder, the rest of root's PATH, and the folder of the macOS package."""

LINK_LIMIT: Final = 8
SNAPS: Final = ("/snap/", "/var/lib/snapd/snap/")
"""What lies there was not put there by hand."""

_EXECUTE: Final = 0o111


def look(files: Files) -> ByHandFacts:
    """Return every executable of the agent at a known place, each file once.

    Raises:
        ProbeError: a place exists but cannot be looked at.
    """
    found: dict[tuple[int, int], Installation] = {}
    for folder in FOLDERS:
        state = _resolve(files, f"{folder}/{CORE}")
        if state is not None and _is_program(state):
            installation = Installation(Channel.BY_HAND, "", CORE, state.path)
            found.setdefault((state.device, state.inode), installation)
    return ByHandFacts(tuple(found.values()))


def _is_program(state: FileState) -> bool:
    executable = state.kind is FileKind.FILE and bool(state.mode & _EXECUTE)
    return executable and not state.path.startswith(SNAPS)


def _resolve(files: Files, path: str) -> FileState | None:
    """Return what a path finally leads to, None where that is nothing."""
    for _ in range(LINK_LIMIT):
        try:
            state = files.state(path)
        except Absent:
            return None
        if state.kind is not FileKind.LINK:
            return state
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), state.target))
    msg = f"{path}: more than {LINK_LIMIT} symbolic links"
    raise ProbeError(msg)
