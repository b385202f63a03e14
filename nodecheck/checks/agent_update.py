"""Judge whether the last update by the agent's own updater failed, was rolled back, or hangs.

The question is about what is recorded. Where every record could be read and holds no update, none
failed as far as the agent keeps records, which is ``ok`` and says so; a record that could not be
read, or not be understood, is ``unknown``.

Ages of unfinished updates: the trace is stamped by the node's clock, which may be wrong, and may
have been set since. Its age is therefore taken by that clock and by corrected time, and the smaller
one counts; where one is negative or corrected time is not known, the age is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks import windows_fix
from nodecheck.model.agent import Channel
from nodecheck.model.install import oldest
from nodecheck.model.moment import unix_ns
from nodecheck.model.remedy import send_update_fix, update_fix
from nodecheck.model.update import Outcome
from nodecheck.model.verdict import Evidence, Finding, Fix, SkipReason, Status, Verdict
from nodecheck.model.version import AgentVersion

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.agent import Installation, InstallFacts
    from nodecheck.model.install import RunningFacts
    from nodecheck.model.node import NodeFacts
    from nodecheck.model.update import UpdateFacts, UpdateTry

ID: Final = "agent.update"
QUESTION: Final = "did the last update of the agent fail or roll back, or does one hang?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  What the agent's own updater (AWS-UpdateSSMAgent, automatic updates) recorded: the last
  agent_update_result in the audit files (/var/log/amazon/ssm/audits, 7 days by default), the last
  try in AmazonSSMAgent-update.txt, update.lock and updatecontext.json in the agent's data folder.
  On Windows they lie in %ProgramData%\\Amazon\\SSM, and in Logs there.
  Updates by rpm, dpkg or snap leave no record here. Times are the node's local time as recorded. A
  failure is history, and ok, once another version is installed that is at least the one wanted.

LIMITS
  ok       the last try succeeded or was skipped, or no try is recorded in any of these places
  warn     update-failed; rolled-back: the earlier version was put back; rollback-failed: that
           failed as well; half-done: begun over 60 minutes ago, and nothing says that it ended
  unknown  not-observed: a record could not be read or understood; update-in-progress: begun less
           than 60 minutes ago; age-unknown: unfinished, but the age of its trace is not known
  60 minutes are the life of the updater's lock (UpdateLockFileMinutes).

HOW TO MEND
  read     tail -n 50 /var/log/amazon/ssm/AmazonSSMAgent-update.txt
  then     run AWS-UpdateSSMAgent again, or install the newest package by hand
  half-done  only if no updater runs any more: rm /var/lib/amazon/ssm/update.lock
  exit status 124 in the text: no systemd, upstart or snapd that the script knows; 125: the package
  manager refused or was locked

SOURCES
  https://github.com/aws/amazon-ssm-agent, agent/update/processor, agent/log/logger/eventlog.go and
  agent/updateutil/updateconstants; issues 665, 433 and 199 show such logs
  https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-agent-logs.html
"""

LOCK_LIFE_S: Final = 3600

_REASONS: Final = {
    Outcome.FAILED: "update-failed",
    Outcome.ROLLED_BACK: "rolled-back",
    Outcome.ROLLBACK_FAILED: "rollback-failed",
}
_READ: Final = Fix("tail -n 50 /var/log/amazon/ssm/AmazonSSMAgent-update.txt")
_UNLOCK: Final = Fix("pgrep -x updater || rm -f /var/lib/amazon/ssm/update.lock")

Problem = tuple[Status, Finding]


def judge(
    install: InstallFacts,
    update: UpdateFacts,
    running: RunningFacts | None,
    node: NodeFacts | None,
    now: datetime | None,
) -> Verdict:
    """Return the verdict; ``running`` None: processes were not seen; ``now`` is corrected time."""
    if not install.installations:
        return _nothing_installed(install)
    installed = oldest(install.installations)
    updaters = running.updaters if running else ()
    problems = [
        *_judge_unfinished(update, installed, updaters, now),
        *_judge_last(update.last, installed),
        *((Status.UNKNOWN, Finding("not-observed", text)) for text in update.unobserved),
    ]
    problems.sort(key=lambda problem: -problem[0].severity)
    evidence = _evidence(update, installed, updaters)
    if not problems:
        return Verdict.ok(ID, _good_news(update, installed), evidence)
    findings = tuple(finding for _, finding in problems)
    fixes = _fixes({finding.reason for finding in findings}, installed, node)
    return Verdict.of(ID, problems[0][0], findings, evidence=evidence, fixes=fixes)


def _nothing_installed(install: InstallFacts) -> Verdict:
    if not install.unobserved:
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, "no SSM Agent is installed")
    text = f"cannot tell which agent is installed: {'; '.join(install.unobserved)}"
    return Verdict.of(ID, Status.UNKNOWN, (Finding("not-observed", text),))


def _judge_unfinished(
    update: UpdateFacts, installed: Installation, updaters: tuple[int, ...], now: datetime | None
) -> list[Problem]:
    hanging = [item for item in update.unfinished if not _is_reached(item, installed)]
    if not hanging:
        return []
    named = next((item for item in hanging if item.target), hanging[0])
    what = f"an update{_from_to(named)} has begun and not ended ({named.place})"
    who = f"; the updater runs as process {updaters[0]}" if updaters else ""
    ages_s = [_age_s(item, update.wall_ns, now) for item in hanging]
    known_s = [age_s for age_s in ages_s if age_s is not None]
    if known_s and min(known_s) < LOCK_LIFE_S:  # the youngest trace tells when it last moved
        text = f"{what}, {min(known_s) / 60:.0f} min ago{who}"
        return [(Status.UNKNOWN, Finding("update-in-progress", text))]
    if len(known_s) < len(ages_s):
        text = f"{what}; how long ago is not known, because the clock is not{who}"
        return [(Status.UNKNOWN, Finding("age-unknown", text))]
    text = f"{what}, {min(known_s) / 60:.0f} min ago, limit {LOCK_LIFE_S // 60} min{who}"
    return [(Status.WARN, Finding("half-done", text, named.place))]


def _age_s(item: UpdateTry, wall_ns: int, now: datetime | None) -> float | None:
    if item.changed_ns is None or now is None:
        return None
    age_s = (min(wall_ns, unix_ns(now)) - item.changed_ns) / 1e9
    return age_s if age_s >= 0 else None


def _judge_last(last: UpdateTry | None, installed: Installation) -> list[Problem]:
    if last is None or last.outcome not in _REASONS or _is_reached(last, installed):
        return []
    why = last.text or last.code or "no error is recorded"
    text = f"the update{_from_to(last)} {last.outcome.value} at {last.at} (local time): {why}"
    return [(Status.WARN, Finding(_REASONS[last.outcome], text, last.place))]


def _is_reached(item: UpdateTry, installed: Installation) -> bool:
    """Tell whether a try is history, because its aim was reached since by whatever way."""
    try:
        wanted, has = AgentVersion.parse(item.target), AgentVersion.parse(installed.version)
    except ValueError:
        return False
    return str(has) != item.source and has >= wanted


def _from_to(item: UpdateTry) -> str:
    source = f" from {item.source}" if item.source else ""
    return f"{source} to {item.target}" if item.target else source


def _good_news(update: UpdateFacts, installed: Installation) -> str:
    last = update.last
    if last is None:
        return "no update by the agent's updater is recorded"
    text = f"the last update{_from_to(last)} {last.outcome.value} at {last.at} (local time)"
    if last.outcome in _REASONS:
        text += f"; {installed.version} is installed since"
    return text


def _evidence(
    update: UpdateFacts, installed: Installation, updaters: tuple[int, ...]
) -> tuple[Evidence, ...]:
    last = update.last
    found = [Evidence("installed_version", installed.version, installed.channel.value)]
    if last is not None:
        found += [
            Evidence("last_update_at", last.at, "local time, as recorded"),
            Evidence("last_update_from", last.source, last.place),
            Evidence("last_update_to", last.target, last.place),
            Evidence("last_update_result", last.outcome.value, last.place),
            Evidence("last_update_code", last.code, last.place),
            Evidence("last_update_error", last.text, last.place),
        ]
    found += [
        Evidence("unfinished", tuple(item.place for item in update.unfinished)),
        Evidence("updaters", tuple(str(pid) for pid in updaters)),
        Evidence("records_read", update.read or ("none is there",)),
    ]
    return tuple(item for item in found if item.value not in {"", ()})


def _fixes(reasons: set[str], installed: Installation, node: NodeFacts | None) -> tuple[Fix, ...]:
    fixes: list[Fix] = []
    if reasons & {*_REASONS.values(), "half-done"}:
        read, free = _READ, _UNLOCK
        if installed.channel is Channel.WINDOWS:
            read, free = windows_fix.UPDATE_LOG, windows_fix.UNLOCK
        unlock = (free,) if "half-done" in reasons else ()
        fixes += [read, *unlock, *(send_update_fix(node) or (update_fix(installed),))]
    return tuple(fixes)
