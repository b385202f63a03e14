"""Executables of the agent that somebody put there."""

from __future__ import annotations

import pytest

from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.node import FileKind, FileState
from nodecheck.probes import agent_by_hand
from tests.fake_host import FakeFiles, file_state

NAME = "amazon-ssm-agent"


def paths(*states: FileState) -> list[str]:
    files = FakeFiles(states={state.path: state for state in states})
    return [item.executable for item in agent_by_hand.look(files).installations]


def link(path: str, target: str) -> FileState:
    return file_state(path, kind=FileKind.LINK, target=target)


@pytest.mark.parametrize("folder", agent_by_hand.FOLDERS)
def test_finds_an_executable_at_each_known_place(folder: str) -> None:
    files = FakeFiles({f"{folder}/{NAME}": b"\x7fELF"})
    (found,) = agent_by_hand.look(files).installations
    assert (found.executable, found.version) == (f"{folder}/{NAME}", "")


def test_counts_one_file_once() -> None:
    same = {"device": 1, "inode": 7}
    usr = file_state(f"/usr/bin/{NAME}", **same)
    assert paths(usr, file_state(f"/usr/sbin/{NAME}", **same)) == [f"/usr/bin/{NAME}"]
    assert paths(usr, link(f"/usr/local/bin/{NAME}", f"../../bin/{NAME}")) == [f"/usr/bin/{NAME}"]
    shadow = file_state(f"/usr/local/bin/{NAME}", device=2, inode=7)
    assert paths(usr, shadow) == [f"/usr/bin/{NAME}", f"/usr/local/bin/{NAME}"]


def test_follows_a_link_to_its_end() -> None:
    program = file_state("/opt/ssm/3.3/agent")
    first, second = link(f"/usr/bin/{NAME}", "/opt/ssm/a"), link("/opt/ssm/a", "3.3/agent")
    assert paths(first, second, program) == ["/opt/ssm/3.3/agent"]
    assert paths(first, second) == []


@pytest.mark.parametrize(
    "state",
    [
        file_state(f"/usr/bin/{NAME}", kind=FileKind.FOLDER),
        file_state(f"/usr/bin/{NAME}", kind=FileKind.OTHER),
        file_state(f"/usr/bin/{NAME}", mode=0o644),
        file_state("/usr/bin/amazon-ssm-agent-helper"),
    ],
)
def test_ignores_what_is_no_program(state: FileState) -> None:
    assert paths(state) == []


def test_a_link_into_a_snap_is_that_snap() -> None:
    target = f"/snap/{NAME}/current/{NAME}"
    assert paths(link(f"/usr/bin/{NAME}", target), file_state(target)) == []


def test_refuses_links_in_a_circle() -> None:
    with pytest.raises(ProbeError, match="symbolic links"):
        paths(link(f"/usr/bin/{NAME}", NAME))


def test_does_not_take_a_denied_place_for_an_empty_one() -> None:
    with pytest.raises(Denied):
        agent_by_hand.look(FakeFiles(states={f"/usr/bin/{NAME}": Denied("x")}))
