from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nodecheck.host.here import this_host
from nodecheck.host.local_clock import SystemClock
from nodecheck.model.errors import SinkError
from nodecheck.model.moment import CorrectedTime, instant
from nodecheck.model.reporting import CloudWatchPolicy
from nodecheck.records import replace
from tests import aws_rules, sending
from tests.aws_certificates import Authority
from tests.aws_logs import Fault
from tests.aws_server import AwsServer
from tests.connect_proxy import ConnectProxy
from tests.reports import report
from tests.wrong_clock import wrong_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.host.door import Host
    from nodecheck.model.report import Report

ROOT = Path(__file__).parents[2]
STREAM = "i-0123456789abcdef0"
DAY_S = 86_400


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    with AwsServer(tmp_path) as running:
        point_to(running, monkeypatch)
        yield running


def point_to(server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_") or "PROXY" in name.upper()]:
        monkeypatch.delenv(name)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)


def true_report(off_s: float = 0) -> Report:
    """Return a report whose corrected time is off by so much."""
    now_ns = time.time_ns() + int(off_s * 1e9)
    corrected = CorrectedTime(now_ns, this_host().clock.monotonic_ns(), 0.5, "test")
    return report(moment=instant(now_ns), corrected=corrected)


class Hasty(SystemClock):
    """Pauses a twentieth of what it is asked to."""

    def pause(self, duration_s: float) -> None:
        super().pause(duration_s / 20)


def hasty_host() -> Host:
    return replace(this_host(), clock=Hasty())


def deliver(made: Report | None = None, timeout_s: float = 20) -> str:
    policy = CloudWatchPolicy(timeout_s=timeout_s)
    return sending.deliver(made or true_report(), policy, hasty_host())


def refusal(made: Report | None = None, timeout_s: float = 20) -> str:
    with pytest.raises(SinkError) as caught:
        deliver(made, timeout_s)
    return str(caught.value)


def test_a_report_arrives_as_one_event_and_its_stream_is_made(server: AwsServer) -> None:
    assert deliver() == f"/nodecheck/{STREAM} in eu-central-1, credentials from env"
    assert deliver()
    first, second = server.events
    assert first["stream"] == second["stream"] == STREAM
    document = json.loads(first["message"])
    assert document["_aws"]["Timestamp"] == first["timestamp"]
    assert abs(first["timestamp"] / 1000 - time.time()) < 10
    operations = [item.headers["x-amz-target"].partition(".")[2] for item in server.requests]
    assert operations == ["PutLogEvents", "CreateLogStream", "PutLogEvents", "PutLogEvents"]


def test_temporary_credentials_sign_their_token(
    server: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", aws_rules.SESSION_TOKEN)
    assert deliver()
    assert server.requests[0].headers["x-amz-security-token"] == aws_rules.SESSION_TOKEN


@pytest.mark.parametrize("off_s", [-600, 36_000])
def test_a_wrong_corrected_time_is_refused_so_it_is_what_signs(
    server: AwsServer, off_s: float
) -> None:
    text = refusal(true_report(off_s))
    assert text.startswith("AWS refused the signature: wrong secret key or wrong time: Signature ")
    assert not server.events


@pytest.mark.parametrize("fault", ["throttled:3", "error500:3", "error503:3", "cut:2", "html:2"])
def test_what_passes_is_tried_again_four_times_at_most(server: AwsServer, fault: str) -> None:
    server.logs.groups["/nodecheck"].add(STREAM)
    server.logs.faults.append(Fault.parse(fault))
    assert deliver()
    assert len(server.events) == 1


@pytest.mark.parametrize(
    ("fault", "requests", "sentence"),
    [
        ("throttled", 4, "CloudWatch Logs refused the report, ThrottlingException: Rate exceeded"),
        ("error503", 4, "CloudWatch Logs refused the report, ServiceUnavailableException"),
        ("cut", 4, "no answer from CloudWatch Logs: https://localhost"),
        ("cut-body", 4, "no answer from CloudWatch Logs: https://localhost"),
        ("html", 4, "CloudWatch Logs refused the report, 502"),
        ("access-denied", 1, "they need logs:PutLogEvents, logs:CreateLogStream: User: arn:aws"),
        ("expired-token", 1, "the credentials have expired: The security token included"),
        ("rejected", 1, "CloudWatch rejected the time of the event"),
    ],
)
def test_each_fault_ends_in_a_sentence(
    server: AwsServer, fault: str, requests: int, sentence: str
) -> None:
    server.logs.groups["/nodecheck"].add(STREAM)
    server.logs.faults.append(Fault.parse(fault))
    assert sentence in refusal()
    assert len(server.requests) == requests
    assert not server.events or fault == "cut-body"


@pytest.mark.parametrize("fault", ["slow", "drip"])
def test_a_slow_server_cannot_hold_the_run(server: AwsServer, fault: str) -> None:
    server.logs.groups["/nodecheck"].add(STREAM)
    server.logs.faults.append(Fault.parse(fault))
    started = time.monotonic()
    assert "no complete reply in time" in refusal(timeout_s=1.5) or fault == "slow"
    assert time.monotonic() - started < 2.5


def test_a_missing_group_is_named_with_the_command_that_makes_it(server: AwsServer) -> None:
    server.logs.groups.clear()
    command = "aws logs create-log-group --region eu-central-1 --log-group-name /nodecheck"
    assert refusal() == f"log group /nodecheck does not exist in eu-central-1; make it: {command}"
    assert not server.logs.groups


def test_a_stream_that_another_run_made_meanwhile_is_no_error(server: AwsServer) -> None:
    server.logs.groups["/nodecheck"].add(STREAM)
    server.logs.faults.append(Fault("lost-stream", 1))
    assert deliver()
    assert [item.code for item in server.refusals][-1] == "ResourceAlreadyExistsException"
    assert len(server.events) == 1


def test_a_missing_group_is_made_where_that_is_allowed(server: AwsServer) -> None:
    server.logs.groups.clear()
    policy = CloudWatchPolicy(create_log_group=True, timeout_s=20)
    sending.deliver(true_report(), policy, this_host())
    assert server.logs.groups == {"/nodecheck": {STREAM}}
    assert len(server.events) == 1


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("AWS_SECRET_ACCESS_KEY", "another", "AWS refused the signature"),
        ("AWS_ACCESS_KEY_ID", "AKIDSOMEBODYELSE0000", "AWS does not know these credentials"),
        ("AWS_SESSION_TOKEN", "another", "AWS does not know these credentials"),
        (
            "AWS_CA_BUNDLE",
            "/nonexistent/ca.pem",
            "AWS_CA_BUNDLE /nonexistent/ca.pem cannot be used",
        ),
        ("AWS_PROFILE", "absent", "The config profile (absent) could not be found"),
        ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "https://127.0.0.1:1", "Connection refused"),
        ("HTTPS_PROXY", "http://127.0.0.1:1", "Connection refused"),
    ],
)
def test_a_wrong_environment_is_explained(
    server: AwsServer, monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    assert sentence in refusal(timeout_s=5)
    assert not server.events


def test_without_credentials_the_places_looked_at_are_named(
    server: AwsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", str(tmp_path))
    text = refusal()
    assert text.startswith("no AWS credentials; looked in the environment, the shared credentials")
    assert not server.requests


def test_no_secret_is_ever_told(server: AwsServer) -> None:
    server.logs.faults.append(Fault("access-denied"))
    assert aws_rules.SECRET_KEY not in refusal()


def test_a_server_of_another_authority_is_refused_before_a_request(
    server: AwsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(Authority("other").write(tmp_path / "other.pem")))
    assert "certificate verify failed" in refusal(timeout_s=5)
    assert not server.requests


def test_a_server_of_another_name_is_refused_before_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AwsServer(tmp_path, name="ssm.example") as server:
        point_to(server, monkeypatch)
        assert "Hostname mismatch" in refusal(timeout_s=5)
        assert not server.requests


@pytest.mark.parametrize(
    ("days", "sentence"),
    [((-10, -1), "expired "), ((1, 10), "is not valid before ")],
)
def test_a_certificate_is_judged_at_corrected_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: tuple[int, int], sentence: str
) -> None:
    with AwsServer(tmp_path, days=days) as server:
        point_to(server, monkeypatch)
        text = refusal()
        assert text.startswith("the server that answers for CloudWatch Logs cannot be trusted: ")
        assert f"certificate of localhost {sentence}" in text
        assert not server.requests


def test_an_expired_authority_is_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AwsServer(tmp_path) as server:
        point_to(server, monkeypatch)
        text = refusal(true_report(off_s=31 * DAY_S), timeout_s=5)
        assert "expired" in text
        assert not server.requests


@pytest.mark.parametrize("exempt", [False, True])
def test_a_proxy_is_used_and_the_server_behind_it_judged(
    server: AwsServer, monkeypatch: pytest.MonkeyPatch, *, exempt: bool
) -> None:
    with ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "localhost" if exempt else "169.254.169.254")
        assert deliver()
        assert "expired" in refusal(true_report(off_s=15 * DAY_S))
        assert proxy.targets == ([] if exempt else [f"localhost:{server.port}"] * 2)
    assert len(server.events) == 1


@pytest.mark.parametrize("fake", ["+0", "-10m", "+10h", "@2040-01-01 00:00:00"])
def test_expiry_of_credentials_is_judged_at_corrected_time(
    server: AwsServer, tmp_path: Path, fake: str
) -> None:
    document = {
        "AccessKeyId": aws_rules.ACCESS_KEY,
        "SecretAccessKey": aws_rules.SECRET_KEY,
        "Token": aws_rules.SESSION_TOKEN,
        "Expiration": f"{instant(time.time_ns() + 3600 * 10**9):%Y-%m-%dT%H:%M:%SZ}",
    }
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "credentials").write_text(json.dumps(document))
    with AwsServer(tmp_path, tls=False, serve=folder) as source:
        uri = f"http://127.0.0.1:{source.port}/credentials"
        line = child(server, fake, "1", AWS_CONTAINER_CREDENTIALS_FULL_URI=uri)
    assert line["outcome"].endswith("credentials from container-role")


CLOCKS = ["-10m", "+10h", "@1970-01-02 00:00:00", "@2040-01-01 00:00:00"]


@pytest.mark.parametrize("monotonic", ["1", "0"], ids=["true-monotonic", "faked-monotonic"])
@pytest.mark.parametrize("fake", CLOCKS)
def test_a_report_arrives_however_wrong_the_clock(
    server: AwsServer, fake: str, monotonic: str
) -> None:
    server.logs.faults.append(Fault("throttled", 1))
    line = child(server, fake, monotonic)
    assert line["outcome"].startswith(f"/nodecheck/{STREAM}")
    (event,) = server.events
    assert abs(event["timestamp"] / 1000 - time.time()) < 30


@pytest.mark.parametrize(
    ("fake", "sentence"),
    [
        ("-10m", "(reached max retries: 0): Signature expired: "),
        ("+10h", "(reached max retries: 0): Signature not yet current: "),
        ("@1970-01-02 00:00:00", "certificate is not yet valid"),
        ("@2040-01-01 00:00:00", "certificate has expired"),
    ],
)  # fmt: skip
def test_plain_botocore_fails_so_the_server_is_strict(
    server: AwsServer, fake: str, sentence: str
) -> None:
    server.logs.groups["/nodecheck"].add("plain")
    assert child(server, "+0", "1", "plain")["outcome"] == "delivered"
    server.events.clear()
    assert sentence in child(server, fake, "1", "plain")["outcome"]
    assert not server.events


def child(
    server: AwsServer, fake: str, monotonic: str, *words: str, **variables: str
) -> dict[str, str]:
    """Run the delivery in a process whose wall clock is wrong."""
    keys = {} if not variables else {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    given = {name: value for name, value in server.environment().items() if name not in keys}
    command = (sys.executable, "-m", "tests.deliver_once", str(time.time_ns()), *words)
    ran = subprocess.run(
        (*wrong_clock(fake), *command),
        cwd=ROOT,
        env={
            **given,
            **variables,
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "FAKETIME_DONT_FAKE_MONOTONIC": monotonic,
            "AWS_MAX_ATTEMPTS": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    line: dict[str, str] = json.loads(ran.stdout)
    assert fake == "+0" or abs(time.time() - _unix_s(line["local"])) > 500, (
        "the clock was not faked"
    )
    return line


def _unix_s(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
