"""Draw the dashboard from invented data, for the README; needs matplotlib, which nothing else does.

The fleet of the picture: 100 nodes over a day. At 06:00 a time server of 7 nodes goes wrong and
their clocks drift; at 11:00 the runbook mends them; at 15:00 four nodes fall silent.
"""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING, Any, Final

from making.dashboard import dashboard

if TYPE_CHECKING:
    from pathlib import Path

HOURS: Final = range(24)
COLOURS: Final = {"ok": "#2ca02c", "warn": "#ff9f0e", "crit": "#d62728", "unknown": "#7f7f7f"}
BAD_FROM, BAD_UNTIL, SILENT_FROM = 6, 11, 15
TABLES: Final[dict[str, tuple[tuple[str, ...], list[tuple[str, ...]]]]] = {
    "Worst clocks": (
        ("node", "off_s", "bound_s", "source"),
        [
            ("i-0d41f8aa20be63c57", "31.842", "0.0021", "ntp"),
            ("i-08c3e92b7714f0d9a", "0.412", "0.0016", "ntp"),
            ("mi-0b55c1f7e3a9d2846", "0.097", "0.4810", "https"),
            ("i-0f9a4d1c6e2b87350", "0.038", "0.0012", "ntp"),
        ],
    ),
    "Longest silent": (
        ("seen", "node", "verdict"),
        [
            ("15:02", "i-06be1f3c9d7a42058", "ok"),
            ("15:04", "i-0a7c5e8d21f3b6940", "ok"),
            ("15:09", "i-03d9f6b48c1e7a25f", "warn"),
            ("15:11", "mi-07e2a4c6f8b0d1935", "ok"),
        ],
    ),
    "Unsigned or not proven": (
        ("node", "signature", "files", "running"),
        [("i-0c8b7a6f5e4d32190", "ok", "crit changed", "ok")],
    ),
    "Oldest agents": (
        ("node", "agent", "advisory", "system"),
        [
            ("i-04f1c7d9e2a8b6350", "crit far-behind", "crit vulnerable", "Ubuntu 20.04"),
            ("i-09e6b3a5d8c2f1740", "warn behind", "ok", "Amazon Linux 2"),
            ("i-0e2d8f4b6a1c97530", "warn behind", "ok", "Windows Server 2019"),
        ],
    ),
}


def draw(target: Path) -> int:
    """Draw the picture."""
    try:
        import matplotlib as mpl  # type: ignore[import-not-found]
    except ImportError:
        sys.stderr.write("aws-templates: the picture needs matplotlib: pip install matplotlib\n")
        return 1
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    widgets = dashboard("eu-west-1", "/nodecheck", "NodeCheck")["widgets"]
    figure, places = plt.subplots(
        4,
        2,
        figsize=(12, 8.6),
        dpi=80,
        layout="constrained",
        height_ratios=(3, 3, 1.9, 1.6),
    )
    figure.suptitle("NodeCheck-eu-west-1 (invented data)", fontsize=13, x=0.01, ha="left")
    for widget in widgets:
        axes = places[widget["y"] // 6][widget["x"] // 12]
        title = widget["properties"]["title"]
        axes.set_title(title, fontsize=10, loc="left", fontweight="bold")
        if widget["type"] == "log":
            _table(axes, *TABLES[title])
        elif widget["properties"].get("stacked"):
            _stack(axes, widget["properties"]["metrics"])
        else:
            _lines(axes, widget["properties"]["metrics"])
    figure.savefig(target, metadata={"Software": None})
    return 0


def _stack(axes: Any, metrics: list[list[Any]]) -> None:  # noqa: ANN401
    shown = {
        metric[-1]["label"]: (_runs(metric[3], metric[5]), metric[5], metric[3])
        for metric in metrics
    }
    shown = {label: item for label, item in shown.items() if any(item[0])}
    drawn = axes.stackplot(
        HOURS,
        [item[0] for item in shown.values()],
        labels=list(shown),
        colors=[COLOURS[item[1]] for item in shown.values()],
    )
    for area, (_, _, platform) in zip(drawn, shown.values(), strict=True):
        area.set_alpha(0.9 if platform == "linux" else 0.5)
    _finish(axes)
    axes.set_ylim(0, 270)


def _runs(platform: str, status: str) -> list[float]:
    """Return reports an hour: 80 Linux nodes and 20 Windows nodes, two an hour each."""
    made: list[float] = []
    for hour in HOURS:
        nodes = {"ok": 77, "warn": 3, "crit": 0, "unknown": 0}
        if platform == "windows":
            nodes = {"ok": 19, "warn": 1, "crit": 0, "unknown": 0}
        elif BAD_FROM <= hour < BAD_UNTIL:
            nodes |= {"ok": 70, "crit": 7}
        if hour >= SILENT_FROM and platform == "linux":
            nodes["ok"] -= 4
        made.append(nodes[status] * 2)
    return made


def _lines(axes: Any, metrics: list[list[Any]]) -> None:  # noqa: ANN401
    chance = random.Random(9)  # noqa: S311 - a picture
    for _, metric, _, platform, options in metrics:
        values = [_value(metric, platform, options["stat"], hour, chance) for hour in HOURS]
        style = "-" if platform == "linux" else "--"
        axes.plot(HOURS, values, style, linewidth=1.6, label=options["label"])
    _finish(axes)


def _value(metric: str, platform: str, statistic: str, hour: int, chance: random.Random) -> float:
    noise = chance.random()
    bad = platform == "linux" and BAD_FROM <= hour < BAD_UNTIL
    drift = 82.0 * (hour - BAD_FROM + 1) if bad else 0.0
    if metric == "ClockOffsetAbs":
        worst = {"p50": 0.001, "p99": 0.4, "Maximum": 30.0 + noise}[statistic]
        return worst if statistic == "p50" else max(worst, drift)
    if metric == "ClockHeadroom":
        return 300.0 - max(30.0 + noise if platform == "linux" else 2.0, drift)
    share = {"ClockFail": 0.0, "AgentVersionFail": 0.03, "SignatureFail": 0.01, "AgentFail": 0.04}
    return share[metric] + (0.0875 if bad and metric == "ClockFail" else 0.0)


def _finish(axes: Any) -> None:  # noqa: ANN401
    axes.set_xlim(0, 23)
    axes.set_xticks(range(0, 24, 3), [f"{hour:02}:00" for hour in range(0, 24, 3)], fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(visible=True, alpha=0.3)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.25 * (high - low))  # room for the legend
    axes.legend(fontsize=7, ncols=4, loc="upper left", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _table(axes: Any, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:  # noqa: ANN401
    axes.axis("off")
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(len, column)) + 3 for column in columns]
    table = axes.table(
        [list(row) for row in rows],
        colLabels=list(head),
        colWidths=[width / sum(widths) for width in widths],
        loc="upper left",
    )
    table.auto_set_font_size(value=False)
    table.set_fontsize(8)
    table.scale(1, 1.35)
    for (row, _), cell in table.get_celld().items():
        cell.set_edgecolor("#dddddd")
        cell.set_text_props(ha="left")
        if row == 0:
            cell.set_facecolor("#f2f3f3")
            cell.set_text_props(fontweight="bold")
