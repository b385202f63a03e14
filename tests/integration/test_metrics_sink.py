"""PutMetricData against the strict server: what is sent, in how many calls, what is given up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from nodecheck.model.errors import SinkError
from nodecheck.model.report import ClockReading
from nodecheck.model.reporting import CloudWatchPolicy
from nodecheck.model.spool import Consignment, DatedReport, SpooledReport
from nodecheck.records import replace
from nodecheck.sinks import cloudwatch_metrics
from nodecheck.sinks.emf import METRICS
from tests.aws_server import AwsServer
from tests.aws_service import Fault
from tests.aws_sinks import SINKS, deliver, effective, hasty_host, point_to, true_report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nodecheck.model.report import Report
    from nodecheck.model.spool import Sent

SINK = SINKS[1]
POLICY = CloudWatchPolicy(timeout_s=20)
STRANGE: list[dict[str, object]] = [
    {},
    {"platform": "linux", "status": "ok"},
    {"platform": "linux", "status": "ok", "values": []},
    {"platform": "linux", "status": "ok", "values": {}},
    {"platform": "linux", "status": "ok", "values": {"Mine": 1}},
    {"platform": "linux", "status": "ok", "values": {"Runs": "1"}},
    {"platform": "linux", "status": "ok", "values": {"Runs": True}},
    {"platform": "linux", "status": "ok", "values": {"ClockOffsetAbs": float("nan")}},
    {"platform": "linux", "status": "ok", "values": {"ClockOffsetAbs": float("inf")}},
    {"platform": "linux", "status": "ok", "values": {"ClockOffsetAbs": 1e300}},
    {"platform": "linux", "status": "ok", "values": {"Runs": 10**400}},
    {"platform": "", "status": "ok", "values": {"Runs": 1}},
    {"platform": "li\nnux", "status": "ok", "values": {"Runs": 1}},
    {"platform": "linux", "status": 7, "values": {"Runs": 1}},
    {"platform": "é", "status": "ok", "values": {"Runs": 1}},
    {"platform": "x" * 1025, "status": "ok", "values": {"Runs": 1}},
]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    with AwsServer(tmp_path) as running:
        point_to(running, monkeypatch)
        yield running


def dated(payload: dict[str, object], age_s: float = 0, *, is_certain: bool = True) -> DatedReport:
    kept = SpooledReport(SINK.name, f"run-{age_s}", None, 0, 0, "", payload)
    return DatedReport(kept, int((time.time() - age_s) * 1000), is_certain=is_certain)


def send(*items: DatedReport, policy: CloudWatchPolicy = POLICY) -> list[Sent]:
    made = true_report()
    assert made.corrected is not None
    consignment = Consignment(items, made.corrected, made.node, 20)
    return list(cloudwatch_metrics.send(hasty_host(), policy, consignment))


def payload(made: Report | None = None) -> dict[str, object]:
    return cloudwatch_metrics.render(made or true_report(), POLICY)


def dimensions(item: dict[str, Any]) -> dict[str, str]:
    return {pair["Name"]: pair["Value"] for pair in item["Dimensions"]}


def test_metrics_have_fleet_dimensions_and_the_corrected_time(
    server: AwsServer, tmp_path: Path
) -> None:
    (sent,) = deliver(SINK, effective(tmp_path))
    assert sent.place == "11 metrics in namespace NodeCheck in eu-central-1, credentials from env"
    data = server.metrics.data
    fleet = [item for item in data if dimensions(item) == {"Platform": "linux"}]
    assert [item["MetricName"] for item in fleet] == [item.name for item in METRICS]
    (status,) = [item for item in data if item not in fleet]
    assert (status["MetricName"], status["Value"]) == ("Runs", 1)
    assert dimensions(status) == {"Platform": "linux", "Status": "ok"}
    assert {item["Namespace"] for item in data} == {"NodeCheck"}
    assert all(abs(item["Timestamp"] - time.time()) < 10 for item in data)
    by_name = {item["MetricName"]: item for item in fleet}
    assert (by_name["ClockOffsetAbs"]["Value"], by_name["ClockOffsetAbs"]["Unit"]) == (
        412.0312,
        "Seconds",
    )
    assert "Unit" not in by_name["Crit"]


def test_a_node_is_a_dimension_only_where_that_is_set(server: AwsServer, tmp_path: Path) -> None:
    deliver(SINK, effective(tmp_path, report__per_node_metrics=True))
    nodes = [item for item in server.metrics.data if "NodeId" in dimensions(item)]
    assert {item["MetricName"] for item in nodes} == {"ClockOffsetAbs", "Crit", "Unknown"}
    assert {tuple(dimensions(item).items()) for item in nodes} == {
        (("NodeId", "i-0123456789abcdef0"),)
    }


def test_a_node_without_an_id_waits(server: AwsServer, tmp_path: Path) -> None:
    made = true_report()
    made = replace(made, node=replace(made.node, node_id=None))
    with pytest.raises(SinkError, match="the node's id is not known"):
        deliver(SINK, effective(tmp_path, report__per_node_metrics=True), made)
    assert not server.requests


def test_many_reports_go_in_calls_of_a_thousand_metrics(server: AwsServer) -> None:
    items = [dated(payload(), age_s) for age_s in range(200, 0, -1)]
    sent = send(*items)
    assert [len(batch.reports) for batch in sent] == [90, 90, 20]  # of 11 metrics each
    assert len(server.metrics.data) == 200 * 11
    assert all(item.headers["content-encoding"] == "gzip" for item in server.requests[:2])
    stamps = [item["Timestamp"] for item in server.metrics.data]
    assert stamps == sorted(stamps)


def test_what_is_delivered_before_an_error_is_told(server: AwsServer) -> None:
    items = [dated(payload(), age_s) for age_s in range(200, 0, -1)]
    made = true_report()
    assert made.corrected is not None
    steps = cloudwatch_metrics.send(
        hasty_host(), POLICY, Consignment(tuple(items), made.corrected, made.node, 20)
    )
    assert len(next(steps).reports) == 90
    server.faults.append(Fault("access-denied"))
    with pytest.raises(SinkError, match="they need cloudwatch:PutMetricData: User: arn:aws:sts"):
        next(steps)


@pytest.mark.parametrize("strange", STRANGE)
def test_what_the_spool_may_hold_is_given_up_alone(
    server: AwsServer, strange: dict[str, object]
) -> None:
    sent = send(dated(strange), dated(payload()))
    assert [item.refused for item in sent] == ["what was kept of it is not understood", ""]
    assert len(server.metrics.data) == 11


def test_a_time_that_may_be_wrong_is_not_sent(server: AwsServer) -> None:
    sent = send(dated(payload(), is_certain=False))
    assert "only the node's own clock dates it" in sent[0].refused
    assert not server.requests


def test_one_report_that_cloudwatch_refuses_does_not_keep_the_others(server: AwsServer) -> None:
    sent = send(dated(payload(), 15 * 86_400), dated(payload()))
    assert [bool(item.refused) for item in sent] == [True, False]
    assert "CloudWatch refused it: The parameter MetricData.member.1.Timestamp" in sent[0].refused
    assert len(server.metrics.data) == 11


def test_an_unmeasured_clock_has_no_metric(server: AwsServer) -> None:
    made = true_report(clock=ClockReading(float("nan"), 0.1, "https", ()))
    assert not send(dated(payload(made)))[0].refused
    assert "ClockOffsetAbs" not in {item["MetricName"] for item in server.metrics.data}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("throttled", "CloudWatch refused the report, ThrottlingException: Rate exceeded"),
        ("access-denied", "these credentials may not write to namespace NodeCheck in"),
        ("expired-token", "the credentials have expired: The security token included"),
    ],
)
def test_errors_are_understood_without_the_old_protocols_codes(
    server: AwsServer, fault: str, sentence: str
) -> None:
    server.metrics.query_errors = False
    server.faults.append(Fault(fault))
    with pytest.raises(SinkError, match=sentence):
        send(dated(payload()))
