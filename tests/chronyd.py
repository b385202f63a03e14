"""The real chronyd as a server that believes in a time of the test's, and as an NTP client."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import pytest

from nodecheck.model.ntp import request
from tests.wrong_clock import wrong_clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHRONYD = "/usr/sbin/chronyd"
FAKETIME = "/usr/bin/faketime"
START_S = 5.0
WRONG_BY = re.compile(r"System clock wrong by (-?[0-9.]+) seconds")


def miss(what: str) -> NoReturn:
    """Fail where this must not be missing, a CI, and skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def need_chronyd() -> None:
    lacking = [tool for tool in (CHRONYD, FAKETIME) if not shutil.which(tool)]
    if lacking:
        miss(f"not installed: {', '.join(lacking)}")


@contextmanager
def chronyd(
    folder: Path, port: int, fake: str = "", *, local: bool = True, ip: str = "127.0.0.1"
) -> Iterator[None]:
    """Serve the machine's time, or one shifted as libfaketime says; without ``local`` none."""
    lines = [f"port {port}", "allow", "cmdport 0", f"pidfile {folder}/pid{port}"]
    lines += [f"bindaddress {ip}", "bindcmdaddress /"]
    is_root = sys.platform != "win32" and os.geteuid() == 0
    lines += ["user root"] if is_root else []
    lines += ["local stratum 5"] if local else []
    config = folder / f"chrony{port}.conf"
    config.write_text("\n".join(lines) + "\n")
    command = [CHRONYD, "-U", "-x", "-d", "-F", "0", "-f", str(config)]
    daemon = subprocess.Popen(
        (*wrong_clock(fake), *command) if fake else command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _await(ip, port)
        yield
    finally:
        if sys.platform != "win32":
            os.killpg(daemon.pid, signal.SIGTERM)  # faketime does not pass signals on
        daemon.wait(10)


def _await(ip: str, port: int) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.1)
            probe.connect((ip, port))
            try:
                probe.send(request(1))
                probe.recv(100)
            except OSError:
                time.sleep(0.05)
            else:
                return
    msg = f"chronyd did not answer on {ip}:{port}"
    raise RuntimeError(msg)


def measure_once(port: int) -> tuple[float, float]:
    """Return what ``chronyd -Q`` finds the clock to be wrong by, and how long it took; seconds."""
    begun = time.monotonic()
    command = [CHRONYD, "-Q", "-t", "8", f"server 127.0.0.1 port {port} iburst"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    found = WRONG_BY.search(done.stdout + done.stderr)
    if found is None:
        msg = f"chronyd -Q: {done.stderr}"
        raise RuntimeError(msg)
    return float(found[1]), time.monotonic() - begun
