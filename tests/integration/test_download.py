from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from nodecheck.aws.download import Downloads, fetch
from nodecheck.host.door import Address
from nodecheck.host.here import this_host
from nodecheck.model.errors import ProbeError
from nodecheck.model.moment import CorrectedTime
from nodecheck.records import replace
from tests.aws_logs import Fault
from tests.aws_server import AwsServer
from tests.fake_host import FakeNetwork

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nodecheck.aws.transport import Reply
    from nodecheck.host.door import Host

BODY = b"3.3.1142.0\n" * 10


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AwsServer]:
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "VERSION").write_bytes(BODY)
    with AwsServer(tmp_path, serve=folder) as running:
        yield running


def host(server: AwsServer, **variables: str) -> Host:
    """Return this host with an environment of its own: nothing reads the process's."""
    return replace(this_host(), environment={**server.environment(), **variables})


def corrected(off_days: float = 0) -> CorrectedTime:
    true_ns = time.time_ns() + int(off_days * 86_400e9)
    return CorrectedTime(true_ns, this_host().clock.monotonic_ns(), 0.5, "test")


def get(server: AwsServer, path: str = "VERSION", limit_bytes: int = 1000) -> Reply:
    url = f"{server.url}/{path}"
    return fetch(url, host(server), corrected(), limit_bytes=limit_bytes, timeout_s=1.5)


def test_status_headers_and_body_are_returned(server: AwsServer) -> None:
    reply = get(server)
    assert (reply.status, reply.body) == (200, BODY)
    assert reply.headers["content-length"] == str(len(BODY))
    assert get(server, "absent").status == 404


def test_connections_are_shared_and_head_has_no_body(server: AwsServer) -> None:
    with Downloads(host(server), None) as downloads:
        for method, body in (("HEAD", b""), ("GET", BODY), ("GET", BODY)):
            url = f"{server.url}/VERSION"
            reply = downloads.fetch(url, limit_bytes=200, timeout_s=2, method=method)
            assert (reply.status, reply.body) == (200, body)


def test_a_body_beyond_the_limit_is_refused(server: AwsServer) -> None:
    assert get(server, limit_bytes=len(BODY)).body == BODY
    with pytest.raises(ProbeError, match=f"VERSION: reply is larger than {len(BODY) - 1} bytes"):
        get(server, limit_bytes=len(BODY) - 1)


def test_a_body_cut_short_is_no_body(server: AwsServer) -> None:
    server.logs.faults.append(Fault("cut-body"))
    with pytest.raises(ProbeError, match="VERSION: IncompleteRead"):
        get(server)


def test_a_server_that_drips_bytes_is_left_in_time(server: AwsServer) -> None:
    server.logs.faults.append(Fault("drip"))
    started = time.monotonic()
    with pytest.raises(ProbeError, match="VERSION: no complete reply in time"):
        get(server)
    assert time.monotonic() - started < 2


def test_certificates_are_judged_at_corrected_time(server: AwsServer) -> None:
    for off_days, sentence in ((11, "expired"), (-11, "is not valid before")):
        with pytest.raises(ProbeError, match=sentence):
            fetch(server.url, host(server), corrected(off_days), limit_bytes=9, timeout_s=2)


@pytest.mark.parametrize("days", [(-10, -1), (1, 10)])
def test_without_corrected_time_the_local_clock_judges(
    tmp_path: Path, days: tuple[int, int]
) -> None:
    with (
        AwsServer(tmp_path, days=days) as server,
        pytest.raises(ProbeError, match=r"certificate (has expired|is not yet valid)"),
    ):
        fetch(server.url, host(server), None, limit_bytes=9, timeout_s=2)


def test_redirects_stay_on_their_host(server: AwsServer) -> None:
    assert get(server, "redirect?/VERSION").body == BODY
    with pytest.raises(ProbeError, match=r"points to another host, https://evil\.example/"):
        get(server, "redirect?https://evil.example/VERSION")
    with pytest.raises(ProbeError, match="more than 3 redirects"):
        get(server, "redirect?/redirect?/redirect?/redirect?/redirect?/VERSION")


def test_a_bundle_that_is_not_there_is_named(server: AwsServer) -> None:
    wrong = host(server, AWS_CA_BUNDLE="/nonexistent/ca.pem")
    with pytest.raises(ProbeError, match=r"AWS_CA_BUNDLE /nonexistent/ca\.pem"):
        fetch(server.url, wrong, None, limit_bytes=9, timeout_s=2)


def test_each_address_of_a_name_is_tried(server: AwsServer) -> None:
    closed, open_ = Address("127.0.0.2", server.port, 4), Address("127.0.0.1", server.port, 4)
    names = FakeNetwork(names={"localhost": (closed, open_)})
    many = replace(host(server), network=names)
    url = f"{server.url}/VERSION"
    assert fetch(url, many, corrected(), limit_bytes=200, timeout_s=2).body == BODY
    none = replace(many, network=FakeNetwork(names={"localhost": (closed, closed)}))
    with pytest.raises(ProbeError, match=r"127\.0\.0\.2 port \d+: .*refused; 127\.0\.0\.2"):
        fetch(url, none, corrected(), limit_bytes=200, timeout_s=2)


def test_an_unknown_name_and_a_closed_port_are_told_apart(server: AwsServer) -> None:
    for url, sentence in (
        ("https://nowhere.invalid/", "nowhere.invalid"),
        ("https://127.0.0.1:1/", "Connection refused"),
        ("nonsense", "nonsense: "),
    ):
        with pytest.raises(ProbeError, match=sentence):
            fetch(url, host(server), None, limit_bytes=9, timeout_s=3)
