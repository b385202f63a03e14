"""Judge whether the agent's service is enabled, runs as root, stays up and has its worker.

"Running" is what the service manager says, held against the processes: a core without its worker
receives no command, and an agent that nobody manages is gone at the next boot. ``ok`` needs the
manager's own answer and the processes; where it does not answer, processes still prove absence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks.agent_windows_service import healthy_windows, judge_windows
from nodecheck.checks.proof import Problem, conclude, problem
from nodecheck.checks.service_evidence import evidence, healthy
from nodecheck.checks.service_fix import SHELL, start_fix, stop_other_fix, unmask_fix
from nodecheck.checks.service_processes import current_cores, judge_processes
from nodecheck.checks.service_unit import ROOT, judge_unit
from nodecheck.model.agent import Channel
from nodecheck.model.authenticode import SERVICE
from nodecheck.model.install import CORE, oldest
from nodecheck.model.remedy import install_fix
from nodecheck.model.service import UNITS, Failure, Manager
from nodecheck.model.verdict import Finding, Fix, SkipReason, Status, Verdict
from nodecheck.records import replace

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.agent import InstallFacts
    from nodecheck.model.service import ProcessUse, ServiceFacts

ID: Final = "agent.service"
QUESTION: Final = "is the agent's service enabled, running as root, stable, and its worker there?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  The service of the installed agent: amazon-ssm-agent.service, or the unit that snapd makes for the
  snap. systemd is asked by "systemctl show", whose output is made for programs, and bounded to 2 s;
  when it does not answer, masks and the links by which targets start a unit are read from files.
  Times come from the monotonic clock, so that a wrong wall clock does not matter.
  The processes must bear it out: the core runs as root, and the ssm-agent-worker that it starts,
  without which no command is received, is its child. Memory, processor time and open files of each
  process are held against limits far above what a healthy agent uses.
  On Windows the service control manager is asked (AmazonSSMAgent, LocalSystem), in numbers; it does
  not count restarts, and stamps the start of a process by the wall clock: where that gives an age
  below zero, or above the time since boot, there is none.
  Without systemd, upstart is asked (initctl status), or the links of a SysV script are read. In a
  container that has no service manager the processes alone tell.

LIMITS
  ok       enabled, running as root, with one worker that is the core's child
  warn     disabled: nothing starts it at boot; recently-restarted: it ended by itself
           and was restarted less than 10 min ago; restart-loop: 3 restarts or more, at least
           once an hour since boot; changing-state: being started or stopped right now;
           worker-starting: no worker yet, less than 90 s after the start; left-over-worker: its
           parent is not the current core; several-workers; second-core: another one beside the
           service; other-unit: the unit of another install channel is there too; unmanaged: the
           agent runs, but no service manager restarts it or starts it at boot; memory-high: over
           512 MiB; cpu-high: over half a processor since its start, after 10 min; files-high: over
           1,024 or 80 % of what it may open
  unknown  not-observed, timeout, not-understood, no-permission: the service manager or the
           processes did not tell; too-large: more output than expected; update-in-progress: judged
           bad while the agent was updated
  crit     not-running; unit-missing, masked, unit-broken: nothing can start it; failed;
           start-limit-hit: systemd gave it up; auto-restart: it ended, and systemd waits before it
           starts it again; restart-loop: that, after 3 restarts or more; reboot-requested: it ended
           with exit status 194, which asks for a reboot and keeps systemd from restarting it;
           not-root; worker-missing: after 90 s, so no command is received; suspended: core or
           worker are held by a signal (warn for a worker of documents or sessions)
           What is wrong with the unit is warn while an agent runs all the same.
  A worker that has just ended is started anew within 60 s: worker-missing may be over by then. A
  core without credentials, because the clock is wrong or the role is missing, starts no worker.
  Agents before 3.0 have no worker, and systemd before 235 counts no restarts. Workers of documents
  and sessions outlive a restart by design, and are evidence (detached).

HOW TO MEND
  systemd  systemctl enable --now amazon-ssm-agent; when masked, systemctl unmask UNIT before;
           after a failure systemctl reset-failed UNIT && systemctl start UNIT
  snap     snap start --enable amazon-ssm-agent
  Windows  Set-Service AmazonSSMAgent -StartupType Automatic; Start-Service AmazonSSMAgent
  upstart  initctl start amazon-ssm-agent
  SysV     /etc/init.d/amazon-ssm-agent start
  worker   systemctl restart amazon-ssm-agent; a left-over one: kill PID, then the core starts one
  why      journalctl --unit amazon-ssm-agent

SOURCES
  systemctl(1), show; org.freedesktop.systemd1(5); systemd.service(5), RestartPreventExitStatus;
  winsvc.h and the system error codes of learn.microsoft.com
  sd_booted(3); initctl(8); proc(5); https://github.com/aws/amazon-ssm-agent/issues/569, /637, /204
"""

LIMIT: Final = "enabled, running as root, one worker"


def judge(install: InstallFacts, facts: ServiceFacts, now: datetime | None) -> Verdict:
    """Return the verdict; ``now`` is the true time, None where it is not known."""
    if not install.installations and install.unobserved:
        text = f"cannot tell which agent is installed: {'; '.join(install.unobserved)}"
        return Verdict.of(ID, Status.UNKNOWN, (Finding("not-observed", text),))
    if not install.installations:
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, "no SSM Agent is installed")
    unit = choose_unit(install, facts)
    cores = current_cores(facts, unit)
    problems = (
        *_judge_manager(facts, unit, cores),
        *_judge_user(facts, unit, cores),
        *judge_processes(facts, unit, oldest(install.installations).version),
    )
    problems = tuple(_with_package(item, install) for item in problems)
    is_windows = facts.manager is Manager.WINDOWS
    message = healthy_windows(facts) if is_windows else healthy(facts, unit)
    return conclude(ID, message, problems, evidence(facts, unit, now), LIMIT)


def _judge_manager(
    facts: ServiceFacts, unit: str, cores: tuple[ProcessUse, ...]
) -> tuple[Problem, ...]:
    if facts.manager is Manager.WINDOWS:
        return judge_windows(facts, cores)
    by_manager = _judge_systemd if facts.manager is Manager.SYSTEMD else _judge_job
    return by_manager(facts, unit, cores)


def _with_package(item: Problem, install: InstallFacts) -> Problem:
    """Return a missing unit file with the command that installs the package, which brings it."""
    channel = install.installations[0].channel
    if item.finding.reason != "unit-missing" or channel is Channel.BY_HAND:
        return item
    return replace(item, fix=install_fix(channel))


def choose_unit(install: InstallFacts, facts: ServiceFacts) -> str:
    """Return the unit of the installed channel; of several, the one that runs."""
    if facts.manager is Manager.WINDOWS:
        return SERVICE
    wanted = [UNITS[item.channel is Channel.SNAP] for item in install.installations]
    running = (name for name in wanted if (unit := facts.unit(name)) and unit.runs)
    return next(running, wanted[0])


def _judge_systemd(
    facts: ServiceFacts, name: str, cores: tuple[ProcessUse, ...]
) -> tuple[Problem, ...]:
    unit = facts.unit(name)
    if unit is None:
        return _judge_by_files(facts, name, cores)
    found = judge_unit(unit, facts, alive=unit.runs or bool(cores))
    if cores and not unit.runs:
        found = (_unmanaged(cores, f"outside of {name}, which is {unit.state}", name), *found)
    return (*found, *_judge_other_unit(facts, name))


def _judge_by_files(
    facts: ServiceFacts, name: str, cores: tuple[ProcessUse, ...]
) -> tuple[Problem, ...]:
    """Return what files and processes tell where systemd did not answer."""
    links = facts.links_of(name)
    failure = facts.failure or Failure("not-observed", "systemd was not asked")
    text = f"the state of {name} is not known: {failure.message}"
    found = [problem(Status.UNKNOWN, failure.reason, text)]
    is_down = not cores and not facts.seen.failure and not facts.seen.ended
    if is_down:
        text = f"{CORE} does not run: there is no process of it"
        found.append(Problem(Status.CRIT, Finding("not-running", text), start_fix(name)))
    status = Status.CRIT if is_down else Status.WARN
    if links.masked:
        text = f"{links.path} masks {name}"
        found.append(Problem(status, Finding("masked", text, links.path), unmask_fix(name)))
    elif links.path and not links.starts and not facts.unobserved:
        text = f"{name} is started by no target at boot"
        found.append(Problem(Status.WARN, Finding("disabled", text), start_fix(name)))
    return tuple(found)


def _judge_other_unit(facts: ServiceFacts, name: str) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            Status.WARN,
            Finding("other-unit", f"{unit.unit} is there too, {unit.state}, beside {name}"),
            stop_other_fix(unit.unit),
        )
        for unit in facts.units
        if unit.unit != name and (unit.load == "loaded" or unit.runs)
    )


def _judge_job(
    facts: ServiceFacts, name: str, cores: tuple[ProcessUse, ...]
) -> tuple[Problem, ...]:
    """Return what upstart, SysV init or, where there is neither, the processes tell."""
    job, manager = facts.job, facts.manager
    found: list[Problem] = []
    if facts.failure:
        text = f"{manager.value} did not tell: {facts.failure.message}"
        found.append(problem(Status.UNKNOWN, facts.failure.reason, text))
    if not cores and not facts.seen.failure and not facts.seen.ended:
        state = f"; {manager.value} has it as {job.state}" if job and job.state else ""
        text = f"{CORE} does not run: there is no process of it{state}"
        found.append(Problem(Status.CRIT, Finding("not-running", text), start_fix(name, manager)))
    if cores and manager is Manager.NONE:
        found.append(_unmanaged(cores, "without a service manager", name, manager))
    elif cores and job and job.state.startswith("stop/"):
        found.append(_unmanaged(cores, f"outside of {job.path} ({job.state})", name, manager))
    if job and not job.starts:
        text = f"{manager.value} does not start {job.path} at boot"
        found.append(Problem(Status.WARN, Finding("disabled", text), start_fix(name, manager)))
    return tuple(found)


def _unmanaged(
    cores: tuple[ProcessUse, ...], where: str, name: str, manager: Manager = Manager.SYSTEMD
) -> Problem:
    pids = ", ".join(str(item.pid) for item in cores)
    text = f"{CORE} runs {where} (process {pids}): nothing restarts it when it ends"
    return Problem(Status.WARN, Finding("unmanaged", text), start_fix(name, manager))


def _judge_user(
    facts: ServiceFacts, name: str, cores: tuple[ProcessUse, ...]
) -> tuple[Problem, ...]:
    """Return that the agent is not root's, by its process where it has one, else by its unit."""
    unit = facts.unit(name)
    users = {item.uid for item in cores if item.uid is not None}
    if users and not any(users):
        return ()
    said = unit.user if unit and unit.user not in ROOT else ""
    who = said or ", ".join(str(user) for user in sorted(users) if user)
    if not who:
        return ()
    is_windows = facts.manager is Manager.WINDOWS
    root = "SYSTEM" if is_windows else "root"
    text = f"{name} {'runs' if users else 'is to run'} as user {who}, allowed is {root}"
    fix = Fix(f"sc.exe qc {name}", SHELL) if is_windows else Fix(f"systemctl cat {name}")
    return (Problem(Status.CRIT, Finding("not-root", text), fix),)
