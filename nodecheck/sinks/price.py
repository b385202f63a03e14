"""Estimate what CloudWatch charges for reports, in USD a month.

Prices of us-east-1 without the free tier, as of 2026-11 (https://aws.amazon.com/cloudwatch/pricing/);
other Regions differ by up to a half. A metric series costs by the month however many nodes feed it,
an event by its bytes, so a fleet pays for the log lines and a single node for the series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nodecheck.model.verdict import Status
from nodecheck.sinks.emf import METRICS

if TYPE_CHECKING:
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

PLATFORMS: Final = 2
"""Assumed of a fleet: Linux and Windows nodes, and every status seen each hour."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a fleet costs in a month: series of metrics, and bytes of events."""

    nodes: int
    series: int
    series_usd: float
    logs_usd: float

    @property
    def total_usd(self) -> float:
        """Return the whole price."""
        return self.series_usd + self.logs_usd


def estimate(nodes: int, event_bytes: int, policy: CloudWatchPolicy) -> Price:
    """Return the price of this many nodes that each send such an event every 30 minutes."""
    platforms = 1 if nodes == 1 else PLATFORMS
    judged = len(Status) - 1  # a verdict is never skip
    series = platforms * (len(METRICS) + (judged if policy.by_status else 0))
    gigabytes = nodes * RUNS_PER_MONTH * (event_bytes + EVENT_OVERHEAD_BYTES) / 1e9
    return Price(nodes, series, _series_usd(series), gigabytes * (INGESTED_GB_USD + KEPT_GB_USD))


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
