"""Whole runs on nodes whose agent is old, half updated, or out of room: real rpm, real tmpfs."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nodecheck.model.agent_place import LINUX
from nodecheck.model.errors import Absent
from tests import rpm_maker
from tests.node import Node
from tests.updated_node import Run, Versions, outcome

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform != "win32":
    from nodecheck.host.posix_files import PosixFiles

assert sys.platform != "win32"  # for the type checker

pytestmark = pytest.mark.skipif(bool(rpm_maker.missing()), reason=f"needs {rpm_maker.missing()}")

TOP = Path(__file__).parents[2]
START = "/usr/bin/amazon-ssm-agent 300 & agent=$!; sleep 0.3\n"
ORCHESTRATION = f"{LINUX.instances}/i-0123456789abcdef0/document/orchestration"
FOLDERS = f"mkdir -p {ORCHESTRATION} {LINUX.audits} /etc/amazon/ssm\n"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    return Versions.make(tmp_path_factory.mktemp("upkeep"), "3.3.4624.0", "3.3.9000.0")


@pytest.fixture
def runs(versions: Versions, tmp_path: Path) -> Callable[..., list[Run]]:
    def run(*scripts: str, only: str, offline: bool = True, **more: str) -> list[Run]:
        flags = f"--only {only}{' --offline' if offline else ''}"
        return versions.run(
            tmp_path, scripts, flags=flags, before=FOLDERS, writable=("/var/log",), **more
        )

    return run


def mount(folder: str, options: str) -> str:
    return f"mount -t tmpfs -o {options} tmpfs {folder}\n"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (mount(LINUX.data, "size=1g"), "ok ok"),
        (mount(LINUX.data, "size=200m"), "warn nearly-full"),
        (mount(LINUX.data, "size=16m") + f"cat /dev/zero > {LINUX.data}/big 2>/dev/null\n",
         "crit full"),
        (mount(LINUX.data, "size=1g,nr_inodes=500"), "warn few-inodes"),
        (mount(LINUX.data, "size=1g,nr_inodes=8"), "crit no-inodes"),
        (mount(LINUX.data, "size=1g,ro"), "crit read-only"),
        (mount(LINUX.logs, "size=120m"), "ok ok"),
        (mount(LINUX.logs, "size=90m"), "warn nearly-full"),
        (mount(LINUX.logs, "size=90m,ro"), "crit read-only"),
        (mount(LINUX.data, "size=1g")
         + f"mkdir -p {ORCHESTRATION}; cd {ORCHESTRATION}; seq 10001 | xargs mkdir; cd /\n",
         "warn entries-piling-up"),
        (mount(LINUX.data, "size=1g")
         + f"mkdir -p {ORCHESTRATION}; cd {ORCHESTRATION}; seq 30000 | xargs mkdir; cd /\n",
         "warn entries-piling-up"),
        (mount(LINUX.logs, "size=1g") + f"truncate -s 500M {LINUX.error_log}\n",
         "warn logs-large"),
    ],
)  # fmt: skip
def test_storage(runs: Callable[..., list[Run]], script: str, expected: str) -> None:
    (found,) = runs(f"OLD{script}", only="agent.storage")
    assert outcome(found, "agent.storage") == expected, found["agent.storage"]


def test_the_printed_cleanup_takes_old_entries_only(
    runs: Callable[..., list[Run]], tmp_path: Path
) -> None:
    names = ("command-old", "command-new", "association/2026-01-01T00-00-00.000Z", "association/b")
    paths = " ".join(f"{ORCHESTRATION}/{name}" for name in names)
    old = " ".join(f"{ORCHESTRATION}/{name}" for name in (names[0], names[2]))
    make = (
        f"OLD{mount(LINUX.data, 'size=200m')}mkdir -p {paths}; touch {LINUX.data}/registration\n"
        f"ln -s / {ORCHESTRATION}/link; touch -d '20 days ago' {old}\n"
    )
    (low,) = runs(make, only="agent.storage")
    (command,) = (
        fix["command"] for fix in low["agent.storage"]["fix"] if fix["command"].startswith("find")
    )
    node = Node(tmp_path / "other")
    script = f"{FOLDERS}{make.removeprefix('OLD')}{command}\nfind {LINUX.data}\n"
    kept = node.run(script).stdout.splitlines()
    assert f"{ORCHESTRATION}/command-new" in kept
    assert f"{ORCHESTRATION}/association/b" in kept
    assert f"{LINUX.data}/registration" in kept
    assert f"{ORCHESTRATION}/link" in kept
    assert not [path for path in kept if "command-old" in path or "2026-01-01" in path]


def test_room_in_a_real_file_system(tmp_path: Path) -> None:
    files = PosixFiles()
    space = files.space(str(tmp_path))
    told = subprocess.run(
        ["/usr/bin/stat", "-f", "-c", "%S %b %f %c %d", str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    size, blocks, free, inodes, free_inodes = map(int, told.stdout.split())
    assert space.total_bytes == size * blocks
    assert abs(space.free_bytes - size * free) < 1 << 30  # others write meanwhile
    assert space.total_inodes == inodes
    assert abs(space.free_inodes - free_inodes) < 100_000
    assert not space.read_only
    with pytest.raises(Absent):
        files.space(str(tmp_path / "nowhere"))


AUDIT = f"{LINUX.audits}/amazon-ssm-agent-audit-2026-11-2"
FAILED = "UpdateFailed_InstallRollback_ErrorUpdateFailRollbackSuccess-3.3.9000.0"


def test_update(runs: Callable[..., list[Run]]) -> None:
    none, good, bad, mended = runs(
        "OLD",
        f"echo 'agent_update_result UpdateSucceeded-3.3.4624.0 3.3.1.0 10:00:00' > {AUDIT}1\n",
        f"echo 'agent_update_result {FAILED} 3.3.4624.0 10:00:00' > {AUDIT}2\n",
        "NEW",
        only="agent.update",
    )
    assert outcome(none, "agent.update") == "ok ok"
    assert "no update by the agent's updater" in none["agent.update"]["message"]
    assert outcome(good, "agent.update") == "ok ok"
    assert "to 3.3.4624.0 succeeded" in good["agent.update"]["message"]
    assert outcome(bad, "agent.update") == "warn rolled-back"
    assert outcome(mended, "agent.update") == "ok ok"
    assert "3.3.9000.0 is installed since" in mended["agent.update"]["message"]


def test_an_old_image_has_its_holes_until_it_is_restarted(
    runs: Callable[..., list[Run]],
) -> None:
    first, updated, restarted = runs(f"OLD{START}", "NEW", f"kill $agent; {START}", only="agent")
    assert outcome(first, "agent.advisory") == "crit vulnerable"
    assert outcome(updated, "agent.advisory") == "crit still-running"
    assert "running-older" in str(updated["agent.version"])
    assert updated["agent.advisory"]["caused_by"] == "agent.running"
    assert outcome(restarted, "agent.advisory") == "ok ok"
    assert "running-older" not in str(restarted["agent.version"])


SERVE = f"""
mkdir -p /root/s3/amazon-ssm-eu-west-1/latest
echo 3.3.9000.0 > /root/s3/amazon-ssm-eu-west-1/latest/VERSION
{sys.executable} -m http.server --bind 127.0.0.1 --directory /root/s3 8099 >/dev/null 2>&1 &
echo '{{"S3": {{"Endpoint": "http://127.0.0.1:8099"}}}}' > /etc/amazon/ssm/amazon-ssm-agent.json
sleep 1
"""


def test_the_version_is_asked_at_the_agents_own_s3_endpoint(
    runs: Callable[..., list[Run]],
) -> None:
    (found,) = runs(
        f"NEW{SERVE}", only="agent.version", offline=False, NODECHECK_NODE_REGION="eu-west-1"
    )
    assert outcome(found, "agent.version") == "ok ok", found
    offered = found["agent.version"]["evidence"]["offered_version"]
    assert offered == "3.3.9000.0"  # which no bucket of AWS has


PROXY = """
import socket
server = socket.create_server(("127.0.0.1", 3129))
while True:
    connection, _ = server.accept()
    with open("/var/log/asked", "ab") as log:
        log.write(connection.recv(4096).splitlines()[0] + b"\\n")
    connection.close()
"""
DROP_IN = "/etc/systemd/system/amazon-ssm-agent.service.d"


def test_the_version_is_asked_through_the_agents_proxy(
    runs: Callable[..., list[Run]], tmp_path: Path
) -> None:
    (found,) = runs(
        f"NEW\n{shlex.quote(sys.executable)} -c {shlex.quote(PROXY)} & mkdir -p {DROP_IN}\n"
        f"printf '[Service]\\nEnvironment=https_proxy=http://me:pw@127.0.0.1:3129\\n'"
        f" > {DROP_IN}/proxy.conf; sleep 1\n",
        only="agent.version",
        offline=False,
        NODECHECK_NODE_REGION="eu-west-1",
    )
    asked = "".join(path.read_text() for path in (tmp_path / "node").glob("upper*/asked"))
    assert "CONNECT s3.eu-west-1.amazonaws.com:443" in asked
    assert outcome(found, "agent.version") == "unknown offered-version-unknown"
    assert "me:pw" not in str(found)
