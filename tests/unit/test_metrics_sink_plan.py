from __future__ import annotations

import json
import re

import pytest

from nodecheck.arguments import SINKS
from nodecheck.aws.client import CallError
from nodecheck.model.reporting import CloudWatchPolicy, CompliancePolicy
from nodecheck.model.settings import BY_NAME, DEFAULTS
from nodecheck.outlets import OUTLETS
from nodecheck.policies import compliance, narrowed
from nodecheck.records import replace
from nodecheck.sinks import cloudwatch, cloudwatch_agent, cloudwatch_metrics, iam
from nodecheck.sinks.cloudwatch_agent import endpoint
from nodecheck.sinks.iam import Right
from nodecheck.sinks.price import PER_NODE_METRICS, SERIES_TIERS, estimate_metrics
from nodecheck.sinks.refusals import explain
from tests.reports import report

POLICY = CloudWatchPolicy()


def test_a_dry_run_shows_payload_rights_and_price() -> None:
    text = cloudwatch_metrics.dry_run(report(), POLICY)
    (line,) = [row for row in text.splitlines() if row.startswith('{"Namespace"')]
    assert len(json.loads(line)["MetricData"]) == 11
    assert '"cloudwatch:namespace": "NodeCheck"' in text
    assert "1 node:  4.21 USD, 4.21460 each (14 metric series 4.20, calls 0.01)" in text
    assert "would be kept" not in text
    nodes = cloudwatch_metrics.dry_run(report(), replace(POLICY, per_node=True))
    assert "1,000 nodes: 923.00 USD, 0.92300 each (3028 metric series 908.40, calls" in nodes


def test_a_dry_run_says_what_would_stop_the_delivery() -> None:
    made = report(corrected=None)
    made = replace(made, node=replace(made.node, region=None, node_id=None))
    text = cloudwatch_metrics.dry_run(made, replace(POLICY, per_node=True))
    assert "would be kept, not sent: the Region is unknown" in text
    assert "would be kept, not sent: report.per_node_metrics is set, but the node's id" in text
    assert "would be kept, not sent: the true time could not be measured" in text


def test_the_dry_run_of_the_agents_line_needs_no_rights() -> None:
    text = cloudwatch_agent.dry_run(report(), POLICY)
    (line,) = [row for row in text.splitlines() if row.startswith('{"_aws"')]
    assert json.loads(line)["_aws"]["LogGroupName"] == "/nodecheck"
    assert "IAM policy: none" in text
    assert "100,000 nodes:" in text


def test_the_setting_of_node_metrics_states_their_price() -> None:
    key = BY_NAME["report.per_node_metrics"]
    usd = len(PER_NODE_METRICS) * SERIES_TIERS[0][1]
    assert key.default is False
    assert f"{len(PER_NODE_METRICS)} series, {usd:.2f} USD a month for each node" in key.meaning
    with_nodes = estimate_metrics(1_000, replace(POLICY, per_node=True))
    without = estimate_metrics(1_000, POLICY)
    assert with_nodes.total_usd - without.total_usd == pytest.approx(1_000 * usd)


def test_the_price_of_a_fleet_of_any_size_is_named() -> None:
    policy = replace(POLICY, fleet_nodes=25_000)
    for text in (
        cloudwatch.dry_run(report(), policy),
        cloudwatch_metrics.dry_run(report(), policy),
        cloudwatch_agent.dry_run(report(), policy),
    ):
        assert re.findall(r"([\d,]+) nodes?: +[\d,.]+ USD, [\d.]+ each", text) == ["1", "25,000"]


def test_the_price_of_a_call_is_counted() -> None:
    price = estimate_metrics(100_000, POLICY)
    assert price.calls_usd == pytest.approx(1_460)
    assert price.series == 28


@pytest.mark.parametrize("text", ["", "tcp://", "tcp://h", "udp://h:1", "h:1", "tcp://h:99999"])
def test_only_tcp_places_are_understood(text: str) -> None:
    with pytest.raises(Exception, match="expected is tcp://HOST:PORT"):
        endpoint(text)


def test_one_policy_has_each_right_once() -> None:
    one, other = Right(("a:B",), ("*",)), Right(("a:C",), ("x", "y"), ("k", "v"))
    assert iam.document([one, other, one]) == {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["a:B"], "Resource": "*"},
            {
                "Effect": "Allow",
                "Action": ["a:C"],
                "Resource": ["x", "y"],
                "Condition": {"StringEquals": {"k": "v"}},
            },
        ],
    }
    assert iam.actions([one, other, one]) == ("a:B", "a:C")


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, ""),
        ({"run.only": ("clock",)}, "--only"),
        ({"run.only": ()}, ""),
        ({"run.only": ("clock",), "run.skip": ("agent",)}, "--only, --skip"),
    ],
)
def test_only_flags_narrow_a_run(changes: dict[str, tuple[str, ...]], flags: str) -> None:
    values = {**DEFAULTS.values, **changes}
    by_flag = replace(
        DEFAULTS, values=values, origins={**DEFAULTS.origins, **dict.fromkeys(changes, "flag")}
    )
    by_file = replace(DEFAULTS, values=values)
    assert narrowed(by_flag) == compliance(by_flag).narrowed == flags
    assert narrowed(by_file) == ""


def test_a_policy_refuses_a_time_that_cannot_be_waited_for() -> None:
    with pytest.raises(ValueError, match="timeout_s is 61"):
        CompliancePolicy(timeout_s=61)


def test_the_request_that_aws_repeats_is_not_told() -> None:
    said = "it does not match. The Canonical String for this request should have been 'tok3n'"
    exc = CallError("SignatureDoesNotMatch", said)
    told = explain(exc, "CloudWatch", "here", ("a:B",))
    assert told == ("AWS refused the signature: wrong secret key or wrong time: it does not match.")


def test_the_help_names_every_sink() -> None:
    assert tuple(SINKS.split(", ")) == BY_NAME["report.sinks"].choices == tuple(OUTLETS)
