"""The clock measured on real sockets: hostile NTP, real chronyd, faked clocks."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from nodecheck.checks.clock_offset import judge
from nodecheck.host.door import Received
from nodecheck.host.ntp_exchange import _arrival_ns, _departure_ns
from nodecheck.model.clock import ClockPair
from nodecheck.model.errors import ProbeError
from nodecheck.model.time_server import TimeServer, parse_server
from nodecheck.model.verdict import Status
from nodecheck.probes import clock_ntp
from nodecheck.records import replace
from tests.chronyd import chronyd, need_chronyd
from tests.clock_builders import POLICY, ShiftedClock, estimate, measure, network_host
from tests.fuzz import fuzz_clock
from tests.https_server import Answer, Certificate, HttpsServer, make_certificate
from tests.ntp_server import Behaviour, NtpServer
from tests.prove import prove_clock
from tests.wrong_clock import wrong_clock

YEAR_S = 365 * 86400
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    now = time.time()
    return make_certificate(tmp_path_factory.mktemp("tls"), now - 86400, now + 30 * 86400)


# --- NTP -----------------------------------------------------------------------------------------


def test_each_sample_has_a_socket_a_port_and_a_stamp_of_its_own() -> None:
    with NtpServer(Behaviour()) as server:
        clock_ntp.measure(network_host(), (parse_server(server.name),))
        instants, ports, requests = zip(*server.seen, strict=True)
    assert len(set(ports)) == len({request[40:] for request in requests}) == 4
    assert {request[:40] for request in requests} == {bytes([0x23]) + bytes(39)}
    assert all(request[40:] != bytes(8) for request in requests)
    assert all(0.04 < after - before < 0.12 for before, after in pairwise(instants))


def test_where_nothing_answered_there_is_a_second_round() -> None:
    with NtpServer(Behaviour(lost_first=4)) as server:
        begun = time.monotonic()
        facts = clock_ntp.measure(network_host(), (parse_server(server.name),))
        assert 0.3 < time.monotonic() - begun < 1.2
    assert facts.readings[0].samples >= 1


def test_what_answered_is_not_asked_again() -> None:
    with NtpServer(Behaviour(lost_first=3)) as server:
        facts = clock_ntp.measure(network_host(), (parse_server(server.name),))
        assert server.requests == 4
    assert facts.readings[0].samples == 1


def test_sources_are_asked_side_by_side() -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(NtpServer(Behaviour(is_silent=True))) for _ in range(6)]
        begun = time.monotonic()
        facts = clock_ntp.measure(
            network_host(), tuple(parse_server(item.name) for item in servers)
        )
        assert time.monotonic() - begun < 2.2
    assert [item.reason for item in facts.failures] == ["no-answer"] * 6


def test_ipv6_is_asked() -> None:
    with NtpServer(Behaviour(offset_s=120), "::1") as server:
        offset_s, bound_s = estimate(measure(network_host(), (parse_server(server.name),)))
    assert abs(offset_s - 120) <= bound_s


@pytest.mark.parametrize(
    ("kernel_ns", "departure_ns"), [(None, 500), (99, 500), (301, 500), (250, 650), (100, 500)]
)
def test_the_kernels_stamp_of_sending_counts_where_it_is_sane(
    kernel_ns: int | None, departure_ns: int
) -> None:
    before = ClockPair(wall_ns=100, monotonic_ns=500)
    assert _departure_ns(before, kernel_ns, after_wall_ns=300) == departure_ns


@pytest.mark.parametrize(
    ("kernel_ns", "arrival_ns"), [(None, 500), (99, 500), (301, 500), (250, 450), (100, 300)]
)
def test_the_kernels_stamp_counts_where_it_is_sane(kernel_ns: int | None, arrival_ns: int) -> None:
    received = Received(b"", wall_ns=300, monotonic_ns=500, kernel_wall_ns=kernel_ns)
    assert _arrival_ns(received, sent_wall_ns=100) == arrival_ns


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
        before_ns = host.clock.wall_ns()
        sent_ns = link.send(bytes(48))
        received = link.receive(1)
        link.close()
    assert received is not None
    assert received.kernel_wall_ns is not None
    assert sent_ns is not None
    assert before_ns <= sent_ns < received.kernel_wall_ns <= received.wall_ns


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


def test_three_real_chronyds_one_of_which_is_wrong(tmp_path: Path) -> None:
    need_chronyd()
    wrong, right, other = (TimeServer("127.0.0.1", port) for port in (11123, 11124, 11125))
    with (
        chronyd(tmp_path, wrong.port, "-400s"),
        chronyd(tmp_path, right.port),
        chronyd(tmp_path, other.port),
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
    need_chronyd()
    with chronyd(tmp_path, 11126, local=False):
        facts = measure(network_host(), (TimeServer("127.0.0.1", 11126),))
    assert facts.failures[0].reason == "not-synchronised"


@pytest.mark.parametrize("fake", ["@1970-01-02 00:00:00", "@2040-01-01 00:00:00", "-600s"])
def test_a_process_whose_clock_is_faked(fake: str, certificate: Certificate) -> None:
    need_chronyd()
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
            (*wrong_clock(fake), *python, ntp.name, https.url, certificate.ca_path),
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


# --- both ----------------------------------------------------------------------------------------


def test_the_interval_contains_the_truth_idle_and_loaded() -> None:
    need_chronyd()
    found = prove_clock.run(20, comparisons=1)
    assert found["bursts"] == 20
    assert found["outside"] == 0
    assert found["median_s"] < found["chronyd_median_s"] / 10


def test_a_short_fuzz_believes_nothing_without_the_nonce() -> None:
    found = fuzz_clock.run(20_000, seed=1)
    assert found["believed"] > 100
    assert found["believed_without_nonce"] == found["insane"] == 0


def test_the_node_is_no_proof_of_its_own_clock() -> None:
    """A server that the node's daemon is configured with, under another name of the node itself."""
    with NtpServer(Behaviour()) as server:
        host = network_host()
        named = TimeServer("localhost", server.port)
        (failure,) = clock_ntp.measure(host, (replace(named, is_found=True),)).failures
        assert failure.reason == "own-address"
        assert clock_ntp.measure(host, (named,)).readings


def test_a_proxy_that_does_not_answer_is_named() -> None:
    host = network_host(environment={"HTTPS_PROXY": "http://user:secret@127.0.0.1:9"})
    failures = measure(host, url="https://ssm.example.test/").failures
    failure = next(item for item in failures if item.name == "endpoint")
    assert failure.message == "proxy 127.0.0.1:9: Connection refused"
    assert failure.reason == "proxy-unreachable"
