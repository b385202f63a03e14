"""Every sink that calls AWS delivers however wrong the clock, in 1970 and in 2040 too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.aws_server import AwsServer
from tests.aws_service import Fault
from tests.aws_sinks import SINKS, STREAM
from tests.wrong_clock import wrong_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.aws_sinks import AwsSink

ROOT = Path(__file__).parents[2]
NODE = "i-0123456789abcdef0"
CLOCKS = ["-10m", "+10h", "@1970-01-02 00:00:00", "@2040-01-01 00:00:00"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AwsServer]:
    with AwsServer(tmp_path) as running:
        running.logs.groups["/nodecheck"].add(STREAM)
        yield running


def stamps(server: AwsServer) -> list[float]:
    """Return every time that arrived, seconds since 1970."""
    told = [item["timestamp"] / 1000 for item in server.events]
    told += [item["Timestamp"] for item in server.metrics.data]
    return told + [item.executed_at.timestamp() for item in server.ssm.compliance.values()]


@pytest.mark.parametrize("fake", CLOCKS)
@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.name)
def test_a_report_arrives_with_its_true_time(
    server: AwsServer, tmp_path: Path, sink: AwsSink, fake: str
) -> None:
    server.faults.append(Fault("throttled", 1))
    command = [sys.executable, "-m", "tests.deliver_sink", sink.name, str(time.time_ns())]
    ran = subprocess.run(
        (*wrong_clock(fake), *command, str(tmp_path / "state")),
        cwd=ROOT,
        env={
            **server.environment(),
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    line = json.loads(ran.stdout)
    local_s = datetime.fromisoformat(line["local"]).timestamp()
    assert abs(time.time() - local_s) > 500, "the clock was not faked"
    assert "eu-central-1, credentials from env" in line["outcome"]
    assert stamps(server)
    assert all(abs(stamp - time.time()) < 30 for stamp in stamps(server))
