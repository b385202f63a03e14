"""Deliver one report through one sink from a process of its own, for tests under libfaketime.

    python -m tests.deliver_sink SINK TRUE_UNIX_NS STATE_FOLDER

prints one JSON line: the local clock, and what became of the report.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime

from nodecheck.host.here import this_host
from nodecheck.model.errors import SinkError
from nodecheck.model.moment import CorrectedTime, instant
from tests.aws_sinks import SINKS, deliver, effective
from tests.reports import report


def main() -> int:
    name, true_ns, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    sink = next(item for item in SINKS if item.name == name)
    corrected = CorrectedTime(true_ns, this_host().clock.monotonic_ns(), 0.5, "test")
    made = report(moment=instant(true_ns), corrected=corrected)
    try:
        outcome = "; ".join(item.place for item in deliver(sink, effective(folder), made))
    except SinkError as exc:
        outcome = f"SinkError: {exc}"
    local = datetime.fromtimestamp(time.time(), UTC)
    sys.stdout.write(json.dumps({"local": local.isoformat(), "outcome": outcome}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
