"""The line that the CloudWatch agent of this node gets, and every way in which it does not."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

import pytest

from nodecheck.host.here import this_host
from nodecheck.model.errors import SinkError
from nodecheck.model.reporting import CloudWatchPolicy
from nodecheck.model.spool import Consignment, DatedReport, SpooledReport
from nodecheck.model.verdict import Status
from nodecheck.records import replace
from nodecheck.sinks import cloudwatch_agent
from nodecheck.sinks.cloudwatch_agent import VARIABLE
from tests.aws_sinks import true_report
from tests.emf_listener import EmfListener
from tests.reports import bad

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.model.report import Report
    from nodecheck.model.spool import Sent

POLICY = CloudWatchPolicy(timeout_s=5)


def host_with(url: str) -> Host:
    """Return this machine, without credentials, and with the agent at this place."""
    return replace(this_host(), environment={VARIABLE: url} if url else {})


def dated(payload: dict[str, object], *, is_certain: bool = True) -> DatedReport:
    kept = SpooledReport(cloudwatch_agent.NAME, "run", None, 0, 0, "", payload)
    return DatedReport(kept, int(time.time() * 1000), is_certain=is_certain)


def payload(made: Report | None = None) -> dict[str, object]:
    return cloudwatch_agent.render(made or true_report(), POLICY)


def send(url: str, *items: DatedReport, timeout_s: float = 5) -> list[Sent]:
    made = true_report()
    assert made.corrected is not None
    consignment = Consignment(items or (dated(payload()),), made.corrected, made.node, timeout_s)
    policy = replace(POLICY, timeout_s=timeout_s)
    return list(cloudwatch_agent.send(host_with(url), policy, consignment))


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_one_line_names_group_stream_and_time(family: int) -> None:
    with EmfListener(family=family) as agent:
        (sent,) = send(agent.url)
        (line,) = agent.lines
    assert sent.place.startswith("the CloudWatch agent at ")
    assert line.endswith(b"}\n")
    document = json.loads(line)
    assert document["_aws"]["LogGroupName"] == "/nodecheck"
    assert document["_aws"]["LogStreamName"] == "i-0123456789abcdef0"
    assert abs(document["_aws"]["Timestamp"] / 1000 - time.time()) < 10
    assert document["Runs"] == 1
    assert document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Platform"]]


def test_each_report_is_a_line_in_their_order_and_an_uncertain_time_is_marked() -> None:
    with EmfListener() as agent:
        sent = send(agent.url, dated(payload()), dated(payload(), is_certain=False))
        first, second = (json.loads(line) for line in agent.lines)
    assert len(sent) == 2
    assert "time_uncertain" not in first
    assert second["time_uncertain"] is True


def test_a_hostile_report_is_one_line() -> None:
    made = true_report()
    node = replace(made.node, os="a\nb\r\u2028c\x00", node_id="i-\n{}")
    with EmfListener() as agent:
        send(agent.url, dated(payload(replace(made, node=node))))
        assert len(agent.lines) == 1
        assert json.loads(agent.lines[0])["os"] == "a b c"


def test_nobody_listening_is_said_with_what_would_help() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(SinkError) as caught:
        send(f"tcp://127.0.0.1:{port}")
    text = str(caught.value)
    assert text.startswith(f"the CloudWatch agent at 127.0.0.1 port {port} did not take the report")
    assert "Connection refused; is it running, with logs.metrics_collected.emf in its" in text


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ("deaf", "timed out"),
        ("mute", "timed out"),
        ("reset", "reset by peer|not connected"),
        ("talk", "it talks instead of reading|reset by peer|not connected"),
    ],
)
def test_an_agent_that_does_not_read_is_no_delivery(mode: str, sentence: str) -> None:
    started = time.monotonic()
    with EmfListener(mode) as agent, pytest.raises(SinkError, match=sentence):
        send(agent.url, timeout_s=1)
    assert time.monotonic() - started < 3


def test_what_is_cut_in_the_middle_stays_and_what_went_before_is_told() -> None:
    items = tuple(dated(payload()) for _ in range(3))
    made = true_report()
    assert made.corrected is not None
    with EmfListener() as agent:
        steps = cloudwatch_agent.send(
            host_with(agent.url), POLICY, Consignment(items, made.corrected, made.node, 5)
        )
        assert next(steps).reports == items[:1]
    with pytest.raises(SinkError, match="Connection refused"):
        next(steps)


@pytest.mark.parametrize("url", ["udp://127.0.0.1:25888", "127.0.0.1:25888", "tcp://h", "tcp://:x"])
def test_a_place_that_is_not_understood_is_refused(url: str) -> None:
    with pytest.raises(
        SinkError, match=r"AWS_EMF_AGENT_ENDPOINT is .*, expected is tcp://HOST:PORT"
    ):
        send(url)


def test_a_name_that_is_unknown_is_refused() -> None:
    with pytest.raises(SinkError, match="did not take the report"):
        send("tcp://agent.invalid:25888")


@pytest.mark.parametrize(
    "strange",
    [{}, {"stream": "s", "event": []}, {"stream": 7, "event": {"_aws": {}}},
     {"event": {"_aws": {}}}, {"stream": "s", "event": {"_aws": 7}},
     {"stream": "s", "event": {"_aws": {}, "x": "y" * 70_000}}],
)  # fmt: skip
def test_a_strange_payload_is_given_up(strange: dict[str, object]) -> None:
    with EmfListener() as agent:
        (sent,) = send(agent.url, dated(strange))
        assert not agent.connections
    assert sent.refused == "what was kept of it is not understood"


def test_a_report_larger_than_the_agent_reads_is_refused_at_once() -> None:
    many = tuple(bad(f"agent.{number}{'x' * 300}", Status.CRIT) for number in range(200))
    with pytest.raises(SinkError, match="bytes, the CloudWatch agent takes 65000"):
        payload(replace(true_report(), checks=many))
