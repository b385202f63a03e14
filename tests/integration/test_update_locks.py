"""Locks that real processes hold, read from the kernel's list."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from nodecheck.probes import agent_update_window as probe
from nodecheck.records import replace
from tests.fake_host import fake_host

if sys.platform != "win32":
    from nodecheck.host.local_clock import SystemClock
    from nodecheck.host.posix_files import PosixFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nodecheck.host.door import Host

assert sys.platform != "win32"

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, getattr(fcntl, sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path, kind: str = "LOCK_EX") -> Iterator[int]:
    words = [sys.executable, "-c", HOLD, str(path), kind]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "proc").symlink_to("/proc")
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/amazon-ssm-agent").touch()
    for path in probe.LOCKS:
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).touch()
    return replace(fake_host(files=PosixFiles(str(tmp_path))), clock=SystemClock())  # type: ignore[arg-type]


@pytest.mark.parametrize("path", probe.LOCKS)
def test_a_held_lock_is_seen_and_nothing_is_locked_for_it(
    host: Host, tmp_path: Path, path: str
) -> None:
    with held(tmp_path / path[1:]) as pid:
        (sign,) = probe.wait(host, 0.0).signs
    assert sign.subject == path
    assert f"is locked by process {pid} (" in sign.text
    assert probe.wait(host, 0.0).signs == ()


def test_a_lock_on_another_file_is_none(host: Host, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    with held(other):
        assert probe.wait(host, 0.0).signs == ()


def test_it_waits_until_the_lock_is_given_back(host: Host, tmp_path: Path) -> None:
    slow = HOLD.replace("sys.stdin.read()", "import time; time.sleep(1)")
    words = [sys.executable, "-c", slow, f"{tmp_path}{probe.LOCKS[2]}", "LOCK_EX"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        start = probe.wait(host, 8.0)
    assert start.signs == ()
    assert start.waited[0].subject == probe.LOCKS[2]
    assert probe.look(host, start, (), start.files).signs == ()


def test_a_file_replaced_meanwhile_is_seen(host: Host, tmp_path: Path) -> None:
    start = probe.wait(host, 8.0)
    update = tmp_path / "usr/bin/new"
    update.write_text("x")
    update.rename(tmp_path / "usr/bin/amazon-ssm-agent")
    (sign,) = probe.look(host, start, (), ()).signs
    assert sign.subject == "/usr/bin/amazon-ssm-agent"
