"""Put together what is known of the agent's service: its state, times, processes and their use."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from nodecheck.checks.agent_windows_service import windows_evidence
from nodecheck.checks.clock_words import human
from nodecheck.checks.service_processes import cpu_share
from nodecheck.checks.service_unit import last_exit, since_s
from nodecheck.model.install import CORE
from nodecheck.model.service import WORKER, Manager
from nodecheck.model.verdict import Evidence

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.service import ProcessUse, ServiceFacts, UnitState

MIB: Final = 1024 * 1024
LISTED_LIMIT: Final = 20


def healthy(facts: ServiceFacts, name: str) -> str:
    """Return the line of a service that is as it should be."""
    unit = facts.unit(name)
    workers = ", ".join(str(item.pid) for item in facts.seen.processes if item.name == WORKER)
    worker = f"worker is process {workers}" if workers else "no worker, as in its version"
    if unit is None:
        path = facts.job.path if facts.job else ""
        return f"{path} is started at boot and runs as root; {worker}"
    age_s = since_s(unit, facts)
    for_long = f" for {human(age_s)}" if age_s is not None else ""
    restarts = "" if unit.restarts is None else f", {unit.restarts} restarts"
    return f"{name} is {unit.enablement} and runs as root{for_long}{restarts}; {worker}"


def evidence(facts: ServiceFacts, name: str, now: datetime | None) -> tuple[Evidence, ...]:
    """Return everything that was found; ``now`` is the true time."""
    unit = facts.unit(name)
    parts = (
        Evidence("manager", facts.manager.value),
        Evidence("unit", name if facts.manager is Manager.SYSTEMD else ""),
        *(_unit_evidence(unit, facts, now) if unit else ()),
        *(windows_evidence(facts.setup) if facts.setup else ()),
        Evidence("unit_file", facts.links_of(name).path, "files"),
        Evidence("started_by", facts.links_of(name).wants[:LISTED_LIMIT], "files"),
        Evidence("job", facts.job.path if facts.job else "", "files"),
        Evidence("job_state", facts.job.state if facts.job else "", "initctl status"),
        Evidence("processes", _listed(facts.seen.processes), "" if facts.setup else "/proc"),
        Evidence("detached", _detached(facts), "" if facts.setup else "/proc/PID/stat"),
        Evidence("not_seen", facts.unobserved[:LISTED_LIMIT]),
    )
    return tuple(part for part in parts if part.value not in {None, "", ()})


def _unit_evidence(
    unit: UnitState, facts: ServiceFacts, now: datetime | None
) -> tuple[Evidence, ...]:
    source = "systemctl show"
    age_s = since_s(unit, facts) if unit.runs else None
    started = (now - timedelta(seconds=age_s)) if now and age_s is not None else None
    return (
        Evidence("load", unit.load, source),
        Evidence("enabled", unit.enablement, source),
        Evidence("state", unit.state, source),
        Evidence("user", unit.user or "root", source),
        Evidence("main_pid", unit.main_pid or None, source),
        Evidence("restarts", unit.restarts, source),
        Evidence("last_exit", last_exit(unit), source),
        Evidence("running_s", None if age_s is None else round(age_s), "monotonic clock"),
        Evidence("started_at", started.isoformat(timespec="seconds") if started else None),
        Evidence("wanted_by", unit.wanted_by, source),
    )


def _listed(processes: tuple[ProcessUse, ...]) -> tuple[str, ...]:
    return tuple(_use_words(item) for item in processes[:LISTED_LIMIT])


def _use_words(item: ProcessUse) -> str:
    words = [f"{item.pid} {item.name}", f"parent {item.parent_pid}"]
    if item.age_s is not None:
        words.append(f"age {human(item.age_s)}")
    if item.rss_bytes is not None:
        words.append(f"{item.rss_bytes / MIB:.0f} MiB")
    if (share := cpu_share(item)) is not None:
        words.append(f"{share:.1%} of a processor")
    if item.open_files is not None:
        words.append(f"{item.open_files} open files")
    return ", ".join(words)


def _detached(facts: ServiceFacts) -> tuple[str, ...]:
    """Return workers of documents and sessions whose parent is no process of the agent."""
    pids = {item.pid for item in facts.seen.processes}
    return tuple(
        f"{item.pid} {item.name}"
        for item in facts.seen.processes[:LISTED_LIMIT]
        if item.name not in {CORE, WORKER} and item.parent_pid not in pids
    )
