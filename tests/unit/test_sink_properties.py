"""Whatever a node calls itself, each sink's payload is one that the other side takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from nodecheck.model.report import ClockReading
from nodecheck.model.reporting import CloudWatchPolicy, CompliancePolicy
from nodecheck.model.spool import DatedReport, SpooledReport
from nodecheck.model.verdict import Status
from nodecheck.records import replace
from nodecheck.sinks import cloudwatch_metrics, compliance, inventory
from tests.aws_metrics import MODEL, check_metrics
from tests.aws_rules import check_parameters
from tests.aws_ssm import MODEL as SSM_MODEL
from tests.reports import MOMENT, bad, report

if TYPE_CHECKING:
    from nodecheck.model.report import Report

TEXT = st.text(st.characters(), max_size=700)
WORD = st.text(st.characters(), min_size=1, max_size=700)
POLICY = CloudWatchPolicy(per_node=True)
NUMBER = st.floats() | st.integers() | st.booleans() | st.none() | TEXT
JSON = st.recursive(NUMBER, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner))


def made(name: str, reason: str, offset_s: float) -> Report:
    told = report(bad(f"agent.{name}", Status.CRIT, reason), bad(name or "x", Status.WARN, reason))
    node = replace(told.node, platform=name, node_id=name, os=name)
    return replace(told, node=node, clock=ClockReading(offset_s, 0.1, name, ()))


def dated(sink: str, payload: dict[str, object]) -> DatedReport:
    """Return a report as the spool gives it back: through JSON, at a time of a run."""
    kept = json.loads(json.dumps(payload))
    item = SpooledReport(sink, "run", None, 0, 0, "", kept)
    return DatedReport(item, int(MOMENT.timestamp() * 1000), is_certain=True)


def check(item: DatedReport, node_id: str) -> bool:
    """Judge the metrics as CloudWatch does; tell whether there were any."""
    data = cloudwatch_metrics.metric_data(item, POLICY, node_id)
    if data is None:
        return False
    plain = [{**datum, "Timestamp": MOMENT.timestamp()} for datum in data]
    values = {"Namespace": "NodeCheck", "MetricData": plain}
    check_parameters(MODEL.operation_model("PutMetricData").input_shape, values)
    check_metrics(values, MOMENT)
    return True


@given(TEXT, WORD, st.floats())
def test_metrics_of_any_node_are_taken(name: str, reason: str, offset_s: float) -> None:
    payload = cloudwatch_metrics.render(made(name, reason, offset_s), POLICY)
    assert check(dated("cloudwatch-metrics", payload), name)


@given(JSON, JSON, st.dictionaries(st.sampled_from(["Runs", "Crit", "ClockOffsetAbs"]), JSON))
def test_metrics_of_any_spool_are_taken_or_given_up(
    platform: object, status: object, values: dict[str, object]
) -> None:
    payload = {"platform": platform, "status": status, "values": values}
    check(dated("cloudwatch-metrics", payload), "i-0")


@given(TEXT, WORD)
def test_compliance_of_any_checks_is_taken(name: str, reason: str) -> None:
    payload = compliance.render(made(name, reason, 1.0), CompliancePolicy())
    values = {
        "ResourceId": "i-0123456789abcdef0",
        "ResourceType": "ManagedInstance",
        "ComplianceType": compliance.TYPE,
        "ExecutionSummary": {"ExecutionTime": MOMENT.timestamp()},
        "Items": json.loads(json.dumps(payload))["items"],
    }
    check_parameters(SSM_MODEL.operation_model("PutComplianceItems").input_shape, values)


@given(TEXT, WORD)
def test_inventory_of_any_checks_is_within_the_agents_limits(name: str, reason: str) -> None:
    text = inventory.document(made(name, reason, 1.0))
    assert text.isascii()
    attributes = json.loads(text)["Content"]
    assert len(attributes) <= 50
    for key, value in attributes.items():
        assert 1 <= len(key.encode()) <= 64
        assert isinstance(value, str)
        assert len(value.encode()) <= 4096
