"""Judge how far the installed agent is behind what its Region offers.

The offered version is the bucket's ``latest/VERSION``, where that cannot be read the highest active
release of the manifest. Days behind are counted as ``model/staleness.py`` says, with the error of
their source: ``crit`` needs the whole error beyond the limit, ``ok`` the whole error within it.

Without the bucket only the shipped table is left. It proves that a version is old, never that it is
new, so the answer is then ``warn``, ``crit`` or ``unknown``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nodecheck.model.install import oldest
from nodecheck.model.offer import Mark, ReleaseFacts
from nodecheck.model.releases import RELEASES
from nodecheck.model.remedy import install_fix
from nodecheck.model.staleness import behind, behind_at_least
from nodecheck.model.verdict import Evidence, Finding, SkipReason, Status, Verdict
from nodecheck.model.version import AgentVersion, releases_behind

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.agent import Installation, InstallFacts
    from nodecheck.model.errors import ProbeError
    from nodecheck.model.install import VersionPolicy
    from nodecheck.model.staleness import Behind

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

LIMITS
  ok       the offered version or a newer one (Regions differ by some days), or at most
           agent.max_age_days (30) behind and not withdrawn
  warn     behind: more than agent.max_age_days behind, or not provably less
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
  https://github.com/aws/amazon-ssm-agent, agent/updateutil and RELEASENOTES.md
"""


@dataclass(frozen=True, slots=True)
class _Judged:
    """One step of the judgement: a problem or none, what supports it, and the good news."""

    problems: tuple[tuple[Status, Finding], ...] = ()
    evidence: tuple[Evidence, ...] = ()
    message: str = ""
    package_url: str = ""


def judge(
    install: InstallFacts,
    release: ReleaseFacts | ProbeError | None,
    policy: VersionPolicy,
    now: datetime | None,
) -> Verdict:
    """Return the verdict; ``release`` None means offline by request, ``now`` is corrected time."""
    if not install.installations:
        return _nothing_installed(install)
    judged = oldest(install.installations)
    try:
        version = AgentVersion.parse(judged.version)
    except ValueError:
        text = "the version of the installed agent cannot be read without executing it"
        finding = Finding("version-unknown", text)
        return Verdict.of(ID, Status.UNKNOWN, (finding,), evidence=_installed(install))
    steps = [_floor(version, policy)]
    if isinstance(release, ReleaseFacts):
        steps.append(_mark(version, release))
        steps.append(_online(version, release, policy, now))
    else:
        steps.append(_offline(version, release, policy, now))
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
    fix = install_fix(judged.channel, steps[-1].package_url)
    findings = tuple(finding for _, finding in problems)
    return Verdict.of(ID, problems[0][0], findings, evidence=evidence, limit=limit, fixes=(fix,))


def _nothing_installed(install: InstallFacts) -> Verdict:
    if not install.unobserved:
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, "no SSM Agent is installed")
    text = f"cannot tell which agent is installed: {'; '.join(install.unobserved)}"
    return Verdict.of(ID, Status.UNKNOWN, (Finding("not-observed", text),))


def _installed(install: InstallFacts) -> tuple[Evidence, ...]:
    versions = tuple(item.version or "unknown" for item in install.installations)
    sources = ", ".join(item.channel.value for item in install.installations)
    if len(versions) == 1:
        return (Evidence("installed_version", versions[0], sources),)
    return (Evidence("installed_versions", versions, f"{sources}; the oldest is judged"),)


def _limit(policy: VersionPolicy) -> str:
    floor = f", at least {policy.min_version}" if policy.min_version else ""
    return f"{policy.max_age_days} days behind (crit {policy.crit_age_days}){floor}"


def _floor(version: AgentVersion, policy: VersionPolicy) -> _Judged:
    if policy.min_version is None or version >= policy.min_version:
        return _Judged()
    text = f"version {version} is below the minimum {policy.min_version}"
    return _Judged(((Status.CRIT, Finding("below-minimum", text)),))


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
    version: AgentVersion, release: ReleaseFacts, policy: VersionPolicy, now: datetime | None
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
        problems: tuple[tuple[Status, Finding], ...] = ((Status.UNKNOWN, problem),)
    else:
        evidence += _age_evidence("days_behind", age)
        problems, text = _aged(f"{text} by {_days(age)}", age, policy)
    return _Judged(problems, tuple(evidence), text, release.package_url)


def _aged(
    text: str, age: Behind, policy: VersionPolicy
) -> tuple[tuple[tuple[Status, Finding], ...], str]:
    if age.least > policy.crit_age_days:
        finding = Finding("far-behind", f"{text}, limit {policy.crit_age_days} days")
        return ((Status.CRIT, finding),), text
    if age.most <= policy.max_age_days:
        return (), text
    finding = Finding("behind", f"{text}, limit {policy.max_age_days} days")
    return ((Status.WARN, finding),), text


def _offline(
    version: AgentVersion,
    why: ProbeError | None,
    policy: VersionPolicy,
    now: datetime | None,
) -> _Judged:
    reason = f"what the Region offers is not known ({why or 'offline by request'})"
    evidence: list[Evidence] = []
    age = behind_at_least(version, now.date() if now else None)
    if age is not None:
        evidence += _age_evidence("days_behind_at_least", age, age.least)
        text = f"version {version} is at least {age.least} days behind"
        for limit, status, code in (
            (policy.crit_age_days, Status.CRIT, "far-behind"),
            (policy.max_age_days, Status.WARN, "behind"),
        ):
            if age.least > limit:
                finding = Finding(code, f"{text}, limit {limit} days; {reason}")
                return _Judged(((status, finding),), tuple(evidence))
    text = f"cannot tell how far version {version} is behind: {reason}"
    finding = Finding("offered-version-unknown", text)
    return _Judged(((Status.UNKNOWN, finding),), tuple(evidence))


def _days(age: Behind) -> str:
    return f"about {age.days} (+-{age.slack_days}) days" if age.slack_days else f"{age.days} days"


def _age_evidence(name: str, age: Behind, days: int | None = None) -> list[Evidence]:
    return [
        Evidence(name, age.days if days is None else days, age.source),
        Evidence("date_source", age.source),
        Evidence("estimated", age.slack_days > 0),
    ]
