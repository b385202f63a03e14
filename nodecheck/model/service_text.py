"""Read what systemctl, initctl and the kernel say of a service: pure text to values.

Only whole, recognised answers count: everything else is a ``ProbeError``.

Sources: systemctl(1) (``show``: one ``Key=value`` a line, units apart by an empty line, the keys
that a version does not know left out), org.freedesktop.systemd1(5), initctl(8) (``status``),
proc_pid_stat(5), proc_pid_status(5), getrlimit(2).
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from nodecheck.model.errors import ProbeError
from nodecheck.model.service import UnitState
from nodecheck.records import dataclass

PROPERTIES: Final = (
    "Names",
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "SubState",
    "Result",
    "ExecMainCode",
    "ExecMainStatus",
    "MainPID",
    "NRestarts",
    "StartLimitBurst",
    "ActiveEnterTimestampMonotonic",
    "User",
    "WantedBy",
    "RequiredBy",
)
TICKS_PER_S: Final = 100
"""USER_HZ, in which /proc counts, is 100 on every architecture of the agent (time(7))."""

_NEEDED: Final = ("LoadState", "ActiveState", "SubState", "MainPID")
_WORD: Final = re.compile(r"[a-z][a-z-]{0,40}")
_USER: Final = re.compile(r"[^\x00-\x1f\x7f]{0,64}")
_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_JOB: Final = re.compile(
    r"amazon-ssm-agent ((?:start|stop)/[a-z-]{1,20})(?:, process [0-9]{1,10})?"
)
_MANUAL: Final = re.compile(r"^[ \t]*manual[ \t]*(?:#.*)?$", re.MULTILINE)
_START_ON: Final = re.compile(r"^[ \t]*start[ \t]+on[ \t]", re.MULTILINE)
_RSS: Final = re.compile(r"^VmRSS:[ \t]+([0-9]{1,15}) kB$", re.MULTILINE)
_FILES: Final = re.compile(r"^Max open files +([0-9]{1,15}) ", re.MULTILINE)
_WANTED_LIMIT: Final = 20


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """What ``/proc/PID/stat`` says; the state is a letter, times are in clock ticks since boot."""

    state: str
    parent_pid: int
    start_ticks: int
    cpu_ticks: int


def parse_show(output: bytes, units: tuple[str, ...]) -> tuple[UnitState, ...]:
    r"""Return the state of each of these units, in their order.

    >>> text = b"Names=a.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n"
    >>> parse_show(text + b"MainPID=0\n", ("a.service",))[0].load
    'not-found'

    Raises:
        ProbeError: the output is not that of ``systemctl show`` for these units.
    """
    try:
        text = output.decode("utf-8")
    except UnicodeDecodeError:
        _refuse("its output is not UTF-8")
    blocks = [_settings(block) for block in text.strip("\n").split("\n\n")]
    if len(blocks) != len(units):
        _refuse(f"it told of {len(blocks)} units, asked were {len(units)}")
    return tuple(_unit(block, unit) for block, unit in zip(blocks, units, strict=True))


def _settings(block: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in block.split("\n"):
        key, equals, value = line.partition("=")
        if not equals or key in found:
            _refuse(f"a line is no property: {line[:40]!r}")
        found[key] = value
    return found


def _unit(block: dict[str, str], unit: str) -> UnitState:
    missing = [key for key in _NEEDED if not block.get(key)]
    if missing or unit not in block.get("Names", "").split():
        _refuse(f"it does not tell {' '.join(missing) or 'the name'} of {unit}")
    wanted = f"{block.get('WantedBy', '')} {block.get('RequiredBy', '')}".split()
    return UnitState(
        unit=unit,
        load=_word(block, "LoadState"),
        enablement=_word(block, "UnitFileState"),
        active=_word(block, "ActiveState"),
        sub=_word(block, "SubState"),
        result=_word(block, "Result"),
        exit_kind=_number(block, "ExecMainCode") or 0,
        exit_status=_number(block, "ExecMainStatus") or 0,
        main_pid=_number(block, "MainPID") or 0,
        restarts=_number(block, "NRestarts"),
        burst=_number(block, "StartLimitBurst"),
        active_since_us=_number(block, "ActiveEnterTimestampMonotonic") or 0,
        user=_match(block, "User", _USER),
        wanted_by=tuple(wanted[:_WANTED_LIMIT]),
    )


def _word(block: dict[str, str], key: str) -> str:
    return _match(block, key, _WORD) if block.get(key) else ""


def _number(block: dict[str, str], key: str) -> int | None:
    return int(_match(block, key, _NUMBER)) if key in block else None


def _match(block: dict[str, str], key: str, form: re.Pattern[str]) -> str:
    value = block.get(key, "")
    if not form.fullmatch(value):
        _refuse(f"{key}={value[:40]!r}")
    return value


def _refuse(what: str) -> NoReturn:
    msg = f"systemctl show is not understood: {what}"
    raise ProbeError(msg, "not-understood")


def parse_job(output: bytes) -> str:
    r"""Return goal and state of the agent's upstart job.

    >>> parse_job(b"amazon-ssm-agent start/running, process 4711\n")
    'start/running'

    Raises:
        ProbeError: the output is not that of ``initctl status``.
    """
    match = _JOB.fullmatch(output.decode("utf-8", "replace").strip())
    if match is None:
        msg = "initctl status is not understood"
        raise ProbeError(msg, "not-understood")
    return match[1]


def starts_at_boot(job: str, override: str) -> bool:
    r"""Tell whether an upstart job is started at boot (init(5): ``start on``, ``manual``).

    >>> starts_at_boot("start on runlevel [2345]\n", "manual\n")
    False
    """
    if _MANUAL.search(override):
        return bool(_START_ON.search(override[_last_manual(override) :]))
    return bool(_START_ON.search(job[_last_manual(job) :] + "\n" + override))


def _last_manual(text: str) -> int:
    """Return where the last ``manual`` ends, which takes back every ``start on`` before it."""
    return max((match.end() for match in _MANUAL.finditer(text)), default=0)


def parse_stat(stat: str) -> ProcessStat:
    """Return state, parent, start and processor time from a ``/proc/PID/stat``.

    >>> parse_stat("7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 30 12 0 0 20 0 1 0 4711 0 0")
    ProcessStat(state='S', parent_pid=1, start_ticks=4711, cpu_ticks=42)

    Raises:
        ProbeError: the text is not that of such a file.
    """
    fields = stat.rpartition(")")[2].split()
    parent, user, system, start = 1, 11, 12, 19  # fields 4, 14, 15 and 22; the state is field 3
    wanted = [fields[at] for at in (parent, user, system, start) if at < len(fields)]
    if len(wanted) < len((parent, user, system, start)) or not all(map(str.isdecimal, wanted)):
        msg = "/proc/PID/stat is not understood"
        raise ProbeError(msg, "not-understood")
    parent_pid, user_ticks, system_ticks, start_ticks = map(int, wanted)
    return ProcessStat(fields[0], parent_pid, start_ticks, user_ticks + system_ticks)


def resident_bytes(status: str) -> int | None:
    r"""Return the memory of a process from its ``/proc/PID/status``, None where it has none.

    >>> resident_bytes("Name:\tx\nVmRSS:\t   24576 kB\n") == 24 * 1024 * 1024
    True
    """
    match = _RSS.search(status)
    return int(match[1]) * 1024 if match else None


def files_limit(limits: str) -> int | None:
    """Return how many files a process may open, None where there is no limit.

    >>> files_limit("Max open files            1024                 524288               files")
    1024
    """
    match = _FILES.search(limits)
    return int(match[1]) if match else None
