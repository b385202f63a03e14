"""The sinks of this build besides stdout, by the name that ``--report`` takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nodecheck import policies
from nodecheck.sinks import cloudwatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.door import Host
    from nodecheck.model.report import Delivery, Report
    from nodecheck.model.settings import Settings


@dataclass(frozen=True, slots=True)
class Outlet:
    """One sink: ``deliver`` sends a report or raises SinkError, ``preview`` sends nothing."""

    deliver: Callable[[Host, Settings, Report], Delivery]
    preview: Callable[[Settings, Report], str]


OUTLETS: Final = {
    cloudwatch.NAME: Outlet(
        lambda host, settings, report: cloudwatch.deliver(
            report, policies.cloudwatch(settings), host
        ),
        lambda settings, report: cloudwatch.dry_run(report, policies.cloudwatch(settings)),
    ),
}
