"""Judge the agent's processes: the worker, those of an earlier start, and what they use.

The core starts one ssm-agent-worker when it has credentials, and looks every 60 s whether one is
there (core/workerprovider of the agent; ``LongRunningWorkerMonitorIntervalSeconds``). It knows the
worker by its name alone: at its start it kills those it finds, later it takes any for its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks.clock_words import human
from nodecheck.checks.proof import Problem, problem
from nodecheck.checks.service_fix import kill_fix, restart_fix, resume_fix
from nodecheck.model.install import CORE
from nodecheck.model.service import WORKER, Manager
from nodecheck.model.verdict import Finding, Fix, Status
from nodecheck.model.version import AgentVersion

if TYPE_CHECKING:
    from nodecheck.model.service import ProcessUse, ServiceFacts, ServiceProcesses

GRACE_S: Final = 90.0
"""One interval of the core's look for its worker, and half of one for slow starts."""

FIRST_WITH_WORKER: Final = AgentVersion(3, 0, 0, 0)
"""Until 2.3 the agent was one process (RELEASENOTES of the agent)."""

SECOND_LEAST_AGE_S: Final = 10.0
"""``amazon-ssm-agent -version`` and ``-register`` end within seconds."""

MEMORY_LIMIT_BYTES: Final = 512 * 1024 * 1024
"""Idle the core has 26 MB and the worker 33 MB; leaks grew to 6 GB (amazon-ssm-agent#204)."""
CPU_LIMIT: Final = 0.5
"""Of one processor, over the life of a process; one that spun took 179 % (amazon-ssm-agent#353)."""
CPU_LEAST_AGE_S: Final = 600.0
FILES_LIMIT: Final = 1024
"""The soft limit that systemd gives (systemd-system.conf(5)); the agent's runtime raises it."""
FILES_SHARE: Final = 0.8

MIB: Final = 1024 * 1024


def current_cores(facts: ServiceFacts, unit: str) -> tuple[ProcessUse, ...]:
    """Return the cores that count as this service: the unit's, else those outside of any unit."""
    cores = tuple(item for item in facts.seen.processes if item.name == CORE)
    main = {facts.seen.main_pid, _main_pid(facts, unit)} - {0}
    own = tuple(item for item in cores if item.unit == unit)
    started = tuple(item for item in own if item.pid in main)
    return started or own or tuple(item for item in cores if not item.unit)


def left_over(seen: ServiceProcesses) -> frozenset[int]:
    """Return the workers that no core of now has started."""
    cores = {item.pid for item in seen.processes if item.name == CORE} | {seen.main_pid, 0}
    workers = (item for item in seen.processes if item.name == WORKER)
    return frozenset(item.pid for item in workers if item.parent_pid not in cores)


def judge_processes(facts: ServiceFacts, unit: str, version: str) -> tuple[Problem, ...]:
    """Return what is wrong with the processes of the agent."""
    if facts.seen.failure:
        text = f"the agent's processes cannot be seen: {facts.seen.failure.message}"
        if facts.seen.failure.reason == "no-permission":
            who = "an administrator" if facts.manager is Manager.WINDOWS else "root"
            text += f"; run as {who} to see them"
        return (problem(Status.UNKNOWN, facts.seen.failure.reason, text),)
    cores = current_cores(facts, unit)
    return (
        *_judge_core(facts, unit, cores),
        *_judge_others(facts, cores),
        *_judge_workers(facts, unit, cores, version),
        *(_suspended(item, facts, unit) for item in facts.seen.processes if item.suspended),
        *(found for item in facts.seen.processes for found in _judge_use(item, facts, unit)),
    )


def _judge_core(
    facts: ServiceFacts, unit: str, cores: tuple[ProcessUse, ...]
) -> tuple[Problem, ...]:
    """Return that a unit is up, but no core was seen in it: nothing else is judged then."""
    state = facts.unit(unit)
    if state is None or not state.runs or cores:
        return ()
    main = next((item for item in facts.seen.processes if item.pid == state.main_pid), None)
    if main:
        text = f"{unit} runs {main.name} (process {main.pid}), not {CORE}"
        return (Problem(Status.CRIT, Finding("not-running", text), Fix(f"systemctl cat {unit}")),)
    text = f"systemd runs {unit} as process {state.main_pid}, which is not among those seen"
    return (problem(Status.UNKNOWN, "not-observed", text),)


def _judge_others(facts: ServiceFacts, cores: tuple[ProcessUse, ...]) -> list[Problem]:
    """Return cores outside of any unit beside the current ones, with which they share all files."""
    current = {item.pid for item in cores}
    others = (
        item for item in facts.seen.processes if item.name == CORE and item.pid not in current
    )
    return [
        Problem(
            Status.WARN,
            Finding("second-core", f"{CORE} also runs as process {item.pid}, beside the service"),
            kill_fix(item.pid, facts.manager),
        )
        for item in others
        if not item.unit and (item.age_s is None or item.age_s >= SECOND_LEAST_AGE_S)
    ]


def _judge_workers(
    facts: ServiceFacts, unit: str, cores: tuple[ProcessUse, ...], version: str
) -> list[Problem]:
    workers = [item for item in facts.seen.processes if item.name == WORKER]
    parents = {item.pid for item in facts.seen.processes if item.name == CORE}
    parents |= {facts.seen.main_pid, _main_pid(facts, unit)} - {0}
    own = [item for item in workers if item.parent_pid in parents]
    left = [item for item in workers if item.parent_pid not in parents]
    found = [_judge_parent(item, cores, facts) for item in left]
    current = [item for item in own if item.parent_pid in {core.pid for core in cores}]
    if len(current) > 1:
        pids = ", ".join(str(item.pid) for item in current)
        text = f"{len(current)} processes of {WORKER} run ({pids}), allowed is 1"
        found.append(Problem(Status.WARN, Finding("several-workers", text), _restart(facts, unit)))
    if cores and not workers and _expects_worker(version):
        found.append(_judge_missing(facts, unit, cores))
    return found


def _judge_parent(
    worker: ProcessUse, cores: tuple[ProcessUse, ...], facts: ServiceFacts
) -> Problem:
    what = f"{WORKER} (process {worker.pid})"
    if not worker.parent_pid:
        return problem(Status.UNKNOWN, "not-observed", f"the parent of {what} cannot be seen")
    pids = ", ".join(str(item.pid) for item in cores)
    core = f"{CORE} is process {pids}" if cores else f"no {CORE} runs"
    text = f"{what} is left over from an earlier start: its parent is process {worker.parent_pid}"
    text += f", {core}"
    fix = kill_fix(worker.pid, facts.manager)
    return Problem(Status.WARN, Finding("left-over-worker", text), fix)


def _judge_missing(facts: ServiceFacts, unit: str, cores: tuple[ProcessUse, ...]) -> Problem:
    """Return that there is no worker: nothing receives commands."""
    ages = [item.age_s for item in cores if item.age_s is not None]
    if facts.seen.ended:
        text = f"a process of the agent ended meanwhile, so whether {WORKER} runs is not known"
        return problem(Status.UNKNOWN, "not-observed", text)
    if not ages:
        text = f"{WORKER} does not run, and for how long {CORE} does is not known"
        return problem(Status.UNKNOWN, "not-observed", text)
    age_s = min(ages)
    text = f"{WORKER} does not run {human(age_s)} after the start of {CORE}"
    text += f", allowed are {GRACE_S:.0f} s"
    if age_s < GRACE_S:
        return problem(Status.WARN, "worker-starting", text)
    text += ": no command can be received"
    return Problem(Status.CRIT, Finding("worker-missing", text), _restart(facts, unit))


def _suspended(item: ProcessUse, facts: ServiceFacts, unit: str) -> Problem:
    """Return that a process is there, but does nothing."""
    status = Status.CRIT if item.name in {CORE, WORKER} else Status.WARN
    how = "" if facts.manager is Manager.WINDOWS else " by a signal"
    text = f"{item.name} (process {item.pid}) is suspended{how} and does nothing"
    fix = resume_fix(item.pid, unit, facts.manager)
    return Problem(status, Finding("suspended", text), fix)


def _expects_worker(version: str) -> bool:
    try:
        return AgentVersion.parse(version) >= FIRST_WITH_WORKER
    except ValueError:
        return True


def _judge_use(item: ProcessUse, facts: ServiceFacts, unit: str) -> list[Problem]:
    what = f"{item.name} (process {item.pid})"
    found: list[tuple[str, str]] = []
    if item.rss_bytes is not None and item.rss_bytes > MEMORY_LIMIT_BYTES:
        text = (
            f"holds {item.rss_bytes // MIB} MiB of memory, allowed are {MEMORY_LIMIT_BYTES // MIB}"
        )
        found.append(("memory-high", f"{text} MiB"))
    share = cpu_share(item)
    if share is not None and share > CPU_LIMIT and (item.age_s or 0) >= CPU_LEAST_AGE_S:
        text = f"took {share:.0%} of a processor since its start {human(item.age_s or 0)} ago"
        found.append(("cpu-high", f"{text}, allowed are {CPU_LIMIT:.0%}"))
    allowed = min(FILES_LIMIT, int((item.files_limit or FILES_LIMIT) * FILES_SHARE))
    if item.open_files is not None and item.open_files > allowed:
        found.append(("files-high", f"has {item.open_files} files open, allowed are {allowed}"))
    fix = _restart(facts, unit)
    return [Problem(Status.WARN, Finding(code, f"{what} {text}"), fix) for code, text in found]


def cpu_share(item: ProcessUse) -> float | None:
    """Return the share of one processor that a process took since its start."""
    if item.cpu_s is None or not item.age_s:
        return None
    return item.cpu_s / item.age_s


def _main_pid(facts: ServiceFacts, unit: str) -> int:
    state = facts.unit(unit)
    return state.main_pid if state else 0


def _restart(facts: ServiceFacts, unit: str) -> Fix | None:
    return restart_fix(unit, facts.manager)
