"""Judge the agent's service on Windows, by the numbers of its service control manager.

Source: winsvc.h (SERVICE_STATUS_PROCESS, QUERY_SERVICE_CONFIG); system error codes of
learn.microsoft.com: 1066 is an exit code of the service's own, 1077 that it was never started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks.clock_words import human
from nodecheck.checks.proof import Problem, problem
from nodecheck.checks.service_fix import SHELL, events_fix, start_fix
from nodecheck.model.agent import Channel
from nodecheck.model.authenticode import SERVICE
from nodecheck.model.install import CORE
from nodecheck.model.remedy import install_fix
from nodecheck.model.service import WORKER, Manager
from nodecheck.model.verdict import Evidence, Finding, Fix, Status
from nodecheck.model.windows_service import ServicePhase, StartType, is_ambiguous

if TYPE_CHECKING:
    from nodecheck.model.agent_service_setup import ServiceSetup
    from nodecheck.model.service import ProcessUse, ServiceFacts
    from nodecheck.model.windows_service import WindowsService

NEVER_STARTED: Final = 1077
OWN_EXIT_CODE: Final = 1066
_CHANGING: Final = frozenset(
    {
        ServicePhase.STARTING,
        ServicePhase.STOPPING,
        ServicePhase.CONTINUING,
        ServicePhase.PAUSING,
    }
)
_START: Final = start_fix(SERVICE, Manager.WINDOWS)


def judge_windows(facts: ServiceFacts, cores: tuple[ProcessUse, ...]) -> tuple[Problem, ...]:
    """Return what is wrong with the service; ``cores`` are its processes."""
    if facts.setup is None:
        return _without_manager(facts, cores)
    service = facts.setup.service
    if service is None:
        status = Status.WARN if cores else Status.CRIT
        finding = Finding("unit-missing", f"there is no service {SERVICE}")
        return (Problem(status, finding, install_fix(Channel.WINDOWS)),)
    found = (
        _judge_phase(service, cores),
        _judge_start(service),
        _judge_account(service),
        _judge_core(facts, service, cores),
    )
    return tuple(item for item in found if item)


def _without_manager(facts: ServiceFacts, cores: tuple[ProcessUse, ...]) -> tuple[Problem, ...]:
    """Return what the processes tell where the manager did not answer."""
    reason = facts.failure.reason if facts.failure else "not-observed"
    why = facts.failure.message if facts.failure else "it was not asked"
    found = [problem(Status.UNKNOWN, reason, f"the state of {SERVICE} is not known: {why}")]
    if not cores and not facts.seen.failure and not facts.seen.ended:
        text = f"{CORE} does not run: there is no process of it"
        found.append(Problem(Status.CRIT, Finding("not-running", text), _START))
    return tuple(found)


def _judge_phase(service: WindowsService, cores: tuple[ProcessUse, ...]) -> Problem | None:
    phase = service.phase
    if phase is ServicePhase.RUNNING:
        return None
    if phase in _CHANGING:
        text = f"{SERVICE} is {phase.name.lower()}: neither up nor down"
        return Problem(Status.WARN, Finding("changing-state", text), events_fix())
    if cores:
        pids = ", ".join(str(item.pid) for item in cores)
        text = f"{CORE} runs outside of {SERVICE}, which is {phase.name.lower()} (process {pids})"
        return Problem(Status.WARN, Finding("unmanaged", f"{text}: nothing restarts it"), _START)
    ended = how_ended(service)
    text = f"{SERVICE} does not run: it is {phase.name.lower()}{ended}"
    if ended and service.exit_code != NEVER_STARTED:
        return Problem(Status.CRIT, Finding("failed", text), _START)
    return Problem(Status.CRIT, Finding("not-running", text), _START)


def how_ended(service: WindowsService) -> str:
    """Return how the service ended, '' where it ended well."""
    if service.exit_code == NEVER_STARTED:
        return ", never started since boot"
    if service.exit_code == OWN_EXIT_CODE:
        return f", after exit code {service.own_exit_code} of its own"
    return f", after error {service.exit_code}" if service.exit_code else ""


def _judge_start(service: WindowsService) -> Problem | None:
    if service.start in {StartType.AUTOMATIC, StartType.BOOT, StartType.SYSTEM}:
        return None
    after = "nothing can start it" if service.start is StartType.DISABLED else "not at boot"
    text = f"the start type of {SERVICE} is {service.start.name.lower()}: {after}"
    return Problem(Status.WARN, Finding("disabled", text), _START)


def _judge_account(service: WindowsService) -> Problem | None:
    if service.is_system:
        return None
    who = "".join(filter(str.isprintable, service.account))[:80] or "nobody"
    text = f"{SERVICE} is to run as {who}, allowed is LocalSystem"
    fix = Fix(f"sc.exe config {SERVICE} obj= LocalSystem", SHELL)
    return Problem(Status.CRIT, Finding("not-root", text), fix)


def _judge_core(
    facts: ServiceFacts, service: WindowsService, cores: tuple[ProcessUse, ...]
) -> Problem | None:
    """Return that the service is up, but its process is no core, or was not seen."""
    is_up = service.phase is ServicePhase.RUNNING and service.pid
    if not is_up or facts.seen.failure or any(item.pid == service.pid for item in cores):
        return None
    main = next((item for item in facts.seen.processes if item.pid == service.pid), None)
    if main is None or main.uid is None:  # not there, or its image was not read
        text = f"{SERVICE} runs as process {service.pid}, which could not be seen"
        return problem(Status.UNKNOWN, "not-observed", text)
    text = f"{SERVICE} runs {main.name} (process {main.pid}), not {CORE}"
    return Problem(Status.CRIT, Finding("not-running", text), Fix(f"sc.exe qc {SERVICE}", SHELL))


def healthy_windows(facts: ServiceFacts) -> str:
    """Return the line of a service that is as it should be."""
    workers = ", ".join(str(item.pid) for item in facts.seen.processes if item.name == WORKER)
    worker = f"worker is process {workers}" if workers else "no worker, as in its version"
    main = next((item for item in facts.seen.processes if item.pid == facts.seen.main_pid), None)
    for_long = f" for {human(main.age_s)}" if main and main.age_s is not None else ""
    start = _start_words(facts.setup)
    return f"{SERVICE} starts {start} and runs as LocalSystem{for_long}; {worker}"


def _start_words(setup: ServiceSetup | None) -> str:
    if setup is None or setup.service is None:
        return ""
    delayed = " (delayed)" if setup.delayed else ""
    return f"{setup.service.start.name.lower()}{delayed}"


def windows_evidence(setup: ServiceSetup) -> tuple[Evidence, ...]:
    """Return what the service control manager and the registry said."""
    service, source = setup.service, "service control manager"
    if service is None:
        return ()
    recovery = setup.recovery.words if setup.recovery else ""
    return (
        Evidence("service", service.name, source),
        Evidence("enabled", _start_words(setup), source),
        Evidence("state", service.phase.name.lower(), source),
        Evidence("user", service.account, source),
        Evidence("main_pid", service.pid or None, source),
        Evidence("last_exit", how_ended(service).removeprefix(", "), source),
        Evidence("command", service.command, source),
        Evidence("command_unquoted", is_ambiguous(service.command) or None, source),
        Evidence("recovery", recovery, "registry"),
    )
