"""Look at the agent's processes and digest the images that they really run.

A name proves nothing (an image without a file has any), so the search starts at the service's
control group, from the list that the kernel keeps of it: a process in that list whose folder in
``/proc`` cannot be seen is hidden. The process that the service manager started is the oldest of
those that have no parent in the group and carry the unit's current invocation id; it is looked at
whatever it is called. Where that id is not to be had (systemd before 232), every process without a
parent in the group is looked at unless one of them is the core executable. Commands and sessions
that the agent started live in the same group and do not count. ``/proc/PID/exe`` opens the image
even where its file is gone.

Anybody can give a process the agent's name. One that is not wholly root's, and not the one that the
service manager started, is not this node's agent, nor is one outside the unit that lives in a
container (PID namespace, or mount namespace and another file). It is named and left alone: its
image, which its owner chose, may be of any size.

Sources: proc(5), cgroups(7), namespaces(7), systemd.exec(5) (``INVOCATION_ID``), systemd's
src/core/unit.c (``/run/systemd/units/invocation:UNIT``), ld.so(8).
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from nodecheck.host.process_files import (
    look_at_code,
    look_at_environment,
    look_at_preloads,
    look_at_start,
    look_at_status,
    mount_namespace,
)
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.install import (
    CORE,
    EXECUTABLES,
    AgentProcess,
    Bystander,
    Mounts,
    RunningFacts,
    UnreadImage,
)
from nodecheck.model.process_text import loader_variables
from nodecheck.records import dataclass, replace

if TYPE_CHECKING:
    from nodecheck.host.door import Files, Host
    from nodecheck.model.install import CodeFile
    from nodecheck.model.node import FileState, ProcessState
    from nodecheck.model.process_text import ProcessStatus

UNITS: Final = (
    "amazon-ssm-agent.service",
    "snap.amazon-ssm-agent.amazon-ssm-agent.service",
)
GROUP_FOLDERS: Final = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
"""Where the hierarchy of systemd is mounted: version 2, version 1, both."""
INVOCATIONS: Final = "/run/systemd/units"
UPDATERS: Final = "/var/lib/amazon/ssm/update/"
TEXT_LIMIT_BYTES: Final = 64 * 1024


def look(host: Host, executables: tuple[str, ...]) -> RunningFacts:
    """Return the agent's processes; ``executables`` are the paths of the installed agents' core.

    Raises:
        ProbeError: the processes of this node cannot be listed.
        Denied: only some processes can be seen.
    """
    group = _read_group(host.files)
    states = tuple(
        replace(state, unit=group.get(state.pid, state.unit)) for state in host.processes.all()
    )
    if not any(state.pid == 1 for state in states):
        msg = "process 1 cannot be seen: the process list is restricted (hidepid)"
        raise Denied(msg)
    main_pid = _find_main(host.files, states)
    paths = {f"{posixpath.dirname(path)}/{name}" for path in executables for name in EXECUTABLES}
    sight = _Sight(
        host.files,
        _on_disk(host.files, paths),
        mount_namespace(host.files, 1),
        {main_pid} if main_pid else {state.pid for state in _without_parent(states)},
    )
    found = [sight.examine(state) for state in choose(states, paths, main_pid)]
    preloads, unseen = _read_preloads(host.files)
    return RunningFacts(
        processes=tuple(item for item in found if isinstance(item, AgentProcess)),
        unread=(
            *_hidden(host.files, group, states),
            *(item for item in found if isinstance(item, UnreadImage)),
        ),
        on_disk=sight.on_disk,
        main_pid=main_pid,
        updaters=_updaters(host.files, states),
        grouped=any(state.unit in UNITS for state in states) or bool(group),
        ignored=tuple(item for item in found if isinstance(item, Bystander)),
        preloads=preloads,
        unseen=unseen,
    )


def choose(
    states: tuple[ProcessState, ...], paths: set[str], main_pid: int = 0
) -> tuple[ProcessState, ...]:
    """Return the processes that are the agent, or stand where it should be."""
    named = [state for state in states if name_of(state) in EXECUTABLES or state.image in paths]
    mains = _without_parent(states)
    named += [state for state in mains if state not in named and _has_no_file(state)]
    if main_pid:
        mains = [state for state in mains if state.pid == main_pid]
    elif any(name_of(state) == CORE for state in mains):
        return tuple(named)
    return (*named, *(state for state in mains if state not in named))


def name_of(state: ProcessState) -> str:
    """Return the name of the executable that a process is, or says it is."""
    image = posixpath.basename(state.image)
    said = posixpath.basename(state.arguments[0]) if state.arguments else ""
    return next((name for name in (image, said) if name in EXECUTABLES), image or said)


def _has_no_file(state: ProcessState) -> bool:
    return state.image_deleted and state.image.startswith("/memfd:")


def _without_parent(states: tuple[ProcessState, ...]) -> list[ProcessState]:
    grouped = {state.pid: state for state in states if state.unit in UNITS}
    return [state for state in grouped.values() if state.parent_pid not in grouped]


def _read_group(files: Files) -> dict[int, str]:
    """Return the unit of each process that the kernel counts among a unit of the agent."""
    group: dict[int, str] = {}
    for folder in GROUP_FOLDERS:
        for unit in UNITS:
            path = f"{folder}/system.slice/{unit}/cgroup.procs"
            try:
                lines = files.read(path, TEXT_LIMIT_BYTES).decode("ascii", "replace").split()
            except Absent:
                continue
            group |= {int(line): unit for line in lines if line.isdecimal() and line != "0"}
    return group


def _hidden(
    files: Files, group: dict[int, str], states: tuple[ProcessState, ...]
) -> list[UnreadImage]:
    """Return who is still in a control group, but not among the processes that can be seen."""
    missing = set(group) - {state.pid for state in states}
    if not missing:
        return []
    text = "is in the unit's control group, but not in the process list"
    still = missing & set(_read_group(files))
    return [UnreadImage(pid, "hidden", "hidden-process", text, group[pid]) for pid in sorted(still)]


def _find_main(files: Files, states: tuple[ProcessState, ...]) -> int:
    """Return the process that the service manager started in the unit's current run, or 0."""
    found: list[tuple[int, int]] = []
    for state in _without_parent(states):
        try:
            invocation = files.state(f"{INVOCATIONS}/invocation:{state.unit}").target
            environment = look_at_environment(files, state.pid)
            began = look_at_start(files, state.pid)
        except ProbeError:
            continue  # an older systemd, another user's process, or one that has ended
        own = f"INVOCATION_ID={invocation}".encode() in environment.split(b"\0")
        if invocation and own:
            found.append((began, state.pid))
    return min(found)[1] if found else 0


def _updaters(files: Files, states: tuple[ProcessState, ...]) -> tuple[int, ...]:
    """Return the processes of the agent's updater: root's, and not those of a container."""
    found: list[int] = []
    for state in states:
        if not state.image.startswith(UPDATERS):
            continue
        try:
            status = look_at_status(files, state.pid)
        except ProbeError:
            continue
        if status.uid == 0 and not status.nested:
            found.append(state.pid)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Sight:
    """What one process is compared with: the files on disk, the mount namespace of process 1.

    ``leaders`` are those that count whoever owns them, because they stand where the agent should.
    """

    files: Files
    on_disk: tuple[FileState, ...]
    mounts: str
    leaders: set[int]

    def examine(self, state: ProcessState) -> AgentProcess | UnreadImage | Bystander | None:
        """Return what one process is; None where it has ended meanwhile."""
        name = name_of(state)
        unit = state.unit if state.unit in UNITS else ""
        try:
            status = look_at_status(self.files, state.pid)
            if why := self._why_not(state.pid, status, unit):
                return Bystander(state.pid, name, state.image, why)
            process = self._digest(state, name, unit, status)
        except Absent:
            return None
        except ProbeError as exc:
            return UnreadImage(state.pid, name, exc.reason, str(exc), unit)
        apart = process.mounts is Mounts.OTHER and not process.is_at(self.on_disk)
        if apart and not unit:
            return Bystander(state.pid, name, state.image, "in another mount namespace")
        return process

    def _digest(
        self, state: ProcessState, name: str, unit: str, status: ProcessStatus
    ) -> AgentProcess:
        found = self.files.digest(f"/proc/{state.pid}/exe", "sha256", follow=True)
        process = AgentProcess(
            pid=state.pid,
            name=name,
            image=state.image,
            deleted=state.image_deleted,
            device=found.state.device,
            inode=found.state.inode,
            sha256=found.hex,
            unit=unit,
            uid=status.uid,
            mounts=self._compare_mounts(state.pid),
            tracer_pid=status.tracer_pid,
        )
        try:
            return replace(
                process,
                code=look_at_code(self.files, state.pid, state.image),
                variables=loader_variables(look_at_environment(self.files, state.pid)),
            )
        except Absent:
            raise
        except ProbeError as exc:
            return replace(process, unseen=str(exc))

    def _why_not(self, pid: int, status: ProcessStatus, unit: str) -> str:
        """Return why a process cannot be this node's agent, '' where it can."""
        if status.uid and pid not in self.leaders:
            return f"of user {status.uid}"
        return "in a PID namespace of its own" if status.nested and not unit else ""

    def _compare_mounts(self, pid: int) -> Mounts:
        mounts = mount_namespace(self.files, pid)
        if not mounts or not self.mounts:
            return Mounts.UNSEEN
        return Mounts.SAME if mounts == self.mounts else Mounts.OTHER


def _read_preloads(files: Files) -> tuple[tuple[CodeFile, ...], str]:
    try:
        return look_at_preloads(files), ""
    except ProbeError as exc:
        return (), str(exc)


def _on_disk(files: Files, paths: set[str]) -> tuple[FileState, ...]:
    found: list[FileState] = []
    for path in sorted(paths):
        try:
            found.append(files.state(path))
        except Absent:
            continue
    return tuple(found)
