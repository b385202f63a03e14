"""The Date of the endpoint, on real TLS servers with honest, old, slow and hostile replies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nodecheck.checks.clock_offset import judge
from nodecheck.host.local_clock import read_pair
from nodecheck.model.agent_proxy import AgentProxy
from nodecheck.model.clock import NtpFacts
from nodecheck.model.errors import ProbeError
from nodecheck.model.selection import combine
from nodecheck.model.time_server import parse_server
from nodecheck.model.verdict import Status
from nodecheck.probes import clock_date
from nodecheck.records import replace
from tests.chronyd import need_chronyd
from tests.clock_builders import POLICY, ShiftedClock, estimate, measure, network_host
from tests.https_server import Answer, Certificate, HttpsServer, environment, make_certificate
from tests.ntp_server import Behaviour, NtpServer
from tests.wrong_clock import wrong_clock

YEAR_S = 365 * 86400
ROOT = Path(__file__).parents[2]
DIRECT = AgentProxy()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    now = time.time()
    return make_certificate(tmp_path_factory.mktemp("tls"), now - 86400, now + 30 * 86400)


def date_failure(answer: Answer, made: Certificate | None, timeout_s: float = 2) -> ProbeError:
    variables = environment(made) if made else {}
    with HttpsServer(answer, made) as server, pytest.raises(ProbeError) as caught:
        clock_date.measure(network_host(environment=variables), server.url, timeout_s=timeout_s)
    return caught.value


@pytest.mark.parametrize("ahead_s", [-50 * YEAR_S, -400, 0, 400, 14 * YEAR_S])
def test_the_endpoint_alone_measures_any_clock(ahead_s: float, certificate: Certificate) -> None:
    host = network_host(ShiftedClock(ahead_s), environment(certificate))
    with HttpsServer(Answer(), certificate) as server:
        facts = measure(host, url=server.url)
    offset_s, bound_s = estimate(facts)
    assert abs(offset_s + ahead_s) <= bound_s < 0.7
    assert facts.date is not None
    assert facts.date.authenticated
    expected = Status.CRIT if ahead_s else Status.OK
    assert judge(facts, POLICY).status is expected


def test_ntp_narrows_the_endpoint_and_never_overrules_it(certificate: Certificate) -> None:
    host = network_host(environment=environment(certificate))
    with HttpsServer(Answer(), certificate) as server:
        with NtpServer(Behaviour()) as honest:
            narrow = measure(host, (parse_server(honest.name),), server.url)
        with NtpServer(Behaviour(offset_s=400)) as liar:
            ruled = measure(host, (parse_server(liar.name),), server.url)
    assert estimate(narrow)[1] < 0.01
    assert judge(ruled, POLICY).status is Status.OK
    assert ruled.falsetickers == (liar.name,)


@pytest.mark.parametrize("run", range(5))
def test_a_stale_date_names_no_honest_server(run: int, certificate: Certificate) -> None:
    host = network_host(environment=environment(certificate))
    time.sleep(run * 0.2)  # a stale second shows in some parts of a second only
    with HttpsServer(Answer(offset_s=-0.5), certificate) as server, NtpServer(Behaviour()) as ntp:
        facts = measure(host, (parse_server(ntp.name),), server.url)
    assert facts.falsetickers == ()
    offset_s, bound_s = estimate(facts)
    assert abs(offset_s) <= bound_s < 0.01


@pytest.mark.parametrize(
    ("begin_days", "end_days", "reason"),
    [(-60, -30, "certificate-expired"), (30, 60, "certificate-not-yet-valid")],
)
@pytest.mark.parametrize("ahead_days", [0, -40, 40])
def test_a_certificate_out_of_date_is_refused_whatever_the_local_clock(
    tmp_path: Path, begin_days: int, end_days: int, reason: str, ahead_days: int
) -> None:
    now = time.time()
    made = make_certificate(tmp_path, now + begin_days * 86400, now + end_days * 86400)
    host = network_host(ShiftedClock(ahead_days * 86400), environment(made))
    with HttpsServer(Answer(), made) as server, pytest.raises(ProbeError) as caught:
        clock_date.measure(host, server.url)
    assert caught.value.reason == reason


def test_an_old_certificate_with_an_old_date_convinces_nobody(tmp_path: Path) -> None:
    now = time.time()
    made = make_certificate(tmp_path, now - 60 * 86400, now - 30 * 86400)
    host = network_host(environment=environment(made))
    with (
        HttpsServer(Answer(offset_s=-40 * 86400), made) as server,
        NtpServer(Behaviour()) as honest,
    ):
        facts = measure(host, (parse_server(honest.name),), server.url)
    assert judge(facts, POLICY).reason == "sources-disagree"


def test_who_is_not_the_endpoint_is_refused(tmp_path: Path, certificate: Certificate) -> None:
    other = tmp_path / "other"
    other.mkdir()
    foreign = make_certificate(other, time.time() - 9, time.time() + 9)
    with HttpsServer(Answer(), certificate) as server:
        mistrusting = network_host(environment=environment(foreign))
        with pytest.raises(ProbeError) as caught:
            clock_date.measure(mistrusting, server.url)
        assert caught.value.reason == "certificate-refused"
        trusting = network_host(environment=environment(certificate))
        by_name = server.url.replace("127.0.0.1", "localhost")
        assert clock_date.measure(trusting, by_name).name == "localhost"


def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, time.time() - 9, time.time() + 9, "ssm.example")
    host = network_host(environment=environment(made))
    with (
        HttpsServer(Answer(), made) as server,
        pytest.raises(ProbeError, match="Hostname mismatch") as caught,
    ):
        clock_date.measure(host, server.url.replace("127.0.0.1", "localhost"))
    assert caught.value.reason == "certificate-refused"


def test_the_real_trust_store_does_not_trust_the_tests_ca(certificate: Certificate) -> None:
    with HttpsServer(Answer(), certificate) as server, pytest.raises(ProbeError) as caught:
        clock_date.measure(network_host(), server.url)
    assert caught.value.reason == "certificate-refused"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(headers=("Age: 3",)), "cached-reply"),
        (Answer(has_date=False), "no-date"),
        (Answer(date="now"), "bad-date"),
        (Answer(raw=b"\xff" * 100_000), "bad-reply"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000), "bad-reply"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\n"), "bad-reply"),
        (Answer(raw=b"SSH-2.0-OpenSSH\r\n\r\n"), "bad-reply"),
    ],
)
@pytest.mark.parametrize("is_tls", [True, False])
def test_replies_that_say_nothing(
    answer: Answer, reason: str, certificate: Certificate, *, is_tls: bool
) -> None:
    assert date_failure(answer, certificate if is_tls else None).reason == reason


def test_a_head_without_end_is_cut() -> None:
    endless = Answer(raw=b"HTTP/1.1 200 OK\r\nX: " + b"a" * 3_000_000)
    assert "larger than 32768 bytes" in str(date_failure(endless, None))


@pytest.mark.parametrize("answer", [Answer(drip_s=0.05), Answer(hold_s=1.5)])
@pytest.mark.parametrize("is_tls", [True, False])
def test_a_slow_server_does_not_lengthen_the_run(
    answer: Answer, certificate: Certificate, *, is_tls: bool
) -> None:
    begun = time.monotonic()
    with HttpsServer(answer, certificate if is_tls else None) as server:
        host = network_host(environment=environment(certificate))
        with pytest.raises(ProbeError) as caught:
            clock_date.measure(host, server.url, timeout_s=0.4)
        assert time.monotonic() - begun < 1
    assert caught.value.reason == "no-answer"


def test_a_server_that_never_shakes_hands() -> None:
    with HttpsServer(Answer(hold_s=1), None) as server, pytest.raises(ProbeError) as caught:
        clock_date.measure(network_host(), server.url.replace("http:", "https:"), timeout_s=0.3)
    assert caught.value.reason == "no-answer"


def test_plain_http_is_a_vote_without_authority() -> None:
    with HttpsServer(Answer(), None) as server, NtpServer(Behaviour(offset_s=400)) as ntp:
        facts = measure(network_host(), (parse_server(ntp.name),), server.url)
    assert facts.date is not None
    assert not facts.date.authenticated
    assert judge(facts, POLICY).reason == "sources-disagree"


@pytest.mark.parametrize("is_closing", [False, True])
@pytest.mark.parametrize("ahead_s", [0, -50 * YEAR_S])
def test_a_few_requests_bisect_to_20_ms(
    ahead_s: float, certificate: Certificate, *, is_closing: bool
) -> None:
    host = network_host(ShiftedClock(ahead_s), environment(certificate))
    with HttpsServer(Answer(is_closing=is_closing), certificate) as server:
        first = clock_date.measure(host, server.url)
        begun = time.monotonic()
        found = clock_date.bisect(host, server.url, DIRECT, first, 3.8)
        assert time.monotonic() - begun < 3.8
        assert found.requests - 1 <= len(server.requests) - 1 <= clock_date.REQUESTS
    offset_s, bound_s = estimate(combine(NtpFacts(()), found, read_pair(host.clock)))
    assert abs(offset_s + ahead_s) <= bound_s <= 0.02


def test_the_agents_proxy_is_used_where_the_environment_has_none(certificate: Certificate) -> None:
    with HttpsServer(Answer(), certificate) as server, HttpsServer(Answer(), None, 200) as via:
        proxy = AgentProxy(f"http://127.0.0.1:{via.port}", "169.254.169.254", "drop-in")
        host = network_host(environment=environment(certificate))
        reading = clock_date.measure(host, server.url, proxy)
        assert reading.via == f"127.0.0.1:{via.port}"
        assert len(via.requests) == 1
        exempt = replace(proxy, no_proxy="127.0.0.1")
        assert clock_date.measure(host, server.url, exempt).via == ""
        assert len(via.requests) == 1


def test_the_request_asks_past_caches(certificate: Certificate) -> None:
    host = network_host(environment=environment(certificate))
    with HttpsServer(Answer(), certificate) as server:
        clock_date.measure(host, server.url)
        assert server.requests[0].startswith("HEAD / HTTP/1.1\r\nHost: 127.0.0.1:")
        assert "Cache-Control: no-cache" in server.requests[0]


def test_the_way_through_a_proxy(certificate: Certificate) -> None:
    with HttpsServer(Answer(), certificate) as server, HttpsServer(Answer(), None, 200) as via:
        proxy = f"http://user:secret@127.0.0.1:{via.port}"
        variables = environment(certificate, HTTPS_PROXY=proxy)
        reading = clock_date.measure(network_host(environment=variables), server.url)
        assert reading.authenticated
        assert via.requests[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n")
        assert "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n" in via.requests[0]
        clock_date.measure(
            network_host(environment=variables | {"NO_PROXY": "127.0.0.1"}), server.url
        )
        assert len(via.requests) == 1
        assert len(server.requests) == 2


def test_a_proxy_that_refuses_is_named_without_its_password(certificate: Certificate) -> None:
    with HttpsServer(Answer(), None, 407) as via:
        variables = environment(certificate, https_proxy=f"http://u:secret@127.0.0.1:{via.port}")
        with pytest.raises(ProbeError, match=f"127.0.0.1:{via.port} refused.*407") as caught:
            clock_date.measure(network_host(environment=variables), "https://ssm.invalid")
    assert caught.value.reason == "proxy-refused"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://127.0.0.1:9/", "unreachable"),
        ("https://no-such-name.invalid", "name-not-found"),
        ("ftp://127.0.0.1/", "bad-url"),
        ("https://", "bad-url"),
        ("https://127.0.0.1:port/", "bad-url"),
        ("https://[::1", "bad-url"),
        ("https://\N{SNOWMAN}.invalid/\N{SNOWMAN}", "name-not-found"),
    ],
)
def test_endpoints_that_cannot_be_asked(url: str, reason: str) -> None:
    with pytest.raises(ProbeError) as caught:
        clock_date.measure(network_host(), url, timeout_s=3)
    assert caught.value.reason in {reason, "name-timeout"}


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_a_bundle_that_cannot_be_used(
    tmp_path: Path, content: bytes | None, certificate: Certificate
) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_bytes(content)
    host = network_host(environment={"AWS_CA_BUNDLE": str(path)})
    with HttpsServer(Answer(), certificate) as server, pytest.raises(ProbeError) as caught:
        clock_date.measure(host, server.url)
    assert caught.value.reason == "bad-ca-bundle"


# --- whole runs ----------------------------------------------------------------------------------


def whole_run(fake: str, *arguments: str, **variables: str) -> dict[str, Any]:
    """Run nodecheck from source, its clock faked, and return what it says of the clock."""
    need_chronyd()  # the package of the tests that brings libfaketime
    command = [sys.executable, "-P", "-m", "nodecheck", "run", "--only", "clock.offset"]
    done = subprocess.run(
        (*wrong_clock(fake), *command, "--format", "json", *arguments),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("fake", ["-400s", "@1970-01-02 00:00:00"])
def test_a_run_with_udp_closed(fake: str, tmp_path: Path, certificate: Certificate) -> None:
    with HttpsServer(Answer(), certificate) as server:
        report = whole_run(
            fake,
            NODECHECK_CLOCK_SERVERS="127.0.0.1:9",
            NODECHECK_CLOCK_ENDPOINT=server.url,
            NODECHECK_STATE_DIR=str(tmp_path),
            **environment(certificate),
        )
    (check,) = report["checks"]
    assert (check["status"], check["reason"]) == ("crit", "beyond-tolerance")
    assert report["clock"]["bound_s"] <= 0.02
    assert "slow" in check["message"]


def test_offline_only_a_clock_before_the_known_past_is_judged(tmp_path: Path) -> None:
    state = {"NODECHECK_STATE_DIR": str(tmp_path)}
    (check,) = whole_run("@1970-01-02 00:00:00", "--offline", **state)["checks"]
    assert (check["status"], check["reason"]) == ("crit", "before-known-past")
    assert "nodecheck was first written" in check["message"]
    (check,) = whole_run("+0s", "--offline", **state)["checks"]
    assert (check["status"], check["reason"]) == ("skip", "offline")


def test_a_clock_before_the_known_past_without_any_source(tmp_path: Path) -> None:
    report = whole_run(
        "@1970-01-02 00:00:00",
        NODECHECK_CLOCK_SERVERS="127.0.0.1:9",
        NODECHECK_CLOCK_ENDPOINT="https://127.0.0.1:9/",
        NODECHECK_STATE_DIR=str(tmp_path),
    )
    (check,) = report["checks"]
    assert (check["status"], check["reason"]) == ("crit", "before-known-past")
