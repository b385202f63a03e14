"""The sinks of this build besides stdout, by the name that ``--report`` takes.

A sink is one of two kinds:

``Outlet`` hands a report over at once and on this node (a file, the local log). It keeps nothing:
what it cannot hand over has failed.

``Queue`` sends through the spool. Its report is kept on disk before the first attempt, and only
what was taken is removed: neither a dead network nor ``kill -9`` loses it, and a later run sends
it, oldest first. The sink has two halves:

- ``render(settings, report)`` returns the payload, a JSON object in the sink's own form *without
  any time* and without what only the sending run can know (Region, account): a report is often sent
  by another run, of a later version, with the time corrected only then. It raises SinkError when
  this report can never be sent.
- ``send(host, settings, consignment)`` sends ``consignment.reports`` in their order, each stamped
  with its ``time_ms`` (and a mark where ``is_certain`` is false), signed at
  ``consignment.corrected``, and yields a ``Sent`` as soon as the other side took some of them: what
  is yielded is removed from the spool before the next is sent. A report that can never be taken
  (not understood, refused for what it is) is yielded with ``refused`` and dropped. It raises
  SinkError for everything that may pass; what was not yielded stays. It ends within
  ``consignment.limit_s`` seconds. The payload comes from a file: its members may have any type.

``latest_only`` is for sinks that overwrite (compliance, inventory): a newer report of theirs takes
the place of an older one that still waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from nodecheck import policies
from nodecheck.records import dataclass
from nodecheck.sinks import (
    cloudwatch,
    cloudwatch_agent,
    cloudwatch_metrics,
    compliance,
    eventlog,
    file_log,
    inventory,
    syslog,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nodecheck.host.door import Host
    from nodecheck.model.report import Delivery, Report
    from nodecheck.model.reporting import CloudWatchPolicy
    from nodecheck.model.settings import Settings
    from nodecheck.model.spool import Consignment, Sent
    from nodecheck.sinks.iam import Right


@dataclass(frozen=True, slots=True)
class Outlet:
    """One sink: ``deliver`` sends in some seconds or raises SinkError, ``preview`` only shows."""

    deliver: Callable[[Host, Settings, Report, float], Delivery]
    preview: Callable[[Settings, Report], str]


@dataclass(frozen=True, slots=True)
class Queue:
    """One sink behind the spool; see above."""

    render: Callable[[Settings, Report], dict[str, object]]
    send: Callable[[Host, Settings, Consignment], Iterator[Sent]]
    preview: Callable[[Settings, Report], str]
    latest_only: bool = False


def _exiting(settings: Settings, report: Report) -> Report:
    """Return the report with the exit code that the run has so far."""
    return report.exiting(settings.text("run.fail_on"))


class _CloudWatchSink(Protocol):
    """A module whose payload ends in CloudWatch."""

    def render(self, report: Report, policy: CloudWatchPolicy) -> dict[str, object]: ...

    def send(
        self, host: Host, policy: CloudWatchPolicy, consignment: Consignment
    ) -> Iterator[Sent]: ...

    def dry_run(self, report: Report, policy: CloudWatchPolicy) -> str: ...


def _through_cloudwatch(sink: _CloudWatchSink) -> Queue:
    return Queue(
        render=lambda settings, report: sink.render(report, policies.cloudwatch(settings)),
        send=lambda host, settings, consignment: sink.send(
            host, policies.cloudwatch(settings, consignment.limit_s), consignment
        ),
        preview=lambda settings, report: sink.dry_run(report, policies.cloudwatch(settings)),
    )


OUTLETS: Final[dict[str, Outlet | Queue]] = {
    cloudwatch.NAME: _through_cloudwatch(cloudwatch),
    cloudwatch_metrics.NAME: _through_cloudwatch(cloudwatch_metrics),
    cloudwatch_agent.NAME: _through_cloudwatch(cloudwatch_agent),
    compliance.NAME: Queue(
        render=lambda settings, report: compliance.render(report, policies.compliance(settings)),
        send=lambda host, settings, consignment: compliance.send(
            host,
            policies.compliance(
                settings,
                consignment.limit_s,
                settings.text("state.dir") or host.state.default_folder(),
            ),
            consignment,
        ),
        preview=lambda settings, report: compliance.dry_run(report, policies.compliance(settings)),
        latest_only=True,
    ),
    inventory.NAME: Outlet(
        lambda host, settings, report, _limit_s: inventory.deliver(
            report, host, policies.narrowed(settings)
        ),
        lambda settings, report: inventory.dry_run(report, policies.narrowed(settings)),
    ),
    syslog.NAME: Outlet(
        lambda _host, settings, report, limit_s: syslog.deliver(
            _exiting(settings, report), limit_s
        ),
        lambda settings, report: syslog.preview(_exiting(settings, report)),
    ),
    eventlog.NAME: Outlet(
        lambda _host, settings, report, _limit_s: eventlog.deliver(_exiting(settings, report)),
        lambda settings, report: eventlog.preview(_exiting(settings, report)),
    ),
    file_log.NAME: Outlet(
        lambda _host, settings, report, _limit_s: file_log.deliver(
            _exiting(settings, report), settings.text("report.file")
        ),
        lambda settings, report: file_log.preview(
            _exiting(settings, report), settings.text("report.file")
        ),
    ),
}

RIGHTS: Final[dict[str, Callable[[Settings], tuple[Right, ...]]]] = {
    cloudwatch.NAME: lambda settings: cloudwatch.rights(
        policies.cloudwatch(settings), settings.text("node.region"), None
    ),
    cloudwatch_metrics.NAME: lambda settings: cloudwatch_metrics.rights(
        policies.cloudwatch(settings)
    ),
    compliance.NAME: lambda settings: compliance.rights(settings.text("node.region"), None),
}
"""What the sinks need that call AWS by the node's credentials, for any node of any account."""
