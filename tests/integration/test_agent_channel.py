"""Real files and real connections: logs of any size, sockets of another process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.agent_channel import judge
from nodecheck.host.here import this_host
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.channel import AgentCredentials, Way
from nodecheck.model.install import RunningFacts
from nodecheck.probes import agent_channel
from nodecheck.records import replace
from tests import agent_logs
from tests.channel_node import LOGS, process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nodecheck.host.door import Host
    from nodecheck.model.channel import ChannelFacts
    from tests.agent_logs import Tree

if sys.platform == "win32":
    pytest.skip("sockets of Linux processes", allow_module_level=True)

assert sys.platform != "win32"

from nodecheck.host.posix_files import PosixFiles  # noqa: E402 - not on Windows

INSTALLED = InstallFacts(
    (Installation(Channel.DEB, "3.3.1142.0", "", "/usr/bin/amazon-ssm-agent"),), ()
)
CONNECTS = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
    print("connected", flush=True)
    sys.stdin.read()
"""


@contextmanager
def listening(address: str) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        yield server.getsockname()[1]


@contextmanager
def connected(address: str, port: int) -> Iterator[int]:
    """Start a process with a connection; it ends when its input does."""
    command = (sys.executable, "-c", CONNECTS, address, str(port))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"connected\n"
        yield child.pid


def running(worker: int) -> RunningFacts:
    core = process("amazon-ssm-agent", os.getpid())
    return RunningFacts((core, process("ssm-agent-worker", worker)), (), ())


def look(host: Host, worker: int, *ways: Way) -> ChannelFacts:
    return agent_channel.look(host, running(worker), ways, AgentCredentials())


def endpoint(address: str, port: int) -> Way:
    return Way("ssmmessages", "ssmmessages.example", port, (address,))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_real_connection_of_the_worker(address: str) -> None:
    with listening(address) as port:
        with connected(address, port) as pid:
            facts = look(this_host(), pid, endpoint(address, port))
            found = [(item.pid, item.ip, item.port) for item in facts.connections]
            assert (pid, address, port) in found
            proof = facts.proof()
            assert proof is not None
            assert proof.service == "ssmmessages"
        facts = look(this_host(), pid, endpoint(address, port))
        assert facts.proof() is None  # the process has ended


def test_a_connection_of_another_process_is_not_the_agents() -> None:
    waits = ("/bin/sh", "-c", "read x")
    with (
        listening("127.0.0.1") as port,
        connected("127.0.0.1", port),
        subprocess.Popen(waits, stdin=subprocess.PIPE) as other,
    ):
        facts = look(this_host(), other.pid, endpoint("127.0.0.1", port))
        assert not any(item.pid == other.pid for item in facts.connections)


def test_a_closed_connection_is_none() -> None:
    with listening("127.0.0.1") as port, connected("127.0.0.1", port) as pid:
        facts = look(this_host(), pid, endpoint("127.0.0.1", port + 1))
        assert facts.proof() is None
        assert facts.connections


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_another_user_cannot_see_the_connections() -> None:
    """What cannot be seen is not absent."""
    script = (
        "import os\n"
        "from nodecheck.host.here import this_host\n"
        "from tests.integration.test_agent_channel import look\n"
        "host = this_host()\n"
        "os.setuid(65534)\n"
        "print(look(host, 1).unseen)\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", script), capture_output=True, text=True, check=True, timeout=60
    )
    assert "permission denied" in done.stdout


def lay_out(tree: Tree, root: Path) -> Host:
    folder = root / LOGS.lstrip("/")
    folder.mkdir(parents=True)
    for name, content in tree.contents.items():
        (folder / name).write_bytes(content)
        os.utime(folder / name, (tree.changed_s[name], tree.changed_s[name]))
    return replace(this_host(), files=PosixFiles(str(root)))


@pytest.mark.parametrize("name", agent_logs.TREES)
def test_recorded_logs_as_files(name: str, tmp_path: Path) -> None:
    tree = agent_logs.recorded(name)
    facts = agent_channel.look(
        lay_out(tree, tmp_path), RunningFacts((), (), ()), (), AgentCredentials()
    )
    log = facts.logs[0]
    assert (log.path, log.problem) == (f"{LOGS}/amazon-ssm-agent.log", "")
    assert log.zone_s is not None
    assert (facts.story.hibernation is not None) is name.startswith("hibernating")
    assert (facts.story.refusal is not None) is (name == "credential-loop")


def test_a_log_of_a_gigabyte_costs_nothing(tmp_path: Path) -> None:
    tree = agent_logs.recorded("hibernating-by-denial")
    host = lay_out(tree, tmp_path)
    for name, content in tree.contents.items():
        path = tmp_path / LOGS.lstrip("/") / name
        with path.open("wb") as file:
            file.seek(1 << 30)
            file.write(b"\n" + content)
        os.utime(path, (tree.changed_s[name], tree.changed_s[name]))
    began = time.monotonic()
    facts = agent_channel.look(host, RunningFacts((), (), ()), (), AgentCredentials())
    assert time.monotonic() - began < 3
    assert facts.story.hibernation is not None


def test_links_and_folders_in_the_place_of_logs_are_not_read(tmp_path: Path) -> None:
    host = lay_out(agent_logs.recorded("healthy"), tmp_path)
    folder = tmp_path / LOGS.lstrip("/")
    secret = tmp_path / "secret"
    secret.write_bytes((folder / "amazon-ssm-agent.log").read_bytes())
    (folder / "amazon-ssm-agent.log").unlink()
    (folder / "amazon-ssm-agent.log").symlink_to(secret)
    (folder / "errors.log").mkdir()
    os.mkfifo(folder / "hibernate.log")
    facts = agent_channel.look(host, RunningFacts((), (), ()), (), AgentCredentials())
    assert [bool(log.problem) for log in facts.logs] == [True, True, True]
    assert facts.story.answer is None
    running_now = RunningFacts((process("amazon-ssm-agent", 1),), (), ())
    assert judge(INSTALLED, running_now, facts, None).status.value != "ok"
