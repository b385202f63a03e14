"""Look for signs that the agent is being updated while nodecheck looks at it.

Signs are: a write lock on the file by which rpm or dpkg keeps others out, as ``/proc/locks`` lists
it (nothing is locked here); the updater's own lock, which counts for 60 minutes; the updater's
processes; and a file of the agent that changed a moment ago.

The looking is done twice in effect. ``wait`` runs before everything else: it sees the first signs
and waits some seconds for them to go, or for a file that is younger than 60 s to stay as it is, so
that the facts are taken after the update and not in its middle. ``look`` runs last: what is still
there, or changed meanwhile, makes a bad verdict ``unknown``.

Sources: proc_locks(5); lib/rpmlock.c of rpm and lib/dpkg/dbmodify.c of dpkg (fcntl locks);
updateutil.go of the SSM Agent (``update.lock``, 60 minutes).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import ProbeError
from nodecheck.model.install import EXECUTABLES
from nodecheck.model.node import device_number, start_ticks
from nodecheck.model.update_window import UpdateSign, UpdateStart, UpdateWindow

if TYPE_CHECKING:
    from nodecheck.host.door import Files, Host
    from nodecheck.model.node import FileState

LOCKS: Final = (
    "/var/lib/rpm/.rpm.lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
    "/var/lib/dpkg/lock",
    "/var/lib/dpkg/lock-frontend",
)
UPDATE_LOCK: Final = "/var/lib/amazon/ssm/update.lock"
UPDATE_LOCK_LIFE_S: Final = 3600
YOUNG_S: Final = 60
WATCHED: Final = (
    *(f"/usr/bin/{name}" for name in (*EXECUTABLES, "ssm-cli")),
    "/etc/systemd/system/amazon-ssm-agent.service",
    "/lib/systemd/system/amazon-ssm-agent.service",
    "/snap/amazon-ssm-agent/current",
    "/var/lib/snapd/snap/amazon-ssm-agent/current",
)
WAIT_S: Final = 3.0
SETTLE_S: Final = 0.5
"""How long young files must stay as they are; the locks are looked at again after it."""
STEP_S: Final = 0.25
LOCKS_LIMIT_BYTES: Final = 1024 * 1024
TEXT_LIMIT_BYTES: Final = 64 * 1024
DESCRIPTORS_LIMIT: Final = 4096
TICKS_PER_S: Final = 100
"""USER_HZ, in which /proc counts, is 100 on every architecture of the agent (time(7))."""

# rpm and dpkg lock by fcntl, which asks for a file that may be written. A flock may be taken by
# whoever can read it: any user could then keep every bad verdict back for ever.
_LOCK: Final = re.compile(
    r"^[0-9]+: (?:POSIX|OFDLCK) +\S+ +WRITE +(-?[0-9]+) "
    r"([0-9a-f]+):([0-9a-f]+):([0-9]+) ",
    re.MULTILINE,
)


def wait(host: Host, limit_s: float) -> UpdateStart:
    """Wait until no update is under way, but not long, and return the signs that are left."""
    signs, notes = _signs(host)
    files = _watched(host.files)
    waited = (*signs, *_young(files, host.clock.wall_ns(), notes)) if files else ()
    begin_ns = settled_ns = host.clock.monotonic_ns()
    end_ns = begin_ns + int(min(WAIT_S, limit_s / 2) * 1e9)
    if waited:
        settled_ns = begin_ns + int(SETTLE_S * 1e9)
    while waited and host.clock.monotonic_ns() < (end_ns if signs else min(settled_ns, end_ns)):
        host.clock.pause(STEP_S)
        signs, _ = _signs(host)
        now = _watched(host.files)
        if now != files:
            files, settled_ns = now, host.clock.monotonic_ns() + int(SETTLE_S * 1e9)
    return UpdateStart(signs, tuple(notes), files, waited)


def look(
    host: Host, start: UpdateStart, updaters: tuple[int, ...], seen: tuple[FileState, ...]
) -> UpdateWindow:
    """Return every sign since the looking began; ``seen`` are files as others have seen them."""
    signs, notes = _signs(host)
    signs += tuple(
        UpdateSign(f"process {pid}", f"the agent's updater runs as process {pid}")
        for pid in updaters
    )
    changed = {state.path for state in {*start.files} ^ {*_watched(host.files)}}
    changed |= {state.path for state in seen if _state(host.files, state.path) != state}
    signs += tuple(
        UpdateSign(path, f"{path} changed while nodecheck looked") for path in sorted(changed)
    )
    found = {sign.subject: sign for sign in (*start.signs, *signs)}
    return UpdateWindow(tuple(found.values()), tuple(dict.fromkeys((*start.unobserved, *notes))))


def lock_holders(locks: str, state: FileState) -> tuple[tuple[int, bool], ...]:
    """Return who write-locks a file, by its inode, and whether the device agrees too.

    >>> from nodecheck.model.node import FileKind, FileState
    >>> state = FileState("/x", FileKind.FILE, 2049, 77, 0o640, 0, 0, 0, 1, 0, 0)
    >>> lock_holders("1: POSIX  ADVISORY  WRITE 4711 08:01:77 0 EOF", state)
    ((4711, True),)
    """
    return tuple(
        (int(pid), device_number(int(major, 16), int(minor, 16)) == state.device)
        for pid, major, minor, inode in _LOCK.findall(locks + "\n")
        if int(inode) == state.inode
    )


def _signs(host: Host) -> tuple[tuple[UpdateSign, ...], list[str]]:
    notes: list[str] = []
    found = [*_lock_signs(host, notes), *_updater_sign(host, notes)]
    return tuple(found), notes


def _lock_signs(host: Host, notes: list[str]) -> list[UpdateSign]:
    states = [state for path in LOCKS if (state := _state(host.files, path))]
    if not states:
        return []
    try:
        locks = host.files.read("/proc/locks", LOCKS_LIMIT_BYTES).decode("ascii", "replace")
    except ProbeError as exc:
        notes.append(f"locks of package managers: {exc}")
        return []
    return [
        UpdateSign(state.path, f"{state.path} is locked by {_describe(host.files, pid)}")
        for state in states
        for pid, same_device in lock_holders(locks, state)
        if same_device or _has_open(host.files, pid, state.path)
    ]


def _has_open(files: Files, pid: int, path: str) -> bool:
    """Tell whether a process has this file open: on btrfs the device in /proc/locks is another."""
    folder = f"/proc/{pid}/fd"
    try:
        names = files.listing(folder, DESCRIPTORS_LIMIT)
    except ProbeError:
        return False
    states = (_state(files, f"{folder}/{name}") for name in names)
    return any(state.target == path for state in states if state)


def _describe(files: Files, pid: int) -> str:
    """Return a process with its name and age, as far as they can be read."""
    if pid <= 0:
        return "a process outside this PID namespace"
    try:
        stat = files.read(f"/proc/{pid}/stat", TEXT_LIMIT_BYTES).decode("utf-8", "replace")
        uptime = float(files.read("/proc/uptime", TEXT_LIMIT_BYTES).split()[0])
        age_s = uptime - start_ticks(stat) / TICKS_PER_S
    except (ProbeError, ValueError, IndexError):
        return f"process {pid}"
    name = stat[stat.find("(") + 1 : stat.rfind(")")]
    return f"process {pid} ({name}), which runs for {max(0, age_s):.0f} s"


def _updater_sign(host: Host, notes: list[str]) -> list[UpdateSign]:
    state = _state(host.files, UPDATE_LOCK)
    if state is None:
        return []
    age_s = (host.clock.wall_ns() - state.mtime_ns) / 1e9
    if age_s < 0:
        notes.append(f"{UPDATE_LOCK}: is {-age_s:.0f} s newer than the local clock")
        return []
    if age_s >= UPDATE_LOCK_LIFE_S:
        return []
    text = f"{UPDATE_LOCK} of the agent's updater is {age_s:.0f} s old"
    return [UpdateSign(UPDATE_LOCK, text)]


def _young(files: tuple[FileState, ...], now_ns: int, notes: list[str]) -> list[UpdateSign]:
    found = []
    for state in files:
        age_s = (now_ns - state.ctime_ns) / 1e9
        if age_s < 0:
            notes.append(f"{state.path}: changed {-age_s:.0f} s after the local clock")
        elif age_s < YOUNG_S:
            found.append(UpdateSign(state.path, f"{state.path} changed {age_s:.0f} s ago"))
    return found


def _watched(files: Files) -> tuple[FileState, ...]:
    return tuple(state for path in WATCHED if (state := _state(files, path)))


def _state(files: Files, path: str) -> FileState | None:
    try:
        return files.state(path)
    except ProbeError:
        return None
