"""Judge whether the agent's files are the bytes that were signed, and safe from other users.

A digest is worth what its header's signature is worth: without a proven header nothing here is ok.
Configuration may be edited, the unit file only with a warning, programs never. Modes and owners are
judged as the agent itself does (0511 and not 0022, agent/appconfig/constants_unix.go), folders
because who may write to one may replace what lies in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks.proof import (
    Problem,
    conclude,
    not_judged,
    problem,
    reinstall_fix,
    survey_problems,
)
from nodecheck.checks.unit_start import judge_unit
from nodecheck.model.node import FileKind
from nodecheck.model.trust import WEAK_DIGESTS, SignatureOutcome
from nodecheck.model.verdict import Evidence, Finding, Fix, Status

if TYPE_CHECKING:
    from nodecheck.model.agent import InstallFacts
    from nodecheck.model.node import FileState
    from nodecheck.model.trust import FileFacts, InstalledFile, RpmFacts, RpmPackage, SignedFile
    from nodecheck.model.verdict import Verdict

CHECK_ID: Final = "agent.files"
QUESTION: Final = "are all installed files of the SSM Agent the signed bytes, in safe places?"
EXPLANATION: Final = """\
What is judged
    Every file that the signed header of the installed package names: digest, kind, mode, owner,
    setuid, hard links, file capabilities; every folder above them; the unit file, its drop-ins, and
    programs in /usr/local that a search path finds first. The digests come from the signed part of
    the header, never from what rpm -V compares with.

Limits
    ok       every program is the signed bytes, and only root can change that
    warn     unit-edited, unit-missing, start-extended (drop-in with further commands or an
             environment file), weak-digest (the header names files by MD5 or SHA-1)
    unknown  not-observed, unproven-digests (header not signed by a believed key), no-files,
             channel-not-verified (deb, snap, Windows and copies by hand)
    crit     digest, missing, kind, link-target, mode, writable, owner, setuid, hard-links,
             capabilities, folder-writable, folder-owner, folder-link, start-overridden (another
             ExecStart, LD_ variables, another root), shadowed, unproven-digests (signature wrong)
    An edited configuration file is evidence, not a finding; documentation may be left out. Links
    /bin, /sbin, /lib, /lib64 into /usr are allowed. At most 20 findings are listed, the rest is
    counted. Whoever is root while nodecheck runs can deceive it.

How to mend
    rpm      keep a copy of the file for the investigation, then: rpm -U --force https://\
s3.amazonaws.com/ec2-downloads-windows/SSMAgent/latest/linux_amd64/amazon-ssm-agent.rpm
             modes and owners: rpm --setugids amazon-ssm-agent; rpm --setperms amazon-ssm-agent
    deb      gpg --verify amazon-ssm-agent.deb.sig amazon-ssm-agent.deb, then dpkg -i
    snap     snap remove amazon-ssm-agent; snap install amazon-ssm-agent --classic
    windows  run AmazonSSMAgentSetup.exe again

Sources
    https://docs.aws.amazon.com/systems-manager/latest/userguide/verify-agent-signature.html
    https://rpm-software-management.github.io/rpm/manual/format_v4.html
    https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html
"""

_LIMIT: Final = "signed digest; root's alone to change"
_OTHERS_WRITE: Final = 0o022
_STICKY: Final = 0o1000
_SET_ID: Final = 0o6000
_USR_MERGE: Final = {
    "/bin": "usr/bin",
    "/sbin": "usr/sbin",
    "/lib": "usr/lib",
    "/lib64": "usr/lib64",
    "/usr/sbin": "bin",
}
"""Symbolic links of distributions (https://systemd.io/THE_CASE_FOR_THE_USR_MERGE)."""


def judge(install: InstallFacts, rpm: RpmFacts, files: FileFacts) -> Verdict:
    """Return the verdict on the files of the installed package."""
    skipped = not_judged(CHECK_ID, install, rpm)
    if skipped:
        return skipped
    problems = [
        *survey_problems(install, rpm),
        *(found for package in rpm.packages if (found := _judge_package(package))),
        *(problem(Status.UNKNOWN, "not-observed", note) for note in files.unobserved),
    ]
    restore = reinstall_fix(rpm.packages[0]) if rpm.packages else None
    for file in files.files:
        problems += _judge_file(file, restore)
    for folder in files.folders:
        problems += _judge_folder(folder)
    problems += _judge_start(files)
    programs = sum(1 for file in files.files if file.digest)
    text = f"{programs} files are the bytes that were signed"
    return conclude(CHECK_ID, text, tuple(problems), _evidence(rpm, files), _LIMIT)


def _judge_package(package: RpmPackage) -> Problem | None:
    label = package.label
    if not package.proven:
        bad = package.signature.outcome is SignatureOutcome.BAD
        status = Status.CRIT if bad else Status.UNKNOWN
        text = f"{label}: its digests prove nothing ({package.signature.detail})"
        return Problem(status, Finding("unproven-digests", text), reinstall_fix(package))
    if not any(file.digest for file in package.files):
        return problem(Status.UNKNOWN, "no-files", f"{label}: its header names no file")
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
        found += _judge_safety(file, file.state)
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


def _judge_safety(file: InstalledFile, state: FileState) -> list[Problem]:
    """Return who else may change this file, and what it may do beyond its signed mode."""
    expected, path = file.expected, file.expected.path
    strict = expected.kind is FileKind.FILE and not expected.editable
    target = _quote(path)
    mode_reason = _judge_mode(expected, state, strict=strict)
    mode_text = f"mode {state.mode:04o}, signed {expected.mode:04o}"
    owner_text = f"owned by user {state.uid}, allowed is 0"
    links_text = f"{state.links} hard links, allowed is 1"
    rules = (
        (state.uid != 0, "owner", owner_text, Fix(f"chown root:root {target}")),
        (mode_reason, mode_reason, mode_text, Fix(f"chmod {expected.mode:04o} {target}")),
        (strict and state.links != 1, "hard-links", links_text, None),
        (state.has_capabilities, "capabilities", "capabilities set", Fix(f"setcap -r {target}")),
    )
    return [
        Problem(Status.CRIT, Finding(reason, f"{path}: {text}", path), fix)
        for broken, reason, text, fix in rules
        if broken
    ]


def _judge_mode(expected: SignedFile, state: FileState, *, strict: bool) -> str:
    """Return the reason code of a wrong mode, the gravest first, '' if it is right."""
    if state.mode & ~expected.mode & _SET_ID:
        return "setuid"
    sticky_folder = state.kind is FileKind.FOLDER and state.mode & _STICKY
    if state.mode & _OTHERS_WRITE and not sticky_folder:
        return "writable"
    return "mode" if strict and state.mode != expected.mode else ""


def _judge_folder(state: FileState) -> list[Problem]:
    path = state.path
    if state.kind is FileKind.LINK:
        if state.target.strip("/") == _USR_MERGE.get(path):
            return []
        text = f"{path}: is a symbolic link to {state.target}"
        return [problem(Status.CRIT, "folder-link", text, path)]
    found: list[Problem] = []
    if state.uid != 0:
        text = f"{path}: folder owned by user {state.uid}, allowed is 0"
        fix = Fix(f"chown root:root {_quote(path)}")
        found.append(Problem(Status.CRIT, Finding("folder-owner", text, path), fix))
    if state.mode & _OTHERS_WRITE and not state.mode & _STICKY:
        text = f"{path}: folder of mode {state.mode:04o}, others may write"
        fix = Fix(f"chmod go-w {_quote(path)}")
        found.append(Problem(Status.CRIT, Finding("folder-writable", text, path), fix))
    return found


def _judge_start(files: FileFacts) -> list[Problem]:
    """Return what is started in place of the signed programs, or together with them."""
    signed = {file.expected.path for file in files.files}
    programs = frozenset(file.expected.path for file in files.files if file.expected.mode & 0o111)
    found = [item for unit in files.unit_files for item in judge_unit(unit, programs)]
    for state in files.shadows:
        if state.kind is FileKind.LINK and state.target in signed:
            continue
        text = f"{state.path}: is found before the agent's own file of that name"
        fix = Fix(f"rm {_quote(state.path)}")
        found.append(Problem(Status.CRIT, Finding("shadowed", text, state.path), fix))
    return found


def _evidence(rpm: RpmFacts, files: FileFacts) -> tuple[Evidence, ...]:
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
    drop_ins = tuple(unit.path for unit in files.unit_files if unit.path not in units)
    read = sum(1 for file in files.files if file.digest)
    labels = tuple(package.label for package in rpm.packages)
    return (
        Evidence("packages", labels, rpm.source),
        Evidence("files_read", read, "digest of each file"),
        *((Evidence("differing", differing, "digest of each file"),) if differing else ()),
        *((Evidence("edited", edited, "%config of the package"),) if edited else ()),
        *((Evidence("drop_ins", drop_ins, "systemd unit folders"),) if drop_ins else ()),
    )


def _quote(path: str) -> str:
    return "'" + path.replace("'", "'\\''") + "'"
