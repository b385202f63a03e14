"""Look at the agent's files, the folders above them, its unit files, and what could shadow them.

Only the files of a proven package are looked at: paths of an unproven one are an attacker's choice.
Folders are looked at up to the root, through symbolic links, because who may write to one of them
may replace what lies below. systemd reads drop-ins from several folders and for each prefix of the
unit's name that ends in a dash.

Source: https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import FileKind
from nodecheck.model.trust import AGENT_PACKAGE, FileFacts, InstalledFile, SignedFile
from nodecheck.model.unit_file import UnitFile, parse_unit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nodecheck.host.door import Files, Host
    from nodecheck.model.node import FileState
    from nodecheck.model.trust import RpmFacts

UNIT: Final = f"{AGENT_PACKAGE}.service"
UNIT_FOLDERS: Final = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
)
HIGHER_UNIT_FOLDERS: Final = UNIT_FOLDERS[:3]
"""A unit file here is used instead of the package's own in /etc/systemd/system."""
DROP_IN_FOLDERS: Final = (f"{UNIT}.d", "amazon-ssm-.service.d", "amazon-.service.d", "service.d")
SEARCH_FOLDERS: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin")
"""What a root shell and systemd search before /usr/bin."""
UNIT_LIMIT_BYTES: Final = 64 * 1024
DROP_INS_LIMIT: Final = 100
LINKS_LIMIT: Final = 8


def look(host: Host, rpm: RpmFacts) -> FileFacts:
    """Return what is at every path that the proven agent packages promise."""
    signed = tuple(file for package in rpm.packages if package.proven for file in package.files)
    if not signed:
        return FileFacts((), (), (), (), ())
    unobserved: list[str] = []
    units = tuple(file.path for file in signed if file.path.endswith(f"/{UNIT}"))
    drop_ins = _find_drop_ins(host.files, unobserved)
    programs = tuple(file.path for file in signed if file.mode & 0o111 and file.digest)
    return FileFacts(
        files=tuple(_look_at(host.files, file) for file in signed if not file.ghost),
        folders=_look_above(host.files, (file.path for file in signed), unobserved),
        unit_files=_read_units(host.files, (*units, *drop_ins), unobserved),
        shadows=_find_shadows(host.files, programs, unobserved),
        unobserved=tuple(unobserved),
    )


def _look_at(files: Files, expected: SignedFile) -> InstalledFile:
    try:
        state = files.state(expected.path)
        if state.kind is not FileKind.FILE or expected.kind is not FileKind.FILE:
            return InstalledFile(expected, state, None)
        read = files.digest(expected.path, expected.algorithm)
    except Absent:
        return InstalledFile(expected, None, None)
    except ProbeError as exc:
        return InstalledFile(expected, None, None, str(exc))
    return InstalledFile(expected, read.state, read.hex)


def _look_above(files: Files, paths: Iterable[str], unobserved: list[str]) -> tuple[FileState, ...]:
    """Return every folder above these paths, and above what a symbolic link among them names."""
    waiting = sorted({folder for path in paths for folder in folders_above(path)})
    seen: dict[str, FileState] = {}
    links = 0
    while waiting:
        folder = waiting.pop(0)
        state = _state(files, folder, unobserved) if folder not in seen else None
        if state is None:
            continue
        seen[folder] = state
        if state.kind is FileKind.LINK and links < LINKS_LIMIT:
            links += 1
            target = posixpath.normpath(posixpath.join(posixpath.dirname(folder), state.target))
            waiting += folders_above(target + "/.")
    return tuple(seen.values())


def folders_above(path: str) -> list[str]:
    """Return the folders that hold a path, the root first.

    >>> folders_above("/usr/bin/true")
    ['/', '/usr', '/usr/bin']
    """
    parts = path.split("/")[1:-1]
    return ["/", *("/" + "/".join(parts[: end + 1]) for end in range(len(parts)))]


def _state(files: Files, path: str, unobserved: list[str]) -> FileState | None:
    try:
        return files.state(path)
    except Absent:
        return None
    except ProbeError as exc:
        unobserved.append(str(exc))
        return None


def _find_drop_ins(files: Files, unobserved: list[str]) -> tuple[str, ...]:
    found: list[str] = []
    for folder in (f"{base}/{name}" for base in UNIT_FOLDERS for name in DROP_IN_FOLDERS):
        try:
            names = files.listing(folder, DROP_INS_LIMIT)
        except Absent:
            continue
        except ProbeError as exc:
            unobserved.append(str(exc))
            continue
        found += [f"{folder}/{name}" for name in names if name.endswith(".conf")]
    return tuple(found)


def _read_units(files: Files, paths: Iterable[str], unobserved: list[str]) -> tuple[UnitFile, ...]:
    found: list[UnitFile] = []
    for path in paths:
        state = _state(files, path, unobserved)
        if state is None or (state.kind is FileKind.LINK and state.target == "/dev/null"):
            continue  # not there, or switched off in the way that systemd documents
        try:
            text = files.read(path, UNIT_LIMIT_BYTES).decode("utf-8", "replace")
        except ProbeError as exc:
            unobserved.append(str(exc))
        else:
            found.append(UnitFile(path, parse_unit(text)))
    return tuple(found)


def _find_shadows(
    files: Files, programs: tuple[str, ...], unobserved: list[str]
) -> tuple[FileState, ...]:
    """Return what is found before the agent's programs, or instead of its unit file."""
    candidates = [f"{folder}/{UNIT}" for folder in HIGHER_UNIT_FOLDERS]
    candidates += [
        f"{folder}/{posixpath.basename(path)}" for folder in SEARCH_FOLDERS for path in programs
    ]
    own = {_identity(files, path) for path in programs}
    states = (_state(files, path, unobserved) for path in candidates if path not in programs)
    return tuple(state for state in states if state and (state.device, state.inode) not in own)


def _identity(files: Files, path: str) -> tuple[int, int] | None:
    try:
        state = files.state(path)
    except ProbeError:
        return None
    return state.device, state.inode
