"""What the checks on signed files share: when they apply, and how problems become one verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel
from nodecheck.model.verdict import Finding, Fix, SkipReason, Status, Verdict, worst

if TYPE_CHECKING:
    from nodecheck.model.agent import Installation, InstallFacts
    from nodecheck.model.trust import RpmFacts, RpmPackage
    from nodecheck.model.verdict import Evidence

LISTED_LIMIT: Final = 20

_BUCKET: Final = "https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent"
_RPM_FOLDERS: Final = {
    "x86_64": "linux_amd64",
    "aarch64": "linux_arm64",
    "i386": "linux_386",
    "i686": "linux_386",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: how bad, what, and what mends it."""

    status: Status
    finding: Finding
    fix: Fix | None = None


def problem(status: Status, reason: str, message: str, path: str = "") -> Problem:
    """Return a problem that no single command mends."""
    return Problem(status, Finding(reason, message, path or None))


def conclude(
    check_id: str,
    message: str,
    problems: tuple[Problem, ...],
    evidence: tuple[Evidence, ...],
    limit: str,
) -> Verdict:
    """Return ok without problems, else the worst of them first and at most 20 of them listed."""
    if not problems:
        return Verdict.ok(check_id, message, evidence, limit)
    ranked = sorted(problems, key=lambda item: -item.status.severity)
    listed, more = ranked[:LISTED_LIMIT], len(ranked) - LISTED_LIMIT
    findings = tuple(item.finding for item in listed)
    if more > 0:
        findings += (Finding("more-findings", f"{more} further findings are not listed"),)
    fixes = dict.fromkeys(item.fix for item in listed if item.fix is not None)
    return Verdict.of(
        check_id,
        worst(tuple(item.status for item in problems)),
        findings,
        evidence=evidence,
        limit=limit,
        fixes=tuple(fixes),
    )


def not_judged(check_id: str, install: InstallFacts, rpm: RpmFacts) -> Verdict | None:
    """Return a skip where the node has no agent at all; None where there is something to judge."""
    if install.installations or install.unobserved or rpm.packages or rpm.unobserved:
        return None
    message = "no SSM Agent is installed"
    return Verdict.skip(check_id, SkipReason.NOT_APPLICABLE, message)


def survey_problems(install: InstallFacts, rpm: RpmFacts) -> tuple[Problem, ...]:
    """Return what keeps these facts from being the whole story about the installed agent."""
    notes = dict.fromkeys((*rpm.unobserved, *(() if rpm.packages else install.unobserved)))
    found = [problem(Status.UNKNOWN, "not-observed", note) for note in notes]
    for item in install.installations:
        if item.channel is not Channel.RPM:
            found.append(_other_channel(item))
        elif not rpm.packages and not notes:
            note = f"{item.package}: its header was not found in {rpm.source or 'any database'}"
            found.append(problem(Status.UNKNOWN, "not-observed", note))
    return tuple(found)


def _other_channel(item: Installation) -> Problem:
    message = f"{item.executable or item.package}: files installed by {item.channel.value} are"
    message += " not verified by this version; compare the package with its .sig"
    finding = Finding("channel-not-verified", message, item.executable or None)
    fixes = {
        Channel.DEB: Fix(
            f"curl -fsSLO {_BUCKET}/{item.version}/debian_$(dpkg --print-architecture)"
            "/amazon-ssm-agent.deb{,.sig} && gpg --verify amazon-ssm-agent.deb.sig"
            " amazon-ssm-agent.deb && dpkg --verify amazon-ssm-agent",
            "bash",
        ),
        Channel.SNAP: Fix("snap download amazon-ssm-agent && snap info amazon-ssm-agent"),
        Channel.WINDOWS: Fix(
            f"Get-AuthenticodeSignature '{item.executable}' | Format-List", "powershell"
        ),
    }
    return Problem(Status.UNKNOWN, finding, fixes.get(item.channel))


def reinstall_fix(package: RpmPackage) -> Fix:
    """Return the command that puts the signed header and files back in place."""
    if ".amzn" in package.release:
        return Fix("yum reinstall -y amazon-ssm-agent", disruptive=True)
    folder = _RPM_FOLDERS.get(package.arch, "linux_amd64")
    command = f"rpm -U --force {_BUCKET}/latest/{folder}/amazon-ssm-agent.rpm"
    return Fix(command, disruptive=True)
