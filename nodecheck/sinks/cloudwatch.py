"""Send reports to CloudWatch Logs: PutLogEvents with one event in embedded metric format for each.

The log stream is the node's; it is made when CloudWatch says that it is missing. A missing log
group is an error with the command that makes it, unless the policy allows to create it: a group
made by a node has no retention, and every node would need the right to make groups.

PutLogEvents has no token that tells a repetition: a reply that got lost, or a run killed between
the reply and its note of it, sends an event twice. ``run`` in the event tells such twins.

Nothing of AWS's is imported before a delivery starts.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from nodecheck.aws import endpoints
from nodecheck.aws.client import CallError, open_client
from nodecheck.model.errors import SinkError
from nodecheck.model.spool import Sent
from nodecheck.sinks import iam
from nodecheck.sinks.emf import dump, emf_document, emf_line, stamped
from nodecheck.sinks.iam import Right, arn
from nodecheck.sinks.log_batches import LogEvent, batches
from nodecheck.sinks.log_sending import MISSING, put
from nodecheck.sinks.price import cost_lines, estimate, fleets
from nodecheck.sinks.refusals import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.host.door import Host
    from nodecheck.model.report import NodeIdentity, Report
    from nodecheck.model.reporting import CloudWatchPolicy, CompliancePolicy
    from nodecheck.model.spool import Consignment, DatedReport

NAME: Final = "cloudwatch"
SERVICE: Final = "CloudWatch Logs"

STREAM_LIMIT: Final = 512
"""Longest name of a log stream (CloudWatch Logs API reference, CreateLogStream)."""

_STREAM: Final = re.compile(r"[A-Za-z0-9._-]{1,512}")


def render(report: Report, policy: CloudWatchPolicy) -> dict[str, object]:
    """Return what is kept of a report until it is sent.

    Raises:
        SinkError: it is larger than CloudWatch takes.
    """
    return {"stream": stream_name(report), "event": emf_document(report, policy)}


def send(host: Host, policy: CloudWatchPolicy, consignment: Consignment) -> Iterator[Sent]:
    """Send reports in their order, and tell of each batch what became of it.

    Raises:
        SinkError: the rest was not accepted; the sentence says why and what would help.
    """
    node = consignment.node
    region = region_of(node, policy)
    read = [(item, _event(item)) for item in consignment.reports]
    strange = tuple(item for item, event in read if event is None)
    if strange:
        yield Sent(strange, refused="what was kept of it is not understood")
    events = [event for _, event in read if event is not None]
    if not events:
        return
    try:
        with open_client(
            "logs",
            region,
            host,
            consignment.corrected,
            policy.timeout_s,
            agent_credentials=policy.agent_credentials,
        ) as client:
            for batch in batches(events):
                yield from put(client, batch, policy, region)
    except CallError as exc:
        raise SinkError(_explain(exc, node, policy, region)) from exc


def _event(item: DatedReport) -> LogEvent | None:
    """Return the event of a kept report, None where its payload is not of this sink's making."""
    stream, document = item.report.payload.get("stream"), item.report.payload.get("event")
    if not isinstance(stream, str) or not _STREAM.fullmatch(stream):
        return None
    if not isinstance(document, dict):
        return None
    event = stamped(document, item.time_ms, is_certain=item.is_certain)
    return None if event is None else LogEvent(stream, dump(event), item)


def region_of(node: NodeIdentity, policy: CloudWatchPolicy | CompliancePolicy) -> str:
    """Return the Region to report to.

    Raises:
        SinkError: none is known, or it is no Region's name.
    """
    region = policy.region or node.region
    if not region:
        msg = "the Region is unknown: set node.region or AWS_REGION"
        raise SinkError(msg)
    if not endpoints.is_region(region):
        msg = f"not the name of a Region: {region!r}"
        raise SinkError(msg)
    return region


def stream_name(report: Report) -> str:
    """Return the log stream: the node's id, else that of the run, in characters AWS allows."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", report.node.node_id or "") or "run-" + re.sub(
        r"[^A-Za-z0-9._-]+", "-", report.run.run_id
    )
    return name[:STREAM_LIMIT]


def _explain(exc: CallError, node: NodeIdentity, policy: CloudWatchPolicy, region: str) -> str:
    """Return a sentence that says what to do, and what AWS said."""
    group = policy.log_group
    if exc.code == MISSING:
        make = f"aws logs create-log-group --region {region} --log-group-name {group}"
        return f"log group {group} does not exist in {region}; make it: {make}"
    place = log_group_arn(region, node.account, group)
    return explain(exc, SERVICE, place, iam.actions(rights(policy, region, None)))


def log_group_arn(region: str, account: str | None, log_group: str) -> str:
    """Return the ARN of a log group; an unknown Region or account is a star."""
    return arn("logs", region, account, f"log-group:{log_group}")


def rights(policy: CloudWatchPolicy, region: str, account: str | None) -> tuple[Right, ...]:
    """Return what a delivery needs; AWS judges even a group by the name of a stream in it."""
    group = log_group_arn(region, account, policy.log_group)
    writing = Right(("logs:PutLogEvents", "logs:CreateLogStream"), (f"{group}:log-stream:*",))
    creating = Right(("logs:CreateLogGroup",), (f"{group}:*",))
    return (writing, creating) if policy.create_log_group else (writing,)


def iam_policy(report: Report, policy: CloudWatchPolicy) -> dict[str, object]:
    """Return the least IAM policy under which a delivery succeeds."""
    region = policy.region or report.node.region or ""
    return iam.document(rights(policy, region, report.node.account))


def dry_run(report: Report, policy: CloudWatchPolicy) -> str:
    """Return what a delivery would send, what it may need, and what it costs."""
    problems = []
    try:
        region_of(report.node, policy)
    except SinkError as exc:
        problems.append(f"would be kept, not sent: {exc}")
    if report.corrected is None:
        problems.append(
            "would be kept, not sent: the true time could not be measured, so the report can be "
            "neither signed nor dated"
        )
    event = emf_line(report, policy, int(report.run.started_at.timestamp() * 1000))
    lines = [
        f"to CloudWatch Logs in {policy.region or report.node.region or 'no Region'}",
        *problems,
        f"event of {len(event)} bytes:",
        event,
        "calls:",
        f"  PutLogEvents {policy.log_group} {stream_name(report)}",
        "  CreateLogStream, then PutLogEvents again, if there is no such stream",
        f"  the log group {policy.log_group} must be there"
        if not policy.create_log_group
        else "  CreateLogGroup, if there is no such group",
    ]
    lines += ["IAM policy:", json.dumps(iam_policy(report, policy), indent=2)]
    lines.append("estimated cost a month, every 30 minutes, us-east-1, before the free tier:")
    lines += cost_lines(estimate(nodes, len(event), policy) for nodes in fleets(policy))
    return "\n".join(lines)
