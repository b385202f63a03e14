"""Which processes are the agent, and what becomes of those that cannot be read."""

from __future__ import annotations

import hashlib

import pytest

from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.install import RunningFacts
from nodecheck.model.node import ProcessState
from nodecheck.probes import agent_process
from tests.fake_host import FakeFiles, FakeProcesses, fake_host, file_state

CORE = "/usr/bin/amazon-ssm-agent"
WORKER = "/usr/bin/ssm-agent-worker"
UNIT = "amazon-ssm-agent.service"


def process(  # noqa: PLR0913 - the fields that matter
    pid: int,
    image: str,
    *,
    parent: int = 1,
    unit: str = UNIT,
    argv: tuple[str, ...] | None = None,
    deleted: bool = False,
) -> ProcessState:
    arguments = (image,) if argv is None else argv
    return ProcessState(pid, parent, "x", 0, image, deleted, unit, arguments)


INIT = process(1, "/usr/lib/systemd/systemd", parent=0, unit="")


def chosen(*states: ProcessState, installed: tuple[str, ...] = (CORE,)) -> list[int]:
    return [state.pid for state in agent_process.choose((INIT, *states), set(installed))]


def test_finds_core_and_workers_and_no_scripts() -> None:
    assert chosen(
        process(10, CORE),
        process(11, WORKER, parent=10),
        process(12, "/usr/bin/ssm-document-worker", parent=11),
        process(13, "/usr/bin/dash", parent=12, argv=("sh", "-c", "/orch/_script.sh")),
        process(14, "/usr/bin/python3.11", parent=13, argv=("nodecheck",)),
        process(15, "/opt/app/server", argv=("server",)),  # a command left it behind: parent 1
    ) == [10, 11, 12]


@pytest.mark.parametrize(
    "state",
    [
        process(20, "/memfd:x", deleted=True, argv=("kworker",)),
        process(20, "/usr/bin/dash", argv=("/bin/sh", CORE)),
        process(20, "", argv=()),
        process(20, "/opt/x", unit="snap.amazon-ssm-agent.amazon-ssm-agent.service"),
    ],
)
def test_what_stands_where_the_core_should_be_counts_whatever_its_name(state: ProcessState) -> None:
    assert chosen(state) == [20]
    assert agent_process.name_of(state) in {"memfd:x", "dash", "", "x"}
    assert chosen(state, process(21, WORKER)) == [21, 20]


@pytest.mark.parametrize(
    ("image", "argv", "unit"),
    [
        ("/home/x/x/amazon-ssm-agent", ("x",), "cron.service"),
        ("/usr/bin/sleep", ("amazon-ssm-agent", "9"), ""),
        ("/usr/bin/sleep", ("/home/x/ssm-agent-worker",), ""),
        ("/home/x/ssm-session-worker", (), ""),
        ("", (CORE,), ""),
        ("/opt/renamed", ("x",), ""),
    ],
)
def test_who_has_the_name_or_the_place_counts_in_any_unit(
    image: str, argv: tuple[str, ...], unit: str
) -> None:
    state = process(30, image, argv=argv, unit=unit)
    assert chosen(state, installed=("/opt/renamed",)) == [30]


@pytest.mark.parametrize(
    ("image", "argv"),
    [
        ("/usr/bin/vim", ("vim", CORE)),
        ("/usr/bin/grep", ("grep", "amazon-ssm-agent")),
        ("/usr/bin/amazon-ssm-agent-helper", ("amazon-ssm-agent-helper",)),
        ("/usr/bin/ssm-cli", ("ssm-cli",)),
        ("/usr/bin/amazon-cloudwatch-agent", ("/usr/bin/amazon-cloudwatch-agent",)),
        ("", ()),  # a kernel thread
    ],
)
def test_who_only_mentions_it_does_not_count(image: str, argv: tuple[str, ...]) -> None:
    assert chosen(process(40, image, argv=argv, unit="sshd.service")) == []


def look(files: FakeFiles, *states: ProcessState) -> RunningFacts:
    host = fake_host(files=files, processes=FakeProcesses((INIT, *states)))
    return agent_process.look(host, (CORE,))


def test_digests_the_image_not_the_file() -> None:
    image = file_state("/proc/10/exe", device=9, inode=99)
    files = FakeFiles({"/proc/10/exe": b"running", CORE: b"on disk"}, {"/proc/10/exe": image})
    facts = look(files, process(10, CORE, deleted=True))
    (found,) = facts.processes
    assert found.sha256 == hashlib.sha256(b"running").hexdigest()
    assert (found.device, found.inode, found.deleted, found.unit) == (9, 99, True, UNIT)
    assert [state.path for state in facts.on_disk] == [CORE]


def test_a_process_that_has_ended_is_no_error() -> None:
    files = FakeFiles({"/proc/10/exe": Absent("gone")})
    assert look(files, process(10, CORE)) == RunningFacts((), (), ())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Denied("/proc/10/exe: permission denied"), "no-permission"),
        (ProbeError("changed", "changed-while-read"), "changed-while-read"),
    ],
)
def test_an_unread_image_is_told(error: ProbeError, reason: str) -> None:
    facts = look(FakeFiles({"/proc/10/exe": error}), process(10, "", argv=(CORE,)))
    assert facts.processes == ()
    assert [(item.pid, item.name, item.reason) for item in facts.unread] == [
        (10, "amazon-ssm-agent", reason)
    ]


def test_a_restricted_process_list_proves_nothing() -> None:
    host = fake_host(processes=FakeProcesses((process(50, "/usr/bin/bash", unit=""),)))
    with pytest.raises(Denied, match="hidepid"):
        agent_process.look(host, (CORE,))


def test_a_denied_folder_is_not_an_absent_file() -> None:
    with pytest.raises(Denied):
        look(FakeFiles(states={CORE: Denied("x")}))
