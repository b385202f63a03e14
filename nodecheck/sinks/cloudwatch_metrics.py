"""Send the metrics of reports to CloudWatch: PutMetricData, with fleet dimensions.

PutMetricData has no token that tells a repetition: a reply that got lost counts a value twice. So
every metric is a gauge, read as Average or Maximum; the Sum of Runs is for orders of magnitude, the
sink ``cloudwatch`` counts better. A metric has no room for a mark either: what only the node's own
clock dates is not sent at all.

Limits: Amazon CloudWatch API reference, PutMetricData (1,000 metrics and 1 MB a call, values of at
most 2^360). A dimension that names the node makes three billed series for each node.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

from nodecheck.aws.client import CallError, open_client
from nodecheck.model.errors import SinkError
from nodecheck.model.moment import instant
from nodecheck.model.spool import Sent
from nodecheck.sinks import iam
from nodecheck.sinks.cloudwatch import region_of
from nodecheck.sinks.emf import METRICS, emf_document, metric_values
from nodecheck.sinks.iam import Right
from nodecheck.sinks.previews import as_if_kept, obstacles
from nodecheck.sinks.price import CALL_USD, PER_NODE_METRICS, cost_lines, estimate_metrics, fleets
from nodecheck.sinks.refusals import explain, said_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nodecheck.aws.client import Client
    from nodecheck.host.door import Host
    from nodecheck.model.report import NodeIdentity, Report
    from nodecheck.model.reporting import CloudWatchPolicy
    from nodecheck.model.spool import Consignment, DatedReport

NAME: Final = "cloudwatch-metrics"
SERVICE: Final = "CloudWatch"

CALL_LIMIT: Final = 1_000
"""Metrics that one PutMetricData takes (API reference; not in the API's model)."""

VALUE_LIMIT: Final = 2.0**360
DIMENSION_LIMIT: Final = 1_024

NODE_DIMENSION: Final = "NodeId"

_INVALID: Final = frozenset(
    {"InvalidParameterValue", "InvalidParameterCombination", "MissingParameter"}
    | {"InvalidParameterValueException", "InvalidParameterCombinationException"}
    | {"MissingRequiredParameterException", "ValidationError", "ParamValidationError"}
    | {"RequestEntityTooLarge", "413"}
)
"""Codes of both protocols, and botocore's own, for what no repetition mends."""

_UNITS: Final = {item.name: item.unit for item in METRICS}

Datum = dict[str, object]


def render(report: Report, policy: CloudWatchPolicy) -> dict[str, object]:
    """Return what is kept of a report until it is sent: values, and the dimensions of its fleet."""
    return {
        "platform": emf_document(report, policy)["Platform"],
        "status": report.verdict.value,
        "values": metric_values(report),
    }


def send(host: Host, policy: CloudWatchPolicy, consignment: Consignment) -> Iterator[Sent]:
    """Send reports in their order, as many in a call as it takes, and tell of each call.

    Raises:
        SinkError: the rest was not accepted; the sentence says why and what would help.
    """
    region = region_of(consignment.node, policy)
    node_id = _node_id(consignment.node, policy)
    readable = []
    for item in consignment.reports:
        data = metric_data(item, policy, node_id)
        if not item.is_certain:
            yield Sent((item,), refused="only the node's own clock dates it, which may be wrong")
        elif data is None:
            yield Sent((item,), refused="what was kept of it is not understood")
        else:
            readable.append((item, data))
    if not readable:
        return
    try:
        with open_client(
            "cloudwatch",
            region,
            host,
            consignment.corrected,
            policy.timeout_s,
            agent_credentials=policy.agent_credentials,
        ) as client:
            for batch in _batches(readable):
                yield from _put(client, batch, policy, region)
    except CallError as exc:
        place = f"namespace {policy.namespace} in {region}"
        raise SinkError(explain(exc, SERVICE, place, iam.actions(rights(policy)))) from exc


def _node_id(node: NodeIdentity, policy: CloudWatchPolicy) -> str:
    if not policy.per_node:
        return ""
    if not node.node_id:
        msg = "report.per_node_metrics is set, but the node's id is not known"
        raise SinkError(msg)
    return node.node_id


def metric_data(
    item: DatedReport, policy: CloudWatchPolicy, node_id: str = ""
) -> list[Datum] | None:
    """Return the metrics of a kept report, None where its payload is not of this sink's making."""
    payload = item.report.payload
    platform, status, values = (payload.get(name) for name in ("platform", "status", "values"))
    if not _is_dimension(platform) or not _is_dimension(status) or not isinstance(values, dict):
        return None
    numbers = {name: values[name] for name in _UNITS if _is_number(values.get(name))}
    if not numbers:
        return None
    fleet = [("Platform", platform)]
    data = [_datum(name, value, fleet, item) for name, value in numbers.items()]
    if policy.by_status and "Runs" in numbers:
        data.append(_datum("Runs", numbers["Runs"], [*fleet, ("Status", status)], item))
    if _is_dimension(node_id):
        mine = [(NODE_DIMENSION, node_id)]
        known = [name for name in PER_NODE_METRICS if name in numbers]
        data += [_datum(name, numbers[name], mine, item) for name in known]
    return data


def _datum(
    name: str, value: float, dimensions: Sequence[tuple[str, object]], item: DatedReport
) -> Datum:
    unit = {} if _UNITS[name] == "None" else {"Unit": _UNITS[name]}
    return {
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": text} for key, text in dimensions],
        "Timestamp": instant(item.time_ms * 1_000_000),
        "Value": float(value),
        **unit,
    }


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= VALUE_LIMIT and math.isfinite(value)


def _is_dimension(value: object) -> bool:
    """Tell whether CloudWatch takes a text as the value of a dimension."""
    if not isinstance(value, str) or not 0 < len(value) <= DIMENSION_LIMIT:
        return False
    return value.isascii() and value.isprintable() and bool(value.strip())


def _batches(
    reports: list[tuple[DatedReport, list[Datum]]],
) -> Iterator[list[tuple[DatedReport, list[Datum]]]]:
    batch: list[tuple[DatedReport, list[Datum]]] = []
    size = 0
    for item, data in reports:
        if batch and size + len(data) > CALL_LIMIT:
            yield batch
            batch, size = [], 0
        batch.append((item, data))
        size += len(data)
    yield batch


def _put(
    client: Client,
    batch: list[tuple[DatedReport, list[Datum]]],
    policy: CloudWatchPolicy,
    region: str,
) -> Iterator[Sent]:
    """Make one call; a batch that AWS finds wrong is sent again report by report."""
    data = [datum for _, some in batch for datum in some]
    try:
        client.call("PutMetricData", {"Namespace": policy.namespace, "MetricData": data})
    except CallError as exc:
        if exc.code not in _INVALID:
            raise
        if len(batch) == 1:
            yield Sent((batch[0][0],), refused=f"CloudWatch refused it: {said_by(exc)}")
        else:
            for one in batch:
                yield from _put(client, [one], policy, region)
        return
    place = f"{len(data)} metrics in namespace {policy.namespace} in {region}"
    place += f", credentials from {client.credentials_source}"
    yield Sent(tuple(item for item, _ in batch), place)


def rights(policy: CloudWatchPolicy) -> tuple[Right, ...]:
    """Return what a delivery needs; PutMetricData takes no resource, but a namespace."""
    condition = ("cloudwatch:namespace", policy.namespace)
    return (Right(("cloudwatch:PutMetricData",), ("*",), condition),)


def dry_run(report: Report, policy: CloudWatchPolicy) -> str:
    """Return what a delivery would send, what it needs, and what it costs."""
    item = as_if_kept(NAME, report, render(report, policy))
    node_id = (report.node.node_id or "") if policy.per_node else ""
    data = metric_data(item, policy, node_id) or []
    parameters = {"Namespace": policy.namespace, "MetricData": data}
    lines = [
        f"to CloudWatch metrics in {policy.region or report.node.region or 'no Region'}",
        *obstacles(
            report,
            lambda: region_of(report.node, policy),
            lambda: _node_id(report.node, policy),
        ),
        f"PutMetricData with {len(data)} metrics:",
        json.dumps(parameters, separators=(",", ":"), default=str),
        "IAM policy:",
        iam.text(rights(policy)),
        "estimated cost a month, every 30 minutes, us-east-1, before the free tier:",
        *cost_lines(estimate_metrics(nodes, policy) for nodes in fleets(policy)),
        f"  (a call costs {CALL_USD:.5f} USD; the sink cloudwatch needs none)",
    ]
    return "\n".join(lines)
