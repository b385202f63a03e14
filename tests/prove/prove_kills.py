"""Kill runs at any moment: nothing is left half written, and the next run works.

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
from typing import Final

from tests.ntp_server import Behaviour, NtpServer

TOP: Final = Path(__file__).parents[2]
FILES_MOST: Final = 8
"""Two for each of the report and the three files of state."""

LONGEST_S: Final = 0.5
"""A whole run of the clock checks takes less."""


def run(count: int, seed: int = 1) -> Counter[str]:
    """Kill this many runs, each followed by a look at what it left; every tenth by a whole run."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, no secret
    counted: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name, NtpServer(Behaviour()) as server:
        folder = Path(name)
        for number in range(count):
            with _start(folder, server) as process:
                time.sleep(chance.uniform(0, LONGEST_S))
                process.kill()
            counted["killed" if process.returncode < 0 else "ended before"] += 1
            counted.update(_look(folder))
            if number % 10 == 0:
                with _start(folder, server) as process:
                    process.communicate(timeout=30)
                counted["whole runs"] += 1
                counted["broken: a run after a kill"] += process.returncode not in {0, 1}
    return +counted


def _start(folder: Path, server: NtpServer) -> subprocess.Popen[bytes]:
    words = ("--only", "clock", "--format", "json", "--output", str(folder / "report.json"))
    environment = {
        **os.environ,
        "NODECHECK_CLOCK_SERVERS": server.name,
        "NODECHECK_STATE_DIR": str(folder / "state"),
    }
    return subprocess.Popen(
        (sys.executable, "-m", "nodecheck", *words),
        cwd=TOP,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _look(folder: Path) -> Counter[str]:
    """Count what is broken: files that are no JSON, and more left-overs than one for each file."""
    found: Counter[str] = Counter()
    kept = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    for path in kept:
        if path.name.startswith("."):
            continue  # half written, and removed by the next run
        try:
            json.loads(path.read_bytes())
        except ValueError:
            found[f"broken: {path.name} is half written"] += 1
    found["broken: left-overs pile up"] += len(kept) > FILES_MOST
    return found


def main() -> int:
    """Run the proof from the command line."""
    counted = run(int(sys.argv[1]))
    print(json.dumps(counted))  # noqa: T201 - what scripts/prove keeps
    return int(any(key.startswith("broken") for key in counted))


if __name__ == "__main__":
    sys.exit(main())
