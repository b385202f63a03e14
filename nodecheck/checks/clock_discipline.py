"""Judge whether something provably steers this clock, and name what is wrong with it.

A daemon that runs proves nothing: it must say that it is synchronised to a source that answers,
and the independent measure of ``clock.offset`` must not contradict it. Both are intervals of true
time minus local clock in seconds; they contradict each other when they have no point in common:

    |measured - claimed|  >  measured bound + root distance

What is wrong with the discipline is ``warn`` while the clock is still right, and ``crit`` once the
clock is proven to be outside the tolerance.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from nodecheck.checks import clock_fix
from nodecheck.checks.clock_boot import agent_before_time
from nodecheck.checks.clock_words import human
from nodecheck.checks.discipline_causes import age_of, silence, troubles, unseen
from nodecheck.checks.discipline_evidence import evidence_of
from nodecheck.checks.w32time_causes import by_settings
from nodecheck.model.clock import Discipline
from nodecheck.model.discipline import NAMES
from nodecheck.model.verdict import Status, Verdict

if TYPE_CHECKING:
    from nodecheck.model.clock import ClockFacts, ClockPolicy
    from nodecheck.model.discipline import DisciplineFacts
    from nodecheck.model.skew import SkewRefusal

CHECK_ID = "clock.discipline"
QUESTION = "which daemon steers the clock, is it synchronised, to what, and would it step?"
EXPLANATION = """\
WHAT IS JUDGED
  Whether exactly one daemon steers this clock, follows a source that answers, and tells the truth.
  A clock that is right today and not steered is wrong in some weeks (clock.forecast).

LIMITS
  ok       one daemon steers, is synchronised, its source answers, and no measure contradicts it
  warn     one of the causes below, while the clock is inside the tolerance or was not measured
  crit     the same, and the clock is proven to be outside the tolerance (clock.tolerance_s)
  unknown  a daemon runs that cannot be asked, and the kernel keeps no record; or the processes of
           this node are hidden from this user

CAUSES
  no-daemon             no time daemon runs. In a container the host may steer the clock: it has
                        only one. The kernel's record then tells how long ago somebody did.
                        W32Time off a domain is started by events only, and may be stopped.
  not-steering          a daemon runs that may not, or was told not to touch the clock (chronyd -x)
  two-daemons           two daemons steer one clock, and undo what the other did
  no-source-configured  the daemon has no server, or only its own clock (local); W32Time: Type is
                        NoSync, or NtpClient is not enabled
  source-unreachable    none of its servers answers; chronyd goes on to call itself synchronised
  no-source-selected    servers answer, and the daemon believes none of them. W32Time does not
                        tell whether they answer.
  will-not-step         the error is larger than the daemon will step: chrony's makestep holds for
                        its first updates only, then it slews (83,333 ppm: 12 s for each second);
                        ntpd gives up beyond 1000 s, W32Time beyond MaxPosPhaseCorrection and
                        MaxNegPhaseCorrection: 15 hours off a domain, and then it only writes an
                        event, for ever. Judged beyond clock.warn_s.
  contradicted          the daemon says that it is synchronised, and the independent measure differs
                        from what it claims by more than both bounds together; where only the
                        Date of the endpoint measured, by more than 2 s, for a server may write
                        its Date a moment late
  agent-before-time     AWS refused the agent's signature in the first 15 minutes of this boot, and
                        the agent's unit waits for no unit of time. Without a refusal the missing
                        order is evidence only.
  secure-time-wrong     Windows takes a time from TLS handshakes (Secure Time Seeding), and W32Time
                        sets the clock to it where both are 15 hours apart. Its lower limit lies
                        after the true time, so it is wrong.

HOW IT IS SEEN
  chrony       its command protocol: UDP 127.0.0.1:323, else /run/chrony/chronyd.sock
  ntpd         NTP control messages: UDP 127.0.0.1:123 (needs: restrict 127.0.0.1)
  timesyncd    /run/systemd/timesync/synchronized; two longest polls (4096 s) without a change of
               the kernel's record count as source-unreachable
  W32Time      its service, the registry, and "w32tm /query /status /verbose": by position and by
               numbers, because its words are translated. The distance that it states has no known
               sign: it widens its claim. Two of its longest polls (MaxPollInterval, or
               SpecialPollInterval where a server has flag 1) without a sample count as
               source-unreachable. What a hypervisor's guest tools do is not seen.
  ClockBound   shared memory /var/run/clockbound/shm0, evidence only
  kernel       maxerror below 16 s (adjtimex): it grows by 500 us/s since the clock was last
               steered. Not STA_UNSYNC: chronyd without rtcsync leaves it set.

HOW TO MEND
  none         Debian, Ubuntu: apt-get install chrony; Amazon Linux, RHEL: dnf install chrony
  on EC2       server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4
  elsewhere    pool time.aws.com iburst
  chrony       chronyc makestep             (steps at once, whatever its makestep line says)
  timesyncd    systemctl restart systemd-timesyncd
  ntpd         systemctl restart ntpd       (started with -g it steps once, however far)
  W32Time      w32tm /resync /rediscover    (beyond its limit: Set-Date -Adjust, then that)
               w32tm /config /syncfromflags:manual /manualpeerlist:"169.254.169.123,0x9" /update
  boot order   Wants= and After=time-sync.target in a drop-in of the agent's unit, and chrony-wait
               or systemd-time-wait-sync enabled
  Then restart the SSM Agent: while it hibernates it may not notice for an hour.

SOURCES
  chrony.conf(5) makestep, maxslewrate, local; chrony candm.h; ntpd(8); RFC 9327; adjtimex(2)
  Windows Time service tools and settings (learn.microsoft.com); RFC 4330 section 4 (LOCL)
  systemd-timesyncd(8), timesyncd.conf(5); aws/clock-bound docs/PROTOCOL.md
  https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/set-time.html
"""


def judge(
    facts: DisciplineFacts,
    clock: ClockFacts | None,
    policy: ClockPolicy,
    refusal: SkewRefusal | None = None,
) -> Verdict:
    """Return the verdict on what steers the clock.

    Args:
        facts: what was seen of daemons and kernel.
        clock: the independent measure, None where there is none.
        policy: how far the clock may be off.
        refusal: the newest signature of the agent that AWS refused for its time.
    """
    evidence = evidence_of(facts, clock)
    hidden = unseen(facts)
    found = list((by_settings if hidden else troubles)(facts, clock, policy))
    if hidden is not None and not found:
        return Verdict.of(CHECK_ID, Status.UNKNOWN, (hidden,), evidence=evidence)
    early = agent_before_time(facts, clock, refusal)
    found += [early] if early else []
    if not found:
        return Verdict.ok(CHECK_ID, _describe(facts), evidence)
    status = Status.CRIT if is_outside(clock, policy) else Status.WARN
    findings = tuple(finding for finding, _ in found)
    fixes = dict.fromkeys(fix for _, fixes in found for fix in fixes)
    if status is Status.CRIT:
        restart = clock_fix.restart_agent(facts)
        fixes = dict.fromkeys([*(fix for fix in fixes if fix != restart), restart])
    return Verdict.of(CHECK_ID, status, findings, evidence=evidence, fixes=tuple(fixes))


def is_outside(clock: ClockFacts | None, policy: ClockPolicy) -> bool:
    """Tell whether the clock is proven to be outside the tolerance."""
    estimate = clock.estimate if clock else None
    return estimate is not None and abs(estimate.offset_s) - estimate.bound_s > policy.tolerance_s


def _describe(facts: DisciplineFacts) -> str:
    word = facts.word
    if word is None:
        within_s = facts.kernel.steered_within_s if facts.kernel else inf
        name = NAMES[facts.main]
        return f"{name} steers the clock, last within {human(within_s)} ({silence(facts)})"
    name = NAMES[word.discipline]
    outside = "" if facts.steering else ", outside this container"
    stratum = f" (stratum {word.stratum})" if word.stratum else ""
    text = f"{name}{outside} follows {word.source}{stratum}"
    age_s = age_of(facts, word)
    if age_s >= 0:
        text += f", updated {human(age_s)} ago"
    if word.discipline is not Discipline.TIMESYNCD:
        text += f", root distance {human(word.bound_s)}"
    return text
