"""Write a report in Prometheus's text format 0.0.4, for node_exporter's textfile collector.

That collector skips a whole file in which one sample has a timestamp (node_exporter,
collector/textfile.go, ``hasTimestamps``), so the time of the run is a metric of its own. It is the
corrected time, and absent where the clock could not be measured: a time that may be wrong would
make a stale report look fresh.

A status is a set of states: one series for each state, one of them 1 (OpenMetrics specification,
"StateSet"; kube_pod_status_phase does the same). No series comes or goes when a status changes, and
no number suggests an order: ``unknown`` is 3 among exit codes, but milder than ``crit``.

Units are base units (Prometheus, "Metric and label naming"). Everything is ASCII: there is no
escape for other characters, and stdout need not be UTF-8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.report import SUMMARY_LIMIT, shorten
from nodecheck.model.verdict import Status
from nodecheck.sinks.measures import measures
from nodecheck.sinks.text import verdict_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from nodecheck.model.report import Report

DAY_S: Final = 86_400
LABEL_LIMIT: Final = 200
VERDICTS: Final = (Status.OK, Status.WARN, Status.CRIT, Status.UNKNOWN)
STATUSES: Final = (*VERDICTS, Status.SKIP)

Sample = tuple["Mapping[str, str]", float]


def render(report: Report) -> str:
    """Return all metrics, ending in a newline; the first line, a comment, is the verdict."""
    comment = f"# {_ascii(verdict_line(report), SUMMARY_LIMIT)}"
    return "\n".join([comment, *_states(report), *_numbers(report), *_identity(report)]) + "\n"


def _states(report: Report) -> Iterable[str]:
    yield from _family(
        "nodecheck_verdict",
        "Verdict of the whole run: one of the states is 1.",
        [({"status": item.value}, int(report.verdict is item)) for item in VERDICTS],
    )
    statuses = {_ascii(check.check_id): check.status for check in report.checks}
    yield from _family(
        "nodecheck_check_status",
        "Status of each check: one of the states is 1.",
        [
            ({"check": check_id, "status": item.value}, int(status is item))
            for check_id, status in statuses.items()
            for item in STATUSES
        ],
    )
    yield from _family(
        "nodecheck_exit_code",
        "Exit code of the run: 0 ok, 1 warn, 2 crit, 3 unknown, 64 and above not run.",
        [({}, report.exit_code)],
    )


def _numbers(report: Report) -> Iterable[str]:
    found, run = measures(report), report.run
    corrected_s = _unix_s(run.started_at) if report.corrected is not None else None
    for name, meaning, value in (
        ("clock_offset_seconds", "True time minus local clock; positive: slow.", found.offset_s),
        ("clock_bound_seconds", "How wrong the measured offset can be.", found.bound_s),
        ("clock_headroom_seconds", "Tolerance minus offset and bound.", found.headroom_s),
        ("clock_tolerance_seconds", "Clock error that AWS accepts.", found.tolerance_s),
        ("agent_behind_seconds", "Agent behind the newest offered.", _days(found.behind_days)),
        ("signing_key_left_seconds", "Until the newest key expires.", _days(found.key_days)),
        ("run_timestamp_seconds", "Corrected time at which the run began.", corrected_s),
        (
            "run_local_timestamp_seconds",
            "What the local clock said when the run began.",
            _unix_s(run.local_started_at),
        ),
        ("run_duration_seconds", "Time the run took.", run.duration_ms / 1000),
    ):
        if value is not None:
            yield from _family(f"nodecheck_{name}", meaning, [({}, value)])


def _identity(report: Report) -> Iterable[str]:
    node = report.node
    labels = {
        "version": report.tool.version,
        "node": node.node_id or "",
        "region": node.region or "",
        "account": node.account or "",
        "platform": node.platform,
        "os": node.os,
        "arch": node.arch,
    }
    yield from _family("nodecheck_info", "Which nodecheck looked at which node.", [(labels, 1)])


def _family(name: str, meaning: str, samples: Iterable[Sample]) -> Iterable[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{name}{{{inner}}} {value!r}" if inner else f"{name} {value!r}"


def _escaped(text: str) -> str:
    """Return a label's value as it stands between quotes; the newline is gone before."""
    return _ascii(text).replace("\\", "\\\\").replace('"', '\\"')


def _ascii(text: str, limit: int = LABEL_LIMIT) -> str:
    return shorten(text, limit).replace("±", "+-").encode("ascii", "replace").decode("ascii")


def _days(days: float | None) -> float | None:
    return None if days is None else days * DAY_S


def _unix_s(moment: datetime) -> float:
    return round(moment.timestamp(), 3)
