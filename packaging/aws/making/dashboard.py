"""The dashboard: what the fleet reports, and the nodes to begin with."""

from __future__ import annotations

import json
from typing import Any, Final

from making.places import QUERIES

Resource = dict[str, Any]

PLATFORMS: Final = {"Linux": "linux", "Windows": "windows"}
HOUR: Final = 3600


def dashboard(region: str, log_group: str, namespace: str) -> Resource:
    """Return the body of the dashboard, with the caller's marks for what it is told later."""

    def graph(
        title: str, row: int, column: int, metrics: list[list[Any]], **more: object
    ) -> Resource:
        return {
            "type": "metric",
            "x": column * 12,
            "y": row * 6,
            "width": 12,
            "height": 6,
            "properties": {
                "title": title,
                "region": region,
                "view": "timeSeries",
                "period": HOUR,
                "metrics": metrics,
                **more,
            },
        }

    def line(metric: str, platform: str, statistic: str, label: str) -> list[Any]:
        options = {"stat": statistic, "label": label}
        return [namespace, metric, "Platform", platform, options]

    def table(title: str, row: int, column: int, query: str) -> Resource:
        text = (QUERIES / f"{query}.txt").read_text()
        body = "\n".join(part for part in text.splitlines() if not part.startswith("#"))
        return {
            "type": "log",
            "x": column * 12,
            "y": row * 6,
            "width": 12,
            "height": 6,
            "properties": {
                "title": title,
                "region": region,
                "view": "table",
                "query": f"SOURCE '{log_group}' | {body}",
            },
        }

    both = list(PLATFORMS.items())
    states = [
        [
            namespace,
            "Runs",
            "Platform",
            platform,
            "Status",
            status,
            {"stat": "Sum", "label": f"{name} {status}"},
        ]
        for name, platform in both
        for status in ("ok", "warn", "crit", "unknown")
    ]
    offsets = [
        line("ClockOffsetAbs", platform, statistic, f"{name} {statistic}")
        for name, platform in both
        for statistic in ("p50", "p99", "Maximum")
    ]
    trouble = [
        line(metric, platform, "Average", f"{name} {label}")
        for name, platform in both
        for metric, label in (
            ("ClockFail", "clock"),
            ("AgentVersionFail", "version"),
            ("SignatureFail", "signature"),
            ("AgentFail", "agent"),
        )
    ]
    headroom = [line("ClockHeadroom", platform, "Minimum", name) for name, platform in both]
    floor = {"yAxis": {"left": {"min": 0}}}
    return {
        "widgets": [
            graph("Reports an hour, by verdict", 0, 0, states, stacked=True),
            graph("Share of nodes with a problem (1 is all)", 0, 1, trouble, **floor),
            graph("Clock offset, s", 1, 0, offsets, **floor),
            graph("Least clock headroom, s (below 0 AWS refuses)", 1, 1, headroom),
            table("Worst clocks", 2, 0, "worst-clocks"),
            table("Longest silent", 2, 1, "silent-nodes"),
            table("Unsigned or not proven", 3, 0, "unsigned"),
            table("Oldest agents", 3, 1, "oldest-agents"),
        ]
    }


def by_widget(body: Resource) -> str:
    """Return JSON with a line for each widget."""
    widgets = body["widgets"]
    if not isinstance(widgets, list):
        raise TypeError
    lines = ",\n".join(json.dumps(widget, separators=(",", ":")) for widget in widgets)
    return '{"widgets":[\n' + lines + "\n]}\n"
