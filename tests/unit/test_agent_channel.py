"""Whether the agent talks to AWS: what proves it, and what must not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks import agent_channel, channel_causes
from nodecheck.checks.agent_channel import judge
from nodecheck.checks.channel_causes import recognise
from nodecheck.checks.channel_evidence import quote
from nodecheck.checks.service_processes import left_over
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.channel import PROXY, AgentCredentials, Way, ways_of
from nodecheck.model.endpoints import Endpoint, EndpointFacts, Need, Reach, Sighting
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.install import RunningFacts, UnreadImage
from nodecheck.model.service import ProcessUse, ServiceProcesses
from nodecheck.probes import agent_channel as probe
from nodecheck.probes import agent_credential_times
from nodecheck.records import replace
from tests import agent_logs
from tests.agent_logs import MAIN, NOW, TREES, Tree, recorded
from tests.channel_node import CORE_PID, LOGS, WAYS, WORKER_PID, host_of, look, row, running
from tests.fake_host import FakeFiles, fake_host, file_state

if TYPE_CHECKING:
    from nodecheck.model.channel import ChannelFacts
    from nodecheck.model.verdict import Verdict

INSTALLED = InstallFacts(
    (Installation(Channel.DEB, "3.3.1142.0", "", "/usr/bin/amazon-ssm-agent"),), ()
)
MATCHED = row("192.0.2.10", 443, 77)
OLDER = row("192.0.2.20", 443, 77)
ELSEWHERE = row("198.51.100.7", 443, 77)
AT = datetime.fromtimestamp(NOW, UTC)


def verdict_on(
    tree: Tree, rows: str = "", *, now: datetime | None = AT, reachable: bool | None = None
) -> Verdict:
    return judge(INSTALLED, running(tree), look(tree, rows), now, reachable=reachable)


def outcome(verdict: Verdict) -> tuple[str, str]:
    return verdict.status.value, verdict.reason


@pytest.mark.parametrize(
    ("name", "rows", "expected"),
    [
        ("healthy", MATCHED, ("ok", "ok")),
        ("healthy", row("2001:db8::10", 443, 77), ("ok", "ok")),
        ("healthy", OLDER, ("ok", "ok")),
        ("healthy", ELSEWHERE, ("ok", "ok")),  # by the log
        ("healthy", "", ("warn", "no-connection")),
        ("healthy", row("192.0.2.10", 443, 77, retransmits=1), ("warn", "no-connection")),
        ("healthy", row("192.0.2.10", 443, 77, state="08"), ("warn", "no-connection")),
        ("old-format", ELSEWHERE, ("ok", "ok")),
        ("rolled", ELSEWHERE, ("ok", "ok")),
        ("binary", ELSEWHERE, ("ok", "ok")),
        ("foreign", ELSEWHERE, ("ok", "ok")),
        ("cut", ELSEWHERE, ("unknown", "unproven")),  # the start is cut off: was the clock set?
        ("recovered", MATCHED, ("ok", "ok")),
        ("recovered", ELSEWHERE, ("ok", "ok")),
        ("summer-time-ends", ELSEWHERE, ("ok", "ok")),
        ("summer-time-recovered", MATCHED, ("ok", "ok")),
        ("summer-time-recovered", ELSEWHERE, ("unknown", "unproven")),
        ("websocket-down", OLDER, ("ok", "ok")),
        ("hibernating-by-skew", "", ("crit", "clock-refused")),
        ("hibernating-by-skew", ELSEWHERE, ("crit", "clock-refused")),
        ("hibernating-by-skew", MATCHED, ("unknown", "contradicted")),
        ("hibernating-by-denial", ELSEWHERE, ("crit", "hibernating")),
        ("credential-loop", "", ("crit", "clock-refused")),
        ("never-answered", "", ("crit", "never-connected")),
        ("never-answered", ELSEWHERE, ("unknown", "unproven")),
        ("never-answered", MATCHED, ("unknown", "unproven")),  # who intercepts TLS accepts too
    ],
)
def test_recorded_nodes(name: str, rows: str, expected: tuple[str, str]) -> None:
    verdict = verdict_on(recorded(name), rows)
    assert outcome(verdict) == expected
    assert "hunter2" not in repr(verdict)
    assert len(verdict.message) < 300
    assert bool(verdict.fixes) is (verdict.status.value in {"crit", "warn"})


def test_a_hibernation_says_since_when_why_and_when_it_tries_again() -> None:
    verdict = verdict_on(recorded("hibernating-by-denial"), ELSEWHERE)
    assert verdict.findings[0].message == (
        "agent hibernating for 33 min 18 s: AWS denies it to the role; next try within 102.0 s"
    )
    assert [item.reason for item in verdict.findings] == ["hibernating", "access-denied"]
    assert "AmazonSSMManagedInstanceCore" in verdict.findings[1].message
    assert verdict.fixes[0].command == "systemctl restart amazon-ssm-agent"


@pytest.mark.parametrize(
    ("error", "reachable", "reason"),
    [
        (agent_logs.DENIED, True, "hibernating"),  # a restart would not help
        (agent_logs.SKEW, True, "clock-refused"),
        ("dial tcp 192.0.2.1:443: i/o timeout", True, "hibernating-while-reachable"),
        ("dial tcp 192.0.2.1:443: i/o timeout", False, "hibernating"),
        ("dial tcp 192.0.2.1:443: i/o timeout", None, "hibernating"),
        ("something new", True, "hibernating-while-reachable"),
        ("something new", None, "hibernating"),
    ],
)
def test_the_network_may_be_back_meanwhile(
    error: str, *, reachable: bool | None, reason: str
) -> None:
    tree = Tree()
    tree.start(NOW - 7200)
    tree.hibernate(NOW - 7198, error)
    verdict = verdict_on(tree.finish(), ELSEWHERE, reachable=reachable)
    assert outcome(verdict) == ("crit", reason)


def test_without_hibernate_log_the_next_try_is_still_bounded() -> None:
    tree = recorded("hibernating-by-denial")
    del tree.contents[agent_logs.HIBERNATE]
    assert "next try within 10 min" in verdict_on(tree).message
    tree.changed_s[MAIN] = NOW - 40_000
    assert "next try within 60 min" in verdict_on(tree).message
    assert "since 2026-11-23 17:46:42 by the log" in verdict_on(tree).message


@pytest.mark.parametrize("gone_s", [12 * 60, 3 * 3600])
def test_a_log_that_ended_is_no_proof(gone_s: float) -> None:
    tree = recorded("healthy")
    tree.now_s += gone_s
    assert outcome(verdict_on(tree, MATCHED)) == ("ok", "ok")
    assert outcome(verdict_on(tree, "")) == ("crit", "no-connection")
    quiet = ("warn", "silent") if gone_s > 7200 else ("unknown", "unproven")
    assert outcome(verdict_on(tree, ELSEWHERE)) == quiet


@pytest.mark.parametrize("step_s", [-3600, -90, 90, 86400])
def test_a_clock_that_was_set_makes_no_young_answer(step_s: float) -> None:
    """The process list tells how long the core runs; its start in the log must fit that."""
    tree = recorded("healthy")
    tree.core_began_s += step_s
    assert outcome(verdict_on(tree, ELSEWHERE)) == ("unknown", "unproven")
    assert outcome(verdict_on(tree, MATCHED)) == ("ok", "ok")


def test_a_clock_that_was_set_back_makes_no_age() -> None:
    tree = recorded("healthy")
    tree.now_s -= 3000
    assert outcome(verdict_on(tree, ELSEWHERE)) == ("unknown", "unproven")


def test_an_error_after_the_last_answer_leaves_no_proof_by_the_log() -> None:
    tree = recorded("healthy")
    text = (
        "2026-11-23 13:49:59 ERROR [f @ g.go.1] [HealthCheck] error when calling AWS APIs: x: EOF\n"
    )
    tree.contents[agent_logs.ERRORS] = text.encode()
    tree.changed_s[agent_logs.ERRORS] = NOW - 1
    verdict = verdict_on(tree, ELSEWHERE)
    assert [item.reason for item in verdict.findings] == ["unproven", "connection-closed"]
    assert outcome(verdict_on(tree, MATCHED)) == ("ok", "ok")  # of another service
    for error in (b"x509: certificate signed by unknown authority", b"AccessDenied: x"):
        line = text.encode().replace(b"x: EOF", b"Failed to dial websocket: " + error)
        tree.contents[agent_logs.ERRORS] = line
        assert outcome(verdict_on(tree, MATCHED)) == ("unknown", "unproven")
        assert outcome(verdict_on(tree, OLDER)) == ("ok", "ok")


def test_a_connection_of_the_core_to_the_proxy_is_no_proof() -> None:
    """It asks for credentials through the same proxy."""
    proxy = (Way(PROXY, "squid", 3128, ("10.0.0.9",)),)
    rows = row("10.0.0.9", 3128, 77)

    def by_proxy(tree: Tree, pid: int) -> tuple[str, str]:
        facts = look(tree, rows, pid, proxy)
        return outcome(judge(INSTALLED, running(tree), replace(facts, stepped_s=None), AT))

    healthy = recorded("healthy")
    assert by_proxy(healthy, 101) == ("ok", "ok")
    assert by_proxy(healthy, CORE_PID) == ("unknown", "unproven")
    assert by_proxy(recorded("never-answered"), 101) == ("unknown", "unproven")
    assert by_proxy(recorded("hibernating-by-denial"), 101) == ("crit", "hibernating")


def shared(tree: Tree, pid: int) -> ChannelFacts:
    """One stand-in answers for all services."""
    urls = (("ssm", Need.CORE), ("ec2messages", Need.CHANNEL))
    sightings = tuple(
        Sighting(
            Endpoint(name, "http://127.0.0.1:8443", need),
            Reach(addresses=("127.0.0.1",), status=200),
        )
        for name, need in urls
    )
    ways = ways_of(EndpointFacts("eu-west-1", "x", sightings))
    return look(tree, row("127.0.0.1", 8443, 77), pid, ways)


@pytest.mark.parametrize(
    ("name", "pid", "expected"),
    [
        ("websocket-down", 101, ("ok", "ok")),
        ("hibernating-by-denial", 101, ("crit", "hibernating")),
        ("credential-loop", CORE_PID, ("crit", "clock-refused")),
        ("never-answered", 101, ("unknown", "unproven")),
    ],
)
def test_one_address_for_all_services(name: str, pid: int, expected: tuple[str, str]) -> None:
    tree = recorded(name)
    assert outcome(judge(INSTALLED, running(tree), shared(tree, pid), AT)) == expected


def test_what_keeps_an_agent_from_any_answer_is_named() -> None:
    facts = shared(recorded("never-answered"), 101)
    verdict = judge(INSTALLED, running(recorded("never-answered")), facts, AT)
    assert [item.reason for item in verdict.findings] == ["unproven", "name-not-found"]
    assert "may carry other requests" in verdict.message


def test_errors_of_the_websocket_alone_do_not_matter_to_who_polls() -> None:
    tree = recorded("websocket-down")
    late = b"2026-11-23 14:49:50 ERROR [f @ g.go.1] Failed to dial websocket: EOF\n"
    tree.contents[agent_logs.ERRORS] += late
    tree.changed_s[agent_logs.ERRORS] = NOW - 10
    assert outcome(judge(INSTALLED, running(tree), shared(tree, 101), AT)) == ("ok", "ok")
    tree.contents[agent_logs.ERRORS] += late.replace(b"websocket", b"GetMessages Error")
    assert outcome(judge(INSTALLED, running(tree), shared(tree, 101), AT)) != ("ok", "ok")


def test_an_answer_before_the_last_start_proves_no_proxy() -> None:
    tree = agent_logs.worked()
    tree.entries.append((NOW - 30, MAIN, b"2026-11-23 13:49:30 INFO amazon-ssm-agent - v3.3.1\n"))
    facts = look(
        tree.finish(), row("10.0.0.9", 3128, 77), ways=(Way(PROXY, "squid", 3128, ("10.0.0.9",)),)
    )
    assert (facts.connections[0].service, facts.proof()) == (PROXY, None)


def test_sockets_of_others_stand_in_the_same_table() -> None:
    tree = recorded("healthy")
    host = host_of(tree, MATCHED)
    assert isinstance(host.files, FakeFiles)
    host.files.contents["/proc/100/net/tcp"] = row("192.0.2.10", 443, 99).encode()
    facts = probe.look(host, running(tree), WAYS, AgentCredentials())
    assert [item.pid for item in facts.connections] == [101]


def test_the_address_of_the_websocket_in_the_log_is_an_endpoint() -> None:
    tree = recorded("healthy")
    tree.now_s += 3000
    facts = look(tree, MATCHED, ways=())
    assert judge(INSTALLED, running(tree), facts, AT).status.value == "ok"


@pytest.mark.parametrize(
    ("expires", "now", "expected"),
    [
        (NOW + 600, AT, ("warn", "credentials-refused")),
        (NOW - 600, AT, ("crit", "clock-refused")),
        (NOW + 600, AT + timedelta(hours=1), ("crit", "clock-refused")),  # by the true time
        (None, AT, ("warn", "credentials-refused")),
        (NOW - 600, None, ("warn", "credentials-refused")),
    ],
)
def test_refused_credentials_while_the_last_ones_do(
    expires: float | None, now: datetime | None, expected: tuple[str, str]
) -> None:
    tree = recorded("credential-loop")
    tree.worker_began_s = NOW - 9000
    facts = look(tree, OLDER, credentials=AgentCredentials(expires_s=expires))
    assert outcome(judge(INSTALLED, running(tree), facts, now)) == expected
    facts = look(tree, ELSEWHERE, credentials=AgentCredentials(expires_s=expires))
    assert outcome(judge(INSTALLED, running(tree), facts, now)) == ("crit", "clock-refused")


def test_processes() -> None:
    tree = recorded("healthy")
    facts = look(tree, MATCHED)
    none = RunningFacts((), (), ())
    assert outcome(judge(INSTALLED, none, facts, AT)) == ("crit", "not-running")
    hidden = UnreadImage(7, "amazon-ssm-agent", "no-permission", "/proc/7/exe: denied")
    unread = RunningFacts((), (hidden,), ())
    assert outcome(judge(INSTALLED, unread, facts, AT)) == ("unknown", "not-observed")
    tree.worker_began_s = None
    assert outcome(verdict_on(tree)) == ("crit", "worker-absent")
    tree.core_began_s = NOW - 60
    assert outcome(verdict_on(tree)) == ("unknown", "starting")
    young = Tree()
    young.start(NOW - 60)
    assert outcome(verdict_on(young.finish())) == ("unknown", "starting")
    old = InstallFacts((replace(INSTALLED.installations[0], version="2.3.714.0"),), ())
    assert judge(old, running(tree), facts, AT).status.value == "ok"


def test_a_worker_of_an_earlier_start_proves_nothing() -> None:
    tree = recorded("healthy")
    seen = ServiceProcesses(
        (
            ProcessUse(CORE_PID, "amazon-ssm-agent", "", 1),
            ProcessUse(WORKER_PID, "ssm-agent-worker", "", 1),
        ),
    )
    assert left_over(seen) == {WORKER_PID}
    for rows in (MATCHED, ELSEWHERE):
        facts = replace(look(tree, rows), left_over=left_over(seen))
        assert outcome(judge(INSTALLED, running(tree), facts, AT)) == ("unknown", "unproven")
    child = replace(seen.processes[1], parent_pid=CORE_PID)
    assert left_over(replace(seen, processes=(seen.processes[0], child))) == frozenset()


def test_what_another_user_or_a_copy_elsewhere_runs_proves_nothing() -> None:
    tree = recorded("healthy")
    whole = running(tree)
    for changes in ({"uid": 1000}, {"unit": ""}):
        others = tuple(replace(item, **changes) for item in whole.processes)
        facts = probe.look(
            host_of(tree, MATCHED), replace(whole, processes=others), WAYS, AgentCredentials()
        )
        assert facts.connections == ()
        assert facts.unseen == "process 100 (amazon-ssm-agent) is not known to be the agent's"


def test_no_agent() -> None:
    facts = look(recorded("healthy"))
    nothing = RunningFacts((), (), ())
    assert judge(InstallFacts((), ()), nothing, facts, AT).reason == "not-applicable"
    unsure = judge(InstallFacts((), ("dpkg: locked",)), nothing, facts, AT)
    assert outcome(unsure) == ("unknown", "not-observed")


def test_logs_that_say_nothing() -> None:
    empty = recorded("healthy")
    empty.contents[MAIN] = b""
    assert outcome(verdict_on(empty, ELSEWHERE)) == ("unknown", "not-understood")
    gone = recorded("healthy")
    gone.contents.clear()
    assert outcome(verdict_on(gone, ELSEWHERE)) == ("unknown", "log-missing")
    assert outcome(verdict_on(gone, MATCHED)) == ("ok", "ok")
    touched = recorded("healthy")
    touched.changed_s[MAIN] = NOW - 400
    assert outcome(verdict_on(touched, ELSEWHERE)) == ("unknown", "not-understood")


def test_logs_that_cannot_be_read() -> None:
    tree = recorded("healthy")
    host = host_of(tree, ELSEWHERE)
    assert isinstance(host.files, FakeFiles)
    host.files.contents[f"{LOGS}/{MAIN}"] = Denied("permission denied")
    facts = probe.look(host, running(tree), WAYS, AgentCredentials())
    verdict = judge(INSTALLED, running(tree), facts, AT)
    assert outcome(verdict) == ("unknown", "log-not-read")
    assert "permission denied" in verdict.message


def facts_unseen(tree: Tree, problem: ProbeError) -> ChannelFacts:
    host = host_of(tree, MATCHED)
    assert isinstance(host.files, FakeFiles)
    host.files.contents[f"/proc/{CORE_PID}/net/tcp"] = problem
    return probe.look(host, running(tree), WAYS, AgentCredentials())


def test_connections_that_cannot_be_seen_are_not_absent() -> None:
    tree = recorded("never-answered")
    facts = facts_unseen(tree, Denied("/proc/100/net/tcp: permission denied"))
    assert facts.unseen
    assert outcome(judge(INSTALLED, running(tree), facts, AT)) == ("unknown", "unproven")


def test_errors_before_the_last_answer_or_start_cast_no_doubt() -> None:
    text = b" ERROR [f @ g.go.1] Failed to dial websocket: EOF\n"
    for name, stamp, status in (
        ("healthy", b"2026-11-23 13:30:00", "ok"),
        ("healthy", b"2026-11-23 13:49:00", "unknown"),
        ("never-answered", b"2026-11-23 10:00:00", "unknown"),
    ):
        tree = recorded(name)
        tree.contents[agent_logs.ERRORS] = stamp + text
        hour_s = 3600 if name == "healthy" else 0
        at = datetime.fromisoformat(stamp.decode()).replace(tzinfo=UTC).timestamp() - hour_s
        tree.changed_s[agent_logs.ERRORS] = at
        assert verdict_on(tree, MATCHED).status.value == status
    tree.contents[MAIN] = b"".join(
        line for line in tree.contents[MAIN].splitlines(keepends=True) if b"ERROR" not in line
    )
    tree.changed_s[MAIN] = NOW - 7197
    assert verdict_on(tree, MATCHED).status.value == "ok"  # what failed did so before the start
    undated = recorded("healthy")
    undated.changed_s[MAIN] = NOW - 400
    undated.contents[agent_logs.ERRORS] = b"2026-11-23 13:49:00" + text
    undated.changed_s[agent_logs.ERRORS] = NOW - 60
    assert verdict_on(undated, MATCHED).status.value == "ok"


def test_a_connection_to_who_is_not_aws_proves_nothing() -> None:
    tree = recorded("healthy")
    ways = (replace(WAYS[0], distrust="a: signed by Proxy CA"), WAYS[1])
    for rows, expected in ((MATCHED, ("unknown", "unproven")), (OLDER, ("ok", "ok"))):
        facts = look(tree, rows, ways=ways)
        assert outcome(judge(INSTALLED, running(tree), facts, AT)) == expected


def test_a_process_that_ended_meanwhile_is_not_without_connection() -> None:
    tree = recorded("healthy")
    facts = facts_unseen(tree, Absent("/proc/100/net/tcp: not there"))
    assert facts.unseen == "process 100 (amazon-ssm-agent) has ended meanwhile"
    assert judge(INSTALLED, running(tree), facts, AT).reason != "no-connection"


def test_a_log_of_an_earlier_run_is_not_this_run() -> None:
    """Nothing was added since the core started: the log goes elsewhere now."""
    tree = recorded("hibernating-by-denial")
    tree.now_s += 40 * 86400
    tree.core_began_s = tree.worker_began_s = tree.now_s - 86400
    assert outcome(verdict_on(tree, ELSEWHERE)) != ("crit", "hibernating")
    assert outcome(verdict_on(tree, MATCHED)) == ("ok", "ok")
    without = recorded("hibernating-by-denial")
    lines = without.contents[MAIN].splitlines(keepends=True)
    without.contents[MAIN] = b"".join(line for line in lines if b" - v3" not in line)
    assert outcome(verdict_on(without, ELSEWHERE)) == ("crit", "hibernating")
    without.core_began_s = NOW - 600
    assert outcome(verdict_on(without, ELSEWHERE)) == ("unknown", "unproven")
    skewed = recorded("hibernating-by-skew")  # the clock was set after the refusal
    skewed.now_s += 3600 * 24 * 365
    skewed.core_began_s = skewed.worker_began_s = skewed.now_s - 7200
    assert verdict_on(skewed, ELSEWHERE).reason == "clock-refused"


class Growing(FakeFiles):
    """A log to which lines are added while it is read."""

    count = 0

    def tail(self, path: str, limit_bytes: int) -> bytes:
        self.count += 1
        if self.count == 1:
            state = self.states[path]
            assert not isinstance(state, ProbeError)
            self.states[path] = replace(state, mtime_ns=state.mtime_ns + 10**9, size=state.size + 1)
        return super().tail(path, limit_bytes)


def test_a_file_that_grows_is_read_again() -> None:
    path = f"{LOGS}/{MAIN}"
    line = b"2026-11-23 12:49:58 INFO x\n"
    files = Growing({path: line}, {path: file_state(path, size=27, mtime_ns=int((NOW - 3) * 1e9))})
    facts = probe.look(fake_host(files), RunningFacts((), (), ()), (), AgentCredentials())
    assert (files.count, facts.logs[0].zone_s) == (2, 0)


ERRORS = {
    "clock-refused": "InvalidSignatureException: Signature not yet current: 1 is still later",
    "certificate-time": 'Post "https://x/": x509: certificate has expired or is not yet valid: now',
    "certificate-untrusted": 'Post "https://x/": x509: certificate signed by unknown authority',
    "certificate-name": "tls: x509: certificate is valid for a, not b",
    "fingerprint-mismatch": "RequestManagedInstanceRoleToken: MachineFingerprintDoesNotMatch:",
    "no-host-management": "error calling RequestManagedInstanceRoleToken: AccessDeniedException: "
    "Systems Manager's instance management role is not configured for account: 111122223333",
    "no-role": "EC2RoleRequestError: no EC2 instance role found caused by: EC2MetadataError: x",
    "metadata-unreachable": "EC2MetadataError: failed to get IMDSv2 token and fallback is disabled",
    "endpoint-policy": "AccessDeniedException: x because no VPC endpoint policy allows the y",
    "access-denied": "CreateControlChannel failed with error: Unauthorized request.",
    "token-expired": "ExpiredTokenException: The security token included in the request is expired",
    "token-invalid": "UnrecognizedClientException: The security token included in the request is",
    "instance-unknown": "InvalidInstanceId: ",
    "signature-refused": "unable to build RSA signature. No Authorization header in request",
    "throttled": "CreateControlChannel failed with error: Unable to process due to throttling.",
    "proxy-failed": "Post x: proxyconnect tcp: tls: first record does not look like a TLS",
    "name-not-found": "dial tcp: lookup x on 1:53: read udp 1:1->1:53: i/o timeout",
    "connection-refused": "dial tcp 1:443: connect: connection refused",
    "unreachable": "dial tcp 1:443: connect: network is unreachable",
    "timeout": "RequestError: send request failed caused by: Post x: dial tcp 1:443: i/o timeout",
    "inotify-limit": "listener encountered error when add watch: no space left on device",
    "disk-full": "write /var/lib/amazon/ssm/x: no space left on device",
    "too-many-files": "with error - pipe2: too many open files",
    "websocket-closed": "Reach the retry limit 5 for receive messages. Error: websocket: close",
    "role-token-refused": "error calling RequestManagedInstanceRoleToken: ValidationException: x",
    "connection-closed": "RequestError: send request failed caused by: Post x: EOF",
}


@pytest.mark.parametrize("code", ERRORS)
def test_known_errors(code: str) -> None:
    found = recognise(ERRORS[code])
    assert found is not None
    assert found.code == code
    assert quote("first words " + ERRORS[code]).split()[0] in ERRORS[code]


def test_every_code_is_known_and_explained() -> None:
    assert set(ERRORS) == {known.code for known in channel_causes.KNOWN}
    limits = agent_channel.EXPLANATION.partition("LIMITS")[2]
    assert [code for code in ERRORS if code not in limits] == []


CONFIG = b"""{"CredentialsExpiresAt":"2026-11-23T13:14:50.389712345Z",
"CredentialsRetrievedAt":"0001-01-01T00:00:00Z","CredentialSource":"SSM","InstanceId":"mi-1"}"""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (CONFIG, AgentCredentials("SSM", None, 1795439690.0)),
        (CONFIG.replace(b"389712345Z", b"3+01:00"), AgentCredentials("SSM", None, 1795436090.0)),
        (CONFIG.replace(b":50.389712345Z", b""), AgentCredentials("SSM")),
        (b"{}", AgentCredentials()),
        (b'{"CredentialsExpiresAt":17,"CredentialSource":["x"]}', AgentCredentials()),
    ],
)
def test_times_of_credentials(content: bytes, expected: AgentCredentials) -> None:
    assert agent_credential_times.read_credentials(content, "/c") == expected


@pytest.mark.parametrize("content", [b"", CONFIG[:40], b"[" * 10**5, b"[]", b"\xff\0", b'"x"'])
def test_times_that_are_none(content: bytes) -> None:
    assert agent_credential_times.read_credentials(content, "/c").problem == "/c: not understood"


def sighting(service: str, url: str, reach: Reach) -> Sighting:
    return Sighting(Endpoint(service, url, Need.CHANNEL), reach)


@pytest.mark.parametrize(
    ("url", "reach", "expected"),
    [
        ("https://a.example/", Reach(addresses=("192.0.2.10",)), ("x", "a.example", 443)),
        ("http://127.0.0.1:8443", Reach(addresses=("127.0.0.1",)), ("x", "127.0.0.1", 8443)),
        ("http://a.example/v1:2", Reach(), ("x", "a.example", 80)),
        ("https://[::1]:8443/", Reach(), ("x", "[::1]", 8443)),
        ("https://[::1]", Reach(), ("x", "[::1]", 443)),
        ("https://a.example", Reach(via="squid:3128"), (PROXY, "squid", 3128)),
        ("https://", Reach("bad-url", "no host"), None),
    ],
)
def test_ways(url: str, reach: Reach, expected: tuple[str, str, int] | None) -> None:
    others = Sighting(Endpoint("kms", "https://kms.example", Need.OPTIONAL), Reach())
    facts = EndpointFacts("eu-west-1", "x", (sighting("x", url, reach), others))
    found = ways_of(facts)
    assert [(item.service, item.name, item.port) for item in found] == ([expected] * bool(expected))
    assert all(item.addresses == reach.addresses for item in found)


@pytest.mark.parametrize(
    ("reach", "is_trusted"),
    [
        (Reach("tls-untrusted", "signed by Proxy CA", ("192.0.2.10",)), False),
        (Reach(status=200, headers={"content-type": "text/html"}), False),
        (Reach(status=403, headers={"x-amzn-requestid": "1"}), True),
        (Reach("tcp-timeout", "no answer", ("192.0.2.10",)), True),
    ],
)
def test_who_answers_there(reach: Reach, *, is_trusted: bool) -> None:
    facts = EndpointFacts("eu-west-1", "x", (sighting("x", "https://a.example", reach),))
    assert [not way.distrust for way in ways_of(facts)] == [is_trusted]


def test_every_tree_is_judged() -> None:
    assert {path.name for path in agent_logs.ASSETS.iterdir()} == set(TREES)
