"""Judge whether State Manager updates the agent at least monthly, and whether that works.

AWS asks for an update at least every month. What runs an update on a schedule is an association of
AWS-UpdateSSMAgent, one's own or that of Quick Setup; its schedule stands in the agent's log each
time it runs. The automatic update of the agent itself is no monthly one: it replaces versions that
AWS has deprecated, and no others.

``ok`` needs such an entry. Without one the log proves that there is none only if it reaches back
over the longest time between two monthly runs; else it is ``unknown``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.hygiene import LATE_DAYS, UPDATE_DOCUMENT, Work
from nodecheck.model.remedy import send_update_fix
from nodecheck.model.schedule import MONTHLY_DAYS, NEVER_AGAIN, longest_gap_days
from nodecheck.model.verdict import Evidence, Finding, Fix, SkipReason, Status, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.agent import InstallFacts
    from nodecheck.model.agent_config import AgentConfig
    from nodecheck.model.hygiene import Association, AssociationFacts, RunFolders
    from nodecheck.model.node import NodeFacts
    from nodecheck.model.update import UpdateFacts

ID: Final = "hygiene.agent-update"
QUESTION: Final = "does an association update the agent at least monthly, and does it run?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  The association that runs AWS-UpdateSSMAgent (or a document with aws:updateSsmAgent), as the
  agent's log names it each time that it runs ("Next scheduled association is"): its schedule, when
  it ran last and with which result. Quick Setup makes such an association too. Each run is 35 days
  or less from the one before where every month has one, as on its second Thursday.
  The agent keeps associations in memory only: one that is in no log, no folder of a run (kept 24
  hours) and no record of the updater (7 days) may be there all the same. Automatic updates
  (Agent.SelfUpdate) are no monthly ones: they replace versions that AWS has deprecated only.
  Entries of the log are evidence where root alone can write it, and only where the agent itself
  began a line with them; what a document or a command wrote is none.

LIMITS
  ok       an association updates the agent at least every 35 days and ran in the last 36
  warn     too-seldom: the schedule is longer; run-once: there is no schedule, or it ends;
           overdue: the last run is over 36 days ago; last-run-failed; no-association: the log
           reaches back over 36 days and names none
  unknown  beyond-retention: the log names none, but does not reach back that far, so that the
           verdict of the run does not count it; schedule-not-understood: neither rate(...) nor
           cron(...) as it is known; age-unknown: the clock was not measured, or was set since;
           not-observed, no-permission: a log or folder could not be read, or others can write it
  With an expression of five fields the longer of its two readings counts (month or year missing).

HOW TO MEND
  none     aws ssm create-association --name AWS-UpdateSSMAgent --association-name UpdateSSMAgent
           --schedule-expression "rate(14 days)" --targets Key=tag:TAG,Values=VALUE
           --max-concurrency 10% --max-errors 5%
           or in Quick Setup, Host Management: "Update Systems Manager (SSM) Agent every two weeks"
  seldom   aws ssm describe-association --association-id ID, then aws ssm update-association with
           all that it shows and another --schedule-expression: what is left out there is erased
  failed   nodecheck explain agent.update

SOURCES
  https://docs.aws.amazon.com/systems-manager/latest/userguide/systems-manager-best-practices.html
  https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-agent-automatic-updates.html
  https://github.com/aws/amazon-ssm-agent, agent/association/schedulemanager
"""

_FAILED: Final = frozenset({"Failed", "TimedOut"})

Problem = tuple[Status, Finding]


def judge(  # noqa: PLR0913, PLR0917 - one argument for each kind of facts
    install: InstallFacts,
    log: AssociationFacts,
    folders: RunFolders,
    update: UpdateFacts | None,
    config: AgentConfig | None,
    node: NodeFacts | None,
    now: datetime | None,
) -> Verdict:
    """Return the verdict; ``now`` is corrected time, None where it is not known."""
    if not install.installations:
        return _nothing_installed(install)
    found = log.of(Work.UPDATE, node.node_id if node else "")
    judged = [(item, _judge_association(item, log, now)) for item in found]
    best = next((item for item, problem in judged if problem is None), None)
    evidence = _evidence(best or next(iter(found), None), log, update, config, now)
    if best is not None:
        return Verdict.ok(ID, _good_news(best, log, now), evidence)
    if judged and judged[0][1] is not None:
        status, finding = judged[0][1]
    else:
        status, finding = _judge_absence(log, folders, update, now)
        finding = _with_self_update(finding, config)
    fixes = _fixes(finding.reason, found[0] if found else None, node)
    return Verdict.of(ID, status, (finding,), evidence=evidence, fixes=fixes)


def _nothing_installed(install: InstallFacts) -> Verdict:
    if not install.unobserved:
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, "no SSM Agent is installed")
    text = f"cannot tell which agent is installed: {'; '.join(install.unobserved)}"
    return Verdict.of(ID, Status.UNKNOWN, (Finding("not-observed", text),))


def _judge_association(
    item: Association, log: AssociationFacts, now: datetime | None
) -> Problem | None:
    name = f"association {item.association_id} ({item.document})"
    return _judge_schedule(item, name) or _judge_run(item, name, log.age_days(item.at_ns, now))


def _judge_schedule(item: Association, name: str) -> Problem | None:
    gap_days = longest_gap_days(item.schedule) if item.schedule else NEVER_AGAIN
    if gap_days is None:
        text = f"{name}: the schedule {item.schedule!r} is not understood"
        return Status.UNKNOWN, Finding("schedule-not-understood", text)
    if gap_days == NEVER_AGAIN:
        text = f"{name} does not go on: its schedule is {item.schedule or 'none'}"
        return Status.WARN, Finding("run-once", text)
    if gap_days > MONTHLY_DAYS:
        limit = f"limit {MONTHLY_DAYS:.0f} days"
        text = f"{name} runs every {gap_days:g} days at most ({item.schedule}), {limit}"
        return Status.WARN, Finding("too-seldom", text)
    return None


def _judge_run(item: Association, name: str, age_days: float | None) -> Problem | None:
    if age_days is None:
        text = f"{name} ran at {item.at} (local time); how long ago is not known"
        return Status.UNKNOWN, Finding("age-unknown", text)
    if age_days > LATE_DAYS:
        text = f"{name} ran last {age_days:.0f} days ago, limit {LATE_DAYS:.0f} days"
        return Status.WARN, Finding("overdue", text)
    if item.status in _FAILED:
        when = f" at {item.ran_at}" if item.ran_at else ""
        text = f"{name}: State Manager calls its run{when} {item.status}"
        return Status.WARN, Finding("last-run-failed", text)
    return None


def _judge_absence(
    log: AssociationFacts, folders: RunFolders, update: UpdateFacts | None, now: datetime | None
) -> Problem:
    problems = [*log.unobserved, *([folders.problem] if folders.problem else [])]
    if problems:
        return Status.UNKNOWN, Finding("not-observed", "; ".join(problems))
    reach_days = log.reach_days(now)
    if reach_days is not None and reach_days >= LATE_DAYS:
        text = f"no association has updated the agent in the {reach_days:.0f} days of the log"
        return Status.WARN, Finding("no-association", text)
    if reach_days is None:
        text = "no association that updates the agent is in the log; how far it reaches back is not"
        return Status.UNKNOWN, Finding("age-unknown", f"{text} known")
    text = (
        f"no association that updates the agent is in the log, which reaches back {reach_days:.1f}"
        f" days; a monthly one shows in {LATE_DAYS:.0f}{_last_update(folders, update)}"
    )
    return Status.UNKNOWN, Finding("beyond-retention", text)


def _last_update(folders: RunFolders, update: UpdateFacts | None) -> str:
    """Return what did update the agent; it tells nothing of a schedule."""
    traces = folders.of(Work.UPDATE)
    if traces:
        kind = "association" if traces[0].is_association else "command"
        return f"; {kind} {traces[0].owner_id} ran an update"
    if update is not None and update.last is not None:
        return f"; the agent's updater ran last at {update.last.at} (local time)"
    return ""


def _with_self_update(finding: Finding, config: AgentConfig | None) -> Finding:
    if config is None or not config.self_update:
        return finding
    text = f"{finding.message}; automatic updates are on, but replace deprecated versions only"
    return Finding(finding.reason, text)


def _good_news(item: Association, log: AssociationFacts, now: datetime | None) -> str:
    age_days = log.age_days(item.at_ns, now) or 0.0
    result = f", the run before: {item.status}" if item.status else ""
    return f"{item.document} on {item.schedule}, last {age_days:.1f} days ago{result}"


def _evidence(
    item: Association | None,
    log: AssociationFacts,
    update: UpdateFacts | None,
    config: AgentConfig | None,
    now: datetime | None,
) -> tuple[Evidence, ...]:
    found: list[Evidence] = []
    if item is not None:
        gap_days = longest_gap_days(item.schedule) if item.schedule else None
        found += [
            Evidence("association", item.association_id, item.place),
            Evidence("document", item.document, item.place),
            Evidence("schedule", item.schedule, item.place),
            Evidence("longest_gap_days", None if gap_days == NEVER_AGAIN else gap_days),
            Evidence("last_run_at", item.at, "local time, as logged"),
            Evidence("earlier_run_at", item.ran_at, "State Manager"),
            Evidence("earlier_run_result", item.status, "State Manager"),
        ]
    reach_days = log.reach_days(now)
    found.append(Evidence("log_reaches_back_days", reach_days and round(reach_days, 2)))
    if update is not None and update.last is not None:
        found.append(Evidence("last_update_at", update.last.at, "local time, as recorded"))
        found.append(Evidence("last_update_result", update.last.outcome.value, update.last.place))
    if config is not None:
        found.append(Evidence("self_update", config.self_update, config.path))
    found.append(Evidence("logs_read", log.read or ("none",)))
    found.append(Evidence("entries_not_understood", log.strange or None))
    return tuple(entry for entry in found if entry.value not in {"", None})


def _fixes(reason: str, item: Association | None, node: NodeFacts | None) -> tuple[Fix, ...]:
    send = send_update_fix(node)
    if not send or node is None:  # what a file of the node says has not the form of an id
        return ()
    where = f"--region {node.region}"
    if reason in {"overdue", "last-run-failed"}:
        return send
    if item is not None and reason in {"too-seldom", "run-once"}:
        show = f"aws ssm describe-association --association-id {item.association_id} {where}"
        return (Fix(show),)
    if reason in {"no-association", "beyond-retention"}:
        listing = f"aws ssm describe-instance-associations-status --instance-id {node.node_id}"
        create = (
            f"aws ssm create-association --name {UPDATE_DOCUMENT} --association-name UpdateSSMAgent"
            f' --schedule-expression "rate(14 days)"'
            f" --targets Key=InstanceIds,Values={node.node_id} {where}"
        )
        return (Fix(f"{listing} {where}"), Fix(create, disruptive=True))
    return ()
