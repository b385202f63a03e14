"""Real processes under the agent's name: running, replaced, deleted, and another user's.

The stand-in is a copy of the shell that waits for its input. It is looked at with the real host;
only its own process is judged, because other tests may run more of them meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.agent_running import judge
from nodecheck.host.here import this_host
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.errors import Absent
from nodecheck.probes import agent_process
from nodecheck.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.model.install import RunningFacts

if sys.platform != "win32":
    from nodecheck.host.posix_files import PosixFiles

if sys.platform == "win32":
    pytest.skip("images of Linux processes", allow_module_level=True)

assert sys.platform != "win32"

SHELL = Path("/bin/sh").resolve()
NOBODY = 65534


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "amazon-ssm-agent"
    shutil.copy(SHELL, path)
    return path


@contextmanager
def running(image: Path, name: str = "sh") -> Iterator[int]:
    """Start an image under a name; it ends when its input does."""
    with subprocess.Popen(
        [name, "-c", "read x"], executable=image, stdin=subprocess.PIPE
    ) as process:
        yield process.pid


def look(pid: int, *executables: Path) -> RunningFacts:
    facts = agent_process.look(this_host(), tuple(str(path) for path in executables))
    return replace(
        facts,
        processes=tuple(item for item in facts.processes if item.pid == pid),
        unread=tuple(item for item in facts.unread if item.pid == pid),
    )


def reason(facts: RunningFacts, agent: Path, signed: dict[str, str] | None) -> str:
    installation = Installation(Channel.RPM, "3.3.1142.0", "", str(agent))
    return judge(InstallFacts((installation,), ()), facts, signed).reason


def test_the_installed_image(agent: Path) -> None:
    with running(agent) as pid:
        facts = look(pid, agent)
    (found,) = facts.processes
    status = agent.stat()
    assert (found.name, found.image, found.deleted) == (agent.name, str(agent), False)
    assert (found.device, found.inode) == (status.st_dev, status.st_ino)
    assert found.sha256 == sha256(agent)
    assert [state.path for state in facts.on_disk] == [str(agent)]
    assert reason(facts, agent, {str(agent): sha256(agent)}) == "ok"
    assert reason(facts, agent, {str(agent): "0" * 64}) == "image-not-signed"
    assert reason(facts, agent, None) == "unproven"


def test_a_file_that_is_replaced_while_it_runs(agent: Path) -> None:
    old = sha256(agent)
    with running(agent) as pid:
        update = agent.with_name("update")
        update.write_bytes(agent.read_bytes() + b"\0")
        update.chmod(0o755)
        update.rename(agent)
        facts = look(pid, agent)
    (found,) = facts.processes
    assert (found.image, found.deleted, found.sha256) == (str(agent), True, old)
    assert found.sha256 != sha256(agent)
    assert reason(facts, agent, {str(agent): sha256(agent)}) == "image-replaced"
    assert reason(facts, agent, None) == "image-replaced"
    assert reason(facts, agent, {str(agent): old}) == "ok"


def test_a_file_that_is_deleted_while_it_runs(agent: Path) -> None:
    old = sha256(agent)
    with running(agent) as pid:
        agent.unlink()
        facts = look(pid, agent)
    (found,) = facts.processes
    assert (found.deleted, found.sha256, facts.on_disk) == (True, old, ())
    assert reason(facts, agent, {}) == "image-replaced"


def test_genuine_bytes_from_another_path(agent: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path.resolve() / "other" / agent.name
    elsewhere.parent.mkdir()
    shutil.copy(agent, elsewhere)
    with running(elsewhere) as pid:
        facts = look(pid, agent)
    assert reason(facts, agent, {str(agent): sha256(agent)}) == "other-path"
    assert reason(facts, agent, None) == "other-path"


def test_another_image_that_calls_itself_the_agent(agent: Path) -> None:
    with running(SHELL, str(agent)) as pid:
        facts = look(pid, agent)
    assert facts.processes[0].image == str(SHELL)
    assert reason(facts, agent, {str(agent): "0" * 64}) == "image-not-signed"


def test_an_image_without_a_file(agent: Path) -> None:
    memory = os.memfd_create("kworker")
    os.write(memory, SHELL.read_bytes())
    with running(Path(f"/proc/{os.getpid()}/fd/{memory}"), "amazon-ssm-agent") as pid:
        facts = look(pid, agent)
    os.close(memory)
    assert facts.processes[0].image.startswith("/memfd:kworker")
    assert reason(facts, agent, {str(agent): "0" * 64}) == "image-replaced"


def test_a_process_that_only_mentions_the_agent(agent: Path) -> None:
    with running(SHELL, "vim amazon-ssm-agent") as pid:
        assert look(pid, agent).processes == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as somebody else")
def test_another_users_image_is_denied(agent: Path) -> None:
    with running(agent, "amazon-ssm-agent") as pid:
        os.seteuid(NOBODY)
        try:
            facts = look(pid)
        finally:
            os.seteuid(0)
    assert facts.processes == ()
    assert [(item.name, item.reason) for item in facts.unread] == [(agent.name, "no-permission")]
    assert reason(facts, agent, {}) == "no-permission"


def test_processes_that_end_meanwhile_are_no_errors(agent: Path) -> None:
    swarm = [
        subprocess.Popen(["sh", "-c", f"exec 0<&-; : {n}"], executable=agent) for n in range(30)
    ]
    try:
        for _ in range(5):
            facts = agent_process.look(this_host(), (str(agent),))
            assert not [item for item in facts.unread if item.name == agent.name]
    finally:
        for process in swarm:
            process.wait()


def test_reading_of_a_process_that_ends_says_absent_and_nothing_else(agent: Path) -> None:
    """The kernel says ESRCH to a reader that has the file open when the process ends."""
    files, outcomes = this_host().files, set()
    names = ("status", "stat", "maps", "environ", "cgroup")
    for number in range(150):
        child = subprocess.Popen(["sh", "-c", f"exec 0<&-; : {number}"], executable=agent)
        started = time.monotonic()
        while time.monotonic() - started < 0.01:
            for name in names:
                try:
                    files.read(f"/proc/{child.pid}/{name}", 1 << 20)
                    outcomes.add("read")
                except Absent:
                    outcomes.add("absent")
            if child.poll() is not None and number % 2:
                break
        child.wait()
    assert outcomes == {"read", "absent"}


@pytest.mark.parametrize("name", ["status", "stat", "maps", "cgroup"])
def test_a_reader_that_is_overtaken_by_the_end_is_told_of_absence(agent: Path, name: str) -> None:
    with running(agent) as pid, pytest.raises(Absent):  # noqa: SIM117, PT012 - in this order
        with PosixFiles()._open(f"/proc/{pid}/{name}") as descriptor:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.read(descriptor, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees all of a process")
def test_a_probe_among_2000_processes_is_cheap(agent: Path) -> None:
    """It took 0.2 s of processor time; the limit leaves room for slower machines."""
    crowd = [subprocess.Popen(["/bin/sleep", "300"], close_fds=False) for _ in range(2000)]
    try:
        started = time.process_time()
        agent_process.look(this_host(), (str(agent),))
        assert time.process_time() - started < 1
    finally:
        for process in crowd:
            process.kill()
        for process in crowd:
            process.wait()
