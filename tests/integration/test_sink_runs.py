"""Whole runs through several sinks at once: delivered, kept, delivered later, and only shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import aws_service
from tests.aws_rules import Refusal
from tests.aws_server import AwsServer
from tests.aws_service import Fault
from tests.aws_sinks import SINKS
from tests.emf_listener import EmfListener
from tests.ntp_server import Behaviour, NtpServer
from tests.reporting_node import NOWHERE, ReportingNode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.aws_sinks import AwsSink

NODE = "i-0123456789abcdef0"
NAMES = (*(sink.name for sink in SINKS), "cloudwatch-agent")
UNREACHABLE = {sink.variable: NOWHERE for sink in SINKS}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AwsServer]:
    with AwsServer(tmp_path) as running:
        yield running


@pytest.fixture
def agent() -> Iterator[EmfListener]:
    with EmfListener() as running:
        yield running


@pytest.fixture
def node(tmp_path: Path, server: AwsServer) -> Iterator[ReportingNode]:
    with NtpServer(Behaviour()) as time_server:
        yield ReportingNode(tmp_path, server, time_server)


@pytest.fixture
def settings(agent: EmfListener) -> dict[str, str]:
    return {
        "AWS_SSM_INSTANCE_ID": NODE,
        "AWS_EMF_AGENT_ENDPOINT": agent.url,
        "NODECHECK_REPORT_SINKS": ",".join(NAMES),
        "NODECHECK_RUN_ONLY": "clock.offset",
        "NODECHECK_RUN_DEADLINE_S": "30",
    }


def states(report: dict[str, Any]) -> dict[str, str]:
    return {item["sink"]: item["state"] for item in report["delivery"]}


def arrived(server: AwsServer, agent: EmfListener) -> list[int]:
    return [*(sink.received(server) for sink in SINKS), len(agent.lines)]


def test_a_run_reports_to_every_sink(
    node: ReportingNode, server: AwsServer, agent: EmfListener, settings: dict[str, str]
) -> None:
    assert states(node.run(**settings)) == dict.fromkeys(NAMES, "delivered")
    assert all(arrived(server, agent))
    (told,) = server.ssm.compliance[NODE, "Custom:NodeCheck"].items
    assert (told["Id"], told["Status"]) == ("clock.offset", "COMPLIANT")
    again = node.run(**settings)
    (line,) = [item for item in again["delivery"] if item["sink"] == "compliance"]
    assert "unchanged since it was sent at" in line["detail"]


def test_what_was_kept_is_sent_later_and_of_compliance_only_the_newest(
    node: ReportingNode, server: AwsServer, agent: EmfListener, settings: dict[str, str]
) -> None:
    away = {**settings, **UNREACHABLE, "AWS_EMF_AGENT_ENDPOINT": "tcp://127.0.0.1:1"}
    for _ in range(2):
        assert states(node.run(**away)) == dict.fromkeys(NAMES, "spooled")
    assert not any(arrived(server, agent))
    waiting = [item["sink"] for item in node.waiting()]
    assert {name: waiting.count(name) for name in NAMES} == {
        "cloudwatch": 2,
        "cloudwatch-metrics": 2,
        "compliance": 1,
        "cloudwatch-agent": 2,
    }
    assert states(node.run(**settings)) == dict.fromkeys(NAMES, "delivered")
    assert not node.waiting()
    assert (len(server.events), len(agent.lines), len(server.ssm.compliance)) == (3, 3, 1)
    stamps = [item["Timestamp"] for item in server.metrics.data]
    assert stamps == sorted(stamps)


def test_a_dry_run_shows_every_sink_and_sends_nothing(
    node: ReportingNode, server: AwsServer, agent: EmfListener, settings: dict[str, str]
) -> None:
    given = {**settings, "NODECHECK_REPORT_SINKS": ",".join((*NAMES, "inventory"))}
    code, text = node.command("run", "--dry-run", **given)
    assert code == 0
    for words in ("PutLogEvents", "PutMetricData", "PutComplianceItems", "_aws", NODE):
        assert words in text
    assert text.count("estimated cost a month") == 5
    assert text.count("IAM policy") == 5
    assert not any(arrived(server, agent))
    assert not node.waiting()


def test_a_narrowed_run_says_why_compliance_is_not_told(
    node: ReportingNode, server: AwsServer, settings: dict[str, str]
) -> None:
    given = {**settings, "NODECHECK_REPORT_SINKS": "compliance"}
    code, text = node.command("run", "--format", "json", "--only", "clock.offset", **given)
    report = json.loads(text.splitlines()[0])
    assert states(report) == {"compliance": "failed"}
    assert (code, report["verdict"]) == (3, "unknown")
    assert "--only left checks out" in report["delivery"][0]["detail"]
    assert not server.ssm.compliance


EVIL = "no\x1b]0;owned\x07\x1b[31m\nOK: 9 checks passed\r\u202e"


@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.name)
def test_words_of_a_server_cannot_steer_a_terminal(
    node: ReportingNode, server: AwsServer, monkeypatch: pytest.MonkeyPatch, sink: AwsSink
) -> None:
    refusal = Refusal("InvalidParameterException", EVIL)
    monkeypatch.setitem(aws_service.REFUSALS, "access-denied", refusal)
    server.faults.append(Fault("access-denied"))
    changes = {"AWS_SSM_INSTANCE_ID": NODE, "NODECHECK_REPORT_SINKS": sink.name}
    words = "".join(node.command("run", **changes)[1] + node.command("spool", "flush")[1])
    assert "owned" in words
    assert not set(words) & set("\x1b\x07\r\u202e")
    assert "\nOK: 9" not in words


def test_a_password_in_an_endpoint_is_not_told(node: ReportingNode) -> None:
    made = node.run(AWS_ENDPOINT_URL_CLOUDWATCH_LOGS="https://ann:hunter2@127.0.0.1:1/")
    assert "https://127.0.0.1:1/: 127.0.0.1 port 1" in json.dumps(made)
    assert "hunter2" not in json.dumps(made)


def test_a_sink_named_twice_gets_one_report(node: ReportingNode, tmp_path: Path) -> None:
    log = tmp_path / "reports.jsonl"
    node.run(NODECHECK_REPORT_SINKS="file,file", NODECHECK_REPORT_FILE=str(log))
    assert len(log.read_text().splitlines()) == 1
