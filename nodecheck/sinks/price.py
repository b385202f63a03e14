"""Estimate what CloudWatch charges for reports, in USD a month.

Prices of us-east-1 without the free tier, as of 2026-11 (https://aws.amazon.com/cloudwatch/pricing/);
other Regions differ by up to a half. A metric series costs by the month however many nodes feed it,
an event by its bytes, so a fleet pays for the log lines and a single node for the series.
PutMetricData costs by the call, on a large fleet twenty times what the same numbers cost in a log
line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.verdict import Status
from nodecheck.records import dataclass
from nodecheck.sinks.emf import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nodecheck.model.reporting import CloudWatchPolicy

RUNS_PER_MONTH: Final = 1460
"""Every 30 minutes: 730 hours of 2 runs."""

EVENT_OVERHEAD_BYTES: Final = 26
"""Counted by PutLogEvents for each event (CloudWatch Logs API reference)."""

INGESTED_GB_USD: Final = 0.50
KEPT_GB_USD: Final = 0.002
"""Standard log class; kept means 14 days of retention, compressed."""

SERIES_TIERS: Final = ((10_000, 0.30), (250_000, 0.10), (1_000_000, 0.05), (None, 0.02))
"""Up to this many series in an account and Region, each costs so much."""

FREE: Final = (
    "estimated cost a month: 0.00 USD for any number of nodes; where AWS Config records it, "
    "0.003 USD for each change"
)
"""Compliance and inventory (https://aws.amazon.com/systems-manager/pricing/)."""

CALL_USD: Final = 0.01 / 1000
"""Each PutMetricData."""

PER_NODE_METRICS: Final = ("ClockOffsetAbs", "Crit", "Unknown")
"""What a dimension of each node is worth: three series, 0.90 USD a node and month."""

FLEETS: Final = (1, 1_000, 100_000)

PLATFORMS: Final = 2
"""Assumed of a fleet: Linux and Windows nodes, and every status seen each hour."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a fleet costs in a month: series of metrics, bytes of events, and calls."""

    nodes: int
    series: int
    series_usd: float
    logs_usd: float
    calls_usd: float = 0.0

    @property
    def total_usd(self) -> float:
        """Return the whole price."""
        return self.series_usd + self.logs_usd + self.calls_usd


def estimate(nodes: int, event_bytes: int, policy: CloudWatchPolicy) -> Price:
    """Return the price of this many nodes that each send such an event every 30 minutes."""
    series = _fleet_series(nodes, policy)
    gigabytes = nodes * RUNS_PER_MONTH * (event_bytes + EVENT_OVERHEAD_BYTES) / 1e9
    return Price(nodes, series, _series_usd(series), gigabytes * (INGESTED_GB_USD + KEPT_GB_USD))


def estimate_metrics(nodes: int, policy: CloudWatchPolicy) -> Price:
    """Return the price of this many nodes that each call PutMetricData every 30 minutes."""
    series = _fleet_series(nodes, policy)
    series += nodes * len(PER_NODE_METRICS) if policy.per_node else 0
    calls_usd = nodes * RUNS_PER_MONTH * CALL_USD
    return Price(nodes, series, _series_usd(series), 0.0, calls_usd)


def _fleet_series(nodes: int, policy: CloudWatchPolicy) -> int:
    platforms = 1 if nodes == 1 else PLATFORMS
    judged = len(Status) - 1  # a verdict is never skip
    return platforms * (len(METRICS) + (judged if policy.by_status else 0))


def fleets(policy: CloudWatchPolicy) -> tuple[int, ...]:
    """Return the sizes of a fleet for which a dry run names the price.

    >>> from nodecheck.model.reporting import CloudWatchPolicy
    >>> fleets(CloudWatchPolicy(fleet_nodes=7)), fleets(CloudWatchPolicy(fleet_nodes=1))
    ((1, 7), (1,))
    """
    return tuple(dict.fromkeys((1, policy.fleet_nodes))) if policy.fleet_nodes else FLEETS


def cost_lines(prices: Iterable[Price]) -> Iterator[str]:
    """Return a line for each size of a fleet."""
    for price in prices:
        nodes = f"{price.nodes:>7,} {'node: ' if price.nodes == 1 else 'nodes:'}"
        each_usd = price.total_usd / price.nodes
        parts = [f"{price.series} metric series {price.series_usd:,.2f}"]
        parts += [f"logs {price.logs_usd:.2f}"] if price.logs_usd else []
        parts += [f"calls {price.calls_usd:.2f}"] if price.calls_usd else []
        yield f"  {nodes} {price.total_usd:,.2f} USD, {each_usd:.5f} each ({', '.join(parts)})"


def _series_usd(series: int) -> float:
    """Return the price of metric series, tier by tier.

    >>> _series_usd(10), _series_usd(10_001)
    (3.0, 3000.1)
    """
    usd, below = 0.0, 0
    for limit, each_usd in SERIES_TIERS:
        here = series - below if limit is None else min(series, limit) - below
        usd += max(here, 0) * each_usd
        below = limit or series
    return round(usd, 2)
