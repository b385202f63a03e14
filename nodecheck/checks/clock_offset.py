"""Judge whether AWS will accept requests signed with this node's clock.

An offset is an estimate; its bound says how wrong the estimate can be (RFC 5905 section 4). The
clock error therefore lies in an interval, in seconds:

    |offset| - bound  <=  |clock error|  <=  |offset| + bound

``crit`` needs the whole interval outside the tolerance, ``ok`` the whole interval inside the
warning limit. An interval that straddles the tolerance is ``unknown``: absence of proof is never
health. Offset is true time minus local clock: positive means that the local clock is slow.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nodecheck.checks.clock_evidence import (
    headroom_s,
    node_evidence,
    number_evidence,
    source_evidence,
)
from nodecheck.checks.clock_words import claim, describe, failures_by_source, human
from nodecheck.model.clock import NO_REGION, Discipline
from nodecheck.model.moment import instant
from nodecheck.model.skew import SkewFacts
from nodecheck.model.verdict import Finding, Fix, Status, Verdict

if TYPE_CHECKING:
    from nodecheck.model.clock import ClockFacts, ClockPolicy, Estimate
    from nodecheck.model.known_past import KnownPast

CHECK_ID = "clock.offset"
QUESTION = "is the clock inside the tolerance of the AWS endpoint?"
EXPLANATION = """\
WHAT IS JUDGED
  How far this node's clock is from true time, as an interval: offset +- bound. AWS refuses requests
  that are signed with a clock further off than its tolerance; the SSM Agent then cannot talk to
  Systems Manager, and hibernates. The node drops out of patching, inventory and Session Manager.

LIMITS
  ok       the whole interval is inside the warning limit   (clock.warn_s, 60 s)
  warn     drifting: inside the tolerance, but beyond the warning limit
  crit     beyond-tolerance: the whole interval is outside (clock.tolerance_s, 300 s)
           before-known-past: no source answered, and the clock is earlier by more than the
           tolerance than what is proven to have passed: the build of nodecheck, the date of the
           agent's proven signature. This is judged with --offline, too.
  unknown  no-source, sources-disagree, or bound-too-wide: the interval straddles the tolerance
  The tolerance is clock.tolerance_s where it is set; else what AWS said when it last refused a
  signature of the agent (the ends of its logs); else the 300 s of SSM. S3 allows 900 s, which is
  evidence only. Headroom is what is left: tolerance - |offset| - bound.
  Positive offsets mean that the clock is slow, negative ones that it is fast.

HOW IT IS MEASURED
  The Date header of the Region's SSM endpoint over TLS (clock.endpoint): to about half a second,
  also where UDP is closed: then, and where sources disagree, further requests on one connection
  narrow it to some 15 ms. Certificates are judged at the time the reply claims, not by the local
  clock. It goes through the proxy of the environment, else through that of the agent's service.
  NTP, to about a millisecond, four samples of each server: clock.servers; or Amazon Time Sync
  (169.254.169.123, fd00:ec2::123) on EC2, the servers this node is configured to follow, and
  time.aws.com outside EC2. A reply must echo a random 64-bit stamp. Servers that say that they are
  not synchronised are not believed. A strict majority is needed, one vote for each operator; all
  of Amazon's addresses are one, and so is the PTP hardware clock of an EC2 network card (read with
  the error bound that its driver gives; without one it proves nothing).
  NTP can narrow what the endpoint says and never overrules it: the endpoint judges the signatures.

HOW TO MEND
  chrony       chronyc makestep
  timesyncd    timedatectl set-ntp true && systemctl restart systemd-timesyncd
  ntpd         systemctl restart ntp       (it starts with -g and steps once)
  Windows      w32tm /resync /rediscover   (a stand-alone W32Time never mends more than 15 hours)
  none         install chrony; on EC2: server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4
  Then restart the SSM Agent: while it hibernates it may not notice for an hour.

SOURCES
  RFC 5905 sections 7.4, 8, 10, 11.2.1; RFC 9109; RFC 9110 section 5.6.7
  AWS SSM: "Signature expired: ... is now earlier than ... (... - 5 min.)"
  AWS S3: RequestTimeTooSkewed, MaxAllowedSkewMilliseconds 900000
  https://docs.aws.amazon.com/systems-manager/latest/userguide/configure-proxy-ssm-agent.html
  https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/set-time.html
  https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
"""

RESTART = Fix("systemctl restart amazon-ssm-agent", disruptive=True)
FIXES = {
    Discipline.CHRONY: (Fix("chronyc makestep"), RESTART),
    Discipline.TIMESYNCD: (
        Fix("timedatectl set-ntp true && systemctl restart systemd-timesyncd"),
        RESTART,
    ),
    Discipline.NTPD: (Fix("systemctl restart ntp"), RESTART),
    Discipline.W32TIME: (
        Fix("w32tm /resync /rediscover", "powershell"),
        Fix("Restart-Service AmazonSSMAgent", "powershell", disruptive=True),
    ),
    Discipline.NONE: (Fix("timedatectl set-ntp true"), RESTART),
}

NOTHING_SEEN = SkewFacts()
FAILURES_SHOWN = 8


def judge(
    facts: ClockFacts,
    policy: ClockPolicy,
    past: KnownPast | None = None,
    seen: SkewFacts = NOTHING_SEEN,
) -> Verdict:
    """Return the verdict on one measured clock.

    Args:
        facts: what the sources of time said.
        policy: how far the clock may be off.
        past: the newest instant that is proven to have passed.
        seen: what the agent's logs say of the clock; evidence only.
    """
    if facts.estimate is None:
        return _judge_unmeasured(facts, policy, past, seen)
    estimate = facts.estimate
    evidence = (
        *number_evidence(estimate, policy),
        *source_evidence(facts),
        *node_evidence(past, seen),
    )
    status, reason = _rank(estimate, policy)
    line = f"{describe(facts, estimate)}, AWS refuses beyond {policy.tolerance_s:g} s"
    if status in {Status.OK, Status.WARN}:
        line += f", headroom {math.floor(headroom_s(estimate, policy.tolerance_s))} s"
    if status is Status.OK:
        return Verdict.ok(CHECK_ID, line, evidence, _limit(policy))
    return Verdict.of(
        CHECK_ID,
        status,
        (Finding(reason, f"clock is {line}"),),
        evidence=evidence,
        limit=_limit(policy),
        fixes=FIXES[facts.discipline],
    )


def _limit(policy: ClockPolicy) -> str:
    return f"AWS refuses beyond {policy.tolerance_s:g} s, warning at {policy.warn_s:g} s"


def _rank(estimate: Estimate, policy: ClockPolicy) -> tuple[Status, str]:
    """Return status and reason of an interval; what is no number falls through to unknown."""
    least_s = abs(estimate.offset_s) - estimate.bound_s
    most_s = abs(estimate.offset_s) + estimate.bound_s
    if most_s <= policy.warn_s:
        return Status.OK, "ok"
    if least_s > policy.tolerance_s:
        return Status.CRIT, "beyond-tolerance"
    if most_s <= policy.tolerance_s:
        return Status.WARN, "drifting"
    return Status.UNKNOWN, "bound-too-wide"


def _judge_unmeasured(
    facts: ClockFacts, policy: ClockPolicy, past: KnownPast | None, seen: SkewFacts
) -> Verdict:
    """Judge a clock that no source measured: only what has passed for certain can be held to it."""
    findings = _unproven(facts)
    evidence = (*source_evidence(facts), *node_evidence(past, seen))
    limit = _limit(policy)
    local_at = instant(facts.now.wall_ns)
    least_s = (past.at - local_at).total_seconds() if past else 0.0
    if past is None or least_s <= policy.tolerance_s:
        return Verdict.of(CHECK_ID, Status.UNKNOWN, findings, evidence=evidence, limit=limit)
    text = (
        f"clock says {local_at:%Y-%m-%d %H:%M} UTC, but {past.what} on {past.at:%Y-%m-%d %H:%M}:"
        f" at least {human(least_s)} slow, AWS refuses beyond {policy.tolerance_s:g} s"
    )
    return Verdict.of(
        CHECK_ID,
        Status.CRIT,
        (Finding("before-known-past", text), *findings),
        evidence=evidence,
        limit=limit,
        fixes=FIXES[facts.discipline],
    )


def _unproven(facts: ClockFacts) -> tuple[Finding, ...]:
    """Say why no interval is proven, and what each source did."""
    if not facts.readings and facts.date is None:
        return _unanswered(facts)
    claims = [f"{item.name} {claim(item, facts)}" for item in facts.readings]
    if facts.date:
        claims.append(f"{facts.date.name} {claim(facts.date, facts)}")
    text = "clock not measured: sources disagree: " + ", ".join(claims)
    return (Finding("sources-disagree", text),)


def _unanswered(facts: ClockFacts) -> tuple[Finding, ...]:
    count = len({item.name for item in facts.failures if item.reason != NO_REGION})
    text = "clock not measured: no time source is known"
    if count:
        plural = "" if count == 1 else "s"
        text = f"clock not measured: none of {count} time source{plural} answered"
    each = failures_by_source(facts.failures)
    findings = [Finding(reason, why) for reason, why in each[:FAILURES_SHOWN]]
    if len(each) > FAILURES_SHOWN:
        findings.append(Finding("no-answer", f"and {len(each) - FAILURES_SHOWN} more"))
    return (Finding("no-source", text), *findings)
