"""The numbers of a report that monitoring systems plot; what is not known is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.report import Report
    from nodecheck.model.verdict import Value

LARGEST: Final = 1e12
"""Seconds or days beyond this are a mistake of their source, not a measurement."""


@dataclass(frozen=True, slots=True)
class Measures:
    """Numbers; None is: not measured, or not a number. ``agent_version`` '' is: not known."""

    offset_s: float | None
    bound_s: float | None
    headroom_s: float | None
    tolerance_s: float | None
    behind_days: float | None
    key_days: float | None
    agent_version: str


def measures(report: Report) -> Measures:
    """Return the numbers of this report."""
    clock = report.clock
    tolerance_s = _number(_evidence(report, "clock.offset", "tolerance_s"))
    return Measures(
        offset_s=_number(clock.offset_s) if clock else None,
        bound_s=_number(clock.bound_s) if clock else None,
        headroom_s=_number(_evidence(report, "clock.offset", "headroom_s")) if clock else None,
        # It may come from an error text in the agent's log; a range needs a width.
        tolerance_s=tolerance_s if tolerance_s is not None and tolerance_s > 0 else None,
        behind_days=_behind_days(report),
        key_days=_number(_evidence(report, "agent.signing-key", "days_left")),
        agent_version=str(_evidence(report, "agent.version", "installed_version") or ""),
    )


def _behind_days(report: Report) -> float | None:
    """Return how far the agent is behind: 0 where it is the version that the Region offers."""
    days = _number(_evidence(report, "agent.version", "days_behind"))
    if days is not None:
        return days
    offered = _evidence(report, "agent.version", "offered_version")
    installed = _evidence(report, "agent.version", "installed_version")
    return 0.0 if offered is not None and offered == installed else None


def _evidence(report: Report, check_id: str, name: str) -> Value:
    for check in report.checks:
        if check.check_id == check_id:
            return next((item.value for item in check.evidence if item.name == name), None)
    return None


def _number(value: Value) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) <= LARGEST else None  # NaN compares as false
