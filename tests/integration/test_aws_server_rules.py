"""The strict server refuses what AWS refuses of metrics, of compliance, for want of rights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from tests.aws_iam import allows
from tests.aws_metrics import MODEL, check_metrics
from tests.aws_rules import Refusal, check_parameters
from tests.aws_server import AwsServer
from tests.aws_service import Fault
from tests.aws_sinks import point_to
from tests.aws_ssm import MODEL as SSM_MODEL
from tests.aws_ssm import Ssm

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
DAY_S = 86_400


def metric(**changes: object) -> dict[str, Any]:
    given = {"MetricName": "Runs", "Value": 1.0, "Timestamp": NOW.timestamp(), **changes}
    return {name: value for name, value in given.items() if value is not None}


def call(*data: dict[str, Any], namespace: str = "NodeCheck") -> dict[str, Any]:
    return {"Namespace": namespace, "MetricData": list(data)}


def pairs(count: int) -> list[dict[str, str]]:
    return [{"Name": f"d{number}", "Value": "v"} for number in range(count)]


def refused(values: dict[str, Any]) -> str:
    try:
        check_parameters(MODEL.operation_model("PutMetricData").input_shape, values)
        check_metrics(values, NOW)
    except Refusal as exc:
        return exc.code
    return ""


@pytest.mark.parametrize(
    "good",
    [
        call(metric()),
        call(*[metric()] * 1_000),
        call(metric(Dimensions=pairs(30))),
        call(metric(Timestamp=NOW.timestamp() - 14 * DAY_S)),
        call(metric(Timestamp=NOW.timestamp() + 7_200)),
        call(metric(Value=None, Values=[1.0] * 150, Counts=[1.0] * 150)),
        call(metric(Value=-(2.0**360), Unit="Seconds", StorageResolution=1)),
        call(metric(Timestamp=None)),
    ],
)
def test_what_cloudwatch_takes_is_taken(good: dict[str, Any]) -> None:
    assert refused(good) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        call(),
        call(*[metric()] * 1_001),
        call(metric(Dimensions=pairs(31))),
        call(metric(Dimensions=pairs(1) * 2)),
        call(metric(Dimensions=[{"Name": ":d", "Value": "v"}])),
        call(metric(Dimensions=[{"Name": "d", "Value": "é"}])),
        call(metric(Dimensions=[{"Name": "d", "Value": " "}])),
        call(metric(Dimensions=[{"Name": "d", "Value": "a\nb"}])),
        call(metric(Dimensions=[{"Name": "d", "Value": ""}])),
        call(metric(Dimensions=[{"Name": "d"}])),
        call(metric(Timestamp=NOW.timestamp() - 14 * DAY_S - 60)),
        call(metric(Timestamp=NOW.timestamp() + 7_260)),
        call(metric(Value=float("nan"))),
        call(metric(Value=float("inf"))),
        call(metric(Value=2.0**361)),
        call(metric(Value="1")),
        call(metric(Value=None)),
        call(metric(Values=[1.0])),
        call(metric(Value=None, Values=[1.0] * 151)),
        call(metric(Value=None, Values=[1.0], Counts=[1.0, 2.0])),
        call(metric(Unit="Furlongs")),
        call(metric(StorageResolution=30)),
        call(metric(MetricName="")),
        call(metric(MetricName="x" * 256)),
        call(metric(Node="x")),
        call(metric(), namespace="AWS/EC2"),
        call(metric(), namespace=":x"),
        {"MetricData": [metric()]},
    ],
)
def test_what_cloudwatch_refuses_is_refused(wrong: dict[str, Any]) -> None:
    assert refused(wrong)


GOOD: dict[str, Any] = {
    "ResourceId": "i-0123456789abcdef0",
    "ResourceType": "ManagedInstance",
    "ComplianceType": "Custom:NodeCheck",
    "ExecutionSummary": {"ExecutionTime": NOW.timestamp()},
    "Items": [{"Id": "a", "Severity": "HIGH", "Status": "COMPLIANT", "Details": {"a": "b"}}],
}


def put(ssm: Ssm, values: dict[str, Any]) -> str:
    try:
        check_parameters(SSM_MODEL.operation_model("PutComplianceItems").input_shape, values)
        ssm.answer("PutComplianceItems", values, NOW)
    except Refusal as exc:
        return exc.code
    return ""


@pytest.mark.parametrize(
    "change",
    [
        {"ResourceId": "i-0000000000000dead"},
        {"ResourceType": "Instance"},
        {"ComplianceType": "Association"},
        {"ComplianceType": "Custom:Node Check"},
        {"UploadType": "PARTIAL"},
        {"ExecutionSummary": {}},
        {"ExecutionSummary": {"ExecutionTime": 0}},
        {"ExecutionSummary": {"ExecutionTime": "2026-11-23"}},
        {"Items": [{}] * 10_001},
        {"Items": [{"Severity": "HIGH"}]},
        {"Items": [{"Severity": "high", "Status": "COMPLIANT"}]},
        {"Items": [{"Severity": "HIGH", "Status": "UNKNOWN"}]},
        {"Items": [{"Severity": "HIGH", "Status": "COMPLIANT", "Details": {"a": 1}}]},
        {"Items": [{"Severity": "HIGH", "Status": "COMPLIANT", "Details": {"a": "x" * 4_097}}]},
        {"Items": [{"Severity": "HIGH", "Status": "COMPLIANT", "Title": "x" * 501}]},
        {"Items": [{"Severity": "HIGH", "Status": "COMPLIANT", "Reason": "x"}]},
        {"ItemContentHash": "x" * 257},
    ],
)
def test_what_compliance_refuses_is_refused(change: dict[str, Any]) -> None:
    ssm = Ssm("eu-central-1", {"i-0123456789abcdef0"})
    assert put(ssm, {**GOOD, **change})
    assert put(ssm, GOOD) == ""


def test_each_call_overwrites_and_the_same_hash_changes_nothing() -> None:
    ssm = Ssm("eu-central-1", {"i-0123456789abcdef0"})
    put(ssm, {**GOOD, "ItemContentHash": "1"})
    put(ssm, {**GOOD, "ItemContentHash": "1", "Items": []})
    (told,) = ssm.compliance.values()
    assert (len(told.items), told.ignored) == (1, 1)
    put(ssm, {**GOOD, "ItemContentHash": "2", "Items": []})
    (told,) = ssm.compliance.values()
    assert told.items == []


def test_an_eleventh_custom_type_is_refused() -> None:
    ssm = Ssm("eu-central-1", {"i-0123456789abcdef0"})
    kinds = [{**GOOD, "ComplianceType": f"Custom:T{number}"} for number in range(11)]
    assert [put(ssm, kind) for kind in kinds][9:] == [
        "",
        "ComplianceTypeCountLimitExceededException",
    ]


STATEMENT = {"Effect": "Allow", "Action": "logs:Put*", "Resource": "arn:*:stream/?"}


@pytest.mark.parametrize(
    ("changes", "context", "is_allowed"),
    [
        ({}, {}, True),
        ({"Action": ["x:Y", "LOGS:PUTLOGEVENTS"]}, {}, True),
        ({"Action": "logs:Get*"}, {}, False),
        ({"Resource": "arn:*:stream/??"}, {}, False),
        ({"Resource": ["*"]}, {}, True),
        ({"Resource": "arn.*:stream/a"}, {}, False),
        ({"Condition": {"StringEquals": {"n": "a"}}}, {"n": "a"}, True),
        ({"Condition": {"StringEquals": {"n": ["b", "a"]}}}, {"n": "a"}, True),
        ({"Condition": {"StringEquals": {"n": "a"}}}, {"n": "b"}, False),
        ({"Condition": {"StringEquals": {"n": "a"}}}, {}, False),
    ],
)
def test_rights_are_judged_as_iam_does(
    changes: dict[str, Any], context: dict[str, str], *, is_allowed: bool
) -> None:
    policy = {"Statement": [{**STATEMENT, **changes}]}
    assert allows(policy, "logs:PutLogEvents", "arn:aws:stream/a", context) is is_allowed
    assert not allows({"Statement": []}, "logs:PutLogEvents", "*", context)


@pytest.mark.parametrize("query_errors", [True, False])
def test_botocore_understands_the_errors_of_cloudwatch(
    tmp_path: Any,  # noqa: ANN401 - as pytest gives it
    monkeypatch: pytest.MonkeyPatch,
    *,
    query_errors: bool,
) -> None:
    with AwsServer(tmp_path) as server:
        point_to(server, monkeypatch)
        server.metrics.query_errors = query_errors
        client = botocore.session.Session().create_client("cloudwatch", region_name="eu-central-1")
        soon = datetime.now(UTC) + timedelta(hours=3)
        with pytest.raises(ClientError) as caught:
            client.put_metric_data(
                Namespace="x", MetricData=[{"MetricName": "a", "Value": 1, "Timestamp": soon}]
            )
        code = caught.value.response["Error"]["Code"]
        assert code == (
            "InvalidParameterValue" if query_errors else "InvalidParameterValueException"
        )
        server.faults.append(Fault("expired-token", 1))
        with pytest.raises(ClientError, match="ExpiredToken"):
            client.put_metric_data(Namespace="x", MetricData=[{"MetricName": "a", "Value": 1}])
        client.put_metric_data(Namespace="x", MetricData=[{"MetricName": "a", "Value": 1}])
        assert len(server.metrics.data) == 1
        client.close()
