"""Look whether the agent talks to AWS: the ends of its logs, and its established connections.

The agent's logs are rolled at 30 MB and the errors at 10 MB; only the ends are read. A log that was
rolled a moment ago says little, so that the newest of the rolled ones is read too. A file that
grows while it is read is read again, because its time of change belongs to its last line.

Whose a connection is the kernel tells: the inode of the socket in ``/proc/PID/fd`` and in the table
of the process's network namespace (proc_pid_fd(5), proc_pid_net(5)). Windows lists connections with
the process that holds them; what is not acknowledged it does not tell, and gives up by itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.host.process_files import look_at_start
from nodecheck.model.agent_log import read_lines, set_straight, zone_of
from nodecheck.model.agent_place import place_of
from nodecheck.model.channel import INDIRECT, WORKER, ChannelFacts, Connection, LogFile
from nodecheck.model.channel_story import Log, tell
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.install import CORE
from nodecheck.model.sockets import normal, read_established
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.host.door import Files, Host
    from nodecheck.model.channel import AgentCredentials, Story, Way
    from nodecheck.model.install import AgentProcess, RunningFacts
    from nodecheck.model.sockets import TcpSocket

LOG_BYTES: Final = 256 * 1024
HIBERNATE_BYTES: Final = 64 * 1024
SHORT_BYTES: Final = 64 * 1024
"""A main log smaller than this is read together with the one before it."""

FOLDER_LIMIT: Final = 1000
DESCRIPTORS: Final = 4096
TABLE_BYTES: Final = 8 * 1024 * 1024
TEXT_BYTES: Final = 4096
ATTEMPTS: Final = 3
PAUSE_S: Final = 1.0
TICKS_PER_S: Final = 100.0
"""USER_HZ, the unit of /proc/PID/stat on every architecture that the agent is built for."""


def look(
    host: Host,
    running: RunningFacts,
    ways: tuple[Way, ...],
    credentials: AgentCredentials,
) -> ChannelFacts:
    """Return what the logs and the connections show."""
    processes = tuple(item for item in running.processes if _is_agent(item, running))
    looked_s = host.clock.wall_ns() / 1e9
    ages = {item.pid: _age_s(host, item.pid) for item in processes}
    core_ages = [age for item in processes if item.name == CORE and (age := ages[item.pid])]
    worker_ages = [age for item in processes if item.name == WORKER and (age := ages[item.pid])]
    place = place_of(host.platform.system)
    rolled = _Reading(Log())
    main = _read(host.files, place.log, LOG_BYTES)
    if not main.problem and main.size < SHORT_BYTES:
        rolled = _read_rolled(host.files, place.logs, place.log)
    errors = _read(host.files, place.error_log, LOG_BYTES)
    hibernate = _read(host.files, place.hibernate_log, HIBERNATE_BYTES)
    story = tell(
        _join(rolled.log, main.log),
        errors.log,
        hibernate.log,
        looked_s - min(worker_ages) if worker_ages else None,
    )
    connections, unseen = _await_connections(host, processes, ways, story)
    others = [item for item in running.processes if _is_named(item) and item not in processes]
    if others and not unseen:
        unseen = f"process {others[0].pid} ({others[0].name}) is not known to be the agent's"
    return ChannelFacts(
        looked_s=looked_s,
        logs=tuple(item.facts() for item in (main, rolled, errors, hibernate) if item.log.path),
        story=story,
        ways=ways,
        connections=connections,
        unseen=unseen,
        core_age_s=min(core_ages, default=None),
        stepped_s=None
        if host.platform.system == "windows"  # its ages and its logs are by the same clock
        else _step_s(looked_s, min(core_ages, default=None), story),
        credentials=credentials,
    )


def _is_named(process: AgentProcess) -> bool:
    return process.name in {CORE, WORKER}


def _is_agent(process: AgentProcess, running: RunningFacts) -> bool:
    """Tell whether a process is the agent's core or worker: root's, of the unit or as installed."""
    is_own = bool(process.unit) or process.is_at(running.on_disk)
    return _is_named(process) and process.uid == 0 and is_own


def _step_s(looked_s: float, core_age_s: float | None, story: Story) -> float | None:
    """Return how far the wall clock was set since the core wrote that it starts."""
    if not core_age_s or story.start is None or story.start.at_s is None:
        return None
    return looked_s - core_age_s - story.start.at_s


def _age_s(host: Host, pid: int) -> float | None:
    """Return how long a process runs, by the kernel's clock, which nobody sets.

    Windows stamps its start by the wall clock: what that gives must fit into the time since boot.
    """
    if host.platform.system == "windows":
        return _windows_age_s(host, pid)
    try:
        uptime = host.files.read("/proc/uptime", TEXT_BYTES).split()[0]
        return float(uptime) - look_at_start(host.files, pid) / TICKS_PER_S
    except (ProbeError, ValueError, IndexError):
        return None


def _windows_age_s(host: Host, pid: int) -> float | None:
    try:
        age_s = (host.clock.wall_ns() - host.usage.of(pid).began_ns) / 1e9
    except ProbeError:
        return None
    return age_s if 0 <= age_s <= host.clock.monotonic_ns() / 1e9 else None


@dataclass(frozen=True, slots=True)
class _Reading:
    """The end of a log, or why there is none."""

    log: Log
    size: int = 0
    problem: str = ""
    is_absent: bool = False

    def facts(self) -> LogFile:
        log = self.log
        return LogFile(
            log.path, len(log.lines), log.changed_s, log.zone_s, self.problem, self.is_absent
        )


def _read(files: Files, path: str, limit_bytes: int) -> _Reading:
    try:
        for _ in range(ATTEMPTS):
            before = files.state(path)
            data = files.tail(path, limit_bytes)
            after = files.state(path)
            if (before.size, before.mtime_ns) == (after.size, after.mtime_ns):
                break
    except ProbeError as exc:
        return _Reading(Log(path), problem=str(exc), is_absent=isinstance(exc, Absent))
    lines, changed_s = set_straight(read_lines(data)), after.mtime_ns / 1e9
    return _Reading(Log(path, lines, zone_of(lines, changed_s), changed_s), after.size)


def _read_rolled(files: Files, folder: str, path: str) -> _Reading:
    """Read the log that was rolled last: numbers rise, but which is the newest its time says."""
    pattern = re.compile(re.escape(path.rpartition("/")[2]) + r"\.\d{1,6}")
    found: list[tuple[int, str]] = []
    try:
        names = [name for name in files.listing(folder, FOLDER_LIMIT) if pattern.fullmatch(name)]
        found += [(files.state(f"{folder}/{name}").mtime_ns, f"{folder}/{name}") for name in names]
    except ProbeError:
        return _Reading(Log())  # the log itself was read: this one is only more of it
    return _read(files, max(found)[1], LOG_BYTES) if found else _Reading(Log())


def _join(older: Log, newer: Log) -> Log:
    """Return two logs as one; the zone is that of the newer where it tells one."""
    if not older.lines:
        return newer
    tells = newer if newer.zone_s is not None else older
    lines = set_straight((*older.lines, *newer.lines))
    return Log(newer.path, lines, tells.zone_s, max(older.changed_s, newer.changed_s))


def _await_connections(
    host: Host,
    processes: tuple[AgentProcess, ...],
    ways: tuple[Way, ...],
    story: Story,
) -> tuple[tuple[Connection, ...], str]:
    """Look again where there is no connection: between two polls there may be none."""
    found, unseen = _connections(host, processes, ways, story)
    is_told = bool(unseen or not processes or story.hibernation or story.refusal)
    for _ in range(ATTEMPTS - 1):
        if is_told or unseen or any(not item.is_stalled for item in found):
            break
        host.clock.pause(PAUSE_S)
        found, unseen = _connections(host, processes, ways, story)
    return found, unseen


def _connections(
    host: Host,
    processes: tuple[AgentProcess, ...],
    ways: tuple[Way, ...],
    story: Story,
) -> tuple[tuple[Connection, ...], str]:
    """Return the agent's established connections, and why they could not be seen."""
    services = dict.fromkeys(story.peers, "websocket")
    services |= {
        (normal(ip), item.port): item.service
        for item in sorted(ways, key=lambda item: item.service in INDIRECT)
        for ip in item.addresses
    }
    found: list[Connection] = []
    try:
        for process in processes:
            found += _of_process(host, process, services)
    except ProbeError as exc:
        return tuple(found), str(exc)
    return tuple(found), ""


def _of_process(
    host: Host, process: AgentProcess, services: dict[tuple[str, int], str]
) -> list[Connection]:
    try:
        sockets = _sockets(host, process.pid)
    except Absent as exc:
        msg = f"process {process.pid} ({process.name}) has ended meanwhile"
        raise ProbeError(msg) from exc
    return [
        Connection(
            process.pid,
            process.name,
            socket.ip,
            socket.port,
            services.get((socket.ip, socket.port), ""),
            is_stalled=socket.retransmits > 0,
        )
        for socket in sockets
    ]


def _sockets(host: Host, pid: int) -> tuple[TcpSocket, ...]:
    """Return the established connections of a process."""
    if host.platform.system == "windows":
        return host.usage.established(pid)
    inodes = _inodes(host.files, pid)
    tables = [_table(host.files, pid, name) for name in ("tcp", "tcp6")]
    found = (socket for table in tables for socket in read_established(table))
    return tuple(socket for socket in found if socket.inode in inodes)


def _inodes(files: Files, pid: int) -> set[int]:
    """Return the inodes of a process's sockets; descriptors that are closed meanwhile are none."""
    found: set[int] = set()
    for name in files.listing(f"/proc/{pid}/fd", DESCRIPTORS):
        try:
            target = files.state(f"/proc/{pid}/fd/{name}").target
        except Absent:
            continue
        number = target.removeprefix("socket:[").removesuffix("]")
        if target.startswith("socket:[") and number.isdecimal():
            found.add(int(number))
    return found


def _table(files: Files, pid: int, name: str) -> str:
    """Return a table of connections; without IPv6 there is none for it."""
    path = f"/proc/{pid}/net/{name}"
    try:
        return files.read(path, TABLE_BYTES).decode("ascii", "replace")
    except Absent:
        if name == "tcp":
            raise
        return ""
