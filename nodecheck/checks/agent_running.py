"""Judge whether the running images are signed files, and the installed ones.

A service that runs says nothing about what runs. The digest of each image is compared with the
digests in the package's signed metadata; "the local database says so" is not among the arguments.
The core counts as running where root runs a file of its name, in its unit where the unit has
processes; a name that a process gives itself adds suspicion and never satisfies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks.running_code import is_ordinary, judge_code, judge_preloads, spell
from nodecheck.checks.running_image import is_covered, judge_image
from nodecheck.model.agent import Channel
from nodecheck.model.history import History
from nodecheck.model.install import CORE
from nodecheck.model.remedy import install_fix, restart_fix
from nodecheck.model.verdict import Evidence, Finding, Fix, SkipReason, Status, Verdict
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.model.agent import InstallFacts
    from nodecheck.model.install import AgentProcess, RunningFacts, UnreadImage

ID: Final = "agent.running"
QUESTION: Final = "is the running image a signed file, and the installed one?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  Every process of the agent: the one that the service manager started in the unit's control group,
  whatever it is called, and any process of root that is, or calls itself, amazon-ssm-agent or one
  of its workers. What it runs is read from /proc/PID/exe, which leads to the image even when its
  file was replaced or deleted, and its SHA-256 is compared with the digests that Amazon signed; at
  the same path it must also be the same file (device and inode) as the installed one. Scripts that
  the agent started do not count. The last three versions that nodecheck verified completely are
  kept in its state folder, so that an old image can be told from a foreign one after an update.
  amazon-ssm-agent runs if root runs a file of that name, and in the agent's unit where that has
  processes: neither the name that a process gives itself nor an agent started by hand beside a
  stopped one counts.
  Other processes under the agent's name are evidence (ignored_processes), never ok and never crit:
  those of other users, which anybody can start, except the one that the service manager started;
  and outside the unit those of containers (a PID namespace of their own, or another mount namespace
  and another file): ECS Exec runs an agent in each.
  The code that is loaded beside the image is judged, because the agent is linked dynamically:
  variables that make the loader fetch more, /etc/ld.so.preload, and files mapped as code.

LIMITS
  ok       amazon-ssm-agent runs as root, and every image is a signed file at its own path
  warn     restart-pending: the file was replaced, and the image is that of an earlier version that
           was verified while it was installed; preload-file: /etc/ld.so.preload names libraries,
           which run in every program (products that watch a node do this: waive it if it is
           yours); foreign-code: root's own library from outside the system's folders
  unknown  unproven: the image is the installed file, but the signature of that file is not proven
           (see agent.signature); no-permission: another user's image, run as root; hidden-process:
           in the control group, but not in the process list; update-in-progress: judged bad while
           the package manager or the agent's updater was at work; foreign-code: the file of a
           library outside the system's folders is gone; not-observed: what is loaded into a
           process, or /etc/ld.so.preload, could not be read
  crit     not-running; image-not-signed: the image is not what Amazon signed; image-replaced: the
           file it was started from is gone and the image is neither a signed one nor one of an
           earlier verified version; other-path: it runs from a place where no agent is installed,
           or a copy in another mount namespace; not-root: the service runs as a user who can
           change its memory; preloaded: started with LD_PRELOAD, LD_AUDIT or LD_LIBRARY_PATH
           (but for system folders); foreign-code and preload-file: a library that others than root
           can change, or that never had a file
  An image whose file was replaced by the same signed bytes is ok and noted, and so is a system
  library that was updated meanwhile. A tracer is evidence: a debugger is no crime. Whoever is root
  can defeat any check from user space, this one too.

HOW TO MEND
  rpm, deb systemctl restart amazon-ssm-agent
  snap     snap restart amazon-ssm-agent
  Windows  Restart-Service AmazonSSMAgent
  An image that is not a signed one: copy /proc/PID/exe first, because a restart destroys the
  evidence; then kill the process or install the agent anew. If it comes back, treat the node as
  compromised.

SOURCES
  proc(5), /proc/pid/exe and /proc/pid/maps; cgroups(7); systemd.exec(5), INVOCATION_ID;
  ld.so(8); namespaces(7)
"""

LISTED_LIMIT: Final = 20

_NO_HISTORY: Final = History()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and the process that it is wrong with, if it is one."""

    status: Status
    finding: Finding
    process: AgentProcess | None = None


def judge(
    install: InstallFacts,
    running: RunningFacts,
    signed: Mapping[str, str] | None,
    history: History = _NO_HISTORY,
) -> Verdict:
    """Return the verdict.

    Args:
        install: what is installed.
        running: the agent's processes and the files on disk.
        signed: SHA-256 by path from proven metadata; None or empty where nothing is proven.
        history: the versions that earlier runs verified completely.
    """
    if not install.installations and install.unobserved:
        text = f"cannot tell which agent is installed: {'; '.join(install.unobserved)}"
        return Verdict.of(ID, Status.UNKNOWN, (Finding("not-observed", text),))
    if not install.installations and not running.processes and not running.unread:
        text = f"no SSM Agent is installed{_name_ignored(running)}"
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, text)
    problems = [
        *(_unread(item) for item in running.unread),
        *(
            problem
            for process in running.processes
            for problem in _judge_process(process, running, signed, history)
        ),
        *(_missing_core(running) if install.installations else ()),
        *(Problem(*found) for found in judge_preloads(running.preloads, running.unseen)),
    ]
    problems.sort(key=lambda problem: -problem.status.severity)
    evidence = _evidence(running, history)
    if problems:
        return Verdict.of(
            ID,
            problems[0].status,
            tuple(problem.finding for problem in problems),
            evidence=evidence,
            limit="signed images only",
            fixes=_fixes(install, running, problems[0]),
        )
    names = ", ".join(f"{item.name} (process {item.pid})" for item in running.processes)
    message = f"running from signed files: {names}"
    if any(item.deleted for item in running.processes):
        message += "; replaced by the same bytes, so that a pending restart is harmless"
    return Verdict.ok(ID, message, evidence, "signed images only")


def _unread(item: UnreadImage) -> Problem:
    text = f"process {item.pid} ({item.name}): {item.message}"
    return Problem(Status.UNKNOWN, Finding(item.reason, text))


def _judge_process(
    process: AgentProcess,
    running: RunningFacts,
    signed: Mapping[str, str] | None,
    history: History,
) -> list[Problem]:
    image = judge_image(process, running, signed, history)
    found = [image] if image else []
    if process.uid:
        text = f"process {process.pid} ({process.name}) runs as user {process.uid}, allowed is 0"
        found.append((Status.CRIT, Finding("not-root", text)))
    found += judge_code(process)
    return [Problem(status, finding, process) for status, finding in found]


def _missing_core(running: RunningFacts) -> list[Problem]:
    if any(_may_be_core(item, running) for item in running.unread):
        return []
    for item in running.processes:
        if item.image.rpartition("/")[2] == CORE and (item.unit or not running.grouped):
            return []
    text = f"{CORE} does not run"
    if running.processes:
        others = running.processes[:LISTED_LIMIT]
        listed = ", ".join(f"process {item.pid} ({item.image})" for item in others)
        text += f"; left over: {len(running.processes)} other processes: {listed}"
    finding = Finding("not-running", text + _name_ignored(running))
    return [Problem(Status.CRIT, finding)]


def _may_be_core(item: UnreadImage, running: RunningFacts) -> bool:
    return bool(item.unit) or (item.name == CORE and not running.grouped)


def _name_ignored(running: RunningFacts) -> str:
    listed = ", ".join(_listed_ignored(running)[:3])
    more = len(running.ignored) - 3
    text = f"{listed} and {more} more" if more > 0 else listed
    return f"; not this node's agent: {text}" if text else ""


def _listed_ignored(running: RunningFacts) -> tuple[str, ...]:
    found = running.ignored[:LISTED_LIMIT]
    return tuple(f"process {item.pid} ({item.name}) {item.why}" for item in found)


def _evidence(running: RunningFacts, history: History) -> tuple[Evidence, ...]:
    found = running.processes
    deleted = tuple(item.image for item in found if item.deleted)
    covered = tuple(item.image for item in found if is_covered(item, running))
    mapped = tuple(
        f"{item.pid} {code.path}" for item in found for code in item.code if not is_ordinary(code)
    )
    variables = tuple(f"{item.pid} {spell(var)}" for item in found for var in item.variables)
    tracers = tuple(f"{item.pid} by {item.tracer_pid}" for item in found if item.tracer_pid)
    unseen = tuple(f"{item.pid} {item.unseen}" for item in found if item.unseen)
    parts = (
        Evidence("processes", len(found) + len(running.unread)),
        Evidence("main_pid", running.main_pid or None, "control group and invocation id"),
        Evidence("pid", tuple(str(item.pid) for item in found)),
        Evidence("image", tuple(item.image for item in found), "/proc/PID/exe"),
        Evidence("sha256", tuple(item.sha256 for item in found), "/proc/PID/exe"),
        Evidence("replaced_on_disk", deleted, "/proc/PID/exe"),
        Evidence("other_inode_on_disk", covered, "/proc/PID/exe"),
        Evidence("foreign_code", mapped[:LISTED_LIMIT], "/proc/PID/maps"),
        Evidence("loader_variables", variables, "/proc/PID/environ"),
        Evidence("preloads", tuple(item.path for item in running.preloads), "/etc/ld.so.preload"),
        Evidence("traced", tracers, "/proc/PID/status"),
        Evidence("not_read", unseen, "/proc"),
        Evidence("ignored_processes", _listed_ignored(running), "/proc/PID/status"),
        Evidence("ignored", len(running.ignored) or None, "/proc/PID/status"),
        Evidence("history", history.note, "state folder"),
    )
    return tuple(part for part in parts if part.value not in {None, "", ()})


def _fixes(install: InstallFacts, running: RunningFacts, problem: Problem) -> tuple[Fix, ...]:
    """Return the commands: the evidence first, because what mends the node destroys it."""
    reason, process = problem.finding.reason, problem.process
    channel = install.installations[0].channel if install.installations else Channel.BY_HAND
    if process is None or channel is Channel.WINDOWS:
        keep: tuple[Fix, ...] = ()
    else:
        keep = (Fix(f"cp /proc/{process.pid}/exe /root/process-{process.pid}.image"),)
    if (
        process
        and keep
        and problem.status is Status.CRIT
        and (not install.installations or _is_elsewhere(process, running))
    ):
        return (*keep, Fix(f"kill {process.pid}", disruptive=True))
    if reason in {"not-running", "restart-pending"}:
        return (restart_fix(channel),)
    if reason in {"image-replaced", "preloaded"}:
        return (*keep, restart_fix(channel))
    if reason in {"image-not-signed", "other-path"}:
        return (*keep, install_fix(channel), restart_fix(channel))
    return ()


def _is_elsewhere(process: AgentProcess, running: RunningFacts) -> bool:
    """Tell whether a process belongs to no installed agent: a restart would leave it running."""
    return not process.unit and process.image not in {state.path for state in running.on_disk}
