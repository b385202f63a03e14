"""Send a report to CloudWatch Logs: one PutLogEvents with one event in embedded metric format.

The log stream is the node's; it is made when CloudWatch says that it is missing. A missing log
group is an error with the command that makes it, unless the policy allows to create it: a group
made by a node has no retention, and every node would need the right to make groups.

Nothing of AWS's is imported before a delivery starts.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from nodecheck.aws import endpoints
from nodecheck.aws.client import NO_CREDENTIALS, NO_REPLY, UNTRUSTED, CallError, open_client
from nodecheck.model.errors import SinkError
from nodecheck.model.report import Delivery, shorten
from nodecheck.sinks.emf import emf_event, emf_line, event_time_ms
from nodecheck.sinks.price import estimate

if TYPE_CHECKING:
    from nodecheck.aws.client import Client
    from nodecheck.host.door import Host
    from nodecheck.model.report import Report
    from nodecheck.model.reporting import CloudWatchPolicy
    from nodecheck.sinks.price import Price

NAME: Final = "cloudwatch"

STREAM_LIMIT: Final = 512
"""Longest name of a log stream (CloudWatch Logs API reference, CreateLogStream)."""

FLEETS: Final = (1, 1_000, 100_000)
"""Sizes for which a dry run names the price."""

_MISSING: Final = "ResourceNotFoundException"
_EXISTS: Final = "ResourceAlreadyExistsException"
_DENIED: Final = "AccessDeniedException"
EXPLANATION_LIMIT: Final = 600


def deliver(report: Report, policy: CloudWatchPolicy, host: Host) -> Delivery:
    """Send the report and say where it went.

    Raises:
        SinkError: it was not accepted; the sentence says why and what would help.
    """
    event = {"timestamp": event_time_ms(report), "message": emf_event(report, policy)}
    region = region_of(report, policy)
    stream = {"logGroupName": policy.log_group, "logStreamName": stream_name(report)}
    try:
        with open_client("logs", region, host, report.corrected, policy.timeout_s) as client:
            _put(client, stream, event, policy)
            source = client.credentials_source
    except CallError as exc:
        raise SinkError(_explain(exc, report, policy, region)) from exc
    place = f"{policy.log_group}/{stream['logStreamName']} in {region}"
    return Delivery(NAME, "delivered", f"{place}, credentials from {source}")


def region_of(report: Report, policy: CloudWatchPolicy) -> str:
    """Return the Region to report to.

    Raises:
        SinkError: none is known, or it is no Region's name.
    """
    region = policy.region or report.node.region
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


def _put(
    client: Client, stream: dict[str, str], event: dict[str, object], policy: CloudWatchPolicy
) -> None:
    parameters = {**stream, "logEvents": [event]}
    try:
        reply = client.call("PutLogEvents", parameters)
    except CallError as exc:
        if exc.code != _MISSING:
            raise
        _create_stream(client, stream, policy)
        reply = client.call("PutLogEvents", parameters)
    rejected = reply.get("rejectedLogEventsInfo")
    if rejected:
        msg = f"CloudWatch rejected the time of the event ({event['timestamp']} ms): {rejected}"
        raise SinkError(msg)


def _create_stream(client: Client, stream: dict[str, str], policy: CloudWatchPolicy) -> None:
    """Make the log stream; when even the group is missing, that too if it is allowed."""
    try:
        _create(client, "CreateLogStream", stream)
    except CallError as exc:
        if exc.code != _MISSING or not policy.create_log_group:
            raise
        _create(client, "CreateLogGroup", {"logGroupName": policy.log_group})
        _create(client, "CreateLogStream", stream)


def _create(client: Client, operation: str, parameters: dict[str, str]) -> None:
    try:
        client.call(operation, parameters)
    except CallError as exc:
        if exc.code != _EXISTS:  # another run was faster
            raise


_CAUSES: Final = {
    NO_CREDENTIALS: "no AWS credentials; looked in the environment, the shared credentials and "
    "configuration files, the container endpoint and the instance metadata",
    NO_REPLY: "no answer from CloudWatch Logs",
    UNTRUSTED: "the server that answers for CloudWatch Logs cannot be trusted",
    "ExpiredTokenException": "the credentials have expired",
    "UnrecognizedClientException": "AWS does not know these credentials",
    "InvalidSignatureException": "AWS refused the signature: wrong secret key or wrong time",
}


def _explain(exc: CallError, report: Report, policy: CloudWatchPolicy, region: str) -> str:
    """Return a sentence that says what to do, and what AWS said."""
    group = policy.log_group
    # AWS repeats the canonical request of a refused signature, session token and all.
    said = exc.message.partition("The Canonical String")[0].strip()
    if exc.code == _DENIED:
        arn = log_group_arn(region, report.node.account, group)
        wanted = ", ".join(actions(policy))
        return f"these credentials may not write to {arn}, they need {wanted}: {said}"
    if exc.code == _MISSING:
        make = f"aws logs create-log-group --region {region} --log-group-name {group}"
        return f"log group {group} does not exist in {region}; make it: {make}"
    cause = _CAUSES.get(exc.code, f"CloudWatch Logs refused the report, {exc.code}")
    return shorten(f"{cause}: {said}", EXPLANATION_LIMIT)


def actions(policy: CloudWatchPolicy) -> tuple[str, ...]:
    """Return the IAM actions that a delivery needs."""
    always = ("logs:PutLogEvents", "logs:CreateLogStream")
    return (*always, "logs:CreateLogGroup") if policy.create_log_group else always


def log_group_arn(region: str, account: str | None, log_group: str) -> str:
    """Return the ARN of a log group; an unknown Region or account is a star."""
    partition = endpoints.partition(region) if region else "aws"
    return f"arn:{partition}:logs:{region or '*'}:{account or '*'}:log-group:{log_group}"


def iam_policy(report: Report, policy: CloudWatchPolicy) -> dict[str, object]:
    """Return the least IAM policy under which a delivery succeeds."""
    region = policy.region or report.node.region or ""
    arn = log_group_arn(region, report.node.account, policy.log_group)
    writing: dict[str, object] = {
        "Effect": "Allow",
        "Action": ["logs:PutLogEvents", "logs:CreateLogStream"],
        "Resource": f"{arn}:log-stream:*",
    }
    creating: dict[str, object] = {
        "Effect": "Allow",
        "Action": ["logs:CreateLogGroup"],
        "Resource": f"{arn}:*",
    }
    statements = [writing, creating] if policy.create_log_group else [writing]
    return {"Version": "2012-10-17", "Statement": statements}


def dry_run(report: Report, policy: CloudWatchPolicy) -> str:
    """Return what a delivery would send, what it may need, and what it costs."""
    problems = []
    for requirement in (emf_event, region_of):
        try:
            requirement(report, policy)
        except SinkError as exc:
            problems.append(f"would not be sent: {exc}")
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
    lines += [_cost_line(estimate(nodes, len(event), policy)) for nodes in FLEETS]
    return "\n".join(lines)


def _cost_line(price: Price) -> str:
    each = price.total_usd / price.nodes
    return (
        f"  {price.nodes:>7,} {'node: ' if price.nodes == 1 else 'nodes:'} "
        f"{price.total_usd:,.2f} USD, {each:.5f} each "
        f"({price.series} metric series {price.series_usd:.2f}, logs {price.logs_usd:.2f})"
    )
