"""Look at everything that systemd reads before it starts a unit.

The unit file of the highest folder counts. Drop-ins are read from every folder of the search path,
under the unit's name, under each prefix of it that ends in a dash, and under each alias: a symbolic
link with another name to the unit. A drop-in in a folder of the same name further down is not read.
The manager's own settings hold the variables that every service is given.

Sources: systemd.unit(5), systemd-system.conf(5), and held against ``systemd-analyze verify``.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from nodecheck.host.folders import find_place, look_above, look_at, look_behind, without_links
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import FileKind
from nodecheck.model.unit_file import (
    MANAGER_FILES,
    OVERRIDING_FOLDERS,
    UNIT_FOLDERS,
    StartFacts,
    UnitFile,
    drop_in_names,
    parse_unit,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nodecheck.host.door import Files
    from nodecheck.model.node import FileState

UNIT_LIMIT_BYTES: Final = 64 * 1024
DROP_INS_LIMIT: Final = 100
UNITS_LIMIT: Final = 10_000
"""A node has some 500 units, a farm of containers a few thousand."""


def look_at_start(
    files: Files, unit: str, proven: Iterable[str], unobserved: list[str]
) -> StartFacts:
    """Return what decides how a unit is started; ``proven`` are paths of its signed unit file."""
    own = {state.path: state for path in proven if (state := look_at(files, path, unobserved))}
    shadows, in_force = _find_units(files, unit, own, unobserved)
    names = (unit, *_find_aliases(files, unit, unobserved))
    folders = [f"{base}/{name}" for base in UNIT_FOLDERS for name in _drop_in_folders(names)]
    drop_ins = _find_drop_ins(files, folders, unobserved)
    settings = _find_manager_files(files, unobserved)
    units, read = _read_all(files, (*own, *in_force, *drop_ins), unobserved)
    manager, read_too = _read_all(files, settings, unobserved)
    readings = [state for state in (*read, *read_too) if state.path not in own]
    places = _find_places(files, folders, unobserved)
    above = (
        *(path for path in (*in_force, *drop_ins, *settings) if path not in own),
        *(state.path for state in readings),
        *(state.path for state in places),
    )
    return StartFacts(
        units=units,
        shadows=shadows,
        manager=manager,
        readings=tuple(readings),
        folders=without_links(look_above(files, above, unobserved)),
        places=places,
    )


def _find_units(
    files: Files, unit: str, own: dict[str, FileState], unobserved: list[str]
) -> tuple[tuple[FileState, ...], tuple[str, ...]]:
    """Return unit files that outrank the proven one, and the paths of all that may be in force."""
    identities = {(state.device, state.inode) for state in own.values()}
    higher: list[FileState] = []
    for folder in UNIT_FOLDERS:
        path = f"{folder}/{unit}"
        state = look_at(files, path, unobserved)
        if state is None or _is_mask(state):
            continue
        final = look_behind(files, path, unobserved)
        if final is not None and (final.device, final.inode) in identities:
            return tuple(higher), tuple(item.path for item in higher)
        higher.append(state)
    if own:  # it lies outside the search path
        return tuple(higher), tuple(item.path for item in higher)
    return (), tuple(item.path for item in higher[:1])


def _is_mask(state: FileState) -> bool:
    """Tell whether a unit or drop-in is switched off: a link to /dev/null, or an empty file."""
    empty = state.kind is FileKind.FILE and state.size == 0
    return empty or (state.kind is FileKind.LINK and state.target == "/dev/null")


def _find_aliases(files: Files, unit: str, unobserved: list[str]) -> tuple[str, ...]:
    """Return the other names under which symbolic links lead to the unit."""
    leads_to: dict[str, set[str]] = {}
    for folder in UNIT_FOLDERS:
        for name in _list(files, folder, UNITS_LIMIT, unobserved):
            state = look_at(files, f"{folder}/{name}", unobserved) if _may_link(name) else None
            if state is not None and state.kind is FileKind.LINK:
                leads_to.setdefault(posixpath.basename(state.target), set()).add(name)
    found, waiting = {unit}, [unit]
    while waiting:
        more = leads_to.get(waiting.pop(), set()) - found
        found |= more
        waiting += more
    return tuple(sorted(found - {unit}))


def _may_link(name: str) -> bool:
    return name.endswith(".service")


def _drop_in_folders(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(folder for name in names for folder in drop_in_names(name)))


def _find_drop_ins(files: Files, folders: Iterable[str], unobserved: list[str]) -> tuple[str, ...]:
    found: list[str] = []
    decided: set[tuple[str, str]] = set()
    for folder in folders:
        base, _, kind = folder.rpartition("/")
        for name in _list(files, folder, DROP_INS_LIMIT, unobserved):
            if not name.endswith(".conf") or (kind, name) in decided:
                continue
            found.append(f"{folder}/{name}")
            if base in OVERRIDING_FOLDERS and _decides(files, found[-1], unobserved):
                decided.add((kind, name))
    return tuple(found)


def _decides(files: Files, path: str, unobserved: list[str]) -> bool:
    """Tell whether this drop-in is one that every version of systemd reads, or a mask of one."""
    state, final = look_at(files, path, unobserved), look_behind(files, path, unobserved)
    is_file = final is not None and final.kind is FileKind.FILE
    return is_file or (state is not None and _is_mask(state))


def _find_manager_files(files: Files, unobserved: list[str]) -> tuple[str, ...]:
    drop_ins = _find_drop_ins(files, (f"{path}.d" for path in MANAGER_FILES), unobserved)
    return (*MANAGER_FILES, *drop_ins)


def _list(files: Files, folder: str, limit: int, unobserved: list[str]) -> tuple[str, ...]:
    try:
        return files.listing(folder, limit)
    except Absent:
        return ()
    except ProbeError as exc:
        unobserved.append(str(exc))
        return ()


def _read_all(
    files: Files, paths: Iterable[str], unobserved: list[str]
) -> tuple[tuple[UnitFile, ...], tuple[FileState, ...]]:
    """Return the settings of these files, each file once, and what the files finally are."""
    found: dict[tuple[int, int], tuple[UnitFile, FileState]] = {}
    for path in paths:
        state = look_at(files, path, unobserved)
        if state is None or _is_mask(state):
            continue
        final = look_behind(files, path, unobserved)
        if final is None or (final.device, final.inode) in found:
            continue
        try:
            text = files.read(final.path, UNIT_LIMIT_BYTES).decode("utf-8", "replace")
        except ProbeError as exc:
            unobserved.append(str(exc))
        else:
            found[final.device, final.inode] = UnitFile(path, parse_unit(text)), final
    return tuple(unit for unit, _ in found.values()), tuple(state for _, state in found.values())


def read_assignments_file(
    files: Files, path: str, unobserved: list[str]
) -> tuple[tuple[UnitFile, FileState], ...]:
    """Return a file of lines ``NAME=value`` as settings ``Environment``; none where none is."""
    final = look_behind(files, path, unobserved)
    if final is None:
        return ()
    try:
        text = files.read(final.path, UNIT_LIMIT_BYTES).decode("utf-8", "replace")
    except ProbeError as exc:
        unobserved.append(str(exc))
        return ()
    lines = (line.strip() for line in text.splitlines())
    settings = tuple(
        ("Environment", line.removeprefix("export ").strip())
        for line in lines
        if line and line[0] not in "#;"
    )
    return ((UnitFile(path, settings), final),)


def _find_places(
    files: Files, folders: Iterable[str], unobserved: list[str]
) -> tuple[FileState, ...]:
    """Return the folders in which a new unit file, drop-in, or folder for one would be read."""
    wanted = (*UNIT_FOLDERS, *folders, *(f"{path}.d" for path in MANAGER_FILES))
    found = (find_place(files, folder, unobserved) for folder in wanted)
    return tuple({(item.device, item.inode): item for item in found if item}.values())
