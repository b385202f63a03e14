"""Reports for the tests of sinks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from nodecheck.model.moment import EPOCH, CorrectedTime
from nodecheck.model.report import (
    ClockReading,
    NodeIdentity,
    Report,
    RunIdentity,
    ToolIdentity,
)
from nodecheck.model.verdict import Evidence, Finding, Status, Verdict
from nodecheck.records import replace

MOMENT = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
IDS = (
    "clock.offset", "clock.discipline", "clock.forecast", "agent.installed", "agent.version",
    "agent.advisory", "agent.signature", "agent.files", "agent.running", "agent.signing-key",
    "agent.service", "agent.channel", "agent.storage", "agent.update", "node.identity",
    "node.credentials", "node.endpoints", "hygiene.agent-update", "hygiene.patch-scan",
)  # fmt: skip


def ok(check_id: str) -> Verdict:
    return Verdict.ok(check_id, "fine", (Evidence("looked", value=True),))


def right(check_id: str) -> Verdict:
    """Return a check that is ok, with the numbers that sinks take out of it."""
    numbers: dict[str, tuple[Evidence, ...]] = {
        "clock.offset": (Evidence("headroom_s", -112.0833),),
        "agent.version": (Evidence("installed_version", "3.3.1.0"), Evidence("days_behind", 131)),
    }
    found = numbers.get(check_id)
    return Verdict.ok(check_id, "fine", found) if found else ok(check_id)


def bad(check_id: str, status: Status, reason: str = "beyond-tolerance") -> Verdict:
    finding = Finding(reason, f"{check_id}: measured 412 s, allowed 300 s")
    return Verdict.of(check_id, status, (finding,))


def corrected_at(moment: datetime, monotonic_ns: int = 0) -> CorrectedTime:
    true_ns = (moment - EPOCH) // timedelta(microseconds=1) * 1000
    return CorrectedTime(true_ns, monotonic_ns, 0.05, "https")


def report(*checks: Verdict, moment: datetime = MOMENT, **changes: Any) -> Report:  # noqa: ANN401
    """Return a report of a healthy Linux node, with changes."""
    made = Report(
        tool=ToolIdentity("0.1.0", "abcdef0"),
        run=RunIdentity(
            run_id="01JD0000000000000000000000",
            started_at=moment,
            local_started_at=moment - timedelta(seconds=412),
            duration_ms=812,
            deadline_s=10.0,
            privileged=True,
            trigger="timer",
        ),
        node=NodeIdentity(
            node_id="i-0123456789abcdef0",
            kind="ec2",
            region="eu-central-1",
            account="123456789012",
            platform="linux",
            os="Debian GNU/Linux 12",
            arch="x86_64",
        ),
        clock=ClockReading(412.0312, 0.0521, "https", ()),
        checks=checks or (right(IDS[0]), *(ok(name) for name in IDS[1:])),
        corrected=corrected_at(moment),
    )
    return replace(made, **changes)
