"""Look at the agent's files, the folders above them, its unit files, and what could shadow them.

Only the files of a proven package are looked at: paths of an unproven one are an attacker's choice.
Folders are looked at up to the root, through symbolic links, because who may write to one of them
may replace what lies below. What systemd reads besides is ``host/unit_files.py``'s to find.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from nodecheck.host.agent_settings import look_at_settings
from nodecheck.host.folders import look_above, look_at, look_behind, without_links
from nodecheck.host.unit_files import look_at_start, read_assignments_file
from nodecheck.model.agent import Channel
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import FileKind
from nodecheck.model.trust import AGENT_PACKAGE, FileFacts, InstalledFile, SignedFile
from nodecheck.model.unit_file import StartFacts
from nodecheck.records import replace

if TYPE_CHECKING:
    from nodecheck.host.door import Files, Host
    from nodecheck.model.node import FileState
    from nodecheck.model.package import PackageFacts

UNIT: Final = f"{AGENT_PACKAGE}.service"
SEARCH_FOLDERS: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin")
"""What a root shell and systemd search before /usr/bin."""
SNAP_UNIT: Final = f"snap.{AGENT_PACKAGE}.{AGENT_PACKAGE}.service"
SNAP_STARTERS: Final = (
    "/usr/bin/snap",
    "/usr/lib/snapd/snap-confine",
    "/usr/lib/snapd/snap-exec",
)
"""What snapd's unit runs before the agent (snapd, cmd/snap-confine); the distribution's own."""

SNAP_ENVIRONMENT: Final = "/etc/environment"
"""Read by every unit that snapd writes (snapd, wrappers/services.go)."""

DEB_LIST: Final = f"/var/lib/dpkg/info/{AGENT_PACKAGE}.list"
DEB_LIST_LIMIT_BYTES: Final = 256 * 1024
EXTRAS_LIMIT: Final = 1000
"""Most paths of that list that are looked at, although none is in the signed package."""


def look(host: Host, facts: PackageFacts) -> FileFacts:
    """Return what is at every path that the proven agent packages promise."""
    signed = tuple(file for package in facts.packages if package.proven for file in package.files)
    if not signed:
        return FileFacts((), (), StartFacts(), (), ())
    files, unobserved = host.files, list[str]()
    paths = tuple(file.path for file in signed)
    units = tuple(path for path in paths if path.endswith(f"/{UNIT}"))
    settings = look_at_settings(files, paths, unobserved)
    folders = (*look_above(files, paths, unobserved), *settings.folders)
    start = look_at_start(files, UNIT, units, unobserved)
    shadows = _find_shadows(files, signed, unobserved)
    extras = _find_extras(files, facts, unobserved)
    return FileFacts(
        files=tuple(_look_at(files, file) for file in signed if not file.ghost),
        folders=tuple({state.path: state for state in folders}.values()),
        start=start,
        shadows=shadows,
        unobserved=tuple(dict.fromkeys(unobserved)),
        extras=extras,
        settings=settings.files,
        settings_place=settings.place,
    )


def look_around_snap(host: Host) -> FileFacts:
    """Return what surrounds the agent of a snap; its own files are those of its signed blob."""
    files, unobserved = host.files, list[str]()
    settings = look_at_settings(files, (), unobserved)
    start = look_at_start(files, SNAP_UNIT, (), unobserved)
    if not any(unit.path.endswith(f"/{SNAP_UNIT}") for unit in start.units):
        unobserved.append(f"{SNAP_UNIT}: no unit file of this name is in force")
    environment = read_assignments_file(files, SNAP_ENVIRONMENT, unobserved)
    starters = tuple(
        state for path in SNAP_STARTERS if (state := look_behind(files, path, unobserved))
    )
    above = (*SNAP_STARTERS, *(state.path for state in starters), SNAP_ENVIRONMENT)
    folders = (*settings.folders, *without_links(look_above(files, above, unobserved)))
    readings = tuple(state for _, state in environment)
    return FileFacts(
        files=(),
        folders=tuple({state.path: state for state in folders}.values()),
        start=replace(
            start,
            units=(*start.units, *(unit for unit, _ in environment)),
            readings=(*start.readings, *readings, *starters),
        ),
        shadows=(),
        unobserved=tuple(dict.fromkeys(unobserved)),
        settings=settings.files,
        settings_place=settings.place,
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


def _find_extras(files: Files, facts: PackageFacts, unobserved: list[str]) -> tuple[FileState, ...]:
    """Return programs that dpkg lists as the agent's although its signed package has none such."""
    debs = [item for item in facts.packages if item.proven and item.channel is Channel.DEB]
    if not debs:
        return ()
    try:
        lines = files.read(DEB_LIST, DEB_LIST_LIMIT_BYTES).decode("utf-8", "replace").split("\n")
    except ProbeError as exc:
        unobserved.append(str(exc))
        return ()
    known = {file.path for package in debs for file in package.files}
    paths = [line for line in lines if line.startswith("/") and line not in known]
    if len(paths) > EXTRAS_LIMIT:
        unobserved.append(f"{DEB_LIST}: more than {EXTRAS_LIMIT} files that are not signed")
    states = (look_at(files, path, unobserved) for path in paths[:EXTRAS_LIMIT])
    return tuple(
        state for state in states if state and state.kind is FileKind.FILE and state.mode & 0o111
    )


def _find_shadows(
    files: Files, signed: tuple[SignedFile, ...], unobserved: list[str]
) -> tuple[FileState, ...]:
    """Return what a search path finds before the agent's programs, links to them aside."""
    programs = tuple(file.path for file in signed if file.is_program)
    own = {(state.device, state.inode) for path in programs if (state := look_at(files, path, []))}
    found: list[FileState] = []
    for folder in SEARCH_FOLDERS:
        for path in (f"{folder}/{posixpath.basename(program)}" for program in programs):
            state = look_at(files, path, unobserved) if path not in programs else None
            final = look_behind(files, path, unobserved) if state else None
            if state and not (final and (final.device, final.inode) in own):
                found.append(state)
    return tuple(found)
