"""Folders above a path, up to the root and through symbolic links.

Who may write to one of them may replace what lies below.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nodecheck.host.door import Files
    from nodecheck.model.node import FileState

LINKS_LIMIT: Final = 40
"""As many as Linux follows in one path (path_resolution(7))."""


def folders_above(path: str) -> list[str]:
    """Return the folders that hold a path, the root first.

    >>> folders_above("/usr/bin/true")
    ['/', '/usr', '/usr/bin']
    >>> folders_above("C:/ProgramData/Amazon")
    ['C:/', 'C:/ProgramData']
    """
    drive, *parts = path.split("/")[:-1]
    return [f"{drive}/", *(f"{drive}/" + "/".join(parts[: end + 1]) for end in range(len(parts)))]


def look_at(files: Files, path: str, unobserved: list[str]) -> FileState | None:
    """Return what is at a path, None where nothing is; what cannot be seen is noted."""
    try:
        return files.state(path)
    except Absent:
        return None
    except ProbeError as exc:
        unobserved.append(str(exc))
        return None


def look_behind(files: Files, path: str, unobserved: list[str]) -> FileState | None:
    """Return what a path finally leads to, None where that is nothing."""
    state = look_at(files, path, unobserved)
    if state is None or state.kind is not FileKind.LINK:
        return state
    try:
        is_posix = path.startswith("/")
        return _follow(files, path) if is_posix else files.state(files.resolve(path))
    except Absent:
        return None
    except ProbeError as exc:
        unobserved.append(str(exc))
        return None


def _follow(files: Files, path: str) -> FileState:
    """Walk as path_resolution(7) says: ``..`` leaves the folder that a link led to."""
    state, at, links = files.state("/"), "", 0
    ahead = path.split("/")[::-1]
    while ahead:
        part = ahead.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            at = at.rpartition("/")[0]
            state = files.state(at or "/")
            continue
        state = files.state(f"{at}/{part}")
        if state.kind is not FileKind.LINK:
            at = f"{at}/{part}"
            continue
        links += 1
        if links > LINKS_LIMIT:
            msg = f"{path}: more than {LINKS_LIMIT} symbolic links"
            raise ProbeError(msg)
        at = "" if state.target.startswith("/") else at
        ahead += state.target.split("/")[::-1]
    return state


def look_above(files: Files, paths: Iterable[str], unobserved: list[str]) -> tuple[FileState, ...]:
    """Return every folder above these paths, and above what a symbolic link among them names."""
    waiting = sorted({folder for path in paths for folder in folders_above(path)})
    seen: dict[str, FileState] = {}
    links = 0
    while waiting:
        folder = waiting.pop(0)
        state = look_at(files, folder, unobserved) if folder not in seen else None
        if state is None:
            continue
        seen[folder] = state
        if state.kind is not FileKind.LINK:
            continue
        links += 1
        if links > LINKS_LIMIT:
            unobserved.append(f"{folder}: more than {LINKS_LIMIT} symbolic links above files")
            break
        target = posixpath.normpath(posixpath.join(posixpath.dirname(folder), state.target))
        waiting += folders_above(target + "/.")
    return tuple(seen.values())


def find_place(files: Files, folder: str, unobserved: list[str]) -> FileState | None:
    """Return the folder, or the next above that is there: who writes to it may make the rest."""
    for path in reversed(folders_above(f"{folder}/.")):
        state = look_behind(files, path, unobserved)
        if state is not None:
            return state
    return None


def without_links(states: Iterable[FileState]) -> tuple[FileState, ...]:
    """Leave links out: who may replace one may write to its folder, which is among them."""
    return tuple(state for state in states if state.kind is not FileKind.LINK)
