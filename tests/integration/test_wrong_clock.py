"""A process under a wrong clock starts whatever one that was killed has left."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.wrong_clock import wrong_clock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="libfaketime is for POSIX")

LEFT = 'touch "/dev/shm/$0$$"; exec "$@"'


@pytest.mark.parametrize("left", ["faketime_shm_", "sem.faketime_sem_"])
def test_what_a_killed_process_of_the_same_number_left_does_not_matter(left: str) -> None:
    asks = ("date", "--utc", "+%Y-%m-%dT%H:%M:%S+00:00")
    done = subprocess.run(
        ("/bin/sh", "-c", LEFT, left, *wrong_clock("-1000d"), *asks),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    behind = datetime.now(UTC) - datetime.fromisoformat(done.stdout.strip())
    assert timedelta(0) <= behind - timedelta(days=1000) < timedelta(minutes=1)
