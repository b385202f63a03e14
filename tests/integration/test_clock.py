"""The clock measured on real sockets: hostile NTP, real chronyd, TLS servers, faked clocks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.clock_offset import judge
from nodecheck.model.errors import ProbeError
from nodecheck.model.time_server import TimeServer, parse_server
from nodecheck.model.verdict import Status
from nodecheck.probes import clock_date, clock_ntp
from tests.clock_builders import POLICY, ShiftedClock, measure, network_host
from tests.clock_scenarios import SCENARIOS, Scenario, problems, run
from tests.fuzz import fuzz_clock
from tests.https_server import Answer, Certificate, HttpsServer, environment, make_certificate
from tests.ntp_server import Behaviour, NtpServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.model.clock import ClockFacts

YEAR_S = 365 * 86400
ROOT = Path(__file__).parents[2]
IS_ROOT = sys.platform != "win32" and os.geteuid() == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    now = time.time()
    return make_certificate(tmp_path_factory.mktemp("tls"), now - 86400, now + 30 * 86400)


def estimate(facts: ClockFacts) -> tuple[float, float]:
    assert facts.estimate is not None, facts.failures
    return facts.estimate.offset_s, facts.estimate.bound_s


# --- NTP -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda item: str(item.number))
def test_scenario_on_loopback(scenario: Scenario) -> None:
    assert problems(scenario, run(scenario)) == []


def test_scenarios_on_amazons_own_addresses() -> None:
    numbers = [1, 4, 6, 11, 12, 14, 21, 29, 30, 31, 32, 33]
    if not (IS_ROOT and shutil.which("unshare")) and "CI" not in os.environ:
        pytest.skip("network namespaces need root and unshare")
    command = ["unshare", "--net", sys.executable, "-m", "tests.clock_scenarios"]
    done = subprocess.run(
        [*command, *map(str, numbers)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["number"] for line in lines] == numbers
    assert [line for line in lines if line["problems"]] == []


def test_half_of_all_packets_lost_still_answers_every_time() -> None:
    def once(_: int) -> float:
        with NtpServer(Behaviour(loss=0.5)) as server:
            server._random.seed(_)
            begun = time.monotonic()
            offset_s, bound_s = estimate(measure(network_host(), (parse_server(server.name),)))
            assert abs(offset_s) <= bound_s
            return time.monotonic() - begun

    with ThreadPoolExecutor(4) as pool:
        took = list(pool.map(once, range(12)))
    assert max(took) < 3


def test_a_kiss_stops_the_asking() -> None:
    with NtpServer(Behaviour(stratum=0, reference=b"RATE")) as server:
        facts = clock_ntp.measure(network_host(), (parse_server(server.name),))
        assert server.requests == 1
    assert facts.failures[0].reason == "kiss-rate"


def test_forgeries_are_counted() -> None:
    with NtpServer(Behaviour(forged_first_offset_s=1000)) as server:
        facts = clock_ntp.measure(network_host(), (parse_server(server.name),))
    assert facts.readings[0].ignored == (("bad-origin", 4),)
    assert facts.readings[0].samples == 4


@pytest.mark.parametrize("ahead_s", [-50 * YEAR_S, -0.3, 0.3, 14 * YEAR_S])
def test_a_wrong_local_clock_is_measured(ahead_s: float) -> None:
    with NtpServer(Behaviour()) as server:
        facts = measure(network_host(ShiftedClock(ahead_s)), (parse_server(server.name),))
    offset_s, bound_s = estimate(facts)
    assert abs(offset_s + ahead_s) <= bound_s


def test_a_step_during_an_exchange_drops_the_sample() -> None:
    clock = ShiftedClock(steps_s=[0.0, 5.0])
    with NtpServer(Behaviour()) as server:
        facts = measure(network_host(clock), (parse_server(server.name),))
    assert dict(facts.readings[0].ignored)["clock-stepped"] >= 1
    offset_s, bound_s = estimate(facts)
    assert abs(offset_s + 5) <= bound_s


def test_a_silent_server_does_not_spoil_the_others() -> None:
    with NtpServer(Behaviour()) as good, NtpServer(Behaviour(is_silent=True)) as silent:
        names = (good.name, silent.name, "no-such-name.invalid")
        facts = measure(network_host(), tuple(parse_server(name) for name in names))
    assert facts.estimate is not None
    assert {item.name for item in facts.failures} == {silent.name, "no-such-name.invalid"}


def test_a_flood_neither_lengthens_nor_ends_the_wait() -> None:
    with NtpServer(Behaviour(foreign_packets=2000)) as server:
        begun = time.monotonic()
        facts = clock_ntp.measure(network_host(), (parse_server(server.name),), 0.5)
        assert time.monotonic() - begun < 1.5
    assert facts.failures[0].reason == "bad-origin"


def test_without_servers_there_is_nothing_to_ask() -> None:
    with pytest.raises(ProbeError) as caught:
        clock_ntp.measure(network_host(), ())
    assert caught.value.reason == "no-source"


@pytest.mark.skipif(sys.platform != "linux", reason="SO_TIMESTAMPNS is Linux's")
def test_the_kernel_stamps_arrivals() -> None:
    host = network_host()
    with NtpServer(Behaviour()) as server:
        address = host.network.resolve(server.ip, server.port)[0]
        link = host.network.datagrams(address)
        link.send(bytes(48))
        before_ns = host.clock.wall_ns()
        received = link.receive(1)
        link.close()
    assert received is not None
    assert received.kernel_wall_ns is not None
    assert before_ns - 50_000_000 < received.kernel_wall_ns <= received.wall_ns


def test_receiving_gives_up_in_time() -> None:
    host = network_host()
    with NtpServer(Behaviour(is_silent=True)) as server:
        link = host.network.datagrams(host.network.resolve(server.ip, server.port)[0])
        begun = time.monotonic()
        assert link.receive(0.1) is None
        assert link.receive(0) is None
        assert link.receive(-1) is None
        link.close()
    assert time.monotonic() - begun < 0.5


# --- real chronyd --------------------------------------------------------------------------------


@contextmanager
def chronyd(folder: Path, port: int, fake: str, *, local: bool = True) -> Iterator[TimeServer]:
    """Run a chronyd that believes in a wrong time and tells it."""
    for tool in ("chronyd", "faketime"):
        if not shutil.which(tool, path="/usr/sbin:/usr/bin") and "CI" not in os.environ:
            pytest.skip(f"{tool} is not installed")
    lines = [f"port {port}", "allow", "cmdport 0", f"pidfile {folder}/pid{port}"]
    lines += ["bindaddress 127.0.0.1", "bindcmdaddress /"]
    lines += ["user root"] if IS_ROOT else []
    lines += ["local stratum 5"] if local else []
    config = folder / f"chrony{port}.conf"
    config.write_text("\n".join(lines) + "\n")
    command = ["/usr/sbin/chronyd", "-U", "-x", "-d", "-F", "0", "-f", str(config)]
    daemon = subprocess.Popen(
        ["/usr/bin/faketime", "-f", fake, *command] if fake else command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        yield TimeServer("127.0.0.1", port)
    finally:
        daemon.terminate()
        daemon.wait(10)


def test_three_real_chronyds_one_of_which_is_wrong(tmp_path: Path) -> None:
    with (
        chronyd(tmp_path, 11123, "-400s") as wrong,
        chronyd(tmp_path, 11124, "") as right,
        chronyd(tmp_path, 11125, "") as other,
    ):
        alone = measure(network_host(), (wrong,))
        offset_s, bound_s = estimate(alone)
        assert abs(offset_s + 400) <= bound_s < 0.1
        assert judge(alone, POLICY).status is Status.CRIT
        together = measure(network_host(), (wrong, right, other))
    assert together.falsetickers == (wrong.name,)
    offset_s, bound_s = estimate(together)
    assert abs(offset_s) <= bound_s < 0.1


def test_a_chronyd_without_time_is_not_believed(tmp_path: Path) -> None:
    with chronyd(tmp_path, 11126, "", local=False) as lost:
        facts = measure(network_host(), (lost,))
    assert facts.failures[0].reason == "not-synchronised"


@pytest.mark.parametrize("fake", ["@1970-01-02 00:00:00", "@2040-01-01 00:00:00", "-600s"])
def test_a_process_whose_clock_is_faked(fake: str, certificate: Certificate) -> None:
    if not shutil.which("faketime") and "CI" not in os.environ:
        pytest.skip("faketime is not installed")
    script = (
        "import sys, time\n"
        "from nodecheck.model.time_server import parse_server\n"
        "from tests.clock_builders import measure, network_host\n"
        "host = network_host(environment={'AWS_CA_BUNDLE': sys.argv[3]})\n"
        "facts = measure(host, (parse_server(sys.argv[1]),), sys.argv[2])\n"
        "found = facts.estimate\n"
        "print(found.offset_s + time.time(), found.bound_s, *found.sources)\n"
    )
    python = [sys.executable, "-c", script]
    with NtpServer(Behaviour()) as ntp, HttpsServer(Answer(), certificate) as https:
        done = subprocess.run(
            ["faketime", "-f", fake, *python, ntp.name, https.url, certificate.ca_path],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        now = time.time()
        names = {ntp.name, "127.0.0.1"}
    assert done.returncode == 0, done.stderr
    corrected, bound_s, *sources = done.stdout.split()
    assert set(sources) == names
    assert abs(float(corrected) - now) < 1
    assert float(bound_s) < 0.1


# --- the endpoint's Date -------------------------------------------------------------------------


def date_failure(answer: Answer, made: Certificate | None, timeout_s: float = 2) -> ProbeError:
    variables = environment(made) if made else {}
    with HttpsServer(answer, made) as server, pytest.raises(ProbeError) as caught:
        clock_date.measure(network_host(environment=variables), server.url, timeout_s)
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
            clock_date.measure(host, server.url, 0.4)
        assert time.monotonic() - begun < 1
    assert caught.value.reason == "no-answer"


def test_a_server_that_never_shakes_hands() -> None:
    with HttpsServer(Answer(hold_s=1), None) as server, pytest.raises(ProbeError) as caught:
        clock_date.measure(network_host(), server.url.replace("http:", "https:"), 0.3)
    assert caught.value.reason == "no-answer"


def test_plain_http_is_a_vote_without_authority() -> None:
    with HttpsServer(Answer(), None) as server, NtpServer(Behaviour(offset_s=400)) as ntp:
        facts = measure(network_host(), (parse_server(ntp.name),), server.url)
    assert facts.date is not None
    assert not facts.date.authenticated
    assert judge(facts, POLICY).reason == "sources-disagree"


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
        clock_date.measure(network_host(), url, 3)
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


# --- both ----------------------------------------------------------------------------------------


def test_the_interval_contains_the_truth_burst_after_burst() -> None:
    with NtpServer(Behaviour(root_delay_s=0, root_dispersion_s=0)) as server:
        servers = (replace(parse_server(server.name)),)
        for _ in range(10):
            offset_s, bound_s = estimate(measure(network_host(), servers))
            assert abs(offset_s) <= bound_s


def test_a_short_fuzz_believes_nothing_without_the_nonce() -> None:
    found = fuzz_clock.run(20_000, seed=1)
    assert found["believed"] > 100
    assert found["believed_without_nonce"] == found["insane"] == 0
