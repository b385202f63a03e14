"""Judge whether the agent talks to AWS, hibernates, or asks for credentials in vain.

A service that runs proves nothing here: a hibernating agent runs too. Proof is an established
connection of the agent's own process to a place through which its messages come; failing that, a
line in the log that only an answer of AWS brings, if it is young by a clock that was not set.

Ages are in seconds by the local clock against stamps of the same clock, so that a clock that is
wrong does no harm, but one that was set does. A negative age is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks.channel_causes import CLOCK, recognise
from nodecheck.checks.channel_evidence import ago, evidence
from nodecheck.checks.channel_silence import by_log, doubt
from nodecheck.checks.channel_state import (
    FRESH_S,
    HELD_S,
    bad,
    hibernating,
    refused,
)
from nodecheck.checks.clock_words import human
from nodecheck.model.channel import WORKER
from nodecheck.model.install import CORE
from nodecheck.model.remedy import restart_fix
from nodecheck.model.verdict import Finding, SkipReason, Status, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.checks.channel_state import Conclusion
    from nodecheck.model.agent import InstallFacts
    from nodecheck.model.channel import ChannelFacts, Connection, Mark
    from nodecheck.model.install import RunningFacts

ID: Final = "agent.channel"
QUESTION: Final = "is the agent talking to AWS, or hibernating, or looping on refused credentials?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  Whether this node could take a command now. The proof is an established TCP connection of the
  agent's own core or worker process (root's, of its unit or its installed file) to an address of
  ssmmessages or ec2messages in its Region, to Mgs.Endpoint or Mds.Endpoint, or to the address to
  which its log says a websocket was opened. Through a proxy, or where Ssm.Endpoint has the same
  address, it is a connection of the worker, and an answer of AWS in the log since the agent
  started: other requests go there too.
  The ends of amazon-ssm-agent.log (256 KiB, and of the one rolled before where it is short),
  errors.log and hibernate.log tell the rest: "Entering SSM Agent hibernate" without a later sign of
  life of the worker, "Retrieve credentials produced error" without a later success, and the last
  line that only an answer of AWS brings. A heartbeat is written before it is sent: it is evidence
  (last_heartbeat_sent_s), and no proof. Errors are grouped by their form, known ones named; of
  other lines nothing is quoted, because documents and their parameters stand in the log too.
  Windows does not tell whether what was sent is acknowledged; it ends such a connection within half
  a minute. It stamps the start of a process by the wall clock, as the log is, so that nothing shows
  whether the clock was set since: there the log alone proves no health.
  Log times are local, without a zone, and not in order. The zone follows from the newest stamps and
  the time at which the file was changed. Ages are told by the clock that wrote the stamps, and
  count as proof only where the core's start in the log is where the kernel says it was (60 s):
  otherwise the clock was set meanwhile, or that is not known.

LIMITS
  ok       such a connection is established, the log shows no hibernation, refusal or error of that
           service after the last answer, and nobody else answers there (see node.endpoints); or
           AWS answered within the last 11 minutes (two heartbeats, and a minute for the log's
           buffer) by a clock that was not set, with no error since
  warn     credentials-refused: they are not renewed, but still valid, and a connection stands;
           no-connection: AWS answered within 11 minutes, but there is no connection now;
           silent: connections to other places, but no answer of AWS for two hours
  unknown  unproven: neither, or the only worker is of an earlier start; the message says what is
           missing; starting: the agent runs for less than 11 minutes; contradicted: a connection
           stands although the log says that it hibernates; log-missing: there is no log;
           log-not-read: it cannot be read; not-understood: no line of it, or its times do not fit;
           not-observed: which agent is installed, or its processes, could not be seen;
           update-in-progress: judged bad while the package manager or the agent's updater was at
           work
  crit     hibernating: AWS did not accept the first request, and the agent waits 5 to 60 minutes
           before each next try; hibernating-while-reachable: it failed on the way to AWS, and the
           endpoints answer by now, so that a restart ends the wait; credentials-refused: it asks
           for credentials in vain, and the worker never starts; clock-refused: either of them
           because of the clock; not-running: no core process; worker-absent: the core runs for more
           than 11 minutes without its worker; no-connection: none, and no answer for more than 11
           minutes; never-connected: none, and no answer since the agent started, which the log
           shows
  A second finding names the error, where it is known: certificate-time, certificate-untrusted,
  certificate-name, fingerprint-mismatch, no-host-management, no-role, metadata-unreachable,
  endpoint-policy, access-denied, token-expired, token-invalid, instance-unknown, signature-refused,
  throttled, proxy-failed, name-not-found, connection-refused, unreachable, timeout, inotify-limit,
  disk-full, too-many-files, websocket-closed, role-token-refused, connection-closed.
  In the night in which summer time begins, what was written before has ages an hour too long. The
  association poll may be set to be rarer than 10 minutes; then the log alone proves nothing.

HOW TO MEND
  The cause first: the clock, the role, the network. Then the agent, which otherwise waits:
  rpm, deb systemctl restart amazon-ssm-agent
  snap     snap restart amazon-ssm-agent
  Windows  Restart-Service AmazonSSMAgent

SOURCES
  https://github.com/aws/amazon-ssm-agent: agent/hibernation/hibernation.go,
  agent/health/healthcheck.go, core/app/credentialrefresher; issues 616 (the clock), 479 and 491
  (hours of waiting), 165 and 202 (only a restart helps), 544 (credentials)
  proc_pid_fd(5), proc_pid_net(5); GetExtendedTcpTable, TcpMaxDataRetransmissions of Microsoft
"""


def judge(
    install: InstallFacts,
    running: RunningFacts,
    facts: ChannelFacts,
    now: datetime | None,
    *,
    reachable: bool | None = None,
) -> Verdict:
    """Return the verdict.

    Args:
        install: what is installed.
        running: the agent's processes.
        facts: its logs and connections.
        now: the true time, None where it is not known.
        reachable: whether the endpoints for messages answer, None where that is not known.
    """
    if not install.installations and install.unobserved:
        text = f"cannot tell which agent is installed: {'; '.join(install.unobserved)}"
        return Verdict.of(ID, Status.UNKNOWN, (Finding("not-observed", text),))
    if not install.installations:
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, "no SSM Agent is installed")
    status, findings, message = _conclude(install, running, facts, now, reachable=reachable)
    if status is Status.OK:
        return Verdict.ok(ID, message, evidence(facts), "a connection, or an answer in 11 min")
    restart = restart_fix(install.installations[0].channel)
    return Verdict.of(
        ID,
        status,
        findings,
        evidence=evidence(facts),
        limit="a connection, or an answer in 11 min",
        fixes=(restart,) if status is not Status.UNKNOWN else (),
    )


def _conclude(
    install: InstallFacts,
    running: RunningFacts,
    facts: ChannelFacts,
    now: datetime | None,
    *,
    reachable: bool | None,
) -> Conclusion:
    if not any(item.name == CORE and item.uid == 0 for item in running.processes):
        return _without_core(running)
    story, proof = facts.story, facts.proof()
    has_worker = any(item.name == WORKER for item in running.processes) or _is_old(install)
    if story.hibernation and has_worker and _is_of_this_run(story.hibernation.since, facts):
        return hibernating(facts, story.hibernation, proof, reachable=reachable)
    if story.refusal and _is_of_this_run(story.refusal.last, facts):
        return refused(facts, story.refusal, proof, now)
    orphan = _orphan(running, facts)
    if proof and not orphan:
        return doubt(facts, proof) or (Status.OK, (), _prove(facts, proof))
    if not has_worker and not running.unread:
        return _without_worker(facts)
    return orphan or by_log(facts)


def _without_core(running: RunningFacts) -> Conclusion:
    if running.unread:
        hidden = running.unread[0]
        text = f"process {hidden.pid} ({hidden.name}) could not be seen: {hidden.message}"
        return bad(Status.UNKNOWN, "not-observed", text)
    return bad(Status.CRIT, "not-running", "no amazon-ssm-agent runs: nothing talks to AWS")


def _is_old(install: InstallFacts) -> bool:
    """Tell whether this agent may be of version 2, which had one process for all."""
    return any(item.version.partition(".")[0] in {"1", "2"} for item in install.installations)


def _is_of_this_run(mark: Mark, facts: ChannelFacts) -> bool:
    """Tell whether a line is of the core that runs now.

    Where its start is in the log, order tells. But a log to which nothing was added since the core
    started is of an earlier run, unless the clock was set meanwhile, as after a refused signature.
    """
    core_age_s, age_s = facts.core_age_s, facts.age_s(mark)
    if core_age_s is None or age_s is None:
        return True
    if facts.story.start is None:
        return age_s <= core_age_s + HELD_S
    known = recognise(mark.text)
    is_added = facts.looked_s - facts.logs[0].changed_s <= core_age_s + HELD_S
    return is_added or (known is not None and known.code == CLOCK)


def _prove(facts: ChannelFacts, proof: Connection) -> str:
    answer = facts.story.answer
    last = f"; AWS last answered {ago(facts, answer)}" if answer else ""
    names = {item.service: item.name for item in facts.ways}
    where = names.get(proof.service, "the address of its websocket")
    return f"{proof.name} (process {proof.pid}) is connected to {where} ({proof.ip}){last}"


def _orphan(running: RunningFacts, facts: ChannelFacts) -> Conclusion | None:
    """Return that the only worker is of an earlier start: what it receives may reach nobody."""
    workers = [item.pid for item in running.processes if item.name == WORKER]
    if not workers or not facts.left_over.issuperset(workers):
        return None
    text = f"{WORKER} (process {workers[0]}) is left over from an earlier start of the agent:"
    return bad(Status.UNKNOWN, "unproven", f"{text} its connections prove nothing for this one")


def _without_worker(facts: ChannelFacts) -> Conclusion:
    age_s = facts.core_age_s
    if age_s is None or age_s <= FRESH_S:
        return bad(Status.UNKNOWN, "starting", "no ssm-agent-worker runs yet: it talks to AWS")
    text = f"no ssm-agent-worker, which talks to AWS, though the core runs for {human(age_s)}"
    return bad(Status.CRIT, "worker-absent", text)
