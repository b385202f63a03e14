"""The policy that ``nodecheck iam`` prints is exactly what the sinks need: no less and no more."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nodecheck.model.errors import SinkError
from nodecheck.outlets import RIGHTS
from nodecheck.sinks import iam
from tests.aws_iam import allows
from tests.aws_server import AwsServer
from tests.aws_sinks import SINKS, STREAM, deliver, effective, point_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.aws_sinks import AwsSink

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=SINKS, ids=lambda sink: sink.name)
def sink(request: pytest.FixtureRequest) -> AwsSink:
    found: AwsSink = request.param
    return found


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    with AwsServer(tmp_path) as running:
        point_to(running, monkeypatch)
        running.logs.groups["/nodecheck"].discard(STREAM)  # so that it must be made
        yield running


def policy_of(sink: AwsSink, **changes: object) -> dict[str, Any]:
    return json.loads(json.dumps(iam.document(RIGHTS[sink.name](effective("/s", **changes)))))  # type: ignore[no-any-return]


def test_a_delivery_succeeds_under_its_own_policy(
    server: AwsServer, sink: AwsSink, tmp_path: Path
) -> None:
    server.allow(policy_of(sink))
    (sent,) = deliver(sink, effective(tmp_path / "state"))
    assert not sent.refused
    assert sink.received(server)
    assert not [item for item in server.refusals if item.code == "AccessDeniedException"]


def test_each_allowed_action_is_needed(server: AwsServer, sink: AwsSink, tmp_path: Path) -> None:
    whole = policy_of(sink)
    actions = [action for item in whole["Statement"] for action in item["Action"]]
    assert actions
    for action in actions:
        less = copy.deepcopy(whole)
        for statement in less["Statement"]:
            statement["Action"] = [item for item in statement["Action"] if item != action]
        server.allow(less)
        with pytest.raises(SinkError, match=f"not authorized to perform: {action} "):
            deliver(sink, effective(tmp_path / "state"))
    assert not sink.received(server)


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        (0, {"report__log_group": "/other"}),
        (0, {"node__region": "eu-west-1"}),
        (1, {"report__namespace": "Other"}),
        (2, {"node__region": "eu-west-1"}),
    ],
)
def test_a_policy_for_something_else_does_not_do(
    server: AwsServer, tmp_path: Path, number: int, changes: dict[str, object]
) -> None:
    server.allow(policy_of(SINKS[number], **changes))
    with pytest.raises(SinkError, match="these credentials may not write to"):
        deliver(SINKS[number], effective(tmp_path / "state"))
    assert not SINKS[number].received(server)


GROUP = "arn:aws:logs:eu-central-1:123456789012:log-group:/nodecheck"
FOREIGN = [
    ("logs:PutLogEvents", f"{GROUP}2:log-stream:s"),
    ("logs:GetLogEvents", f"{GROUP}:log-stream:s"),
    ("logs:CreateLogGroup", f"{GROUP}:log-stream:"),
    ("logs:DeleteLogStream", f"{GROUP}:log-stream:s"),
    ("cloudwatch:PutMetricAlarm", "*"),
    ("cloudwatch:PutMetricData", "*"),
    ("ssm:PutInventory", "arn:aws:ec2:eu-central-1:123456789012:instance/i-0123456789abcdef0"),
    ("ssm:PutComplianceItems", "arn:aws:ssm:eu-central-1:123456789012:document/x"),
]  # fmt: skip


def test_nothing_else_is_allowed(sink: AwsSink) -> None:
    context = {"cloudwatch:namespace": "Other"}
    for action, resource in FOREIGN:
        assert not allows(policy_of(sink), action, resource, context), action


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "nodecheck", "iam", *words],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_command_merges_the_policies_of_all_sinks(server: AwsServer, tmp_path: Path) -> None:
    words = [word for sink in (*SINKS, SINKS[0]) for word in ("--report", sink.name)]
    ran = run(*words, "--report", "inventory")
    assert (ran.returncode, ran.stderr) == (0, "")
    policy = json.loads(ran.stdout)
    assert len(policy["Statement"]) == len(SINKS)
    server.allow(policy)
    for sink in SINKS:
        deliver(sink, effective(tmp_path / "state"))
        assert sink.received(server)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "name the sinks: nodecheck iam --report cloudwatch"),
        (["--report", "inventory"], "inventory: no IAM policy is needed"),
        (["--report", "nope"], "expected one of cloudwatch"),
        (["--report", "compliance", "--region", "mars"], "--region"),
    ],
)
def test_the_command_refuses_what_makes_no_policy(words: list[str], sentence: str) -> None:
    ran = run(*words)
    assert (ran.returncode, ran.stdout) == (64, "")
    assert sentence in ran.stderr
