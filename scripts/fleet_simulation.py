#!/usr/bin/env python3
"""Simulate a fleet that reports in one minute: how many reports AWS's quotas turn away.

    python3 scripts/fleet_simulation.py [--nodes 100000] [--seed 1]

Every node makes one call at the start of a cron minute plus its splay, which is drawn evenly, as
sha256 of the node id is. The quota of an account and Region is a token bucket with a burst of one
second. A call that is throttled is tried again as nodecheck does it: 4 attempts in all, full jitter
(a pause of 0 to min(2^i, 20) s after attempt i = 0, 1, 2), everything within 60 s. A node without
success has lost its call; its report then waits in the spool for the next run.

Quotas, calls a second: PutMetricData 500 and PutLogEvents 5,000 for each account and Region; SSM's
writes have no published quota, 40 is that of GetParameter. Source: Amazon CloudWatch and CloudWatch
Logs user guides, "service quotas"; AWS Systems Manager endpoints and quotas.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

ATTEMPTS: Final = 4
BACKOFF_CAP_S: Final = 20.0
TOTAL_CAP_S: Final = 60.0
ROUND_TRIP_S: Final = 0.05
CRON_SPREAD_S: Final = 1.0
"""Cron starts within a second, and a run takes about as long on every node."""

QUOTAS: Final = {"PutMetricData": 500, "PutLogEvents": 5_000, "SSM (assumed)": 40}
SPLAYS_S: Final = (0, 60, 300, 900, 1_500)


@dataclass(frozen=True)
class Outcome:
    """What became of one call of each node."""

    nodes: int
    lost: int
    throttled: int
    lasted_s: float

    @property
    def lost_percent(self) -> float:
        """Return the share of nodes that lost their call."""
        return 100 * self.lost / self.nodes


class Bucket:
    """A token bucket: a rate a second, and as much in one burst."""

    def __init__(self, rate: float) -> None:
        """Fill it."""
        self._rate = rate
        self._tokens = rate
        self._filled_s = 0.0

    def take(self, now_s: float) -> bool:
        """Take a token if there is one; time never runs backwards."""
        grown = (now_s - self._filled_s) * self._rate
        self._tokens = min(self._rate, self._tokens + grown)
        self._filled_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def simulate(
    nodes: int, rate: float, splay_s: float, chance: random.Random, attempts: int = ATTEMPTS
) -> Outcome:
    """Let every node make its call."""
    starts = (chance.uniform(0, CRON_SPREAD_S + splay_s) for _ in range(nodes))
    waiting = [(start_s, 0, start_s) for start_s in starts]
    heapq.heapify(waiting)
    bucket = Bucket(rate)
    lost = throttled = 0
    now_s = 0.0
    while waiting:
        now_s, attempt, start_s = heapq.heappop(waiting)
        if bucket.take(now_s):
            continue
        throttled += 1
        pause_s = ROUND_TRIP_S + chance.uniform(0, min(2**attempt, BACKOFF_CAP_S))
        if attempt + 1 == attempts or now_s + pause_s - start_s >= TOTAL_CAP_S:
            lost += 1
        else:
            heapq.heappush(waiting, (now_s + pause_s, attempt + 1, start_s))
    return Outcome(nodes, lost, throttled, now_s)


def table(nodes: int, seed: int) -> str:
    """Return the share of nodes that lose their call, by quota and splay."""
    heads = "".join(f"{f'splay {splay_s} s':>13}" for splay_s in SPLAYS_S)
    lines = [f"{f'{nodes:,} nodes, % lost':<25}{heads}   enough: nodes / (0.5 * quota)"]
    for name, rate in QUOTAS.items():
        # A seed of its own for each: a row does not depend on the others.
        cells = [
            simulate(nodes, rate, splay_s, random.Random(f"{seed} {name} {splay_s}"))  # noqa: S311
            for splay_s in SPLAYS_S
        ]
        shares = "".join(f"{cell.lost_percent:>13.2f}" for cell in cells)
        lines.append(f"{name:<15}{rate:>6}/s  {shares}   {nodes / (0.5 * rate):,.0f} s")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table for the fleet asked for, and for a tenth and a hundredth of it."""
    parser = argparse.ArgumentParser(description="Simulate a fleet that reports in one minute.")
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    for nodes in (options.nodes, options.nodes // 10, options.nodes // 100):
        if nodes:
            sys.stdout.write(table(nodes, options.seed) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
