"""Deliver one report from a process of its own, for tests that run it under libfaketime.

    python -m tests.deliver_once TRUE_UNIX_NS [plain]

prints one JSON line: the local clock, and what became of the report. ``plain`` sends by botocore as
it is, which shows that the server is strict.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime

from nodecheck.host.here import this_host
from nodecheck.model.errors import SinkError
from nodecheck.model.moment import CorrectedTime, instant
from nodecheck.model.reporting import CloudWatchPolicy
from tests.reports import report
from tests.sending import deliver


def main() -> int:
    host = this_host()
    true_ns = int(sys.argv[1])
    if sys.argv[2:] == ["plain"]:
        outcome = _plain(true_ns)
    else:
        corrected = CorrectedTime(true_ns, host.clock.monotonic_ns(), 0.5, "test")
        made = report(moment=instant(true_ns), corrected=corrected)
        try:
            outcome = deliver(made, CloudWatchPolicy(timeout_s=20), host)
        except SinkError as exc:
            outcome = f"SinkError: {exc}"
    local = datetime.fromtimestamp(time.time(), UTC)
    sys.stdout.write(json.dumps({"local": local.isoformat(), "outcome": outcome}) + "\n")
    return 0


def _plain(true_ns: int) -> str:
    import botocore.session
    from botocore.exceptions import BotoCoreError, ClientError

    client = botocore.session.Session().create_client("logs", region_name="eu-central-1")
    event = {"timestamp": true_ns // 1_000_000, "message": "plain"}
    try:
        client.put_log_events(logGroupName="/nodecheck", logStreamName="plain", logEvents=[event])
    except (BotoCoreError, ClientError) as exc:
        return f"{type(exc).__name__}: {exc}"
    return "delivered"


if __name__ == "__main__":
    sys.exit(main())
