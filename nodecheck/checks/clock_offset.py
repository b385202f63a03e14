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
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from nodecheck.model.clock import Discipline
from nodecheck.model.verdict import Evidence, Finding, Fix, Status, Verdict

if TYPE_CHECKING:
    from nodecheck.model.clock import (
        ClockFacts,
        ClockPolicy,
        DateReading,
        Estimate,
        SourceFailure,
        SourceReading,
    )

CHECK_ID = "clock.offset"
QUESTION = "is the clock inside the tolerance of the AWS endpoint?"
EXPLANATION = """\
WHAT IS JUDGED
  How far this node's clock is from true time, as an interval: offset +- bound. AWS refuses requests
  that are signed with a clock further off than its tolerance; the SSM Agent then cannot talk to
  Systems Manager, and hibernates. The node drops out of patching, inventory and Session Manager.

LIMITS
  ok       the whole interval is inside the warning limit   (clock.warn_s, 60 s)
  warn     inside the tolerance, but beyond the warning limit
  crit     the whole interval is outside the tolerance      (clock.tolerance_s, 300 s)
  unknown  no source answered, the sources contradict one another, or the interval straddles
           the tolerance
  Positive offsets mean that the clock is slow, negative ones that it is fast.

HOW IT IS MEASURED
  The Date header of the Region's SSM endpoint over TLS (clock.endpoint): to about half a second,
  also where UDP is closed. Certificates are judged at the time the reply claims, not by the local
  clock.
  NTP, to about a millisecond, four samples of each server: clock.servers; or Amazon Time Sync
  (169.254.169.123, fd00:ec2::123) on EC2, the servers this node is configured to follow, and
  time.aws.com outside EC2. A reply must echo a random 64-bit stamp. Servers that say that they are
  not synchronised are not believed. A strict majority is needed, one vote for each operator.
  NTP can narrow what the endpoint says and never overrules it: the endpoint judges the signatures.

HOW TO MEND
  chrony       chronyc makestep
  timesyncd    timedatectl set-ntp true && systemctl restart systemd-timesyncd
  ntpd         systemctl restart ntp       (it starts with -g and steps once)
  Windows      w32tm /resync /force        (a stand-alone W32Time never mends more than 15 hours)
  none         install chrony; on EC2: server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4
  Then restart the SSM Agent: while it hibernates it may not notice for an hour.

SOURCES
  RFC 5905 sections 7.4, 8, 10, 11.2.1; RFC 9109; RFC 9110 section 5.6.7
  AWS SSM: "Signature expired: ... is now earlier than ... (... - 5 min.)"
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
        Fix("w32tm /resync /force", "powershell"),
        Fix("Restart-Service AmazonSSMAgent", "powershell", disruptive=True),
    ),
    Discipline.NONE: (Fix("timedatectl set-ntp true"), RESTART),
}

STEPS = ((1e-4, 1e6, ".0f", "µs"), (1.0, 1e3, ".1f", "ms"), (120.0, 1, ".1f", "s"))
"""Below how many seconds to write a duration times what, with which digits, in which unit."""

UNITS = ((365 * 86400, "y"), (86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
NAMES_SHOWN = 2
FAILURES_SHOWN = 4


def judge(facts: ClockFacts, policy: ClockPolicy) -> Verdict:
    """Return the verdict on one measured clock."""
    limit = f"AWS refuses beyond {policy.tolerance_s:g} s, warning at {policy.warn_s:g} s"
    estimate = facts.estimate
    if estimate is None:
        evidence = _source_evidence(facts)
        return Verdict.of(
            CHECK_ID, Status.UNKNOWN, _unproven(facts), evidence=evidence, limit=limit
        )
    evidence = (*_number_evidence(estimate, policy), *_source_evidence(facts))
    line = f"{describe(facts, estimate)}, AWS refuses beyond {policy.tolerance_s:g} s"
    least_s = abs(estimate.offset_s) - estimate.bound_s
    most_s = abs(estimate.offset_s) + estimate.bound_s
    if most_s <= policy.warn_s:
        return Verdict.ok(CHECK_ID, line, evidence, limit)
    status, reason = Status.UNKNOWN, "bound-too-wide"
    if least_s > policy.tolerance_s:
        status, reason = Status.CRIT, "beyond-tolerance"
    elif most_s <= policy.tolerance_s:
        status, reason = Status.WARN, "drifting"
    finding = Finding(reason, f"clock is {line}")
    fixes = FIXES[facts.discipline]
    return Verdict.of(CHECK_ID, status, (finding,), evidence=evidence, limit=limit, fixes=fixes)


def describe(facts: ClockFacts, estimate: Estimate) -> str:
    """Return offset, direction, bound and sources in words."""
    amount = (
        f"{human(abs(estimate.offset_s))} {side(estimate.offset_s)} ± {human(estimate.bound_s)}"
    )
    date = facts.date.name if facts.date else ""
    others = [name for name in estimate.sources if name != date]
    who = ", ".join(others[:NAMES_SHOWN])
    if len(others) > NAMES_SHOWN:
        who += f" and {len(others) - NAMES_SHOWN} more"
    if date in estimate.sources:
        who = f"{who}; {date} agrees" if who else f"Date of {date}"
    if facts.falsetickers:
        who += f"; not believed: {', '.join(facts.falsetickers)}"
    return f"{amount} ({who})"


def side(offset_s: float) -> str:
    """Return the direction of an offset: positive means slow."""
    return "slow" if offset_s > 0 else "fast"


def human(seconds: float) -> str:
    """Return a duration as people say it.

    >>> [human(value) for value in (2.5e-5, 0.0035, 0.8, 42.25, 432, 473040000)]
    ['25 µs', '3.5 ms', '800.0 ms', '42.2 s', '7 min 12 s', '15 y 0 d']
    """
    for below_s, factor, digits, unit in STEPS:
        if seconds < below_s:
            return f"{seconds * factor:{digits}} {unit}"
    whole_s = round(seconds) if math.isfinite(seconds) else 0
    for (size_s, unit), (next_s, next_unit) in pairwise(UNITS):
        if whole_s >= size_s:
            count, rest_s = divmod(whole_s, size_s)
            return f"{count} {unit} {rest_s // next_s} {next_unit}"
    return f"{seconds} s"


def _unproven(facts: ClockFacts) -> tuple[Finding, ...]:
    """Say why no interval is proven, and what each source did."""
    if not facts.readings and facts.date is None:
        texts = [_failure_text(item) for item in facts.failures]
        more = len(texts) - FAILURES_SHOWN
        if more > 0:
            texts[FAILURES_SHOWN:] = [f"and {more} more"]
        why = "; ".join(texts) or "no source is known"
        return (Finding("no-source", f"clock not measured: {why}"),)
    claims = [f"{item.name} {_claim(item, facts)}" for item in facts.readings]
    if facts.date:
        claims.append(f"{facts.date.name} {_claim(facts.date, facts)}")
    text = "clock not measured: sources disagree: " + ", ".join(claims)
    return (Finding("sources-disagree", text),)


def _failure_text(failure: SourceFailure) -> str:
    where = (
        f" ({failure.address})" if failure.address and failure.address not in failure.name else ""
    )
    return f"{failure.name}{where}: {failure.message}"


def _claim(reading: SourceReading | DateReading, facts: ClockFacts) -> str:
    """Return the offset that one source alone would give."""
    offset_s = (reading.interval.best_ns + facts.now.monotonic_ns - facts.now.wall_ns) / 1e9
    bound_s = reading.interval.width_ns / 2e9
    return f"{human(abs(offset_s))} {side(offset_s)} ± {human(bound_s)}"


def _number_evidence(estimate: Estimate, policy: ClockPolicy) -> tuple[Evidence, ...]:
    source = ", ".join(estimate.sources)
    headroom_s = policy.tolerance_s - abs(estimate.offset_s) - estimate.bound_s
    return (
        Evidence("offset_s", round(estimate.offset_s, 6), source),
        Evidence("bound_s", round(estimate.bound_s, 6), source),
        Evidence("headroom_s", round(headroom_s, 3), "tolerance - |offset| - bound"),
    )


def _source_evidence(facts: ClockFacts) -> tuple[Evidence, ...]:
    """Return what each source said, why others said nothing, and the replies not believed."""
    said = [
        f"{item.name} {_claim(item, facts)}, stratum {item.stratum} ({item.reference})"
        for item in facts.readings
    ]
    if facts.date:
        kind = "TLS verified" if facts.date.authenticated else "not authenticated"
        said.append(f"{facts.date.name} {_claim(facts.date, facts)}, Date, {kind}")
    found = [
        Evidence("sources", tuple(said)),
        Evidence("failed_sources", tuple(_failure_text(item) for item in facts.failures)),
        Evidence("falsetickers", facts.falsetickers),
        Evidence("ignored_replies", _ignored(facts)),
    ]
    return tuple(item for item in found if item.value)


def _ignored(facts: ClockFacts) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for reading in facts.readings:
        counts.update(dict(reading.ignored))
    for failure in facts.failures:
        counts.update(dict(failure.ignored))
    return tuple(f"{reason} {count}" for reason, count in counts.most_common())
