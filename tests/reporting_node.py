"""Whole runs that report to the strict server, with a state folder of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.aws_server import AwsServer
    from tests.ntp_server import NtpServer

TOP: Final = Path(__file__).parents[1]
RUN: Final = ("run", "--format", "json")
NOWHERE: Final = "https://127.0.0.1:1"
"""Nobody listens there."""


class ReportingNode:
    """Runs nodecheck on this machine. Its time comes from two servers, by NTP and ``Date``."""

    def __init__(self, folder: Path, server: AwsServer, time_server: NtpServer) -> None:
        """Keep state below the folder and report to the server."""
        self.state = folder / "state"
        self.spool = self.state / "spool.jsonl"
        self.prefix: tuple[str, ...] = ()
        self._folder = folder
        self._server = server
        self._time_server = time_server

    def environment(self, **changes: str) -> dict[str, str]:
        """Return the environment of a run; nothing of this machine's own gets in."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "PYTHONPATH": str(TOP),
            **self._server.environment(),
            "NODECHECK_STATE_DIR": str(self.state),
            "NODECHECK_NODE_REGION": "eu-central-1",
            "NODECHECK_CLOCK_ENDPOINT": self._server.url,
            "NODECHECK_CLOCK_SERVERS": self._time_server.name,
            "NODECHECK_RUN_ONLY": "clock.offset",
            "NODECHECK_REPORT_SINKS": "cloudwatch",
            **changes,
        }

    def start(self, *words: str, **changes: str) -> subprocess.Popen[str]:
        """Start a command, ``run`` in JSON where none is named."""
        return subprocess.Popen(
            (*self.prefix, sys.executable, "-P", "-m", "nodecheck", *(words or RUN)),
            env=self.environment(**changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **changes: str) -> dict[str, Any]:
        """Make a whole run and return its report, with stderr in it."""
        with self.start(**changes) as process:
            out, errors = process.communicate(timeout=60)
        document: dict[str, Any] = json.loads(out)
        return {**document, "stderr": errors, "code": process.returncode}

    def command(self, *words: str, **changes: str) -> tuple[int, str]:
        """Run another command; return its exit code and what it said."""
        with self.start(*words, **changes) as process:
            out, errors = process.communicate(timeout=60)
        return process.returncode, out + errors

    def waiting(self) -> list[dict[str, Any]]:
        """Return the reports in the spool."""
        lines = self.spool.read_bytes().splitlines() if self.spool.exists() else []
        found = [json.loads(line) for line in lines if line.strip()]
        return [item for item in found if "spool" not in item]

    def received(self) -> list[str]:
        """Return the runs whose reports the server has, in the order of their arrival."""
        return [json.loads(item["message"])["run"] for item in self._server.events]

    def fill(self, ages_s: Mapping[str, float], **changes: object) -> None:
        """Put reports into the spool that runs of so many seconds ago would have left."""
        self.state.mkdir(mode=0o700, exist_ok=True)
        with self.spool.open("a") as file:
            for run_id, age_s in ages_s.items():
                stamp = int((time.time() - age_s) * 1e9)
                event = {"_aws": {"CloudWatchMetrics": []}, "run": run_id}
                row = {
                    "sink": "cloudwatch",
                    "run": run_id,
                    "true_ns": stamp,
                    "local_ns": stamp,
                    "monotonic_ns": 0,
                    "boot": "",
                    "payload": {"stream": "i-0", "event": event},
                }
                file.write(json.dumps(row | changes) + "\n")
        self.spool.chmod(0o600)
