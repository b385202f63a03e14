"""What steers the clock, told of real daemons in namespaces of their own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nodecheck.host.here import this_host
from nodecheck.model.errors import Absent, ProbeError
from tests.fuzz import fuzz_discipline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.host.door import Datagrams

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the daemons are Linux's")

ROOT = Path(__file__).parents[2]
IS_ROOT = sys.platform != "win32" and os.geteuid() == 0
FORMS = {
    "nobody": ("warn", ["no-daemon"], "no time daemon runs"),
    "following": ("ok", [], "chronyd follows 10.77.0.1 (stratum 4), updated"),
    "not-steering": ("warn", ["not-steering"], "chronyd runs, but may not"),
    "by-socket": ("ok", [], "chronyd follows 10.77.0.1"),
    "contradicted": ("warn", ["contradicted"], "but the clock is 400.0 ms slow"),
    "slow": ("crit", ["will-not-step"], "chronyd will not step a clock that is 6 min 40 s slow"),
    "fast": ("crit", ["will-not-step"], "6 min 40 s fast"),
    "sourceless": ("warn", ["no-source-configured"], "chronyd has no source of time"),
    "own-clock": ("warn", ["no-source-configured"], "chronyd has no source of time"),
    "unreachable": ("warn", ["source-unreachable"], "(10.77.0.9), never since it started"),
    "cut-off": ("warn", ["source-unreachable"], "(10.77.0.1), last"),
    "disagreeing": ("warn", ["no-source-selected"], "10.77.0.3 falseticker"),
    "two-daemons": ("warn", ["two-daemons"], "and systemd-timesyncd"),
    "ntpd-following": ("ok", [], "ntpd follows 10.77.0.1 (stratum 4), updated"),
    "ntpd-starting": ("warn", ["source-unreachable"], "(10.77.0.1), never since it started"),
    "ntpd-sourceless": ("warn", ["no-source-configured"], "ntpd has no source of time"),
    "ntpd-silent": ("warn", ["source-unreachable"], "does not answer control queries"),
}


def find_ntpd(folder: Path) -> str:
    """The ntpd of this machine, or ntpsec's unpacked: installing it would remove chrony."""
    installed = shutil.which("ntpd", path="/usr/sbin")
    if installed:
        return installed
    done = subprocess.run(
        ["apt-get", "-o", "APT::Sandbox::User=root", "download", "ntpsec"],
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    for package in folder.glob("ntpsec_*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(folder / "ntpsec")], check=True)
        return str(folder / "ntpsec/usr/sbin/ntpd")
    assert "CI" not in os.environ, done.stderr
    return ""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    tools = ("unshare", "nsenter", "ip", "faketime", "/usr/sbin/chronyd")
    if not (IS_ROOT and all(map(shutil.which, tools))) and "CI" not in os.environ:
        pytest.skip("namespaces need root, and daemons must be installed")
    folder = tmp_path_factory.mktemp("discipline")
    ntpd = find_ntpd(folder)
    spaces = ("--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
    module = (sys.executable, "-m", "tests.discipline_scenarios", str(folder), ntpd)
    done = subprocess.run(
        ["unshare", *spaces, *module],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {item["name"]: item for item in found}


@pytest.mark.parametrize("name", FORMS)
def test_real_daemons(told: dict[str, Any], name: str) -> None:
    if name not in told:
        assert name.startswith("ntpd"), told
        pytest.skip("there is no ntpd, and it cannot be fetched")
    found = told[name]
    status, reasons, words = FORMS[name]
    assert (found["status"], found["reasons"]) == (status, reasons), found
    assert words in found["message"]
    assert found["kernel_read"]
    assert found["notes"] == []


def test_signs_and_bounds_are_those_of_the_truth(told: dict[str, Any]) -> None:
    for name, true_s in (("following", 0.0), ("slow", 400.0), ("fast", -400.0)):
        assert abs(told[name]["offset_s"] - true_s) < told[name]["bound_s"] + 1e-3
        assert 0 < told[name]["bound_s"] < 0.01
    assert 0 <= told["following"]["age_s"] < 4


def test_the_unix_socket_is_left_as_it_was(told: dict[str, Any]) -> None:
    assert told["by-socket"]["asked"] == "/run/chrony/chronyd.sock"
    assert told["by-socket"]["left"] == []


def test_the_whole_program_beside_a_daemon(told: dict[str, Any]) -> None:
    found = told["command-line"]
    assert found["exit"] == [0, 0], found
    assert found["checks"]["clock.discipline"][1].startswith(
        "chronyd follows 10.77.0.1 (stratum 4)"
    )
    assert found["checks"]["clock.forecast"] == ["ok", "none: steered by chronyd"]
    assert found["errors"] == ""
    assert found["measurements"] == 2
    assert found["steered"] == [True, True]


def test_the_trap_of_a_daemon_that_coasts(told: dict[str, Any]) -> None:
    assert told["cut-off"]["synchronised"] is True


# --- the door ------------------------------------------------------------------------------------


def test_the_kernel_tells_without_being_set() -> None:
    found = this_host().steering.kernel_clock()
    assert 0 <= found.maxerror_s <= 16
    assert 0 <= found.esterror_s <= 16
    assert abs(found.frequency_ppm) <= 500
    near_ns = time.monotonic_ns()  # CLOCK_MONOTONIC on Linux
    assert abs(found.coarse_monotonic_ns - near_ns) < 1e9


def test_sockets_of_daemons_that_are_not_there(tmp_path: Path) -> None:
    steering = this_host().steering
    for path in (tmp_path / "none", tmp_path / "folder/none"):
        with pytest.raises(Absent):
            steering.daemon_socket(str(path))
    (tmp_path / "file").write_text("")
    with pytest.raises(ProbeError):
        steering.daemon_socket(str(tmp_path / "file"))
    with pytest.raises(ProbeError):
        steering.daemon_socket(str(tmp_path / ("x" * 200)))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def sent_before_it_gives_up(link: Datagrams) -> int:
    for number in range(10_000):
        try:
            link.send(b"x" * 1000)
        except ProbeError:
            return number
    return 10_000


@pytest.fixture
def deaf_daemon(tmp_path: Path) -> Iterator[Path]:
    """A socket that nobody reads."""
    path = tmp_path / "daemon.sock"
    if sys.platform == "win32":
        yield path
    else:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
            daemon.bind(str(path))
            yield path


def test_a_socket_whose_daemon_does_not_read(deaf_daemon: Path) -> None:
    link = this_host().steering.daemon_socket(str(deaf_daemon))
    begun = time.monotonic()
    assert link.receive(0.1) is None
    assert sent_before_it_gives_up(link) < 10_000
    assert time.monotonic() - begun < 2
    link.close()
    assert [item.name for item in deaf_daemon.parent.iterdir()] == ["daemon.sock"]


def test_a_short_fuzz_believes_nothing_that_is_not_asked_for() -> None:
    found = fuzz_discipline.run(20_000, seed=1)
    assert found["understood"] > 100
    assert found["foreign"] == found["insane"] == 0
