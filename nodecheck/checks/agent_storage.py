"""Judge whether the agent has room for its data and logs, and whether entries pile up there.

Free is what root may take (``f_bfree`` of statvfs(3)), because the agent is root. A file system
that has no number of inodes of its own (btrfs) is judged by its bytes alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks import windows_fix
from nodecheck.model.agent_place import is_windows
from nodecheck.model.moment import instant
from nodecheck.model.storage import Role
from nodecheck.model.verdict import Evidence, Finding, Fix, SkipReason, Status, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.agent import InstallFacts
    from nodecheck.model.storage import FileSystem, Room, StorageFacts

ID: Final = "agent.storage"
QUESTION: Final = "has the agent room for its data and logs, or do entries pile up?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  The file systems that hold the agent's data (/var/lib/amazon/ssm) and its logs
  (/var/log/amazon/ssm): bytes and inodes that root may still take, and whether they are read-only.
  On Windows: %ProgramData%\\Amazon\\SSM and Logs in it; a volume there has no inodes to run out of.
  Where a folder is not there yet, the next one above it. Then what the agent keeps of commands,
  sessions and runs of associations (a folder each below document/orchestration), counted up to
  20,000 or for one second, and the size of its logs. Quotas and thin pools are not seen.

LIMITS
  ok       room for the next update, and no more entries than the agent's retention explains
  warn     nearly-full: fewer than 324 MB (data) or 105 MB (logs) free; few-inodes: fewer than
           1,000; entries-piling-up: more than 10,000; logs-large: more than 400 MB
  unknown  not-observed: a folder or its file system could not be read; not-counted: counting
           ended before it reached the limit
  crit     full: less than 1 MiB free; no-inodes: fewer than 10; read-only: the agent cannot write
  Where the numbers come from: an update keeps two archives of 36 MB and unpacks both versions,
  126 MB each (measured with 3.3.1142.0), and the updater itself asks for 105 MB
  (MinimumDiskSpaceForUpdate). One run with a document of at most 64 KB, its script and four outputs
  does not fit into 1 MiB for sure, and takes about 10 inodes. The agent keeps runs of associations
  for 24 hours, at most 48 each at the shortest rate of 30 minutes, and commands and sessions for 14
  days. Its logs roll at 30 MB and 10 MB with five files kept of each: 200 MB.

HOW TO MEND
  full     df -h and df -i, then take away what fills the file system; old entries may go:
           find ... -mtime +14, as printed, deletes only what the agent itself would no longer keep
  entries  the same; if they come back, look at what sends so many commands
  logs     the agent rolls its own logs: a large one is an own seelog.xml, or debug logging
  read-only  findmnt and dmesg tell why; a kernel that met errors wants fsck before a remount

SOURCES
  statvfs(3)
  https://github.com/aws/amazon-ssm-agent, agent/appconfig/constants.go (retention),
  agent/updateutil/updateconstants (MinimumDiskSpaceForUpdate), issues 471, 225 and 94
  https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-agent-logs.html
"""

FULL_BYTES: Final = 1 << 20
FEW_BYTES: Final = {Role.DATA: 324_000_000, Role.LOGS: 104_857_600}
NO_INODES: Final = 10
FEW_INODES: Final = 1_000
ENTRIES_LIMIT: Final = 10_000
LOGS_BYTES: Final = 400_000_000

_CLEAN: Final = Fix(
    "find /var/lib/amazon/ssm/*/document/orchestration -mindepth 1 -maxdepth 2 -type d"
    " -mtime +14 -prune -exec rm -rf {} +"
)

Problem = tuple[Status, Finding, tuple[Fix, ...]]


def judge(install: InstallFacts, storage: StorageFacts, now: datetime | None) -> Verdict:
    """Return the verdict; ``now`` is corrected time, None where it is not known."""
    if not install.installations:
        return _nothing_installed(install)
    problems = [
        *(problem for group in _by_device(storage.rooms) for problem in _judge_room(group)),
        *_judge_entries(storage),
        *_judge_logs(storage),
        *(_unknown("not-observed", text) for text in storage.unobserved),
    ]
    problems.sort(key=lambda problem: -problem[0].severity)
    evidence = _evidence(storage, now)
    free = " and ".join(f"{_size(few)} for {role.value}" for role, few in FEW_BYTES.items())
    limit = f"{free} free, {ENTRIES_LIMIT:,} entries"
    if not problems:
        return Verdict.ok(ID, _message(storage), evidence, limit)
    fixes = tuple(dict.fromkeys(fix for problem in problems for fix in problem[2]))
    findings = tuple(finding for _, finding, _ in problems)
    return Verdict.of(ID, problems[0][0], findings, evidence=evidence, limit=limit, fixes=fixes)


def _nothing_installed(install: InstallFacts) -> Verdict:
    if not install.unobserved:
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, "no SSM Agent is installed")
    text = f"cannot tell which agent is installed: {'; '.join(install.unobserved)}"
    return Verdict.of(ID, Status.UNKNOWN, (Finding("not-observed", text),))


def _by_device(rooms: tuple[Room, ...]) -> list[tuple[Room, ...]]:
    """Return the rooms, those of one file system together: what is full is said once."""
    seen = dict.fromkeys(room.device for room in rooms if room.system)
    shared = [tuple(r for r in rooms if r.system and r.device == device) for device in seen]
    return [*shared, *((room,) for room in rooms if not room.system)]


def _judge_room(rooms: tuple[Room, ...]) -> list[Problem]:
    system = rooms[0].system
    if system is None:
        return [_unknown("not-observed", f"room for {rooms[0].role.value}: {rooms[0].unobserved}")]
    where = " and ".join(f"{room.role.value} ({room.at})" for room in rooms)
    at = rooms[0].at
    if system.read_only:
        text = f"the file system of {where} is read-only: the agent cannot write"
        if is_windows(at):
            return [(Status.CRIT, Finding("read-only", text, at), windows_fix.writable(at))]
        look = Fix("dmesg | grep -iE 'remount|I/O error|EXT4-fs error|XFS'")
        mount = Fix(f'mount -o remount,rw "$(findmnt -no TARGET -T {at})"', disruptive=True)
        return [(Status.CRIT, Finding("read-only", text, at), (look, mount))]
    return [*_judge_bytes(system, rooms, where), *_judge_inodes(system, where, at)]


def _judge_bytes(system: FileSystem, rooms: tuple[Room, ...], where: str) -> list[Problem]:
    few = max(FEW_BYTES[room.role] for room in rooms)
    if system.free_bytes >= few:
        return []
    is_full = system.free_bytes < FULL_BYTES
    limit = _size(FULL_BYTES if is_full else few)
    text = f"{_size(system.free_bytes)} of {_size(system.total_bytes)} free for {where}"
    text += f", least {limit}" + (": the agent cannot write" if is_full else "")
    at = rooms[0].at
    finding = Finding("full" if is_full else "nearly-full", text, at)
    what = Fix(f'du -xh "$(findmnt -no TARGET -T {at})" 2>/dev/null | sort -rh | head -n 20')
    fixes = (windows_fix.largest(at), windows_fix.CLEAN) if is_windows(at) else (what, _CLEAN)
    return [(Status.CRIT if is_full else Status.WARN, finding, fixes)]


def _judge_inodes(system: FileSystem, where: str, at: str) -> list[Problem]:
    if not system.total_inodes or system.free_inodes >= FEW_INODES:
        return []
    is_none = system.free_inodes < NO_INODES
    limit = NO_INODES if is_none else FEW_INODES
    text = f"{system.free_inodes:,} of {system.total_inodes:,} inodes free for {where}"
    text += f", least {limit:,}" + (": the agent cannot write" if is_none else "")
    finding = Finding("no-inodes" if is_none else "few-inodes", text, at)
    what = Fix(
        f'du -x --inodes "$(findmnt -no TARGET -T {at})" 2>/dev/null | sort -rn | head -n 20'
    )
    return [(Status.CRIT if is_none else Status.WARN, finding, (what, _CLEAN))]


def _judge_entries(storage: StorageFacts) -> list[Problem]:
    entries = storage.entries
    if entries is None:
        return []
    if entries.count > ENTRIES_LIMIT:
        text = f"{entries.words} commands, sessions and runs are kept, limit {ENTRIES_LIMIT:,}"
        is_here = is_windows(storage.rooms[0].folder)
        clean = windows_fix.CLEAN if is_here else _CLEAN
        return [(Status.WARN, Finding("entries-piling-up", text), (clean,))]
    if entries.complete:
        return []
    text = f"{entries.words} entries were counted in the time for it, limit {ENTRIES_LIMIT:,}"
    return [_unknown("not-counted", text)]


def _judge_logs(storage: StorageFacts) -> list[Problem]:
    if storage.log_bytes is None or storage.log_bytes <= LOGS_BYTES:
        return []
    text = f"the agent's logs take {_size(storage.log_bytes)}, limit {_size(LOGS_BYTES)}"
    text += f"; the largest is {storage.largest_log}"
    if is_windows(storage.largest_log):
        logs = Finding("logs-large", text, storage.largest_log)
        return [(Status.WARN, logs, (windows_fix.LOGS,))]
    what = Fix("ls -laS /var/log/amazon/ssm; grep -n minlevel /etc/amazon/ssm/seelog.xml")
    return [(Status.WARN, Finding("logs-large", text, storage.largest_log), (what,))]


def _unknown(reason: str, text: str) -> Problem:
    return Status.UNKNOWN, Finding(reason, text), ()


def _message(storage: StorageFacts) -> str:
    rooms = [
        f"{_size(room.system.free_bytes)} free for {room.role.value}"
        for room in storage.rooms
        if room.system
    ]
    kept = f"{storage.entries.words} entries kept" if storage.entries else ""
    return ", ".join(part for part in (*rooms, kept) if part)


def _evidence(storage: StorageFacts, now: datetime | None) -> tuple[Evidence, ...]:
    found: list[Evidence] = []
    for room in storage.rooms:
        system, name = room.system, room.role.value
        if system is None:
            continue
        inodes = system.free_inodes if system.total_inodes else None
        found += [
            Evidence(f"{name}_free_bytes", system.free_bytes, room.at),
            Evidence(f"{name}_total_bytes", system.total_bytes, room.at),
            Evidence(f"{name}_free_inodes", inodes, room.at),
            Evidence(f"{name}_read_only", system.read_only, room.at),
        ]
    if storage.entries:
        oldest_ns = storage.entries.oldest_ns
        oldest = instant(oldest_ns) if oldest_ns is not None else None
        age = (now - oldest).total_seconds() / 86400 if now and oldest else None
        found += [
            Evidence("entries", storage.entries.count),
            Evidence("entries_complete", storage.entries.complete),
            Evidence("oldest_entry_at", oldest.isoformat() if oldest else None, "node's clock"),
            Evidence("oldest_entry_days", round(age, 1) if age and age > 0 else None),
        ]
    found.append(Evidence("log_bytes", storage.log_bytes, storage.largest_log))
    return tuple(item for item in found if item.value is not None)


def _size(count: int) -> str:
    """Return a number of bytes in the unit that suits it.

    >>> _size(0), _size(1 << 20), _size(324_000_000), _size(5_000_000_000)
    ('0 bytes', '1.0 MB', '324.0 MB', '5.0 GB')
    """
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"
