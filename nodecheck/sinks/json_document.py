"""The report for programs: one JSON document on one line, ASCII only.

Under Systems Manager the console keeps 2,500 characters of a step's output. There the document is
made to fit by leaving out, step by step, what ``-v`` or ``--output`` still show in full.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final

from nodecheck.model.verdict import Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from nodecheck.model.report import ClockReading, Report
    from nodecheck.model.verdict import Value, Verdict

SCHEMA_NAME: Final = "nodecheck/1"
SSM_LIMIT_BYTES: Final = 2400

Json = str | int | float | bool | list["Json"] | dict[str, "Json"] | None
"""What a JSON document is made of."""


def render(report: Report, limit_bytes: int | None = None) -> str:
    """Return the report as one line of JSON; with a limit, only as much as fits into it."""
    document = document_of(report)
    text = _dump(document)
    for reduce in _REDUCTIONS:
        if limit_bytes is None or len(text) <= limit_bytes:
            break
        reduce(document)
        document["reduced"] = True
        text = _dump(document)
    return text + "\n"


def document_of(report: Report) -> dict[str, Json]:
    """Return the report in the shape of the schema."""
    run, node = report.run, report.node
    return {
        "schema": SCHEMA_NAME,
        "verdict": report.verdict.value,
        "summary": report.summary,
        "exit": report.exit_code,
        "tool": {"version": report.tool.version, "commit": report.tool.commit},
        "run": {
            "id": run.run_id,
            "started_at": _time(run.started_at),
            "local_started_at": _time(run.local_started_at),
            "duration_ms": run.duration_ms,
            "deadline_s": run.deadline_s,
            "privileged": run.privileged,
            "trigger": run.trigger,
        },
        "node": {
            "id": node.node_id,
            "kind": node.kind,
            "region": node.region,
            "account": node.account,
            "platform": node.platform,
            "os": node.os,
            "arch": node.arch,
        },
        "clock": _clock(report.clock),
        "checks": [_check(check) for check in report.checks],
        "counts": dict(report.counts),
        "delivery": [
            {"sink": item.sink, "state": item.state, "detail": item.detail}
            for item in report.deliveries
        ],
    }


def _clock(clock: ClockReading | None) -> Json:
    if clock is None:
        return None
    return {
        "offset_s": _number(clock.offset_s),
        "bound_s": _number(clock.bound_s),
        "source": clock.source,
        "falsetickers": list(clock.falsetickers),
    }


def _check(check: Verdict) -> Json:
    return {
        "id": check.check_id,
        "status": check.status.value,
        "reason": check.reason,
        "message": check.message,
        "findings": [
            {"reason": item.reason, "message": item.message, "path": item.path}
            for item in check.findings
        ],
        "evidence": {item.name: _value(item.value) for item in check.evidence},
        "sources": {item.name: item.source for item in check.evidence if item.source},
        "limit": check.limit,
        "duration_ms": check.duration_ms,
        "caused_by": check.caused_by,
        "waiver": check.message if check.reason == "waived" else None,
        "fix": [
            {"command": fix.command, "shell": fix.shell, "disruptive": fix.disruptive}
            for fix in check.fixes
        ],
    }


def _value(value: Value) -> Json:
    if isinstance(value, tuple):
        return list(value)
    return _number(value) if isinstance(value, float) else value


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _dump(document: Json) -> str:
    text = json.dumps(document, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    # A file name need not be text: what is no character becomes the replacement character.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.dumps(json.loads(text), separators=(",", ":"), allow_nan=False)


def _each(document: dict[str, Json], change: Callable[[dict[str, Json]], None]) -> None:
    checks = document["checks"]
    for check in checks if isinstance(checks, list) else ():
        if isinstance(check, dict):
            change(check)


def _without(*names: str) -> Callable[[dict[str, Json]], None]:
    def reduce(document: dict[str, Json]) -> None:
        def drop(check: dict[str, Json]) -> None:
            for name in names:
                check.pop(name, None)

        _each(document, drop)

    return reduce


def _without_empty(document: dict[str, Json]) -> None:
    def drop(check: dict[str, Json]) -> None:
        for name in [name for name, value in check.items() if value in (None, "", [], {})]:
            del check[name]

    _each(document, drop)


def _without_calm_messages(document: dict[str, Json]) -> None:
    def drop(check: dict[str, Json]) -> None:
        if _is_calm(check):
            check.pop("message", None)

    _each(document, drop)


def _with_short_messages(document: dict[str, Json]) -> None:
    _each(document, lambda check: check.update(message=str(check.get("message", ""))[:60]))
    deliveries = document["delivery"]
    for item in deliveries if isinstance(deliveries, list) else ():
        if isinstance(item, dict):
            item["detail"] = str(item["detail"])[:100]


def _without_calm_checks(document: dict[str, Json]) -> None:
    checks = document["checks"]
    if isinstance(checks, list):
        loud = [check for check in checks if not (isinstance(check, dict) and _is_calm(check))]
        document["checks"] = loud or checks[:1]


def _is_calm(check: dict[str, Json]) -> bool:
    return check["status"] in {Status.OK.value, Status.SKIP.value}


_REDUCTIONS: Final = (
    _without_empty,
    _without("sources"),
    _without("evidence"),
    _without("findings"),
    _without_calm_messages,
    _without("limit", "duration_ms", "waiver"),
    _with_short_messages,
    _without("fix"),
    _without_calm_checks,
    _without("message"),
)
