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
    """One sink: ``deliver`` sends in some seconds or raises SinkError, ``preview`` only shows."""

    deliver: Callable[[Host, Settings, Report, float], Delivery]
    preview: Callable[[Settings, Report], str]


OUTLETS: Final = {
    cloudwatch.NAME: Outlet(
        lambda host, settings, report, limit_s: cloudwatch.deliver(
            report, policies.cloudwatch(settings, limit_s), host
        ),
        lambda settings, report: cloudwatch.dry_run(report, policies.cloudwatch(settings)),
    ),
}
