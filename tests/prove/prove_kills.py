"""Kill runs at any moment: no report is lost, nothing is left half written, the next run works.

Half of the runs are killed at a random moment, half within milliseconds of a report's arrival at
the server. There is the one window in which a report is sent twice: CloudWatch has it, and the run
was killed before it took note. A report may come twice only if it was seen in that window.

``python -m tests.prove.prove_kills COUNT`` prints what it counted and fails when a claim broke.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nodecheck.host.spool_lines import read_content
from tests.aws_logs import Fault
from tests.aws_server import AwsServer
from tests.ntp_server import Behaviour, NtpServer

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP: Final = Path(__file__).parents[2]
FILES_MOST: Final = 10
"""Two for each of the report, the spool and the three other files of state."""

LOCKS: Final = frozenset({"lock", "spool.lock", "delivery.lock"})
SPOOL: Final = "spool.jsonl"
LONGEST_S: Final = 1.5
"""A whole run of the clock checks, with its delivery, takes less on an idle machine."""

AFTER_ARRIVAL_S: Final = 0.04
FAULTS: Final = ("", "", "", "error503", "access-denied", "cut")
"""What the server does to a run; a third of the runs cannot deliver and leave their report."""


class Proof:
    """One node whose runs are killed, and the server that they report to."""

    def __init__(self, folder: Path, time_server: NtpServer, server: AwsServer, seed: int) -> None:
        """Take the state folder, the servers, and the seed of every choice."""
        self._folder = folder
        self._server = server
        self._chance = random.Random(seed)  # noqa: S311 - repeatable, no secret
        self.counted: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._doubtful: set[str] = set()
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **server.environment(),
            "NODECHECK_CLOCK_SERVERS": time_server.name,
            "NODECHECK_CLOCK_ENDPOINT": "https://127.0.0.1:1",
            "NODECHECK_NODE_REGION": "eu-central-1",
            "NODECHECK_STATE_DIR": str(folder / "state"),
            "NODECHECK_REPORT_SINKS": "cloudwatch",
        }

    def kill_one(self) -> None:
        """Start a run, kill it, and look at what it left."""
        fault = self._chance.choice(FAULTS)
        self._server.logs.faults[:] = [Fault(fault)] if fault else []
        arrived = len(self._server.requests)
        with self._start() as process:
            self._wait(process, arrived, at_arrival=self._chance.random() < 0.5)
            process.kill()
            out, _ = process.communicate()
        self.counted["killed" if process.returncode < 0 else "ended before"] += 1
        self._note(out)
        self.counted.update(self._look())

    def run_whole(self) -> None:
        """Let a run end: it must work, and deliver all that waits."""
        self._server.logs.faults.clear()
        with self._start() as process:
            out, _ = process.communicate(timeout=60)
        self._note(out)
        self.counted["whole runs"] += 1
        self.counted["broken: a run after a kill"] += process.returncode not in {0, 1}
        self.counted["broken: the spool is not emptied"] += bool(self._waiting())

    def judge(self) -> Counter[str]:
        """Compare what every run said or kept with what the server has."""
        received = Counter(self._received())
        self.counted["reports seen"] = len(self._seen)
        self.counted["broken: reports lost"] = len(self._seen - set(received) - self._waiting())
        twice = {run for run, count in received.items() if count > 1}
        self.counted["sent twice, killed before the note"] = len(twice & self._doubtful)
        self.counted["broken: reports sent twice"] = len(twice - self._doubtful)
        return +self.counted

    def _start(self) -> subprocess.Popen[bytes]:
        report = str(self._folder / "report.json")
        return subprocess.Popen(
            (
                *(sys.executable, "-m", "nodecheck", "--only", "clock.offset"),
                *("--format", "json", "--output", report),
            ),
            cwd=TOP,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _wait(self, process: subprocess.Popen[bytes], arrived: int, *, at_arrival: bool) -> None:
        if not at_arrival:
            time.sleep(self._chance.uniform(0, LONGEST_S))
            return
        end = time.monotonic() + 2 * LONGEST_S
        while len(self._server.requests) == arrived and process.poll() is None:
            if time.monotonic() > end:
                return
            time.sleep(0.001)
        time.sleep(self._chance.uniform(0, AFTER_ARRIVAL_S))

    def _note(self, out: bytes) -> None:
        """Remember the runs that told or kept a report, and those in the window of doubt."""
        waiting = self._waiting()
        self._seen |= waiting
        time.sleep(0.01)  # for the server to end what it has begun
        received = set(self._received())
        self._doubtful |= waiting & received
        try:
            self._seen.add(json.loads(out)["run"]["id"])
        except ValueError:
            return
        self.counted["reports told"] += 1

    def _waiting(self) -> set[str]:
        try:
            content = (self._folder / "state" / SPOOL).read_bytes()
        except FileNotFoundError:
            return set()
        return {line.report.run_id for line in read_content(content).lines}

    def _received(self) -> Iterator[str]:
        return (json.loads(event["message"])["run"] for event in list(self._server.events))

    def _look(self) -> Counter[str]:
        """Count what is broken: files that are no JSON, and more left-overs than one for each."""
        found: Counter[str] = Counter()
        kept = [path for path in self._folder.rglob("*") if path.is_file()]
        kept = [path for path in kept if path.name not in LOCKS and path.suffix != ".pem"]
        for path in kept:
            if path.name.startswith("."):
                continue  # half written, and removed by the next run
            content = path.read_bytes()
            if path.name == SPOOL:
                read = read_content(content)
                found["half a report at the end of the spool"] += read.torn
                found["broken: the spool is damaged"] += bool(read.damaged)
                continue
            try:
                json.loads(content)
            except ValueError:
                found[f"broken: {path.name} is half written"] += 1
        found["broken: left-overs pile up"] += len(kept) > FILES_MOST
        return found


def run(count: int, seed: int = 1) -> Counter[str]:
    """Kill this many runs; every tenth is followed by a whole one, the last one always."""
    with (
        tempfile.TemporaryDirectory() as name,
        tempfile.TemporaryDirectory() as keys,
        NtpServer(Behaviour()) as time_server,
        AwsServer(Path(keys)) as server,
    ):
        proof = Proof(Path(name), time_server, server, seed)
        for number in range(count):
            proof.kill_one()
            if number % 10 == 9 or number == count - 1:
                proof.run_whole()
        return proof.judge()


def main() -> int:
    """Run the proof from the command line."""
    counted = run(int(sys.argv[1]))
    print(json.dumps(counted))  # noqa: T201 - what scripts/prove keeps
    return int(any(key.startswith("broken") for key in counted))


if __name__ == "__main__":
    sys.exit(main())
