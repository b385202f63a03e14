"""What a start of the program imports: seconds of a fleet's time hang on the heavy modules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

TOP: Final = Path(__file__).parents[2]

# From a few ms (subprocess) to 84 ms (botocore) each; imported where they are first needed.
HEAVY: Final = frozenset(
    {"psutil", "ntplib", "cryptography", "requests", "botocore", "urllib3", "ssl", "tomllib"}
    | {
        "email",
        "subprocess",
        "sqlite3",
        "http.client",
        "asyncio",
        "logging",
        "dataclasses",
        "inspect",
    }
)

PROGRAM: Final = """
import os, sys
from nodecheck.cli import main
code = main(sys.argv[1:])
with open(os.environ["MODULES"], "w") as modules:
    modules.write("\\n".join(sys.modules))
"""


def modules_after(arguments: Sequence[str], state: Path) -> set[str]:
    """Run the command line in a process of its own and return all that it imported."""
    environment = {"NODECHECK_STATE_DIR": str(state), "MODULES": str(state / "modules")}
    kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, *arguments],
        env=environment | {"PYTHONPATH": str(TOP)} | kept,
        capture_output=True,
        timeout=60,
        check=False,
    )
    found = set((state / "modules").read_text().split())
    assert "nodecheck.cli" in found, done.stderr.decode()
    return found


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["list"], ["explain", "clock.offset"], ["--no-such-option"]],
    ids=" ".join,
)
def test_a_start_without_a_run_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    assert modules_after(arguments, tmp_path) & HEAVY == set()


def test_a_run_offline_needs_neither_aws_nor_keys(tmp_path: Path) -> None:
    found = modules_after(["run", "--offline"], tmp_path)
    assert "nodecheck.probes.agent_package" in found
    assert found & {"botocore", "requests", "cryptography", "urllib3", "ssl"} == set()
