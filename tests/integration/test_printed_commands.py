"""The commands that nodecheck prints, read by the shells that they will be pasted into."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.unit.test_proof import COMMANDS


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_shells_read_the_commands_on_packages(shell: str) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"needs {shell}")
    commands = [command for command in COMMANDS if not command.startswith("Invoke-WebRequest ")]
    assert len(commands) == len(COMMANDS) - 1
    for command in commands:
        done = subprocess.run(
            [path, "-n", "-c", command], capture_output=True, check=False, timeout=10
        )
        assert (done.returncode, done.stderr) == (0, b""), command
        assert "{," not in command  # bash expands it, dash does not
