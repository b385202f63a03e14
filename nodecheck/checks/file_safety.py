"""Judge who but root may change a file of the agent, or replace it by way of a folder above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks.proof import Problem, problem
from nodecheck.model.node import FileKind
from nodecheck.model.verdict import Finding, Fix, Status
from nodecheck.records import replace

if TYPE_CHECKING:
    from nodecheck.model.node import FileState
    from nodecheck.model.trust import FileFacts, InstalledFile, SignedFile

_OTHERS_WRITE: Final = 0o022
_STICKY: Final = 0o1000
_SET_ID: Final = 0o6000
_USR_MERGE: Final = {
    "/bin": "usr/bin",
    "/sbin": "usr/sbin",
    "/lib": "usr/lib",
    "/lib64": "usr/lib64",
    "/usr/sbin": "bin",
}
"""Symbolic links of distributions (https://systemd.io/THE_CASE_FOR_THE_USR_MERGE)."""

_STAFF: Final = 50
_STAFF_FOLDERS: Final = frozenset({"/usr/local", "/usr/local/lib"})
"""Debian's group staff may write there (Debian Policy 9.1.2); it stands as root does."""


def judge_safety(file: InstalledFile, state: FileState) -> list[Problem]:
    """Return who else may change this file, and what it may do beyond its signed mode."""
    expected, path = file.expected, file.expected.path
    strict = expected.kind is FileKind.FILE and not expected.editable
    target = quote(path)
    mode_reason = _judge_mode(expected, state, strict=strict)
    mode_text = f"mode {state.mode:04o}, signed {expected.mode:04o}"
    owner_text = f"owned by user {state.uid}, allowed is 0"
    links_text = f"{state.links} hard links, allowed is 1"
    rules = (
        (state.uid != 0, "owner", owner_text, Fix(f"chown root:root {target}")),
        (mode_reason, mode_reason, mode_text, Fix(f"chmod {expected.mode:04o} {target}")),
        (strict and state.links != 1, "hard-links", links_text, None),
        (state.has_capabilities, "capabilities", "capabilities set", Fix(f"setcap -r {target}")),
    )
    return [
        Problem(Status.CRIT, Finding(reason, f"{path}: {text}", path), fix)
        for broken, reason, text, fix in rules
        if broken
    ]


def _judge_mode(expected: SignedFile, state: FileState, *, strict: bool) -> str:
    """Return the reason code of a wrong mode, the gravest first, '' if it is right."""
    if state.mode & ~expected.mode & _SET_ID:
        return "setuid"
    sticky_folder = state.kind is FileKind.FOLDER and state.mode & _STICKY
    if state.mode & _OTHERS_WRITE and not sticky_folder:
        return "writable"
    return "mode" if strict and state.mode != expected.mode else ""


def judge_folder(state: FileState) -> list[Problem]:
    """Return who else may replace what lies in a folder."""
    path = state.path
    if state.kind is FileKind.LINK:
        if state.target.strip("/") == _USR_MERGE.get(path):
            return []
        text = f"{path}: is a symbolic link to {state.target}"
        return [problem(Status.CRIT, "folder-link", text, path)]
    found: list[Problem] = []
    if state.uid != 0:
        text = f"{path}: folder owned by user {state.uid}, allowed is 0"
        fix = Fix(f"chown root:root {quote(path)}")
        found.append(Problem(Status.CRIT, Finding("folder-owner", text, path), fix))
    if state.mode & _OTHERS_WRITE and not state.mode & _STICKY:
        text = f"{path}: folder of mode {state.mode:04o}, others may write"
        fix = Fix(f"chmod go-w {quote(path)}")
        found.append(Problem(Status.CRIT, Finding("folder-writable", text, path), fix))
    return found


def judge_place(state: FileState) -> list[Problem]:
    """Return who else may put a file into a folder: there the sticky bit protects nothing."""
    if is_staffs(state):
        return []
    return judge_folder(replace(state, mode=state.mode & ~_STICKY))


def is_staffs(state: FileState) -> bool:
    """Tell whether beside root only Debian's group for local software may write to a folder."""
    groups = state.path in _STAFF_FOLDERS and state.gid == _STAFF
    return groups and state.uid == 0 and not state.mode & 0o002


def judge_reading(state: FileState) -> list[Problem]:
    """Return who else may change a file that nobody signed, but that systemd or the agent reads."""
    path, target = state.path, quote(state.path)
    found: list[Problem] = []
    if state.uid != 0:
        text = f"{path}: owned by user {state.uid}, allowed is 0"
        fix = Fix(f"chown root:root {target}")
        found.append(Problem(Status.CRIT, Finding("owner", text, path), fix))
    if state.mode & _OTHERS_WRITE:
        text = f"{path}: mode {state.mode:04o}, others may write"
        found.append(
            Problem(Status.CRIT, Finding("writable", text, path), Fix(f"chmod go-w {target}"))
        )
    return found


def judge_places(files: FileFacts) -> list[Problem]:
    """Return who else may change, replace or add a file that the agent's start depends on."""
    places = (*files.start.places, *((files.settings_place,) if files.settings_place else ()))
    found = [item for place in places for item in judge_place(place)]
    judged = {file.expected.path for file in files.files} | {place.path for place in places}
    for folder in files.folders:
        if folder.path not in judged:
            found += judge_folder(folder)
    judged |= {folder.path for folder in files.folders}
    for folder in files.start.folders:
        if folder.path not in judged and not is_staffs(folder):
            found += judge_folder(folder)
    for state in (*files.start.readings, *files.settings):
        found += judge_reading(state)
    return list(dict.fromkeys(found))


def quote(path: str) -> str:
    """Return a path as one word of a shell command."""
    return "'" + path.replace("'", "'\\''") + "'"
