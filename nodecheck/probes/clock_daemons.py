"""Find the processes that steer the clock.

A name proves nothing: what steers has CAP_SYS_TIME (capabilities(7), proc(5)), and was not told to
leave the clock alone.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.clock import Discipline
from nodecheck.model.discipline import Running, RunningDaemon
from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from nodecheck.host.door import Files, Host
    from nodecheck.model.node import ProcessState

PROGRAMS: Final = {
    "chronyd": Discipline.CHRONY,
    "systemd-timesyncd": Discipline.TIMESYNCD,
    "ntpd": Discipline.NTPD,
}
KERNEL_NAME_LENGTH: Final = 15
"""The kernel cuts names of processes to this length (TASK_COMM_LEN, proc(5))."""

CAP_SYS_TIME: Final = 25
"""include/uapi/linux/capability.h"""

EFFECTIVE: Final = re.compile(r"^CapEff:\s*([0-9a-f]{1,16})$", re.MULTILINE)
STATUS_LIMIT_BYTES: Final = 64 * 1024

CHRONYD_IDLE: Final = frozenset("xQp")
"""chronyd(8): -x leaves the clock alone, -Q only prints the offset, -p the configuration."""

CHRONYD_VALUED: Final = frozenset("fFlLPtuw")


def look(host: Host) -> Running:
    """Return the time daemons that run.

    Raises:
        ProbeError: the processes of this node cannot be listed.
    """
    states = host.processes.all()
    by_pid = {state.pid: _discipline(state) for state in states}
    daemons = tuple(
        RunningDaemon(
            discipline,
            state.pid,
            state.unit,
            _may_set_time(host.files, state.pid) and _wants(state),
            state.arguments,
        )
        for state in states
        if (discipline := by_pid[state.pid]) is not None
        and by_pid.get(state.parent_pid) is not discipline  # a helper of the daemon
    )
    return Running(daemons, seen=1 in by_pid)


def _discipline(state: ProcessState) -> Discipline | None:
    said = posixpath.basename(state.arguments[0]) if state.arguments else ""
    for name in (posixpath.basename(state.image), state.name, said):
        for program, discipline in PROGRAMS.items():
            if name in {program, program[:KERNEL_NAME_LENGTH]}:
                return discipline
    return None


def _may_set_time(files: Files, pid: int) -> bool:
    """Tell whether a process has CAP_SYS_TIME; one that cannot be looked at is given the credit."""
    try:
        text = files.read(f"/proc/{pid}/status", STATUS_LIMIT_BYTES).decode("ascii", "replace")
    except ProbeError:
        return True
    found = EFFECTIVE.search(text)
    return found is None or bool(int(found[1], 16) >> CAP_SYS_TIME & 1)


def _wants(state: ProcessState) -> bool:
    if _discipline(state) is not Discipline.CHRONY:
        return True
    return not CHRONYD_IDLE & flags(state.arguments, CHRONYD_VALUED)


def flags(arguments: tuple[str, ...], valued: frozenset[str]) -> frozenset[str]:
    """Return the letters of the options that a program was started with, as getopt(3) reads them.

    >>> sorted(flags(("chronyd", "-4xf", "/etc/x.conf", "-F1", "user root"), CHRONYD_VALUED))
    ['4', 'F', 'f', 'x']
    """
    found: set[str] = set()
    is_value = False
    for argument in arguments[1:]:
        if is_value or not argument.startswith("-") or argument == "-":
            is_value = False
            continue
        for position, letter in enumerate(argument[1:], 2):
            found.add(letter)
            if letter in valued:
                is_value = position == len(argument)
                break
    return frozenset(found)
