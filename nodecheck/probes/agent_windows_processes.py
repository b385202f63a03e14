"""Look at the agent's processes on Windows, and at the files that they run.

Windows lets nobody write to the file of a running program, so the file at the image's path is the
image, unless it was renamed. The search starts at the process that the service control manager
names; whatever runs one of the agent's programs as SYSTEM counts too. Anybody can run a file of the
agent's name: what is not SYSTEM's, and not the service's, is named and left alone.

Sources: QueryServiceStatusEx and QueryFullProcessImageNameW of learn.microsoft.com.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.authenticode import SERVICE
from nodecheck.model.errors import ProbeError
from nodecheck.model.install import (
    EXECUTABLES,
    AgentProcess,
    Bystander,
    RunningFacts,
    UnreadImage,
)
from nodecheck.records import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.host.door import Host
    from nodecheck.model.authenticode import WindowsInstall, WindowsPrograms
    from nodecheck.model.node import FileState, ProcessState

NAMES: Final = frozenset(f"{name}.exe" for name in EXECUTABLES)


def look(host: Host, install: WindowsInstall, programs: WindowsPrograms) -> RunningFacts:
    """Return the agent's processes.

    Raises:
        ProbeError: the processes of this node cannot be listed.
    """
    main_pid = install.service.pid if install.service else 0
    states = host.processes.all()
    known = {
        (fact.state.device, fact.state.inode): (fact.state, fact.sha256)
        for fact in programs.programs
        if fact.state and fact.sha256
    }
    own = _descendants(states, main_pid)
    found = [
        _examine(host, state, known, SERVICE if state.pid in own else "")
        for state in states
        if state.pid == main_pid or _name(state).casefold() in NAMES
    ]
    if main_pid and main_pid not in {state.pid for state in states}:
        text = f"process {main_pid} of the service is not in the process list"
        found.append(UnreadImage(main_pid, SERVICE, "hidden-process", text, SERVICE))
    return RunningFacts(
        processes=tuple(item for item in found if isinstance(item, AgentProcess)),
        unread=tuple(item for item in found if isinstance(item, UnreadImage)),
        on_disk=tuple(state for state, _ in known.values()),
        main_pid=main_pid,
        grouped=bool(main_pid),
        ignored=tuple(item for item in found if isinstance(item, Bystander)),
    )


def _name(state: ProcessState) -> str:
    return state.image.rpartition("/")[2] or state.name


def _descendants(states: tuple[ProcessState, ...], main_pid: int) -> set[int]:
    """Return the service's process and those started below it; a parent's number may be reused."""
    own = {main_pid} if main_pid else set[int]()
    while new := {state.pid for state in states if state.parent_pid in own} - own:
        own |= new
    return own


def _examine(
    host: Host,
    state: ProcessState,
    known: Mapping[tuple[int, int], tuple[FileState, str]],
    unit: str,
) -> AgentProcess | UnreadImage | Bystander:
    name = _name(state).casefold().removesuffix(".exe")
    if state.uid > 0 and not unit:
        return Bystander(state.pid, name, state.image, f"runs as user {state.uid}")
    if not state.image or state.uid < 0:
        text = "its image or its user cannot be seen, administrators can"
        return UnreadImage(state.pid, name, "no-permission", text, unit)
    process = AgentProcess(
        pid=state.pid,
        name=name,
        image=state.image,
        deleted=state.image_deleted,
        device=0,
        inode=0,
        sha256="",
        unit=unit,
        uid=state.uid,
    )
    if state.image_deleted:
        return process
    try:
        file = host.files.state(state.image)
        installed = known.get((file.device, file.inode))
        if installed:  # in the spelling of the installer
            image, sha256 = installed[0].path, installed[1]
        else:
            image, sha256 = state.image, host.files.digest(state.image, "sha256").hex
    except ProbeError as exc:
        return UnreadImage(state.pid, name, exc.reason, str(exc), unit)
    return replace(process, image=image, device=file.device, inode=file.inode, sha256=sha256)
