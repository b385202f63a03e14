"""What the checks on signed files share: when they apply, and how problems become one verdict."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel
from nodecheck.model.package_place import BINARIES, DEB, deb_folder
from nodecheck.model.remedy import install_fix
from nodecheck.model.verdict import Finding, Fix, SkipReason, Status, Verdict, worst
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.agent import Installation, InstallFacts
    from nodecheck.model.package import PackageFacts, Unproven
    from nodecheck.model.trust import SignedPackage
    from nodecheck.model.verdict import Evidence

LISTED_LIMIT: Final = 20

_BUCKET: Final = "https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent"
_RPM_FOLDERS: Final = {
    "x86_64": "linux_amd64",
    "aarch64": "linux_arm64",
    "i386": "linux_386",
    "i686": "linux_386",
}
_OWN: Final = "/var/cache/nodecheck"
"""Where the printed commands put a package for ``trust.package_dir``."""
_KEY_FILE: Final = "amazon-ssm-agent.gpg"
"""As Amazon's page on verifying the agent's signature has it saved."""
_ASKED_VERSION: Final = "${VERSION:?is to be set to the version of this copy}"
_VERSION: Final = re.compile(r"[0-9]+(\.[0-9]+){3}")
_DEB_FOLDER: Final = re.compile(r"debian_[a-z0-9]+")
_BINARIES_FOLDER: Final = "{}/linux_$(uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')"


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


def not_judged(check_id: str, install: InstallFacts, facts: PackageFacts) -> Verdict | None:
    """Return a skip where the node has no agent at all; None where there is something to judge."""
    if install.installations or install.unobserved or facts.packages or facts.unobserved:
        return None
    message = "no SSM Agent is installed"
    return Verdict.skip(check_id, SkipReason.NOT_APPLICABLE, message)


def survey_problems(install: InstallFacts, facts: PackageFacts) -> tuple[Problem, ...]:
    """Return what keeps these facts from being the whole story about the installed agent."""
    notes = dict.fromkeys((*facts.unobserved, *(() if facts.packages else install.unobserved)))
    found = [problem(Status.UNKNOWN, "not-observed", note) for note in notes]
    found += [_unproven(item) for item in facts.unproven]
    spoken_for = {item.channel for item in facts.packages}
    spoken_for |= {item.installation.channel for item in facts.unproven}
    for item in install.installations:
        if item.channel in spoken_for:
            continue
        if item.channel is not Channel.RPM:
            found.append(_other_channel(item))
        elif not notes:
            note = f"{item.package}: its header was not found in {facts.source or 'any database'}"
            found.append(problem(Status.UNKNOWN, "not-observed", note))
    return tuple(found)


def _unproven(item: Unproven) -> Problem:
    installed = item.installation
    finding = Finding(item.reason, item.message, installed.executable or None)
    if item.reason == "timeout":
        return Problem(Status.UNKNOWN, finding, Fix("nodecheck --deadline 120"))
    return Problem(Status.UNKNOWN, finding, _offer_fix(installed))


def _offer_fix(installed: Installation) -> Fix | None:
    """Return the command that fetches what proves this installation, and judges by it."""
    folders = {
        Channel.BY_HAND: (_BINARIES_FOLDER.format(_ASKED_VERSION), BINARIES),
        Channel.DEB: (_deb_place(installed.version, installed.package), DEB),
    }
    if installed.channel not in folders:
        return None
    fetch = _fetch(*folders[installed.channel])
    return Fix(f"{fetch} && NODECHECK_TRUST_PACKAGE_DIR={_OWN} nodecheck")


def _deb_place(version: str, label: str) -> str:
    """Return the bucket's folder of a deb; an unproven package may claim anything as its name."""
    folder = deb_folder(label)
    if not _DEB_FOLDER.fullmatch(folder):
        folder = "debian_$(dpkg --print-architecture)"
    return f"{version if _VERSION.fullmatch(version) else 'latest'}/{folder}"


def _fetch(folder: str, name: str) -> str:
    """Return the command that fetches a package and its signature, for any POSIX shell."""
    url = f"{_BUCKET}/{folder}/{name}"
    return f'mkdir -p {_OWN} && cd {_OWN} && curl -fsSO "{url}" -fsSO "{url}.sig"'


def _fetch_verified(folder: str, name: str) -> str:
    """Return the command that fetches a package and ends if Amazon's key did not sign it."""
    verify = f"gpg --verify {name}.sig {name}"
    return f"gpg --import {_KEY_FILE} && {_fetch(folder, name)} && {verify}"


def _other_channel(item: Installation) -> Problem:
    what = item.executable or item.package
    advice = {
        Channel.SNAP: "the files of a snap are not compared one by one: nodecheck --only"
        " agent.signature judges the signed image that holds them",
        Channel.BY_HAND: "an agent installed by hand is verified only against its archive: name"
        " the folder of it by trust.package_dir",
        Channel.DEB: "an agent installed by dpkg is verified only against its package: name the"
        " folder of it by trust.package_dir",
    }
    text = f"{what}: {advice[item.channel]}"
    finding = Finding("channel-not-verified", text, item.executable or None)
    is_snap = item.channel is Channel.SNAP
    fix = Fix("nodecheck --only agent.signature") if is_snap else _offer_fix(item)
    return Problem(Status.UNKNOWN, finding, fix)


def reinstall_fix(package: SignedPackage) -> Fix:
    """Return the command that puts the signed metadata and files back in place."""
    if package.channel is Channel.DEB:
        fetch = _fetch_verified(_deb_place(package.version, package.label), DEB)
        return Fix(f"{fetch} && dpkg -i {DEB}", disruptive=True)
    if package.channel is Channel.BY_HAND:
        known = _VERSION.fullmatch(package.version)
        folder = _BINARIES_FOLDER.format(known[0] if known else _ASKED_VERSION)
        return Fix(f"{_fetch_verified(folder, BINARIES)} && tar -xzf {BINARIES}")
    if package.channel is not Channel.RPM:
        return install_fix(package.channel)
    if ".amzn" in package.label:
        return Fix("yum reinstall -y amazon-ssm-agent", disruptive=True)
    folder = _RPM_FOLDERS.get(package.arch, "linux_amd64")
    command = f"rpm -U --force {_BUCKET}/latest/{folder}/amazon-ssm-agent.rpm"
    return Fix(command, disruptive=True)
