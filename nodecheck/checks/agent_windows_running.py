"""Judge whether what runs on Windows are proven executables, and the installed ones.

Nobody can write to the file of a running program of Windows, so the image is the file at its path,
by identity and digest; a renamed file has another path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel
from nodecheck.model.install import CORE
from nodecheck.model.remedy import install_fix, restart_fix
from nodecheck.model.verdict import Evidence, Finding, SkipReason, Status, Verdict
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.model.authenticode import WindowsInstall
    from nodecheck.model.install import AgentProcess, RunningFacts
    from nodecheck.model.verdict import Fix

ID: Final = "agent.running"
EXPLANATION: Final = """\
WHAT IS JUDGED ON WINDOWS
  The process that the service control manager names for AmazonSSMAgent, whatever it is called, and
  every process of SYSTEM that runs a file of the name of one of the agent's executables. The file
  at the image's path must be an installed executable, by identity and SHA-256, whose signature is
  proven (agent.signature). Nobody can write to the file of a running program there. Processes of
  other users under such a name are evidence (ignored_processes). Libraries that a process loaded
  are not judged: who may put one beside the agent is a question of agent.files.

LIMITS ON WINDOWS
  unknown  unproven: the image is the installed file, but the signatures are not all judged
           no-permission: image or user of a process cannot be seen; run as administrator
           hidden-process: the service's process is not in the process list
           locked, not-observed: the file of an image could not be read
  crit     not-running: the service has no process, or another program runs in its place
           image-not-signed: the image is not what an allowed publisher signed
           image-replaced: no file is at the image's path any more: it was renamed or its folder was
           exchanged
           other-path: it runs from a place where no agent is installed
           not-root: the service does not run as SYSTEM

HOW TO MEND ON WINDOWS
  Restart-Service AmazonSSMAgent; an image that is not signed: copy the file first.

SOURCES ON WINDOWS
  QueryServiceStatusEx and QueryFullProcessImageNameW on learn.microsoft.com
"""

_LIMIT: Final = "signed images only"
_LISTED_LIMIT: Final = 20


@dataclass(frozen=True, slots=True)
class _Problem:
    status: Status
    finding: Finding


def judge(
    install: WindowsInstall, running: RunningFacts, proven: Mapping[str, str] | None
) -> Verdict:
    """Return the verdict; ``proven`` is the SHA-256 by path, None where some cannot be judged."""
    if install.unobserved:
        text = f"cannot tell how the agent is set up: {'; '.join(install.unobserved)}"
        return Verdict.of(ID, Status.UNKNOWN, (Finding("not-observed", text),))
    is_installed = install.service is not None or install.has_executable
    if not is_installed and not running.processes and not running.unread:
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, "no SSM Agent is installed")
    problems = [
        *(
            _Problem(Status.UNKNOWN, Finding(item.reason, f"process {item.pid}: {item.message}"))
            for item in running.unread
        ),
        *(found for process in running.processes for found in _judge(process, running, proven)),
        *(_missing_core(install, running) if is_installed else ()),
    ]
    problems.sort(key=lambda item: -item.status.severity)
    evidence = _evidence(running)
    if problems:
        findings = tuple(item.finding for item in problems)
        fixes = _fixes(findings[0].reason)
        return Verdict.of(
            ID, problems[0].status, findings, evidence=evidence, limit=_LIMIT, fixes=fixes
        )
    names = ", ".join(f"{item.name} (process {item.pid})" for item in running.processes)
    return Verdict.ok(ID, f"running from signed files: {names}", evidence, _LIMIT)


def _judge(
    process: AgentProcess, running: RunningFacts, proven: Mapping[str, str] | None
) -> list[_Problem]:
    what = f"process {process.pid} ({process.name})"
    found = _judge_image(process, what, running, proven)
    problems = [found] if found else []
    if process.uid:
        text = f"{what} runs as user {process.uid}, allowed is SYSTEM"
        problems.append(_Problem(Status.CRIT, Finding("not-root", text)))
    return problems


def _judge_image(
    process: AgentProcess, what: str, running: RunningFacts, proven: Mapping[str, str] | None
) -> _Problem | None:
    image = process.image
    if process.deleted:
        text = f"{what} runs {image}, where no file is any more"
        return _Problem(Status.CRIT, Finding("image-replaced", text, image))
    if not process.is_at(running.on_disk):
        text = f"{what} runs {image}, which is no installed agent"
        return _Problem(Status.CRIT, Finding("other-path", text, image))
    if proven is None:
        text = f"{what} runs the installed {image}, whose signature is not proven"
        return _Problem(Status.UNKNOWN, Finding("unproven", text, image))
    if not process.sha256 or proven.get(image) != process.sha256:
        text = f"{what} runs {image}, which is not what an allowed publisher signed"
        return _Problem(Status.CRIT, Finding("image-not-signed", text, image))
    return None


def _missing_core(install: WindowsInstall, running: RunningFacts) -> list[_Problem]:
    """Return that the service does not run the core executable at its own place."""
    main = running.main_pid
    if main and any(item.pid == main for item in running.unread):
        return []
    core = install.executable.casefold()
    if any(item.pid == main and item.image.casefold() == core for item in running.processes):
        return []
    phase = install.service.phase.name.lower() if install.service else "not there"
    text = f"{CORE} does not run: its service is {phase}"
    if main:
        images = [item.image for item in running.processes if item.pid == main]
        text += f", and its process {main} runs {images[0] if images else 'something else'}"
    return [_Problem(Status.CRIT, Finding("not-running", text))]


def _fixes(reason: str) -> tuple[Fix, ...]:
    if reason in {"not-running", "image-replaced"}:
        return (restart_fix(Channel.WINDOWS),)
    if reason in {"image-not-signed", "other-path"}:
        return (install_fix(Channel.WINDOWS), restart_fix(Channel.WINDOWS))
    return ()


def _evidence(running: RunningFacts) -> tuple[Evidence, ...]:
    found = running.processes
    ignored = tuple(
        f"process {item.pid} ({item.name}) {item.why}" for item in running.ignored[:_LISTED_LIMIT]
    )
    parts = (
        Evidence("processes", len(found) + len(running.unread)),
        Evidence("main_pid", running.main_pid or None, "service control manager"),
        Evidence("pid", tuple(str(item.pid) for item in found)),
        Evidence("image", tuple(item.image for item in found), "QueryFullProcessImageName"),
        Evidence("sha256", tuple(item.sha256 for item in found), "file at the image's path"),
        Evidence("ignored_processes", ignored, "process list"),
    )
    return tuple(part for part in parts if part.value not in {None, "", ()})
