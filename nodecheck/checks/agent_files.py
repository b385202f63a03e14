"""Judge whether the agent's files are the bytes that were signed, and safe from other users.

A digest is worth what its header's signature is worth: without a proven header nothing here is ok.
Configuration may be edited, the unit file only with a warning, programs never. Modes and owners are
judged as the agent itself does (0511 and not 0022, agent/appconfig/constants_unix.go), folders
because who may write to one may replace what lies in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks.file_safety import judge_places, judge_safety, quote
from nodecheck.checks.proof import (
    Problem,
    conclude,
    not_judged,
    problem,
    reinstall_fix,
    survey_problems,
)
from nodecheck.checks.unit_start import judge_manager, judge_unit
from nodecheck.model.node import FileKind
from nodecheck.model.trust import WEAK_DIGESTS, SignatureOutcome
from nodecheck.model.verdict import Evidence, Finding, Fix, Status

if TYPE_CHECKING:
    from nodecheck.model.agent import InstallFacts
    from nodecheck.model.node import FileState
    from nodecheck.model.package import PackageFacts
    from nodecheck.model.trust import FileFacts, InstalledFile, SignedPackage
    from nodecheck.model.verdict import Verdict

CHECK_ID: Final = "agent.files"
QUESTION: Final = "are all installed files of the SSM Agent the signed bytes, in safe places?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  Every file that the signed header (rpm) or the signed archive (deb, copies by hand) of the
  installed package names: its digest, kind, mode, owner, setuid bits, hard links and capabilities,
  and every folder above it. The digests come from what was signed, never from what rpm -V or
  dpkg --verify compares with. Programs that dpkg lists beyond the signed ones are named.

  What is started: the unit file, its drop-ins in every folder of systemd's search path and under
  every alias, what outranks the unit file or is used where it is missing, the variables that
  systemd gives to all services (system.conf), and programs that a search path finds first.
  For each of these files, for amazon-ssm-agent.json and seelog.xml in /etc/amazon/ssm, and for the
  folders that hold them: whether only root can change them, or add another.

LIMITS
  ok       every program is the signed bytes, and only root can change that
  warn     unit-edited: the unit file is configuration in the rpm, and differs from the signed one
           unit-missing: it is not there
           start-extended: a unit file or drop-in runs further commands, or reads an environment
           file
           weak-digest: the signed header names its files by MD5 or SHA-1
  unknown  not-observed: something could not be read
           unproven-digests: no key that is believed has signed the package
           no-files: the signed package names no file
           no-package, timeout: see "nodecheck explain agent.signature"
           channel-not-verified: this version does not verify an agent that came in this way
           update-in-progress: the files are being replaced
  crit     digest: a file is not the signed bytes (of a deb also the unit file)
           missing, kind, link-target: a signed file is gone, or something else is in its place
           mode, setuid, capabilities: a file may do more or less than it was signed to
           writable, owner: others than root can change a file
           folder-writable, folder-owner: others than root can replace or add one
           folder-link: a folder above a signed file is a symbolic link
           hard-links: a program has a second name
           start-overridden: another ExecStart, another view of the file system, or a variable that
           steers the loader or the search path
           shadowed: another file is found before the agent's own
           unsigned-program: dpkg lists a program as the agent's that nobody signed
           unproven-digests: the signature of the package is wrong
  An edited configuration file is evidence, not a finding; documentation may be left out. Allowed
  are links /bin, /sbin, /lib, /lib64 into /usr, masks (a link to /dev/null), links that lead to the
  agent's own files, a PATH of the usual folders, and Debian's group staff in /usr/local.
  At most 20 findings are listed, the rest is counted. Whoever is root while nodecheck runs can
  deceive it. Environment files and what generators add are not read.

HOW TO MEND
  Keep a copy of the file for the investigation, whatever comes next.
  rpm      rpm -U --force URL of amazon-ssm-agent.rpm (the command printed with the finding has it)
           modes and owners: rpm --setugids amazon-ssm-agent; rpm --setperms amazon-ssm-agent
  deb      save Amazon's key as amazon-ssm-agent.gpg (first page below) and import it by
           gpg --import; fetch the package of that version and its .sig; gpg --verify; dpkg -i.
           Other settings of the unit belong into a drop-in: systemctl edit amazon-ssm-agent
  by hand  fetch amazon-ssm-agent-binaries.tar.gz of that version and its .sig, verify it in the
           same way, unpack it and copy its programs over the installed ones
  snap     snap remove amazon-ssm-agent; snap install amazon-ssm-agent --classic
  Windows  run AmazonSSMAgentSetup.exe again
  start    systemctl cat amazon-ssm-agent shows all that is read; remove what you did not put there,
           then systemctl daemon-reload

SOURCES
  https://docs.aws.amazon.com/systems-manager/latest/userguide/verify-agent-signature.html
  https://rpm-software-management.github.io/rpm/manual/format_v4.html
  https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html
  https://www.freedesktop.org/software/systemd/man/latest/systemd-system.conf.html
"""

_LIMIT: Final = "signed digest; root's alone to change"


def judge(install: InstallFacts, facts: PackageFacts, files: FileFacts) -> Verdict:
    """Return the verdict on the files of the installed package."""
    skipped = not_judged(CHECK_ID, install, facts)
    if skipped:
        return skipped
    problems = [
        *survey_problems(install, facts),
        *(found for package in facts.packages if (found := _judge_package(package))),
        *(problem(Status.UNKNOWN, "not-observed", note) for note in files.unobserved),
    ]
    restore = reinstall_fix(facts.packages[0]) if facts.packages else None
    for file in files.files:
        problems += _judge_file(file, restore)
    problems += judge_places(files)
    problems += _judge_start(files)
    programs = sum(1 for file in files.files if file.digest)
    text = f"{programs} files are the bytes that were signed"
    return conclude(CHECK_ID, text, tuple(problems), _evidence(facts, files), _LIMIT)


def _judge_package(package: SignedPackage) -> Problem | None:
    label = package.label
    if not package.proven:
        bad = package.signature.outcome is SignatureOutcome.BAD
        status = Status.CRIT if bad else Status.UNKNOWN
        text = f"{label}: its digests prove nothing ({package.signature.detail})"
        return Problem(status, Finding("unproven-digests", text), reinstall_fix(package))
    if not any(file.digest for file in package.files):
        return problem(Status.UNKNOWN, "no-files", f"{label}: it names no file")
    weak = {file.algorithm for file in package.files} & WEAK_DIGESTS
    if weak:
        text = f"{label}: names its files by {', '.join(weak)}, allowed are SHA-2 digests"
        return Problem(Status.WARN, Finding("weak-digest", text), reinstall_fix(package))
    return None


def _judge_file(file: InstalledFile, restore: Fix | None) -> list[Problem]:
    expected, path = file.expected, file.expected.path
    if file.unobserved:
        return [problem(Status.UNKNOWN, "not-observed", file.unobserved, path)]
    unit = path.endswith(".service")
    if file.state is None:
        if expected.optional or (expected.editable and not unit):
            return []
        if expected.editable:
            text = f"{path}: unit file is missing"
            return [Problem(Status.WARN, Finding("unit-missing", text, path), restore)]
        text = f"{path}: missing"
        return [Problem(Status.CRIT, Finding("missing", text, path), restore)]
    if file.state.kind is not expected.kind:
        text = f"{path}: is a {file.state.kind.value}, signed as a {expected.kind.value}"
        return [Problem(Status.CRIT, Finding("kind", text, path), restore)]
    found = _judge_content(file, file.state, restore)
    if expected.kind is not FileKind.LINK:
        found += judge_safety(file, file.state)
    return found


def _judge_content(file: InstalledFile, state: FileState, restore: Fix | None) -> list[Problem]:
    expected, path = file.expected, file.expected.path
    if expected.kind is FileKind.LINK and state.target != expected.target:
        text = f"{path}: links to {state.target}, signed {expected.target}"
        return [Problem(Status.CRIT, Finding("link-target", text, path), restore)]
    if expected.kind is not FileKind.FILE or file.digest == expected.digest:
        return []
    if not expected.editable:
        found, signed = (file.digest or "")[:12], expected.digest[:12]
        text = f"{path} is not the signed file ({expected.algorithm} {found}, signed {signed})"
        return [Problem(Status.CRIT, Finding("digest", text, path), restore)]
    if path.endswith(".service"):
        text = f"{path}: unit file is edited"
        fix = Fix(f"systemctl cat {path.rpartition('/')[2]}")
        return [Problem(Status.WARN, Finding("unit-edited", text, path), fix)]
    return []


def _judge_start(files: FileFacts) -> list[Problem]:
    """Return what is started in place of the signed programs, or together with them."""
    programs = frozenset(file.expected.path for file in files.files if file.expected.is_program)
    found = [item for unit in files.start.units for item in judge_unit(unit, programs)]
    found += [item for unit in files.start.manager for item in judge_manager(unit)]
    for state in (*files.start.shadows, *files.shadows):
        text = f"{state.path}: is found before the agent's own file of that name"
        fix = Fix(f"rm {quote(state.path)}")
        found.append(Problem(Status.CRIT, Finding("shadowed", text, state.path), fix))
    for state in files.extras:
        text = f"{state.path}: dpkg lists this program as the agent's, its signed package does not"
        found.append(problem(Status.CRIT, "unsigned-program", text, state.path))
    return found


def _evidence(facts: PackageFacts, files: FileFacts) -> tuple[Evidence, ...]:
    edited = tuple(
        file.expected.path
        for file in files.files
        if file.expected.editable and file.digest not in {None, file.expected.digest}
    )
    differing = tuple(
        f"{file.expected.path} {file.digest}"
        for file in files.files
        if not file.expected.editable and file.digest not in {None, file.expected.digest}
    )
    units = {file.expected.path for file in files.files}
    drop_ins = tuple(unit.path for unit in files.start.units if unit.path not in units)
    read = sum(1 for file in files.files if file.digest)
    labels = tuple(package.label for package in facts.packages)
    return (
        Evidence("packages", labels, facts.source),
        Evidence("files_read", read, "digest of each file"),
        *((Evidence("differing", differing, "digest of each file"),) if differing else ()),
        *((Evidence("edited", edited, "configuration of the package"),) if edited else ()),
        *((Evidence("drop_ins", drop_ins, "systemd unit folders"),) if drop_ins else ()),
    )
