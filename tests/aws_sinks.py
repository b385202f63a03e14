"""The sinks that call AWS, each with what its tests ask of the strict server."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nodecheck.host.here import this_host
from nodecheck.host.local_clock import SystemClock
from nodecheck.model.moment import CorrectedTime, instant
from nodecheck.model.settings import DEFAULTS, Settings
from nodecheck.outlets import OUTLETS, Queue
from nodecheck.records import replace
from tests import sending
from tests.reports import report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from nodecheck.host.door import Host
    from nodecheck.model.report import Report
    from nodecheck.model.spool import Sent
    from tests.aws_server import AwsServer

STREAM: Final = "i-0123456789abcdef0"


@dataclass(frozen=True)
class AwsSink:
    """One sink: its service in words, its endpoint's variable and host name, what arrived."""

    name: str
    service: str
    variable: str
    host_name: str
    operation: str
    received: Callable[[AwsServer], int]

    @property
    def queue(self) -> Queue:
        found = OUTLETS[self.name]
        assert isinstance(found, Queue)
        return found


SINKS: Final = (
    AwsSink(
        "cloudwatch",
        "CloudWatch Logs",
        "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
        "logs",
        "PutLogEvents",
        lambda server: len(server.events),
    ),
    AwsSink(
        "cloudwatch-metrics",
        "CloudWatch",
        "AWS_ENDPOINT_URL_CLOUDWATCH",
        "monitoring",
        "PutMetricData",
        lambda server: len(server.metrics.data),
    ),
    AwsSink(
        "compliance",
        "Systems Manager",
        "AWS_ENDPOINT_URL_SSM",
        "ssm",
        "PutComplianceItems",
        lambda server: len(server.ssm.compliance),
    ),
)


class Hasty(SystemClock):
    """Pauses a twentieth of what it is asked to."""

    def pause(self, duration_s: float) -> None:
        super().pause(duration_s / 20)


def hasty_host() -> Host:
    return replace(this_host(), clock=Hasty())


def point_to(server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process reach the server, and have no other way to AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_") or "PROXY" in name.upper()]:
        monkeypatch.delenv(name)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    server.logs.groups["/nodecheck"].add(STREAM)


def effective(folder: Path | str, **changes: object) -> Settings:
    """Return settings with a state folder; in names of changes ``__`` is the dot."""
    given = {name.replace("__", "."): value for name, value in changes.items()}
    values = {"node.region": "eu-central-1", "state.dir": str(folder), **given}
    origins = dict.fromkeys(given, "flag")
    return Settings(
        {**DEFAULTS.values, **values},  # type: ignore[dict-item]
        {**DEFAULTS.origins, **origins},
    )


def true_report(off_s: float = 0, **changes: object) -> Report:
    """Return a report whose corrected time is off by so much."""
    now_ns = time.time_ns() + int(off_s * 1e9)
    corrected = CorrectedTime(now_ns, this_host().clock.monotonic_ns(), 0.5, "test")
    return report(moment=instant(now_ns), corrected=corrected, **changes)


def deliver(
    sink: AwsSink, settings: Settings, made: Report | None = None, limit_s: float = 20
) -> tuple[Sent, ...]:
    """Render and send one report, past the spool."""
    told = made or true_report()
    consignment = sending.consignment(told, sink.queue.render(settings, told), limit_s)
    return tuple(sink.queue.send(hasty_host(), settings, consignment))
