"""Judge the agent's files on Windows: proven executables, and nobody but administrators can change.

There is no signed list of files on Windows: each executable proves itself by its own signature, and
which of them there must be is known from the agent's sources. Access lists stand for modes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.checks.agent_authenticode import judge_program
from nodecheck.checks.proof import Problem, conclude, problem
from nodecheck.model.access import TRUSTED
from nodecheck.model.agent import Channel
from nodecheck.model.authenticode import SERVICE
from nodecheck.model.remedy import install_fix
from nodecheck.model.verdict import Evidence, Finding, Fix, SkipReason, Status, Verdict
from nodecheck.model.version import AgentVersion
from nodecheck.model.windows_service import is_ambiguous

if TYPE_CHECKING:
    from nodecheck.checks.agent_authenticode import Timing
    from nodecheck.model.authenticode import (
        Place,
        PublisherPolicy,
        WindowsInstall,
        WindowsPrograms,
    )

CHECK_ID: Final = "agent.files"
EXPLANATION: Final = """\
WHAT IS JUDGED ON WINDOWS
  The executables that agent.signature names, each by its own signature; no signed list says which
  files there must be, and they carry no version, so that one of another release signed by Amazon is
  not told. The program that the service starts (ImagePath). The access lists of the executables, of
  amazon-ssm-agent.json, seelog.xml and the folder "configuration" beside them, and of every folder
  above: who but SYSTEM, Administrators and TrustedInstaller may change or replace them. Entries
  that deny are not counted, so a stranger may be named who is shut out after all.

LIMITS ON WINDOWS
  warn     unquoted-path: ImagePath has blanks and no quotes, so that Windows tries shorter names
           first; the agent's own update script writes it so
  unknown  not-observed: a service, file or access list could not be read
           unproven-digests: an executable could not be judged (see agent.signature)
  crit     unproven-digests: an executable is not what an allowed publisher signed
           missing: an executable that every agent since 3.0 has is not there
           start-overridden: the service starts another program than the installed one
           shadowed: a file lies where Windows looks first because of the missing quotes
           writable, owner: a stranger can change an executable or the agent's configuration
           folder-writable, folder-owner: a stranger can add to the agent's folder, or replace what
           lies in a folder above it
           folder-link: a file or folder is a link or junction

HOW TO MEND ON WINDOWS
  Run a verified AmazonSSMAgentSetup.exe again. Access lists: icacls FILE /remove:g *SID and
  icacls FILE /setowner *S-1-5-32-544 (Administrators), as printed with the finding.

SOURCES ON WINDOWS
  agent/appconfig/constants_windows.go of github.com/aws/amazon-ssm-agent
  CreateProcessW, Access Control Lists and icacls on learn.microsoft.com
"""

_LIMIT: Final = "signed by an allowed publisher; only administrators can change it"
_SINCE: Final = AgentVersion(3, 0, 0, 0)
_ADMINISTRATOR: Final = re.compile(r"S-1-5-21-[0-9]+-[0-9]+-[0-9]+-(500|512)")
"""The built-in administrator, and a domain's administrators (well-known SIDs)."""
_CREATOR_OWNER: Final = "S-1-3-0"
"""Only inherited entries mean it; it is nobody by itself."""


def judge(
    install: WindowsInstall, programs: WindowsPrograms, policy: PublisherPolicy, timing: Timing
) -> Verdict:
    """Return the verdict on the agent's files, and on what its service starts."""
    if not programs.programs and install.service is None and not install.unobserved:
        text = "no SSM Agent is installed"
        return Verdict.skip(CHECK_ID, SkipReason.NOT_APPLICABLE, text)
    problems = [problem(Status.UNKNOWN, "not-observed", note) for note in install.unobserved]
    for fact in programs.programs:
        found = judge_program(fact, policy, timing)
        if found:
            text = f"{fact.path}: is not proven ({found.finding.message})"
            finding = Finding("unproven-digests", text, fact.path)
            problems.append(Problem(found.status, finding, found.fix))
    problems += _judge_missing(install, programs)
    problems += _judge_start(install, programs)
    problems += [item for place in programs.places for item in _judge_place(place, install)]
    text = f"{len(programs.programs)} executables are signed, and only administrators change them"
    return conclude(CHECK_ID, text, tuple(problems), _evidence(install, programs), _LIMIT)


def _judge_missing(install: WindowsInstall, programs: WindowsPrograms) -> list[Problem]:
    try:
        if AgentVersion.parse(install.version) < _SINCE:
            return []
    except ValueError:
        pass  # of no known version: the agents of today have them all
    fix = install_fix(Channel.WINDOWS)
    return [
        Problem(Status.CRIT, Finding("missing", f"{path}: is not there", path), fix)
        for path in programs.missing
        if path != install.image or not install.is_service_elsewhere
    ]


def _judge_start(install: WindowsInstall, programs: WindowsPrograms) -> list[Problem]:
    """Return what is wrong with what the service starts."""
    if install.service is None:
        return []
    found = [
        Problem(
            Status.CRIT,
            Finding("shadowed", f"{path}: Windows starts this instead of the agent", path),
            Fix(f"Remove-Item '{_spell(path)}'", "powershell"),
        )
        for path in install.shadows
    ]
    if not install.image or (install.is_service_elsewhere and not _is_same(install, programs)):
        what = install.image or "nothing"
        text = f"service {SERVICE} starts {what}, installed is {install.executable}"
        found.append(
            Problem(Status.CRIT, Finding("start-overridden", text, what), _path_fix(install))
        )
    elif is_ambiguous(install.service.command):
        text = f"service {SERVICE}: its ImagePath has blanks and no quotes"
        finding = Finding("unquoted-path", text)
        found.append(Problem(Status.WARN, finding, _path_fix(install)))
    return found


def _is_same(install: WindowsInstall, programs: WindowsPrograms) -> bool:
    """Tell whether two paths lead to one file (a short name, for instance)."""
    files = {
        fact.path: (fact.state.device, fact.state.inode) for fact in programs.programs if fact.state
    }
    return install.executable in files and files.get(install.image) == files[install.executable]


def _path_fix(install: WindowsInstall) -> Fix:
    key = rf"HKLM:\SYSTEM\CurrentControlSet\Services\{SERVICE}"
    image = _spell(install.executable)
    return Fix(f"Set-ItemProperty {key} ImagePath '\"{image}\"'", "powershell")


def _judge_place(place: Place, install: WindowsInstall) -> list[Problem]:
    path, access = place.path, place.access
    if access is None:
        return [problem(Status.UNKNOWN, "not-observed", place.unobserved, path)]
    if place.is_link:
        text = f"{path}: is a link or junction"
        return [problem(Status.CRIT, "folder-link", text, path)]
    is_folder = place.above or path in {install.folder, f"{install.folder}/configuration"}
    start = "folder-" if is_folder else ""
    found: list[Problem] = []
    if _strangers((access.owner_sid,)):
        text = f"{path}: owned by {access.owner_sid or 'nobody'}, allowed are administrators"
        fix = Fix(f"icacls '{_spell(path)}' /setowner '*S-1-5-32-544'", "powershell")
        found.append(Problem(Status.CRIT, Finding(f"{start}owner", text, path), fix))
    sids = _strangers(access.replacers if place.above else access.writers)
    if sids:
        text = f"{path}: {', '.join(sids)} can {'replace' if place.above else 'change'} it"
        words = " ".join(f"'*{sid}'" for sid in sids)
        fix = Fix(f"icacls '{_spell(path)}' /remove:g {words}", "powershell")
        found.append(Problem(Status.CRIT, Finding(f"{start}writable", text, path), fix))
    return found


def _strangers(sids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        sid
        for sid in sids
        if sid not in TRUSTED and sid != _CREATOR_OWNER and not _ADMINISTRATOR.fullmatch(sid)
    )


def _spell(path: str) -> str:
    r"""Return a path as a PowerShell text within single quotes has it.

    >>> _spell("C:/it's")
    "C:\\it''s"
    """
    return path.replace("/", "\\").replace("'", "''")


def _evidence(install: WindowsInstall, programs: WindowsPrograms) -> tuple[Evidence, ...]:
    command = install.service.command if install.service else ""
    parts = (
        Evidence("executables", tuple(fact.path for fact in programs.programs)),
        Evidence("command", command, "ImagePath of the service"),
        Evidence("access_lists", tuple(place.path for place in programs.places)),
        Evidence("version", install.version, "service key"),
        Evidence("listed_versions", install.listed, "uninstall keys"),
        Evidence("reported_version", programs.reported, "amazon-ssm-agent.exe -version"),
        Evidence("notes", (*install.notes, *((programs.note,) if programs.note else ()))),
    )
    return tuple(part for part in parts if part.value not in {None, "", ()})
