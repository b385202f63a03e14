"""Real processes under the agent's name: running, replaced, deleted, and another user's.

The stand-in is a copy of the shell that waits for its input. It is looked at with the real host;
only its own process is judged, because other tests may run more of them meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.agent_running import judge
from nodecheck.host.here import this_host
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.probes import agent_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.model.install import RunningFacts

if sys.platform == "win32":
    pytest.skip("images of Linux processes", allow_module_level=True)

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
