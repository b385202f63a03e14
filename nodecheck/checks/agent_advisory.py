"""Judge whether the agent is below a version that fixed a published vulnerability.

The installed version is judged, the oldest where there are several, and the running one as well
where it is proven: until it is restarted, an updated agent still has the hole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks.running_version import running_versions
from nodecheck.model.advisories import ADVISORIES, CHECKED_ON, held_by
from nodecheck.model.history import History
from nodecheck.model.install import oldest
from nodecheck.model.remedy import install_fix, restart_fix, send_update_fix
from nodecheck.model.verdict import Evidence, Finding, SkipReason, Status, Verdict
from nodecheck.model.version import AgentVersion

if TYPE_CHECKING:
    from nodecheck.model.agent import InstallFacts
    from nodecheck.model.install import RunningFacts
    from nodecheck.model.node import NodeFacts
    from nodecheck.model.verdict import Fix

ID: Final = "agent.advisory"
QUESTION: Final = "is the agent below a version that fixed a published vulnerability?"

_LISTED: Final = "\n".join(
    f"  {item.advisory_id}, below {item.fixed}, published {item.published}\n"
    f"           {item.title}\n           {item.source}"
    for item in ADVISORIES
)

EXPLANATION: Final = f"""\
WHAT IS JUDGED
  The installed version, as its package says, and the running one where its image is proven to be of
  a known version, against the vulnerabilities of the agent's own code that were published until
  {CHECKED_ON} (table_checked_on). This build knows no later ones. Those of libraries inside the
  agent are not listed: see agent.version, and stay up to date. Mitigations are not seen.

{_LISTED}

LIMITS
  ok       neither the installed nor the running version is below a fix in this table
  unknown  version-unknown: the version of the installed agent cannot be read; not-observed: it
           cannot be told which agent is installed; running-unknown: the running image was replaced
           on disk, and it is not known of which version it was
  crit     vulnerable: the installed version has at least one of them; still-running: the installed
           version is fixed, but an older one that has them still runs

HOW TO MEND
  all      run AWS-UpdateSSMAgent, or install the newest package; then restart what still runs
  Amazon Linux and snap: where the repository or channel has no fixed version yet, install the
           package from the Region's bucket

SOURCES
  https://aws.amazon.com/security/security-bulletins/
  https://github.com/aws/amazon-ssm-agent/security/advisories
"""


def judge(
    install: InstallFacts,
    running: RunningFacts | None,
    history: History | None = None,
    node: NodeFacts | None = None,
) -> Verdict:
    """Return the verdict; ``running`` None: what runs could not be looked at."""
    if not install.installations:
        return _nothing_installed(install)
    judged = oldest(install.installations)
    evidence = [
        Evidence("table_checked_on", CHECKED_ON.isoformat(), "shipped table"),
        Evidence("advisories", tuple(item.advisory_id for item in ADVISORIES), "shipped table"),
        Evidence("installed_version", judged.version or "unknown", judged.channel.value),
    ]
    runs = running_versions(install, running, history or History()) if running else ()
    if runs:
        evidence.append(Evidence("running_version", tuple(str(item) for item in runs)))
    try:
        version = AgentVersion.parse(judged.version)
    except ValueError:
        text = "the version of the installed agent cannot be read without executing it"
        finding = Finding("version-unknown", text)
        return Verdict.of(ID, Status.UNKNOWN, (finding,), evidence=tuple(evidence))
    findings = _findings("vulnerable", f"installed version {version}", version)
    fixes: tuple[Fix, ...] = (*send_update_fix(node), install_fix(judged.channel))
    if not findings and runs and runs[0] < version:
        findings = _findings("still-running", f"running version {runs[0]}", runs[0])
        fixes = (restart_fix(judged.channel),)
    if findings:
        return Verdict.of(ID, Status.CRIT, findings, evidence=tuple(evidence), fixes=fixes)
    stale = [item for item in running.processes if item.deleted] if running and not runs else []
    if stale:
        text = f"process {stale[0].pid} ({stale[0].name}) runs an image that was replaced on disk"
        text += f", of no known version; installed is {version}"
        finding = Finding("running-unknown", text)
        fix = restart_fix(judged.channel)
        return Verdict.of(ID, Status.UNKNOWN, (finding,), evidence=tuple(evidence), fixes=(fix,))
    text = f"version {version} has none of {len(ADVISORIES)} published vulnerabilities"
    return Verdict.ok(ID, f"{text}, as known on {CHECKED_ON}", tuple(evidence))


def _findings(reason: str, what: str, version: AgentVersion) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            reason,
            f"{what} has {item.advisory_id} ({item.title}), fixed in {item.fixed}: {item.source}",
        )
        for item in held_by(version)
    )


def _nothing_installed(install: InstallFacts) -> Verdict:
    if not install.unobserved:
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, "no SSM Agent is installed")
    text = f"cannot tell which agent is installed: {'; '.join(install.unobserved)}"
    return Verdict.of(ID, Status.UNKNOWN, (Finding("not-observed", text),))
