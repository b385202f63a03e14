"""Look at the agent's processes and digest the images that they really run.

A name proves nothing (an image without a file has any), so the search starts at the service's
control group: where no core executable is among its processes, the ones that the service manager
itself started are looked at, whatever they are called. Commands and sessions that the agent started
live in the same group and do not count. ``/proc/PID/exe`` opens the image even where its file is
gone (proc(5)).
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.install import CORE, EXECUTABLES, AgentProcess, RunningFacts, UnreadImage

if TYPE_CHECKING:
    from nodecheck.host.door import Files, Host
    from nodecheck.model.node import FileState, ProcessState

UNITS: Final = (
    "amazon-ssm-agent.service",
    "snap.amazon-ssm-agent.amazon-ssm-agent.service",
)


def look(host: Host, executables: tuple[str, ...]) -> RunningFacts:
    """Return the agent's processes; ``executables`` are the paths of the installed agents' core.

    Raises:
        ProbeError: the processes of this node cannot be listed.
        Denied: only some processes can be seen.
    """
    states = host.processes.all()
    if not any(state.pid == 1 for state in states):
        msg = "process 1 cannot be seen: the process list is restricted (hidepid)"
        raise Denied(msg)
    paths = {f"{posixpath.dirname(path)}/{name}" for path in executables for name in EXECUTABLES}
    processes: list[AgentProcess] = []
    unread: list[UnreadImage] = []
    for state in choose(states, paths):
        name = name_of(state)
        try:
            processes.append(_digested(host.files, state, name))
        except Absent:
            continue  # it has ended meanwhile
        except ProbeError as exc:
            unread.append(UnreadImage(state.pid, name, exc.reason, str(exc)))
    return RunningFacts(tuple(processes), tuple(unread), _on_disk(host.files, paths))


def choose(states: tuple[ProcessState, ...], paths: set[str]) -> tuple[ProcessState, ...]:
    """Return the processes that are the agent, or stand where it should be."""
    named = [state for state in states if name_of(state) in EXECUTABLES or state.image in paths]
    grouped = {state.pid: state for state in states if state.unit in UNITS}
    mains = [state for state in grouped.values() if state.parent_pid not in grouped]
    if not any(name_of(state) == CORE for state in mains):
        named += [state for state in mains if state not in named]
    return tuple(named)


def name_of(state: ProcessState) -> str:
    """Return the name of the executable that a process is, or says it is."""
    image = posixpath.basename(state.image)
    said = posixpath.basename(state.arguments[0]) if state.arguments else ""
    return next((name for name in (image, said) if name in EXECUTABLES), image or said)


def _digested(files: Files, state: ProcessState, name: str) -> AgentProcess:
    found = files.digest(f"/proc/{state.pid}/exe", "sha256", follow=True)
    return AgentProcess(
        pid=state.pid,
        name=name,
        image=state.image,
        deleted=state.image_deleted,
        device=found.state.device,
        inode=found.state.inode,
        sha256=found.hex,
        unit=state.unit,
    )


def _on_disk(files: Files, paths: set[str]) -> tuple[FileState, ...]:
    found: list[FileState] = []
    for path in sorted(paths):
        try:
            found.append(files.state(path))
        except Absent:
            continue
    return tuple(found)
