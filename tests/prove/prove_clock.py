"""Prove that the interval holds the truth in every burst, and compare with ``chronyd -Q``.

``python -m tests.prove.prove_clock COUNT``. Half of the bursts run while every processor is busy;
half of each ask a chronyd whose clock is right, half one that libfaketime holds 400 s behind. The
offset is known, so an interval without it is a lie: then the exit code is 1. Median error and time
are measured beside ``chronyd -Q`` at the same idle server; it prints whole microseconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from nodecheck.host.local_clock import SystemClock
from nodecheck.model.time_server import TimeServer
from tests.chronyd import chronyd, measure_once
from tests.clock_builders import estimate, measure, network_host

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTS = {0.0: 11131, -400.0: 11132}
BUSY = "while True: pass"
BURSTS_PER_COMPARISON = 50
SECOND_US = 1e6


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep every processor busy."""
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def bursts(count: int) -> list[tuple[float, float, float]]:
    """Return error, bound and duration of each burst, in seconds; the servers in turn."""
    host, found = network_host(SystemClock()), []
    for number in range(count):
        truth_s = list(PORTS)[number % len(PORTS)]
        begun = time.monotonic()
        offset_s, bound_s = estimate(measure(host, (TimeServer("127.0.0.1", PORTS[truth_s]),)))
        found.append((abs(offset_s - truth_s), bound_s, time.monotonic() - begun))
    return found


def run(count: int, comparisons: int) -> dict[str, float]:
    """Return how many bursts were outside, and how good they and ``chronyd -Q`` were."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(chronyd(folder, PORTS[0.0]))
        stack.enter_context(chronyd(folder, PORTS[-400.0], "-400s"))
        idle = bursts(count - count // 2)
        theirs = [measure_once(PORTS[0.0]) for _ in range(comparisons)]
        with load(3 * (os.cpu_count() or 1)):
            busy = bursts(count // 2)
    ours = idle[:: len(PORTS)]  # those at the server that chronyd -Q asked
    return {
        "bursts": len(idle) + len(busy),
        "outside": sum(error > bound for error, bound, _ in idle + busy),
        "median_error_us": _us(error for error, _, _ in ours),
        "median_error_as_chronyd_prints_us": _us(round(error, 6) for error, _, _ in ours),
        "median_error_loaded_us": _us(error for error, _, _ in busy),
        "median_bound_us": _us(bound for _, bound, _ in ours),
        "median_s": round(median(took for _, _, took in ours), 3),
        "chronyd_runs": comparisons,
        "chronyd_median_error_us": _us(abs(error) for error, _ in theirs),
        "chronyd_median_s": round(median(took for _, took in theirs), 3),
    }


def _us(seconds: Iterator[float]) -> float:
    return round(median(seconds) * SECOND_US, 1)


def main(arguments: list[str]) -> int:
    """Print the result as JSON; 1 when one interval does not hold the truth."""
    count = int(arguments[0])
    found = run(count, max(3, count // BURSTS_PER_COMPARISON))
    print(json.dumps(found))  # noqa: T201
    return int(found["outside"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
