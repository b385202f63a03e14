"""Judge whether the running images are signed files, and the installed ones.

A service that runs says nothing about what runs. The digest of each image is compared with the
digests in the package's signed metadata; "the local database says so" is not among the arguments.
Where the signature could not be proven, identity of device and inode shows only that the image is
the file on disk, which is ``unknown``; that it is not that file is proven all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel
from nodecheck.model.install import CORE
from nodecheck.model.remedy import install_fix, restart_fix
from nodecheck.model.verdict import Evidence, Finding, SkipReason, Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.model.agent import InstallFacts
    from nodecheck.model.install import AgentProcess, RunningFacts
    from nodecheck.model.verdict import Fix

ID: Final = "agent.running"
QUESTION: Final = "is the running image a signed file, and the installed one?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  Every process of the agent: those in the service's control group that the service manager started,
  and any process that is, or calls itself, amazon-ssm-agent or one of its workers. What it runs is
  read from /proc/PID/exe, which leads to the image even when its file was replaced or deleted, and
  its SHA-256 is compared with the digests that Amazon signed. Scripts that the agent started do not
  count.

LIMITS
  ok       amazon-ssm-agent runs, and every image is a signed file at its own path
  unknown  unproven: the image is the installed file, but the signature of that file is not proven
           (see agent.signature); no-permission: another user's image, run as root
  crit     not-running; image-not-signed: the image is not what Amazon signed; image-replaced: the
           file it was started from is gone and the image is no signed one, so it is an earlier
           version waiting for a restart, or a foreign program; other-path: it runs from a place
           where no agent is installed
  An image whose file was replaced by the same signed bytes is ok and noted. Whoever is root can
  defeat any check from user space, this one too. An agent inside a container shares the process
  list of its host and is judged like the host's own.

HOW TO MEND
  rpm, deb systemctl restart amazon-ssm-agent
  snap     snap restart amazon-ssm-agent
  Windows  Restart-Service AmazonSSMAgent
  If the image is not a signed one after a restart, treat the node as compromised: keep the file and
  a copy of /proc/PID/exe, then install the agent anew.

SOURCES
  proc(5), /proc/pid/exe; systemd.resource-control(5)
"""

Problem = tuple[Status, Finding]


def judge(
    install: InstallFacts, running: RunningFacts, signed: Mapping[str, str] | None
) -> Verdict:
    """Return the verdict.

    Args:
        install: what is installed.
        running: the agent's processes and the files on disk.
        signed: SHA-256 by path from proven metadata; None or empty where nothing is proven.
    """
    if not install.installations and install.unobserved:
        text = f"cannot tell which agent is installed: {'; '.join(install.unobserved)}"
        return Verdict.of(ID, Status.UNKNOWN, (Finding("not-observed", text),))
    if not install.installations and not running.processes and not running.unread:
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, "no SSM Agent is installed")
    problems = [
        *_unread(running),
        *(found for process in running.processes if (found := _image(process, running, signed))),
        *_missing_core(running),
    ]
    problems.sort(key=lambda problem: -problem[0].severity)
    evidence = _evidence(running)
    if problems:
        return Verdict.of(
            ID,
            problems[0][0],
            tuple(finding for _, finding in problems),
            evidence=evidence,
            limit="signed images only",
            fixes=_fixes(install, problems[0][1].reason),
        )
    names = ", ".join(f"{item.name} (process {item.pid})" for item in running.processes)
    message = f"running from signed files: {names}"
    return Verdict.ok(ID, message, evidence, "signed images only")


def _unread(running: RunningFacts) -> list[Problem]:
    return [
        (
            Status.UNKNOWN,
            Finding(item.reason, f"process {item.pid} ({item.name}): {item.message}"),
        )
        for item in running.unread
    ]


def _missing_core(running: RunningFacts) -> list[Problem]:
    names = {item.name for item in running.processes} | {item.name for item in running.unread}
    if CORE in names:
        return []
    left = f"; left over: {len(running.processes)} other processes" if running.processes else ""
    return [(Status.CRIT, Finding("not-running", f"{CORE} does not run{left}"))]


def _image(
    process: AgentProcess, running: RunningFacts, signed: Mapping[str, str] | None
) -> Problem | None:
    """Return what is wrong with one image, None where it is proven."""
    if not signed:
        return _unproven(process, running)
    paths = {path for path, digest in signed.items() if digest == process.sha256}
    what = f"process {process.pid} ({process.name})"
    if process.image in paths or (paths and process.deleted):
        return None
    if paths:
        text = f"{what} runs a signed image from {process.image}, signed for {min(paths)}"
        return Status.CRIT, Finding("other-path", text, process.image)
    if process.deleted:
        return Status.CRIT, _replaced(process)
    text = f"{what} runs {process.image}, which is none of the signed files"
    return Status.CRIT, Finding("image-not-signed", text, process.image)


def _unproven(process: AgentProcess, running: RunningFacts) -> Problem:
    what = f"process {process.pid} ({process.name})"
    if process.deleted:
        return Status.CRIT, _replaced(process)
    same_path = [state for state in running.on_disk if state.path == process.image]
    if not same_path:
        text = f"{what} runs {process.image}, which is no installed agent"
        return Status.CRIT, Finding("other-path", text, process.image)
    if (process.device, process.inode) != (same_path[0].device, same_path[0].inode):
        return Status.CRIT, _replaced(process)
    text = f"{what} runs the installed {process.image}, whose signature is not proven"
    return Status.UNKNOWN, Finding("unproven", text, process.image)


def _replaced(process: AgentProcess) -> Finding:
    text = (
        f"process {process.pid} ({process.name}) runs an image that is no longer {process.image}"
        " and is no signed one"
    )
    return Finding("image-replaced", text, process.image)


def _evidence(running: RunningFacts) -> tuple[Evidence, ...]:
    found = running.processes
    parts = [Evidence("processes", len(found) + len(running.unread))]
    if found:
        parts += [
            Evidence("pid", tuple(str(item.pid) for item in found)),
            Evidence("image", tuple(item.image for item in found), "/proc/PID/exe"),
            Evidence("sha256", tuple(item.sha256 for item in found), "/proc/PID/exe"),
        ]
    deleted = tuple(item.image for item in found if item.deleted)
    if deleted:
        parts.append(Evidence("replaced_on_disk", deleted, "/proc/PID/exe"))
    return tuple(parts)


def _fixes(install: InstallFacts, reason: str) -> tuple[Fix, ...]:
    channel = install.installations[0].channel if install.installations else Channel.BY_HAND
    if reason in {"not-running", "image-replaced"}:
        return (restart_fix(channel),)
    if reason in {"image-not-signed", "other-path"}:
        return (install_fix(channel), restart_fix(channel))
    return ()
