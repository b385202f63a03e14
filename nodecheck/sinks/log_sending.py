"""Put batches of events into a log stream, which is made where it is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.aws.client import CallError
from nodecheck.model.spool import Sent
from nodecheck.sinks.refusals import said_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nodecheck.aws.client import Client
    from nodecheck.model.reporting import CloudWatchPolicy
    from nodecheck.sinks.log_batches import LogEvent

MISSING: Final = "ResourceNotFoundException"
_EXISTS: Final = "ResourceAlreadyExistsException"
_INVALID: Final = frozenset({"InvalidParameterException", "ParamValidationError"})
"""AWS's word, and botocore's, for events that no repetition mends."""


def put(
    client: Client, batch: tuple[LogEvent, ...], policy: CloudWatchPolicy, region: str
) -> Iterator[Sent]:
    """Send one batch; one that AWS finds wrong is sent again event by event."""
    stream = {"logGroupName": policy.log_group, "logStreamName": batch[0].stream}
    events = [{"timestamp": item.report.time_ms, "message": item.message} for item in batch]
    try:
        reply = _call(client, stream, events, policy)
    except CallError as exc:
        if exc.code not in _INVALID:
            raise
        if len(batch) == 1:
            yield Sent((batch[0].report,), refused=f"CloudWatch refused it: {said_by(exc)}")
        else:
            for item in batch:
                yield from put(client, (item,), policy, region)
        return
    place = f"{policy.log_group}/{batch[0].stream} in {region}"
    place += f", credentials from {client.credentials_source}"
    first, end = _accepted(reply, len(batch))
    reports = tuple(item.report for item in batch)
    if first < end:
        yield Sent(reports[first:end], place)
    rejected = (*reports[:first], *reports[end:])
    if rejected:
        yield Sent(rejected, refused="CloudWatch rejected the time of the event")


def _call(
    client: Client,
    stream: dict[str, str],
    events: list[dict[str, object]],
    policy: CloudWatchPolicy,
) -> Mapping[str, object]:
    parameters = {**stream, "logEvents": events}
    try:
        return client.call("PutLogEvents", parameters)
    except CallError as exc:
        if exc.code != MISSING:
            raise
    _create_stream(client, stream, policy)
    return client.call("PutLogEvents", parameters)


def _accepted(reply: Mapping[str, object], count: int) -> tuple[int, int]:
    """Return the first event that was accepted and the one after the last (RejectedLogEventsInfo).

    Too old and expired ones stand first, those from the future last.
    """
    info = reply.get("rejectedLogEventsInfo")
    if not isinstance(info, dict):
        return 0, count
    first = max(info.get("tooOldLogEventEndIndex", 0), info.get("expiredLogEventEndIndex", 0))
    first = min(first, count)
    return first, max(first, min(info.get("tooNewLogEventStartIndex", count), count))


def _create_stream(client: Client, stream: dict[str, str], policy: CloudWatchPolicy) -> None:
    """Make the log stream; when even the group is missing, that too if it is allowed."""
    try:
        _create(client, "CreateLogStream", stream)
    except CallError as exc:
        if exc.code != MISSING or not policy.create_log_group:
            raise
        _create(client, "CreateLogGroup", {"logGroupName": policy.log_group})
        _create(client, "CreateLogStream", stream)


def _create(client: Client, operation: str, parameters: dict[str, str]) -> None:
    try:
        client.call(operation, parameters)
    except CallError as exc:
        if exc.code != _EXISTS:  # another run was faster
            raise
