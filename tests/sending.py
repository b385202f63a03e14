"""Send one report, past the spool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.model.errors import SinkError
from nodecheck.model.moment import unix_ns
from nodecheck.model.spool import Consignment, SpooledReport, dated
from nodecheck.sinks import cloudwatch

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.model.report import Report
    from nodecheck.model.reporting import CloudWatchPolicy


def kept(report: Report, payload: dict[str, object], sink: str = cloudwatch.NAME) -> SpooledReport:
    """Return a report as the spool keeps it."""
    true_ns = unix_ns(report.run.started_at)
    return SpooledReport(sink, report.run.run_id, true_ns, true_ns, 0, "", payload)


def consignment(report: Report, payload: dict[str, object], limit_s: float = 20) -> Consignment:
    """Return a report as a sink gets it to send."""
    assert report.corrected is not None
    items = (dated(kept(report, payload), report.corrected, ""),)
    return Consignment(items, report.corrected, report.node, limit_s)


def deliver(report: Report, policy: CloudWatchPolicy, host: Host) -> str:
    """Send a report to CloudWatch Logs and return where it went."""
    payload = cloudwatch.render(report, policy)
    made = consignment(report, payload, policy.timeout_s)
    (sent,) = cloudwatch.send(host, policy, made)
    if sent.refused:
        raise SinkError(sent.refused)
    return sent.place
