"""Write a report as one line of CloudWatch's embedded metric format (EMF).

CloudWatch Logs makes metrics of such a line; only the names below ``_aws`` become metrics and
dimensions, everything else is a property that Logs Insights can query and nobody pays a series for.
Dimensions name the fleet, never the node: one metric with a node dimension costs 0.30 USD a month
for each node.

Source: Amazon CloudWatch user guide, "Specification: Embedded metric format": at most 100 metrics
and 30 dimensions a directive, dimension values of 1 to 1,024 ASCII characters. One byte in every
event of 100,000 nodes costs 7 cents a month, so units that say nothing are left out, and the checks
are nested by group instead of repeating its name.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import SinkError
from nodecheck.model.report import shorten
from nodecheck.model.verdict import Status
from nodecheck.records import dataclass
from nodecheck.sinks.measures import measures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.model.report import Report
    from nodecheck.model.reporting import CloudWatchPolicy

LIMIT_BYTES: Final = 262_144
"""Longest event that every consumer of CloudWatch Logs takes (256 KB; the API itself: 1 MB)."""

STAMP_BYTES: Final = 64
"""More than the time, and the mark of an uncertain one, add to an event."""

TEXT_LIMIT: Final = 300
CHECKS_LIMIT: Final = 200


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a report: its name, its CloudWatch unit, and what it says."""

    name: str
    unit: str
    meaning: str


METRICS: Final = (
    Metric("Runs", "None", "1 for each report; its sum is the number of nodes times runs"),
    Metric("Warn", "None", "1 if the verdict is warn, else 0"),
    Metric("Crit", "None", "1 if the verdict is crit, else 0"),
    Metric("Unknown", "None", "1 if the verdict is unknown, else 0"),
    Metric("ClockOffsetAbs", "Seconds", "size of the clock's offset; absent when not measured"),
    Metric(
        "ClockHeadroom",
        "Seconds",
        "tolerance less offset and bound; negative: AWS may refuse; absent when not measured",
    ),
    Metric("ClockFail", "None", "1 if a clock check is warn or crit, 0 if all are ok"),
    Metric("AgentVersionFail", "None", "the same of agent.version and agent.advisory"),
    Metric("SignatureFail", "None", "the same of agent.signature, .files, .running"),
    Metric("AgentFail", "None", "the same of all agent checks"),
)
"""Every metric, for the documentation too. A flag is absent when nothing of it could be judged, or
when one of its checks is unknown and none failed: 0 means proven good, never "not looked"."""

_FLAGS: Final = {
    "ClockFail": ("clock.",),
    "AgentVersionFail": ("agent.version", "agent.advisory"),
    "SignatureFail": ("agent.signature", "agent.files", "agent.running"),
    "AgentFail": ("agent.",),
}


def emf_line(report: Report, policy: CloudWatchPolicy, time_ms: int) -> str:
    """Return the report as one line of JSON in embedded metric format, at a given time."""
    return dump(stamped(emf_document(report, policy), time_ms, is_certain=True))


def emf_document(report: Report, policy: CloudWatchPolicy) -> dict[str, object]:
    """Return the report in embedded metric format, without its time.

    Raises:
        SinkError: it is larger than CloudWatch takes.
    """
    values = metric_values(report)
    named = [_definition(item) for item in METRICS if item.name in values]
    directives = [_directive(policy, ["Platform"], named)]
    if policy.by_status:
        directives.append(_directive(policy, ["Platform", "Status"], [{"Name": "Runs"}]))
    document = {
        "_aws": {"CloudWatchMetrics": directives},
        "Platform": _dimension(report.node.platform),
        "Status": report.verdict.value,
        **values,
        **_properties(report),
    }
    size = len(dump(document)) + STAMP_BYTES
    if size > LIMIT_BYTES:
        msg = f"the event has {size} bytes, CloudWatch takes {LIMIT_BYTES}"
        raise SinkError(msg)
    return document


def stamped(
    document: Mapping[str, object], time_ms: int, *, is_certain: bool
) -> dict[str, object] | None:
    """Return a document, which may be anything that was read from a file, with its time.

    ``time_uncertain`` marks a time that only the node's own clock gave. None: not such a document.
    """
    meta = document.get("_aws")
    if not isinstance(meta, dict):
        return None
    mark = {} if is_certain else {"time_uncertain": True}
    return {**document, "_aws": {**meta, "Timestamp": time_ms}, **mark}


def dump(document: Mapping[str, object] | None) -> str:
    """Return a document as one line of ASCII."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def metric_values(report: Report) -> dict[str, float]:
    """Return the metrics of this report by name; what is not known is not in it."""
    values: dict[str, float] = {"Runs": 1}
    for status in (Status.WARN, Status.CRIT, Status.UNKNOWN):
        values[status.value.capitalize()] = int(report.verdict is status)
    found = measures(report)
    if found.offset_s is not None and found.bound_s is not None:
        values["ClockOffsetAbs"] = round(abs(found.offset_s), 6)
        if found.headroom_s is not None:
            values["ClockHeadroom"] = round(found.headroom_s, 6)
    for name, starts in _FLAGS.items():
        flag = _flag(report, starts)
        if flag is not None:
            values[name] = flag
    return values


def _definition(metric: Metric) -> dict[str, str]:
    unit = {} if metric.unit == "None" else {"Unit": metric.unit}
    return {"Name": metric.name, **unit}


def _directive(
    policy: CloudWatchPolicy, dimensions: list[str], metrics: list[dict[str, str]]
) -> dict[str, object]:
    return {"Namespace": policy.namespace, "Dimensions": [dimensions], "Metrics": metrics}


def _flag(report: Report, starts: tuple[str, ...]) -> int | None:
    found = {check.status for check in report.checks if check.check_id.startswith(starts)}
    if found & {Status.WARN, Status.CRIT}:
        return 1
    return 0 if Status.OK in found and Status.UNKNOWN not in found else None


def _properties(report: Report) -> dict[str, object]:
    clock = report.clock
    reading = (clock.offset_s, clock.bound_s, clock.source) if clock else (None, None, None)
    return {
        "schema": "nodecheck/1",
        "node": _text(report.node.node_id),
        "kind": _text(report.node.kind),
        "account": _text(report.node.account),
        "region": _text(report.node.region),
        "os": _text(report.node.os),
        "arch": _text(report.node.arch),
        "run": _text(report.run.run_id),
        "trigger": _text(report.run.trigger),
        "version": _text(report.tool.version),
        "verdict": report.verdict.value,
        "summary": _text(report.summary),
        "offset_s": _finite(reading[0]),
        "bound_s": _finite(reading[1]),
        "clock_source": _text(reading[2]),
        "duration_ms": report.run.duration_ms,
        **_of_agent(report),
        "checks": _outcomes(report),
    }


def _of_agent(report: Report) -> dict[str, object]:
    """Return what queries sort agents by; what is not known is not in it."""
    found = measures(report)
    told = {
        "agent_version": _text(found.agent_version) or None,
        "behind_days": found.behind_days,
        "key_days": found.key_days,
    }
    return {name: value for name, value in told.items() if value is not None}


def _outcomes(report: Report) -> dict[str, dict[str, str]]:
    """Return status and first reason of each check, by group and name."""
    outcomes: dict[str, dict[str, str]] = {}
    for check in report.checks[:CHECKS_LIMIT]:
        group, _, name = shorten(check.check_id, TEXT_LIMIT).partition(".")
        reason = check.findings[0].reason if check.findings else ""
        outcomes.setdefault(group, {})[name] = shorten(f"{check.status.value} {reason}", TEXT_LIMIT)
    return outcomes


def _text(value: str | None) -> str | None:
    return None if value is None else shorten(value, TEXT_LIMIT)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _dimension(value: str) -> str:
    """Return a valid dimension value: printable ASCII, not empty, without a colon in front."""
    ascii_only = shorten(value, TEXT_LIMIT).encode("ascii", "replace").decode()
    return ascii_only.lstrip(":").strip() or "unknown"
