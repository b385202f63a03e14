"""Hand reports to the CloudWatch agent of this node: one line in embedded metric format over TCP.

The agent needs ``{"logs": {"metrics_collected": {"emf": {}}}}`` (version 1.230621.0 or later) and
then listens on port 25888 of the loopback; it sends by its own credentials. ``_aws.LogGroupName``
and ``LogStreamName`` say where to. AWS's own EMF libraries let ``AWS_EMF_AGENT_ENDPOINT`` name
another place, such as ``tcp://127.0.0.1:25888``; so does this one.

The agent answers nothing. It was read to its end where the agent closes the connection after us;
what is not closed in time counts as not delivered, and may then arrive twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from nodecheck.host.tcp_line import send_line
from nodecheck.model.errors import ProbeError, SinkError
from nodecheck.model.spool import Sent
from nodecheck.sinks.cloudwatch import stream_name
from nodecheck.sinks.emf import dump, emf_document, stamped
from nodecheck.sinks.previews import as_if_kept, obstacles
from nodecheck.sinks.price import cost_lines, estimate, fleets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.host.door import Host
    from nodecheck.model.report import Report
    from nodecheck.model.reporting import CloudWatchPolicy
    from nodecheck.model.spool import Consignment, DatedReport

NAME: Final = "cloudwatch-agent"

VARIABLE: Final = "AWS_EMF_AGENT_ENDPOINT"
DEFAULT: Final = "tcp://127.0.0.1:25888"

LINE_LIMIT_BYTES: Final = 65_000
"""Go's line scanner, with which agents have listened, ends at 64 KiB (bufio.MaxScanTokenSize)."""

ATTEMPT_S: Final = 5.0
"""A local agent that does not read a line in this time will not."""


def render(report: Report, policy: CloudWatchPolicy) -> dict[str, object]:
    """Return what is kept of a report until it is sent.

    Raises:
        SinkError: it is larger than the agent takes.
    """
    document = emf_document(report, policy)
    size = len(dump(document))
    if size > LINE_LIMIT_BYTES:
        msg = f"the line has {size} bytes, the CloudWatch agent takes {LINE_LIMIT_BYTES}"
        raise SinkError(msg)
    return {"stream": stream_name(report), "event": document}


def send(host: Host, policy: CloudWatchPolicy, consignment: Consignment) -> Iterator[Sent]:
    """Send reports in their order, one connection for each.

    Raises:
        SinkError: the agent is not there, or did not read to the end.
    """
    name, port = endpoint(host.environment.get(VARIABLE, "") or DEFAULT)
    place = f"the CloudWatch agent at {name} port {port}"
    end_ns = host.clock.monotonic_ns() + int(policy.timeout_s * 1e9)
    for item in consignment.reports:
        line = _line(item, policy)
        if line is None:
            yield Sent((item,), refused="what was kept of it is not understood")
            continue
        left_s = (end_ns - host.clock.monotonic_ns()) / 1e9
        try:
            if left_s <= 0:
                msg = "no time left"
                raise TimeoutError(msg)
            send_line(host.network.resolve(name, port), line, min(left_s, ATTEMPT_S))
        except (OSError, ProbeError) as exc:
            msg = f"{place} did not take the report: {exc}"
            hint = "; is it running, with logs.metrics_collected.emf in its configuration?"
            raise SinkError(
                msg + (hint if isinstance(exc, ConnectionRefusedError) else "")
            ) from exc
        yield Sent((item,), place)


def _line(item: DatedReport, policy: CloudWatchPolicy) -> bytes | None:
    """Return the line of a kept report, None where its payload is not of this sink's making."""
    stream, event = item.report.payload.get("stream"), item.report.payload.get("event")
    if not isinstance(stream, str) or not isinstance(event, dict):
        return None
    document = stamped(event, item.time_ms, is_certain=item.is_certain)
    if document is None:
        return None
    place = {"LogGroupName": policy.log_group, "LogStreamName": stream}
    meta = document["_aws"]
    assert isinstance(meta, dict)  # noqa: S101 - ``stamped`` made it
    line = dump({**document, "_aws": {**meta, **place}}).encode() + b"\n"
    return line if len(line) <= LINE_LIMIT_BYTES + 1_000 else None


def endpoint(text: str) -> tuple[str, int]:
    """Return host and port of the agent.

    >>> endpoint("tcp://127.0.0.1:25888"), endpoint("tcp://[::1]:9")
    (('127.0.0.1', 25888), ('::1', 9))

    Raises:
        SinkError: it is written in another way.
    """
    try:
        parts = urlsplit(text)
        found = parts.scheme == "tcp" and parts.hostname, parts.port
    except ValueError:
        found = False, None
    if not found[0] or not found[1]:
        msg = f"{VARIABLE} is {text!r}, expected is tcp://HOST:PORT"
        raise SinkError(msg)
    return found[0], found[1]


def dry_run(report: Report, policy: CloudWatchPolicy) -> str:
    """Return what a delivery would send, what it needs, and what it costs."""
    line = _line(as_if_kept(NAME, report, render(report, policy)), policy) or b""
    lines = [
        f"to the CloudWatch agent of this node ({DEFAULT}, or {VARIABLE})",
        *obstacles(report),
        f"line of {len(line)} bytes:",
        line.decode().rstrip(),
        "IAM policy: none for nodecheck; the agent writes the log group by its own credentials",
        "estimated cost a month, every 30 minutes, us-east-1, before the free tier:",
        *cost_lines(estimate(nodes, len(line), policy) for nodes in fleets(policy)),
    ]
    return "\n".join(lines)
