"""node.endpoints on real servers: intercepted, expired, refused, swallowed, proxied, and fast."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

import pytest

from nodecheck.checks.node_endpoints import judge
from nodecheck.host.door import Address
from nodecheck.host.local_clock import SystemClock
from nodecheck.host.network import SocketNetwork
from nodecheck.host.reaching import Reaching
from nodecheck.model.agent_config import AgentConfig
from nodecheck.model.agent_proxy import AgentProxy
from nodecheck.model.endpoints import TIMEOUT_S, EndpointFacts, Reach, Target
from nodecheck.model.errors import ProbeError
from nodecheck.model.verdict import Status, Verdict
from nodecheck.probes.node_endpoints import look
from nodecheck.records import replace
from tests.aws_certificates import Authority
from tests.chronyd import need_chronyd
from tests.clock_builders import network_host
from tests.https_server import Answer, Certificate, HttpsServer, make_certificate
from tests.node import Node
from tests.wrong_clock import wrong_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform == "win32":
    pytest.skip("nodes of Linux", allow_module_level=True)

assert sys.platform != "win32"  # for the type checker

ROOT: Final = Path(__file__).parents[2]
DAY: Final = 86400
SERVICES: Final = ("ssm", "ssmmessages", "ec2messages", "s3", "kms", "logs", "monitoring")
OF_AWS: Final = Answer(headers=("x-amzn-RequestId: 1",))
SSM: Final = "ssm.eu-west-1.amazonaws.com"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    now = time.time()
    return make_certificate(tmp_path_factory.mktemp("tls"), now - DAY, now + DAY)


def reach(url: str, ca_file: str = "", proxy: str = "") -> Reach:
    (found,) = SocketNetwork({}).reach((Target(url, proxy),), ca_file, TIMEOUT_S)
    return found


def seen(url: str, ca_file: str) -> EndpointFacts:
    """Return the facts of an agent in whose configuration everything needed is at one place."""
    config = AgentConfig(ssm_endpoint=url, mds_endpoint=url)
    return look(network_host(), config, AgentProxy(ca_file=ca_file), ("", ""))


def verdict(url: str, ca_file: str = "", now: datetime | None = None) -> Verdict:
    return judge(seen(url, ca_file), now or datetime.now(UTC))


def by_name(server: HttpsServer) -> str:
    return f"https://localhost:{server.port}/"


def test_a_trusted_endpoint_answers(certificate: Certificate) -> None:
    with HttpsServer(OF_AWS, certificate) as server:
        found = reach(by_name(server), certificate.ca_path)
        assert verdict(by_name(server), certificate.ca_path).status is Status.OK
    assert (found.failure, found.status, found.tls) == ("", 404, "TLSv1.3")
    assert found.issuers == ("nodecheck test CA",)
    assert "127.0.0.1" in found.addresses
    assert found.network == "private"
    assert len(found.chain) == 1


def test_plain_http_of_a_lab_is_accepted_and_said() -> None:
    with HttpsServer(Answer(), None) as server:
        found = verdict(server.url)
    assert found.status is Status.OK
    (ssm,) = [item.value for item in found.evidence if item.name == "ssm"]
    assert ssm == "HTTP 404, plain HTTP, no TLS, private, 127.0.0.1"


def test_an_interceptor_is_named_without_being_trusted(
    tmp_path: Path, certificate: Certificate
) -> None:
    interceptor = Authority("Zscaler Root CA")
    leaf = tmp_path / "leaf.pem"
    leaf.write_bytes(interceptor.leaf())
    with HttpsServer(OF_AWS, Certificate("", str(leaf))) as server:
        found = verdict(by_name(server), certificate.ca_path)
        assert server.requests == []
    assert (found.status, found.reason) == (Status.CRIT, "tls-untrusted")
    assert "signed by Zscaler Root CA" in found.message


@dataclass
class Redirected(SocketNetwork):
    """The network of a node whose DNS sends every name of AWS to one server here."""

    port: int

    def reach(
        self, targets: tuple[Target, ...], ca_file: str, timeout_s: float
    ) -> tuple[Reach, ...]:
        def resolve(name: str, port: int, limit_s: float) -> tuple[Address, ...]:
            assert name.endswith(".amazonaws.com"), (name, port, limit_s)
            return (Address("127.0.0.1", self.port, 4),)

        return Reaching(SystemClock(), resolve, ca_file, timeout_s).all(targets)


def test_an_interceptor_whose_authority_is_trusted_is_named_too(tmp_path: Path) -> None:
    now = time.time()
    made = make_certificate(tmp_path, now - DAY, now + DAY, host=SSM)
    with HttpsServer(OF_AWS, made) as server:
        host = replace(network_host(), network=Redirected(server.port))
        facts = look(host, AgentConfig(), AgentProxy(ca_file=made.ca_path), ("eu-west-1", ""))
        found = judge(facts, datetime.now(UTC))
    reasons = {item.reason: item.message for item in found.findings}
    assert reasons["intercepted"].startswith(f"ssm: {SSM} (127.0.0.1, private): trusted, but")
    assert "nodecheck test CA" in reasons["intercepted"]
    assert "Hostname mismatch" in reasons["tls-untrusted"]  # the certificate is of one name only


@pytest.mark.parametrize(("days", "reason"), [((-9, -1), "expired"), ((1, 9), "not-yet-valid")])
def test_dates_are_judged_at_corrected_time(
    tmp_path: Path, days: tuple[int, int], reason: str
) -> None:
    now = time.time()
    made = make_certificate(tmp_path, now + days[0] * DAY, now + days[1] * DAY)
    with HttpsServer(OF_AWS, made) as server:
        found = verdict(by_name(server), made.ca_path)
        then = datetime.fromtimestamp(now + sum(days) / 2 * DAY, UTC)
        assert verdict(by_name(server), made.ca_path, then).status is Status.OK
    assert (found.status, found.reason) == (Status.CRIT, f"certificate-{reason}")


def test_a_certificate_of_another_name(tmp_path: Path) -> None:
    now = time.time()
    made = make_certificate(tmp_path, now - DAY, now + DAY, host="portal.example")
    with HttpsServer(OF_AWS, made) as server:
        found = reach(by_name(server), made.ca_path)
    assert found.failure == "tls-untrusted"
    assert "Hostname mismatch" in found.message


def test_a_captive_portal_is_not_aws(certificate: Certificate) -> None:
    page = Answer(raw=b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n")
    with HttpsServer(page, certificate) as server:
        found = verdict(by_name(server), certificate.ca_path)
    assert (found.status, found.reason) == (Status.CRIT, "not-aws")


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = reach(f"https://127.0.0.1:{port}/")
    assert (found.failure, found.addresses) == ("tcp-refused", ("127.0.0.1",))


def test_a_name_that_is_none() -> None:
    assert reach("https://ssm.mars-1.invalid/").failure == "dns-failed"


@pytest.mark.parametrize("url", ["ftp://a/", "https://", "https://a:b/", "https://[::1"])
def test_what_is_no_url(url: str) -> None:
    assert reach(url).failure == "bad-url"


@contextmanager
def black_hole() -> Iterator[int]:
    """Yield a port of which the queue is full: the kernel drops what else wants to connect."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


def test_swallowed_connections_take_2_s_in_all() -> None:
    with black_hole() as port:
        targets = tuple(Target(f"https://127.0.0.1:{port}/{name}") for name in SERVICES)
        begun = time.monotonic()
        found = SocketNetwork({}).reach(targets, "", TIMEOUT_S)
        took_s = time.monotonic() - begun
    assert {item.failure for item in found} == {"tcp-timeout"}
    assert took_s < 2


def test_a_server_that_never_shakes_hands() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert reach(f"https://127.0.0.1:{listener.getsockname()[1]}/").failure == "tls-failed"


def test_a_server_without_tls() -> None:
    with HttpsServer(Answer(), None) as server:
        assert reach(by_name(server)).failure == "tls-failed"


def test_a_server_that_never_answers(certificate: Certificate) -> None:
    with HttpsServer(Answer(hold_s=2), certificate) as server:
        found = reach(by_name(server), certificate.ca_path)
    assert found.failure == "no-reply"
    assert found.issuers


def test_the_way_through_a_proxy(certificate: Certificate) -> None:
    with (
        HttpsServer(OF_AWS, certificate) as server,
        HttpsServer(Answer(), None, proxy_status=200) as proxy,
    ):
        found = reach(by_name(server), certificate.ca_path, f"http://127.0.0.1:{proxy.port}")
    assert (found.failure, found.via) == ("", f"127.0.0.1:{proxy.port}")


@pytest.mark.parametrize(
    ("status", "reason"), [(407, "proxy-authentication"), (403, "proxy-refused")]
)
def test_a_proxy_that_refuses(status: int, reason: str) -> None:
    with HttpsServer(Answer(), None, proxy_status=status) as proxy:
        found = reach("https://ssm.test/", proxy=f"http://u:secret@127.0.0.1:{proxy.port}")
    assert found.failure == reason
    assert f"127.0.0.1:{proxy.port}" in found.message
    assert "secret" not in repr(found)


def test_proxies_that_are_not_there() -> None:
    assert reach("https://ssm.test/", proxy="http://127.0.0.1:9").failure == "proxy-unreachable"
    assert reach("https://ssm.test/", proxy="http://p.invalid:9").failure == "proxy-unreachable"
    with black_hole() as port:
        swallowed = reach("https://ssm.test/", proxy=f"http://127.0.0.1:{port}")
    assert swallowed.failure == "proxy-unreachable"
    socks = reach("https://ssm.test/", proxy="socks5://127.0.0.1:9")
    assert socks.failure == "proxy-not-understood"


def test_ipv6() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:

        def answer() -> None:
            with listener.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = Thread(target=answer)
        thread.start()
        found = reach(f"http://[::1]:{listener.getsockname()[1]}/")
        thread.join()
    assert (found.failure, found.status, found.addresses) == ("", 400, ("::1",))


def test_the_second_address_is_tried() -> None:
    with HttpsServer(Answer(), None) as server, black_hole() as port:
        addresses = (Address("127.0.0.1", port, 4), Address("127.0.0.1", server.port, 4))
        reaching = Reaching(SystemClock(), lambda *_: addresses, "", TIMEOUT_S)
        (found,) = reaching.all((Target("http://ssm.test/"),))
    assert (found.failure, found.status) == ("", 404)


def test_a_bundle_that_cannot_be_used_is_no_verdict_on_the_endpoint(tmp_path: Path) -> None:
    with pytest.raises(ProbeError) as caught:
        reach("https://127.0.0.1:9/", str(tmp_path / "none.pem"))
    assert caught.value.reason == "bad-ca-bundle"


@pytest.mark.parametrize("fake", ["@1970-01-02 00:00:00", "@2040-01-01 00:00:00"])
def test_a_clock_that_is_decades_off(fake: str, certificate: Certificate) -> None:
    need_chronyd()  # the package of the tests that brings libfaketime
    script = (
        "import sys\n"
        "from datetime import UTC, datetime\n"
        "from nodecheck.checks.node_endpoints import judge\n"
        "from tests.integration.test_node_endpoints import seen\n"
        "facts = seen(sys.argv[1], sys.argv[2])\n"
        "for now in (datetime.fromtimestamp(float(sys.argv[3]), UTC), datetime.now(UTC)):\n"
        "    verdict = judge(facts, now)\n"
        "    print(verdict.status.value, verdict.reason)\n"
    )
    with HttpsServer(OF_AWS, certificate) as server:
        words = [sys.executable, "-c", script, by_name(server), certificate.ca_path]
        done = subprocess.run(
            (*wrong_clock(fake), *words, str(time.time())),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    wrong = "not-yet-valid" if "1970" in fake else "expired"
    assert done.stdout.splitlines() == ["ok ok", f"crit certificate-{wrong}"]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root")
@pytest.mark.parametrize("fake", ["+0s", "@1970-01-02 00:00:00"])
def test_a_whole_run_by_the_agents_own_files(
    fake: str, tmp_path: Path, certificate: Certificate
) -> None:
    need_chronyd()  # the package of the tests that brings libfaketime
    with HttpsServer(OF_AWS, certificate) as server:
        config = {"ssm": {"Endpoint": by_name(server)}, "Mds": {"Endpoint": by_name(server)}}
        drop_in = f"[Service]\nEnvironment=SSL_CERT_FILE={certificate.ca_path}"
        script = f"""
            folder=/etc/systemd/system/amazon-ssm-agent.service.d
            mkdir -p /etc/amazon/ssm $folder
            echo '{json.dumps(config)}' > /etc/amazon/ssm/amazon-ssm-agent.json
            echo '{drop_in}' > $folder/own.conf
            cd {ROOT}
            faketime -f '{fake}' {sys.executable} -P -m nodecheck run --only node.endpoints \
                --format json
        """
        variables = {
            "PYTHONPATH": str(ROOT),
            "NODECHECK_CLOCK_SERVERS": "127.0.0.1:9",
            "NODECHECK_CLOCK_ENDPOINT": server.url,
            "NODECHECK_STATE_DIR": str(tmp_path / "state"),
            "AWS_CA_BUNDLE": certificate.ca_path,
        }
        done = Node(tmp_path / "node").run(script, variables)
    (check,) = json.loads(done.stdout)["checks"]
    assert (check["status"], check["message"]) == ("ok", "ssm, ec2messages answer (private)")
    assert check["evidence"]["reachable"] is True
    assert check["sources"]["ssm"] == f"localhost:{server.port}, Ssm.Endpoint"
    assert check["duration_ms"] < 3000
