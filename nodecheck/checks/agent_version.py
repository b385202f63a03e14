"""Judge how far the installed agent is behind what its Region offers.

The offered version is the bucket's ``latest/VERSION``, where that cannot be read the highest active
release of the manifest. Days behind are counted as ``model/staleness.py`` says, with the error of
their source: ``crit`` needs the whole error beyond the limit, ``ok`` the whole error within it.

Without the bucket only the shipped table is left. It proves that a version is old, never that it is
new, so the answer is then ``warn``, ``crit`` or ``unknown``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks.version_age import (
    age_evidence,
    ceiling,
    judge_age,
    judge_least_age,
    spell_days,
)
from nodecheck.model.install import oldest
from nodecheck.model.offer import Mark, ReleaseFacts
from nodecheck.model.releases import RELEASES
from nodecheck.model.remedy import install_fix, restart_fix, update_fix
from nodecheck.model.staleness import behind, behind_at_least
from nodecheck.model.verdict import Evidence, Finding, SkipReason, Status, Verdict
from nodecheck.model.version import AgentVersion, releases_behind
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.checks.version_age import Problems
    from nodecheck.model.agent import Installation, InstallFacts
    from nodecheck.model.errors import ProbeError
    from nodecheck.model.install import VersionPolicy
    from nodecheck.model.verdict import Fix

ID: Final = "agent.version"
QUESTION: Final = "is the installed agent recent enough, and not withdrawn by AWS?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  The installed version, as its package says (it is not executed), against the version that the
  Region's bucket offers (latest/VERSION) and AWS's own mark in ssm-agent-manifest.json. Where
  several agents are installed, the oldest is judged.

  Days behind are the days between the installed and the offered release, but no more than the days
  for which any newer release has been public. AWS publishes no release dates. They are taken from
  the Last-Modified of the packages in the bucket, else from a table in this program that is good to
  31 days: the evidence names the source (date_source), says whether the days are estimated, and
  their error counts. The table has gaps after 3.3.1142.0 (2024-10-21); a version missing there has
  an unknown age.

  Regions differ: AWS takes up to two weeks to bring a release to all of them. The dates are those
  of this Region's own bucket, the 31 days of the table cover the two weeks, and a version newer
  than the Region offers is not behind. A snap cannot be newer than its channel, nor the package of
  Amazon Linux (release ...amzn...) newer than its repository: being behind is at most warn there.

  The bucket is asked through the agent's proxy, and at the agent's own S3 endpoint first where its
  configuration names one. The running version is the one of the installed file where that file
  runs, or of an earlier version that was verified while it was installed (agent.running tells; it
  must run too); else it is not told.

LIMITS
  ok       the offered version or a newer one (Regions differ by some days), or at most
           agent.max_age_days (30) behind and not withdrawn
  warn     behind: more than agent.max_age_days behind, or not provably less; far-behind where the
           channel decides; running-older: an older version than the installed one still runs
  unknown  version-unknown, age-unknown, manifest-not-read (cannot tell whether the version is
           withdrawn), offered-version-unknown (no network, and the table cannot prove it old)
  crit     far-behind: more than agent.crit_age_days (90) behind; deprecated: AWS marks the version
           Deprecated; below-minimum: below agent.min_version

HOW TO MEND
  all      run AWS-UpdateSSMAgent, best by a State Manager association every 14 days
  rpm      rpm -U URL of amazon-ssm-agent.rpm; Amazon Linux: dnf update amazon-ssm-agent
  deb      dpkg -i amazon-ssm-agent.deb
  snap     snap refresh amazon-ssm-agent
  Windows  AmazonSSMAgentSetup.exe /S
  Check the package's signature first: see "nodecheck explain agent.signature".

SOURCES
  https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-agent-automatic-updates.html
  https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-agent-technical-details.html,
  "SSM Agent rolling updates by AWS Regions" (two weeks)
  https://github.com/aws/amazon-ssm-agent, agent/updateutil and RELEASENOTES.md
"""


@dataclass(frozen=True, slots=True)
class _Judged:
    """One step of the judgement: a problem or none, what supports it, and the good news."""

    problems: Problems = ()
    evidence: tuple[Evidence, ...] = ()
    message: str = ""
    package_url: str = ""


def judge(
    install: InstallFacts,
    release: ReleaseFacts | ProbeError | None,
    policy: VersionPolicy,
    now: datetime | None,
    runs: tuple[AgentVersion, ...] = (),
) -> Verdict:
    """Return the verdict.

    Args:
        install: what is installed.
        release: what the Region offers; None: offline by request.
        policy: the operator's limits.
        now: corrected time.
        runs: the proven versions of what runs, the oldest first.
    """
    if not install.installations:
        return _nothing_installed(install)
    judged = oldest(install.installations)
    try:
        version = AgentVersion.parse(judged.version)
    except ValueError:
        text = "the version of the installed agent cannot be read without executing it"
        finding = Finding("version-unknown", text)
        return Verdict.of(ID, Status.UNKNOWN, (finding,), evidence=_installed(install))
    steps, decides = [_floor(version, policy), _running(version, runs)], ceiling(judged)
    if isinstance(release, ReleaseFacts):
        steps.append(_mark(version, release))
        steps.append(_online(version, release, policy, now, decides))
    else:
        steps.append(_offline(version, release, policy, now, decides))
    judged_at = Evidence("judged_at", now.isoformat() if now else "not known", "corrected time")
    return _conclude(judged, steps, (*_installed(install), judged_at), _limit(policy))


def _conclude(
    judged: Installation, steps: list[_Judged], installed: tuple[Evidence, ...], limit: str
) -> Verdict:
    evidence = (*installed, *(item for step in steps for item in step.evidence))
    problems = sorted(
        (problem for step in steps for problem in step.problems),
        key=lambda problem: -problem[0].severity,
    )
    if not problems:
        return Verdict.ok(ID, steps[-1].message, evidence, limit)
    findings = tuple(finding for _, finding in problems)
    is_crit = problems[0][0] is Status.CRIT
    fixes = _fixes(judged, findings, steps[-1].package_url, is_crit=is_crit)
    return Verdict.of(ID, problems[0][0], findings, evidence=evidence, limit=limit, fixes=fixes)


def _fixes(
    judged: Installation, findings: tuple[Finding, ...], package_url: str, *, is_crit: bool
) -> tuple[Fix, ...]:
    """Return the commands; where its repository may have nothing better, the package itself."""
    fixes: list[Fix] = []
    if any(finding.reason != "running-older" for finding in findings):
        fixes.append(update_fix(judged, package_url))
        fixes += [install_fix(judged.channel, package_url)] if is_crit else []
    if any(finding.reason == "running-older" for finding in findings):
        fixes.append(restart_fix(judged.channel))
    return tuple(dict.fromkeys(fixes))


def _nothing_installed(install: InstallFacts) -> Verdict:
    if not install.unobserved:
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, "no SSM Agent is installed")
    text = f"cannot tell which agent is installed: {'; '.join(install.unobserved)}"
    return Verdict.of(ID, Status.UNKNOWN, (Finding("not-observed", text),))


def _installed(install: InstallFacts) -> tuple[Evidence, ...]:
    versions = tuple(item.version or "unknown" for item in install.installations)
    sources = ", ".join(item.channel.value for item in install.installations)
    if len(versions) == 1:
        label = install.installations[0].package or sources
        return (Evidence("installed_version", versions[0], label),)
    return (Evidence("installed_versions", versions, f"{sources}; the oldest is judged"),)


def _limit(policy: VersionPolicy) -> str:
    floor = f", at least {policy.min_version}" if policy.min_version else ""
    return f"{policy.max_age_days} days behind (crit {policy.crit_age_days}){floor}"


def _floor(version: AgentVersion, policy: VersionPolicy) -> _Judged:
    if policy.min_version is None or version >= policy.min_version:
        return _Judged()
    text = f"version {version} is below the minimum {policy.min_version}"
    return _Judged(((Status.CRIT, Finding("below-minimum", text)),))


def _running(version: AgentVersion, runs: tuple[AgentVersion, ...]) -> _Judged:
    if not runs:
        return _Judged()
    evidence = (Evidence("running_version", tuple(str(item) for item in runs), "running image"),)
    if runs[0] >= version:
        return _Judged(evidence=evidence)
    text = f"version {runs[0]} still runs, {version} is installed: a restart is pending"
    return _Judged(((Status.WARN, Finding("running-older", text)),), evidence)


def _mark(version: AgentVersion, release: ReleaseFacts) -> _Judged:
    if release.manifest_url:
        mark = release.mark(version)
        word = mark.value if mark else "not listed"
        evidence = (Evidence("manifest_mark", word, release.manifest_url),)
        if mark is not Mark.DEPRECATED:
            return _Judged(evidence=evidence)
        text = f"AWS marks version {version} Deprecated; {release.offered} is offered"
        return _Judged(((Status.CRIT, Finding("deprecated", text)),), evidence)
    if version == release.offered:  # AWS offers no version that it has withdrawn
        return _Judged()
    text = f"cannot tell whether version {version} is withdrawn: {'; '.join(release.unread)}"
    return _Judged(((Status.UNKNOWN, Finding("manifest-not-read", text)),))


def _online(
    version: AgentVersion,
    release: ReleaseFacts,
    policy: VersionPolicy,
    now: datetime | None,
    decides: str,
) -> _Judged:
    evidence = [Evidence("offered_version", str(release.offered), release.offered_url)]
    if version >= release.offered:
        newer = version > release.offered
        offered = f"newer than {release.offered}, which" if newer else "the newest that"
        current = f"version {version}, {offered} the Region offers"
        return _Judged(evidence=tuple(evidence), message=current)
    known = (*(item.version for item in release.manifest), *RELEASES)
    count = releases_behind(version, release.offered, known)
    evidence.append(Evidence("releases_behind_at_least", count))
    if release.unread:
        evidence.append(Evidence("not_read", release.unread))
    age = behind(version, release, now.date() if now else None)
    text = f"version {version} is behind {release.offered}"
    if age is None:
        problem = Finding("age-unknown", f"{text} by an unknown number of days")
        problems: Problems = ((Status.UNKNOWN, problem),)
    else:
        evidence += age_evidence("days_behind", age)
        text = f"{text} by {spell_days(age)}"
        problems = judge_age(text, age, policy, decides)
    return _Judged(problems, tuple(evidence), text, release.package_url)


def _offline(
    version: AgentVersion,
    why: ProbeError | None,
    policy: VersionPolicy,
    now: datetime | None,
    decides: str,
) -> _Judged:
    reason = f"what the Region offers is not known ({why or 'offline by request'})"
    evidence: list[Evidence] = []
    age = behind_at_least(version, now.date() if now else None)
    if age is not None:
        evidence += age_evidence("days_behind_at_least", age, age.least)
        text = f"version {version} is at least {age.least} days behind"
        problems = judge_least_age(text, reason, age, policy, decides)
        if problems:
            return _Judged(problems, tuple(evidence))
    text = f"cannot tell how far version {version} is behind: {reason}"
    finding = Finding("offered-version-unknown", text)
    return _Judged(((Status.UNKNOWN, finding),), tuple(evidence))
