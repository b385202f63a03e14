"""Judge one unit of systemd: whether it is there, runs, stays up, is root's and starts at boot.

Sources: org.freedesktop.systemd1(5) and systemctl(1) for the words of systemd; systemd.service(5)
for ``Restart=`` and ``RestartPreventExitStatus=``; systemd.unit(5) for ``StartLimitBurst=``. The
agent's unit has ``RestartPreventExitStatus=194``: the agent ends so to have the node rebooted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks.clock_words import human
from nodecheck.checks.proof import Problem, problem
from nodecheck.checks.service_fix import (
    log_fix,
    reset_fix,
    restart_fix,
    start_fix,
    unmask_fix,
)
from nodecheck.model.service import Manager
from nodecheck.model.verdict import Finding, Fix, Status

if TYPE_CHECKING:
    from nodecheck.model.service import ServiceFacts, UnitLinks, UnitState

REBOOT_STATUS: Final = 194
"""SuccessAndReboot of the agent (agent/appconfig/constants_unix.go)."""

RECENT_S: Final = 600
LOOP_RESTARTS: Final = 3
LOOP_PER_HOUR: Final = 1.0
"""The unit waits 90 s before it restarts, so a loop makes up to 40 an hour (``RestartSec=90``)."""

ROOT: Final = frozenset({"", "root", "0"})
_EXITED: Final = 1
_FOR_THIS_BOOT: Final = frozenset({"enabled-runtime", "linked-runtime"})
_BY_OTHERS: Final = frozenset({"static", "indirect", "generated", "alias"})
_NOT_ENABLED: Final = frozenset({"disabled", "linked", "transient"})


def judge_unit(unit: UnitState, facts: ServiceFacts, *, alive: bool) -> tuple[Problem, ...]:
    """Return what is wrong with a unit; ``alive``: the agent runs, in this unit or beside it."""
    links = facts.links_of(unit.unit)
    found = [_judge_load(unit, alive=alive)]
    if found[0] is None:
        found = [
            None if unit.runs else _why_down(unit, alive=alive),
            _judge_start(unit, links, alive=alive),
        ]
    if unit.runs:
        found.append(_judge_restarts(unit, facts))
    return tuple(item for item in found if item)


def since_s(unit: UnitState, facts: ServiceFacts) -> float | None:
    """Return for how long a unit is active, None where that cannot be told."""
    age_s = facts.monotonic_s - unit.active_since_us / 1e6
    return age_s if unit.active_since_us and age_s >= 0 else None


def last_exit(unit: UnitState) -> str:
    """Return how the last main process ended, '' where none has."""
    if not unit.exit_kind:
        return ""
    kind = "exit status" if unit.exit_kind == _EXITED else "signal"
    return f"{kind} {unit.exit_status}"


def _judge_load(unit: UnitState, *, alive: bool) -> Problem | None:
    status = Status.WARN if alive else Status.CRIT
    if unit.load == "loaded" and not unit.enablement.startswith("masked"):
        return None
    if unit.load == "masked" or unit.enablement.startswith("masked"):
        after = "it will not start again" if alive else "nothing can start it"
        text = f"{unit.unit} is masked and {unit.state}: {after}"
        return Problem(status, Finding("masked", text), unmask_fix(unit.unit))
    if unit.load == "not-found":
        return problem(status, "unit-missing", f"systemd has no {unit.unit}")
    text = f"systemd cannot use {unit.unit} (load state {unit.load}); it is {unit.state}"
    return Problem(status, Finding("unit-broken", text), Fix(f"systemd-analyze verify {unit.unit}"))


def _why_down(unit: UnitState, *, alive: bool) -> Problem:
    status = Status.WARN if alive else Status.CRIT
    if unit.sub.startswith("auto-restart"):
        return _judge_auto_restart(unit, status)
    if unit.active in {"activating", "deactivating", "maintenance"}:
        text = f"{unit.unit} is {unit.state}: neither up nor down"
        return Problem(Status.WARN, Finding("changing-state", text), log_fix(unit.unit))
    if unit.exit_kind == _EXITED and unit.exit_status == REBOOT_STATUS:
        text = (
            f"{unit.unit} ended with exit status {REBOOT_STATUS}: the agent asked for a reboot that"
            " did not come, and systemd does not restart it after that"
        )
        return Problem(status, Finding("reboot-requested", text), reset_fix(unit.unit))
    if unit.active == "failed":
        return _judge_failure(unit, status)
    ended = f", after {last_exit(unit)}" if unit.exit_kind else ""
    text = f"{unit.unit} does not run: {unit.state}{ended}"
    return Problem(status, Finding("not-running", text), start_fix(unit.unit))


def _judge_auto_restart(unit: UnitState, status: Status) -> Problem:
    loops = (unit.restarts or 0) >= LOOP_RESTARTS
    reason = "restart-loop" if loops else "auto-restart"
    text = f"{unit.unit} ended with {last_exit(unit) or 'an unknown status'} and waits for systemd"
    text += f" to start it again, restarted {_times(unit.restarts)} so far"
    fix = log_fix(unit.unit) if loops else restart_fix(unit.unit, Manager.SYSTEMD)
    return Problem(status, Finding(reason, text), fix)


def _judge_failure(unit: UnitState, status: Status) -> Problem:
    """Return why a unit failed; one that reached the limit of starts may keep its first result."""
    limited = bool(unit.burst and unit.restarts and unit.restarts >= unit.burst)
    if unit.result == "start-limit-hit" or limited:
        text = f"systemd gave {unit.unit} up after {_times(unit.restarts)} in a row"
        text += f", allowed are {unit.burst}" if unit.burst else ""
        text += f"; last: {last_exit(unit)}" if unit.exit_kind else ""
        return Problem(status, Finding("start-limit-hit", text), reset_fix(unit.unit))
    why = ", ".join(part for part in (unit.result, last_exit(unit)) if part) or "no reason given"
    text = f"{unit.unit} has failed: {why}"
    return Problem(status, Finding("failed", text), reset_fix(unit.unit))


def _judge_start(unit: UnitState, links: UnitLinks, *, alive: bool) -> Problem | None:
    """Return whether nothing starts the unit at boot."""
    word = unit.enablement
    if word == "enabled" or links.starts:
        return None
    if word in _BY_OTHERS and unit.wanted_by:
        return None
    if word in _FOR_THIS_BOOT or word in _BY_OTHERS or word in _NOT_ENABLED:
        until = "it runs only until the next boot" if alive else "it does not start at boot"
        text = f"{unit.unit} is {word}, and nothing starts it: {until}"
        return Problem(Status.WARN, Finding("disabled", text), start_fix(unit.unit))
    text = f"systemd does not tell whether {unit.unit} starts at boot ({word or 'no state'})"
    return problem(Status.UNKNOWN, "not-observed", text)


def _judge_restarts(unit: UnitState, facts: ServiceFacts) -> Problem | None:
    if not unit.restarts:
        return None
    age_s = since_s(unit, facts)
    hours = max(facts.monotonic_s, 1.0) / 3600
    if unit.restarts >= LOOP_RESTARTS and unit.restarts / hours >= LOOP_PER_HOUR:
        text = f"{unit.unit} was restarted {_times(unit.restarts)} in the {human(hours * 3600)}"
        text += " since boot, allowed is less than once an hour"
        return Problem(Status.WARN, Finding("restart-loop", text), log_fix(unit.unit))
    if age_s is not None and age_s < RECENT_S:
        text = f"{unit.unit} ended by itself and was restarted {human(age_s)} ago"
        text += f" ({_times(unit.restarts)} so far), allowed is none in {human(RECENT_S)}"
        return Problem(Status.WARN, Finding("recently-restarted", text), log_fix(unit.unit))
    return None


def _times(count: int | None) -> str:
    if count is None:
        return "an unknown number of times"
    return "once" if count == 1 else f"{count} times"
