"""The strict server must refuse what AWS refuses, or what passes against it proves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests import aws_rules
from tests.aws_logs import MODEL, Logs
from tests.aws_rules import Refusal, Request, check_batch, check_parameters, check_signature

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
REGION = "eu-central-1"
BODY = b'{"logGroupName":"/nodecheck","logStreamName":"s","logEvents":[]}'


class SignedAt(SigV4Auth):  # type: ignore[misc] # botocore is untyped
    moment = NOW

    def _modify_request_before_signing(self, request: Any) -> None:  # noqa: ANN401 - as above
        request.context["timestamp"] = self.moment.strftime(aws_rules.STAMP)
        super()._modify_request_before_signing(request)


def signed(moment: datetime = NOW, region: str = REGION, key: str = "") -> Request:
    """Return a request signed by botocore, the oracle for our verification."""
    request = AWSRequest("POST", "https://localhost/a%20b/?z=1&a=%2F&a=", data=BODY)
    request.headers["X-Amz-Target"] = "Logs_20140328.PutLogEvents"
    secret = key or aws_rules.SECRET_KEY
    token = aws_rules.SESSION_TOKEN
    signer = SignedAt(Credentials(aws_rules.ACCESS_KEY, secret, token), "logs", region)
    signer.moment = moment
    signer.add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request("POST", "/a%20b/?z=1&a=%2F&a=", {"host": "localhost", **headers}, BODY)


def code(request: Request) -> str:
    try:
        check_signature(request, REGION, "logs", NOW)
    except Refusal as exc:
        return f"{exc.code}: {exc.message}"
    return ""


def test_what_botocore_signs_is_accepted() -> None:
    assert code(signed()) == ""


@pytest.mark.parametrize("seconds", [-299, 299, -301, 301])
def test_the_time_may_be_five_minutes_off(seconds: int) -> None:
    text = code(signed(NOW + timedelta(seconds=seconds)))
    if seconds == -301:
        expected = (
            "20261123T145459Z is now earlier than 20261123T145500Z (20261123T150000Z - 5 min.)"
        )
        assert text == f"InvalidSignatureException: Signature expired: {expected}"
    elif seconds == 301:
        expected = (
            "20261123T150501Z is still later than 20261123T150500Z (20261123T150000Z + 5 min.)"
        )
        assert text == f"InvalidSignatureException: Signature not yet current: {expected}"
    else:
        assert text == ""


def _without(name: str) -> Callable[[Request], Request]:
    def change(request: Request) -> Request:
        kept = {key: value for key, value in request.headers.items() if key != name}
        return Request(request.method, request.target, kept, request.body)

    return change


def _with(name: str, value: str) -> Callable[[Request], Request]:
    return lambda request: Request(
        request.method, request.target, {**request.headers, name: value}, request.body
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_without("authorization"), "MissingAuthenticationToken"),
        (_with("authorization", "Basic dTpw"), "IncompleteSignature"),
        (_with("x-amz-target", "Logs_20140328.CreateLogGroup"), "InvalidSignature"),
        (_with("host", "elsewhere"), "InvalidSignature"),
        (_with("x-amz-date", "20261123T150001Z"), "InvalidSignature"),
        (_with("x-amz-date", "20261124T000000Z"), "InvalidSignature"),
        (_with("x-amz-security-token", "another"), "UnrecognizedClient"),
        (lambda r: Request(r.method, r.target, r.headers, BODY + b" "), "InvalidSignature"),
        (lambda r: Request("PUT", r.target, r.headers, BODY), "InvalidSignature"),
        (lambda r: Request(r.method, "/other", r.headers, BODY), "InvalidSignature"),
        (lambda r: Request(r.method, r.target + "&b=2", r.headers, BODY), "InvalidSignature"),
        (lambda _: signed(region="us-east-1"), "InvalidSignature"),
        (lambda _: signed(key="another"), "InvalidSignature"),
    ],
)
def test_whatever_is_tampered_with_is_refused(
    change: Callable[[Request], Request], expected: str
) -> None:
    assert code(change(signed())).startswith(expected)


GOOD = {
    "logGroupName": "/nodecheck",
    "logStreamName": "i-0",
    "logEvents": [{"timestamp": 1, "message": "m"}],
}


@pytest.mark.parametrize(
    "change",
    [
        {"logGroupName": "/node check"},
        {"logGroupName": "/nodecheck\n"},
        {"logGroupName": "x" * 513},
        {"logGroupName": 7},
        {"logStreamName": "a:b"},
        {"logStreamName": ""},
        {"logEvents": []},
        {"logEvents": [{"timestamp": 1, "message": ""}]},
        {"logEvents": [{"timestamp": -1, "message": "m"}]},
        {"logEvents": [{"timestamp": 1.5, "message": "m"}]},
        {"logEvents": [{"timestamp": True, "message": "m"}]},
        {"logEvents": [{"timestamp": 1, "message": "m", "level": "info"}]},
        {"logEvents": [{"message": "m"}]},
        {"logEvents": [{"timestamp": 1, "message": "m"}] * 10_001},
        {"entity": {"keyAttributes": {"a": "b"}}},
        {"unknown": 1},
    ],
)
def test_parameters_outside_the_model_are_refused(change: dict[str, object]) -> None:
    shape = MODEL.operation_model("PutLogEvents").input_shape
    check_parameters(shape, GOOD)
    with pytest.raises(Refusal, match="InvalidParameterException"):
        check_parameters(shape, {**GOOD, **change})


def events(*offsets_s: float, size: int = 1) -> list[dict[str, Any]]:
    return [
        {"timestamp": int((NOW.timestamp() + offset) * 1000), "message": "m" * size}
        for offset in offsets_s
    ]


@pytest.mark.parametrize(
    "batch",
    [events(1, 0), events(-86_401, 0), events(0, size=1_048_551), events(0, 0, size=600_000)],
)
def test_batches_outside_the_rules_are_refused(batch: list[dict[str, Any]]) -> None:
    with pytest.raises(Refusal, match="InvalidParameterException"):
        check_batch(batch, NOW)


def test_events_of_a_wrong_time_are_rejected_one_by_one() -> None:
    assert check_batch(events(-86_400, 0, size=500_000), NOW) == {}
    assert check_batch(events(-15 * 86_400), NOW) == {"tooOldLogEventEndIndex": 1}
    assert check_batch(events(0, 7_300), NOW) == {"tooNewLogEventStartIndex": 1}


def test_only_known_operations_groups_and_streams_are_answered() -> None:
    logs = Logs(REGION, {"/nodecheck": set()})
    with pytest.raises(Refusal, match="log stream does not exist"):
        logs.answer("PutLogEvents", GOOD, NOW)
    with pytest.raises(Refusal, match="log group does not exist"):
        logs.answer("PutLogEvents", {**GOOD, "logGroupName": "/other"}, NOW)
    logs.answer("CreateLogStream", GOOD, NOW)
    with pytest.raises(Refusal, match="ResourceAlreadyExistsException"):
        logs.answer("CreateLogStream", GOOD, NOW)


def test_the_process_serves_botocore_and_records_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = tmp_path / "events.jsonl"
    served = tmp_path / "VERSION"
    served.write_text("3.3.1142.0")
    command = [sys.executable, "-m", "tests.aws_server", "--received", str(received)]
    with subprocess.Popen(
        [*command, "--serve", str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        url = told.pop("url")
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        client = botocore.session.Session().create_client("logs", region_name=REGION)
        client.create_log_stream(logGroupName="/nodecheck", logStreamName="s")
        event = {"timestamp": time.time_ns() // 10**6, "message": "hello"}
        client.put_log_events(logGroupName="/nodecheck", logStreamName="s", logEvents=[event])
        client.close()
        reply = requests.get(f"{url}/VERSION", verify=told["AWS_CA_BUNDLE"], timeout=5)
        assert (reply.text, "Date" in reply.headers) == ("3.3.1142.0", True)
        for _ in range(100):
            if received.exists() and received.read_text().endswith("\n"):
                break
            time.sleep(0.05)
        process.terminate()
    assert json.loads(received.read_text()) == {"group": "/nodecheck", "stream": "s", **event}
    assert not Path(told["AWS_CA_BUNDLE"]).exists()
