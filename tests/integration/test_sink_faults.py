"""Every sink that calls AWS meets everything that can go wrong on the way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from nodecheck.model.errors import SinkError
from tests import aws_rules
from tests.aws_server import AwsServer
from tests.aws_service import Fault
from tests.aws_sinks import SINKS, deliver, effective, point_to, true_report
from tests.connect_proxy import ConnectProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nodecheck.model.report import Report
    from tests.aws_sinks import AwsSink

DAY_S = 86_400


@pytest.fixture(params=SINKS, ids=lambda sink: sink.name)
def sink(request: pytest.FixtureRequest) -> AwsSink:
    found: AwsSink = request.param
    return found


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    with AwsServer(tmp_path) as running:
        point_to(running, monkeypatch)
        yield running


def refusal(sink: AwsSink, folder: Path, made: Report | None = None, limit_s: float = 20) -> str:
    with pytest.raises(SinkError) as caught:
        deliver(sink, effective(folder / "state"), made, limit_s)
    return str(caught.value)


@pytest.mark.parametrize("fault", ["throttled:3", "error500:3", "error503:3", "cut:2", "html:2"])
def test_what_passes_is_tried_again(
    server: AwsServer, sink: AwsSink, tmp_path: Path, fault: str
) -> None:
    server.faults.append(Fault.parse(fault))
    (sent,) = deliver(sink, effective(tmp_path / "state"))
    assert not sent.refused
    assert "eu-central-1, credentials from env" in sent.place
    assert sink.received(server)


@pytest.mark.parametrize(
    ("fault", "requests", "sentence"),
    [
        ("throttled", 4, "{service} refused the report, Throttling"),
        ("error503", 4, "{service} refused the report, ServiceUnavailable"),
        ("cut", 4, "no answer from {service}: https://localhost"),
        ("cut-body", 4, "no answer from {service}: https://localhost"),
        ("html", 4, "{service} refused the report, 502"),
        ("access-denied", 1, "{operation}: User: arn:aws"),
        ("expired-token", 1, "the credentials have expired: The security token included"),
    ],
)
def test_each_fault_ends_in_a_sentence(  # noqa: PLR0913, PLR0917 - a row of the table
    server: AwsServer, sink: AwsSink, tmp_path: Path, fault: str, requests: int, sentence: str
) -> None:
    server.faults.append(Fault(fault))
    expected = sentence.format(service=sink.service, operation=sink.operation)
    if sink.name == "cloudwatch" and fault == "access-denied":
        expected = "logs:PutLogEvents, logs:CreateLogStream: User: arn:aws"
    text = refusal(sink, tmp_path)
    assert expected in text
    assert aws_rules.SECRET_KEY not in text
    assert len(server.requests) == requests
    assert not sink.received(server) or fault == "cut-body"


def test_what_is_too_large_is_given_up_and_not_tried_again(
    server: AwsServer, sink: AwsSink, tmp_path: Path
) -> None:
    server.faults.append(Fault("too-large"))
    (sent,) = deliver(sink, effective(tmp_path / "state"))
    assert "refused it" in sent.refused
    assert len(server.requests) == 1


def test_a_slow_server_cannot_hold_the_run(
    server: AwsServer, sink: AwsSink, tmp_path: Path
) -> None:
    server.faults.append(Fault("slow"))
    started = time.monotonic()
    refusal(sink, tmp_path, limit_s=1.5)
    assert time.monotonic() - started < 2.5


@pytest.mark.parametrize("off_s", [-600, 36_000])
def test_a_wrong_corrected_time_is_refused_so_it_is_what_signs(
    server: AwsServer, sink: AwsSink, tmp_path: Path, off_s: float
) -> None:
    text = refusal(sink, tmp_path, true_report(off_s))
    assert text.startswith("AWS refused the signature: wrong secret key or wrong time: Signature ")
    assert not sink.received(server)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("AWS_SECRET_ACCESS_KEY", "another", "AWS refused the signature"),
        ("AWS_ACCESS_KEY_ID", "AKIDSOMEBODYELSE0000", "AWS does not know these credentials"),
        ("AWS_SESSION_TOKEN", "another", "AWS does not know these credentials"),
        ("AWS_CA_BUNDLE", "/nonexistent/ca.pem", "AWS_CA_BUNDLE /nonexistent/ca.pem cannot be"),
        ("AWS_PROFILE", "absent", "The config profile (absent) could not be found"),
        ("ENDPOINT", "https://127.0.0.1:1", "Connection refused"),
        ("HTTPS_PROXY", "http://127.0.0.1:1", "Connection refused"),
    ],
)
def test_a_wrong_environment_is_explained(  # noqa: PLR0913, PLR0917 - a row of the table
    server: AwsServer,
    monkeypatch: pytest.MonkeyPatch,
    sink: AwsSink,
    tmp_path: Path,
    name: str,
    value: str,
    sentence: str,
) -> None:
    monkeypatch.setenv(sink.variable if name == "ENDPOINT" else name, value)
    assert sentence in refusal(sink, tmp_path, limit_s=5)
    assert not sink.received(server)


def test_without_credentials_the_places_looked_at_are_named(
    server: AwsServer, monkeypatch: pytest.MonkeyPatch, sink: AwsSink, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert refusal(sink, tmp_path).startswith("no AWS credentials; looked in the environment")
    assert not server.requests


@pytest.mark.parametrize("days", [(-10, -1), (1, 10)])
def test_a_certificate_is_judged_at_corrected_time(
    monkeypatch: pytest.MonkeyPatch, sink: AwsSink, tmp_path: Path, days: tuple[int, int]
) -> None:
    with AwsServer(tmp_path, days=days) as server:
        point_to(server, monkeypatch)
        text = refusal(sink, tmp_path)
        assert text.startswith(f"the server that answers for {sink.service} cannot be trusted: ")
        assert not server.requests


@pytest.mark.parametrize("exempt", [False, True])
def test_a_proxy_is_used_and_the_server_behind_it_judged(
    server: AwsServer,
    monkeypatch: pytest.MonkeyPatch,
    sink: AwsSink,
    tmp_path: Path,
    *,
    exempt: bool,
) -> None:
    with ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "localhost" if exempt else "169.254.169.254")
        assert deliver(sink, effective(tmp_path / "state"))
        text = refusal(sink, tmp_path / "other", true_report(off_s=15 * DAY_S))
        assert "expired" in text
        assert "secret" not in text
        assert proxy.targets == ([] if exempt else [f"localhost:{server.port}"] * 2)
    assert sink.received(server)
