"""Look at what each process of the agent uses, and who started it.

Which processes those are is known already; here the kernel's files tell parent, age, memory,
processor time and open files of each (proc(5)). One that ends meanwhile is said to have ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.install import EXECUTABLES, AgentProcess
from nodecheck.model.service import ProcessUse, ServiceProcesses
from nodecheck.model.service_text import TICKS_PER_S, files_limit, parse_stat, resident_bytes
from nodecheck.records import replace

if TYPE_CHECKING:
    from nodecheck.host.door import Files, Host
    from nodecheck.model.install import RunningFacts, UnreadImage

TEXT_LIMIT_BYTES: Final = 64 * 1024
FILES_LIMIT: Final = 65_536
SUSPENDED: Final = "T"
"""By SIGSTOP and the like; a debugger's stop is "t" (proc_pid_stat(5))."""
PROCESSES_LIMIT: Final = 200
"""Each session has two processes; what goes beyond is not looked at one by one."""


def look(files: Files, running: RunningFacts) -> ServiceProcesses:
    """Return the agent's processes as far as they can be seen."""
    uptime_s = _uptime_s(files)
    found: list[ProcessUse] = []
    ended: list[int] = []
    processes: tuple[AgentProcess | UnreadImage, ...] = (*running.processes, *running.unread)
    for process in processes[:PROCESSES_LIMIT]:
        try:
            found.append(_use(files, process, uptime_s))
        except Absent:
            ended.append(process.pid)
        except ProbeError:
            found.append(ProcessUse(process.pid, process.name, process.unit, 0))
    return ServiceProcesses(tuple(found), tuple(ended), running.main_pid)


def look_at_windows(host: Host, running: RunningFacts) -> ServiceProcesses:
    """Return the agent's processes of a Windows node.

    Windows stamps the start of a process by the wall clock. An age that this clock gives, and that
    is below zero or above the time since boot, is none.
    """
    found: list[ProcessUse] = []
    ended: list[int] = []
    processes: tuple[AgentProcess | UnreadImage, ...] = (*running.processes, *running.unread)
    for process in processes[:PROCESSES_LIMIT]:
        name = process.name if process.name in EXECUTABLES else f"{process.name}.exe"
        uid = process.uid if isinstance(process, AgentProcess) else None
        use = ProcessUse(process.pid, name, process.unit, 0, uid=uid)
        try:
            found.append(_use_of_windows(host, use))
        except Absent:
            ended.append(process.pid)
        except ProbeError:
            found.append(use)
    return ServiceProcesses(tuple(found), tuple(ended), running.main_pid)


def _use_of_windows(host: Host, use: ProcessUse) -> ProcessUse:
    sight = host.usage.of(use.pid)
    age_s = (host.clock.wall_ns() - sight.began_ns) / 1e9
    return replace(
        use,
        parent_pid=sight.parent_pid,
        age_s=age_s if 0 <= age_s <= host.clock.monotonic_ns() / 1e9 else None,
        rss_bytes=sight.rss_bytes,
        cpu_s=sight.cpu_s,
        suspended=sight.suspended,
    )


def _use(files: Files, process: AgentProcess | UnreadImage, uptime_s: float | None) -> ProcessUse:
    folder = f"/proc/{process.pid}"
    stat = parse_stat(_text(files, f"{folder}/stat"))
    age_s = None if uptime_s is None else uptime_s - stat.start_ticks / TICKS_PER_S
    read = process if isinstance(process, AgentProcess) else None
    return ProcessUse(
        pid=process.pid,
        name=read.image.rpartition("/")[2] if read else process.name,
        unit=process.unit,
        parent_pid=stat.parent_pid,
        age_s=age_s if age_s is None or age_s >= 0 else None,
        uid=read.uid if read else None,
        rss_bytes=resident_bytes(_text(files, f"{folder}/status")),
        cpu_s=stat.cpu_ticks / TICKS_PER_S,
        open_files=_count_files(files, f"{folder}/fd"),
        files_limit=_limit(files, f"{folder}/limits"),
        suspended=stat.state == SUSPENDED,
    )


def _uptime_s(files: Files) -> float | None:
    """Return how long the node is up, by the clock that counts the starts of processes."""
    try:
        return float(files.read("/proc/uptime", TEXT_LIMIT_BYTES).split()[0])
    except (ProbeError, ValueError, IndexError):
        return None


def _count_files(files: Files, folder: str) -> int | None:
    try:
        return len(files.listing(folder, FILES_LIMIT))
    except Absent:
        raise
    except ProbeError as exc:
        return FILES_LIMIT if exc.reason == "too-large" else None


def _limit(files: Files, path: str) -> int | None:
    try:
        return files_limit(_text(files, path))
    except Absent:
        raise
    except ProbeError:
        return None


def _text(files: Files, path: str) -> str:
    return files.read(path, TEXT_LIMIT_BYTES).decode("utf-8", "replace")
