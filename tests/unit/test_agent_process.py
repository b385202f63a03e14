"""Which processes are the agent, and what becomes of those that cannot be read."""

from __future__ import annotations

import hashlib

import pytest

from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.install import Bystander, Mounts, RunningFacts
from nodecheck.model.node import FileKind, ProcessState, start_ticks
from nodecheck.model.process_text import (
    loader_variables,
    mapped_code,
    preload_entries,
    read_status,
)
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


def status(uid: int = 0, *, real: int | None = None, depth: int = 1, tracer: int = 0) -> bytes:
    users = [uid if real is None else real, uid, uid, uid]
    numbers = "\t7" * depth
    text = "Name:\tx\nTracerPid:\t%d\nUid:\t%d\t%d\t%d\t%d\nNSpid:%s\n"
    return (text % (tracer, *users, numbers)).encode()


def look(files: FakeFiles, *states: ProcessState) -> RunningFacts:
    for state in states:
        files.contents.setdefault(f"/proc/{state.pid}/status", status())
        files.contents.setdefault(f"/proc/{state.pid}/maps", b"")
        files.contents.setdefault(f"/proc/{state.pid}/environ", b"")
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
    assert look(files, process(10, CORE)) == RunningFacts((), (), (), grouped=True)
    for name in ("status", "maps", "environ"):
        ended = unit_files({10: 1})
        ended.contents[f"/proc/10/{name}"] = Absent("gone")
        assert look(ended, process(10, CORE)).processes == ()


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


INVOKED = "/run/systemd/units/invocation:" + UNIT
GROUP = "/sys/fs/cgroup/system.slice/" + UNIT + "/cgroup.procs"


def unit_files(began: dict[int, int], stale: tuple[int, ...] = ()) -> FakeFiles:
    """Processes of the unit by the time they began; ``stale`` ones are of an earlier run."""
    files = FakeFiles(states={INVOKED: file_state(INVOKED, kind=FileKind.LINK, target="now")})
    for pid, ticks in began.items():
        run = b"before" if pid in stale else b"now"
        files.contents |= {
            f"/proc/{pid}/exe": b"image %d" % pid,
            f"/proc/{pid}/environ": b"A=1\0INVOCATION_ID=" + run + b"\0",
            f"/proc/{pid}/stat": f"{pid} (a) b) S {'0 ' * 18}{ticks} 0 0".encode(),
        }
    return files


def test_the_main_process_is_looked_at_although_a_decoy_has_the_name() -> None:
    states = (process(60, "/opt/x"), process(61, CORE), process(62, "/usr/bin/dash"))
    facts = look(unit_files({60: 500, 61: 600, 62: 400}, stale=(62,)), *states)
    assert facts.main_pid == 60
    assert {item.pid for item in facts.processes} == {60, 61}


def test_left_over_scripts_and_children_are_not_the_main_process() -> None:
    states = (
        process(70, "/usr/bin/dash"),  # of an earlier run: KillMode=process leaves it
        process(71, CORE),
        process(72, "/usr/bin/python3"),  # a command's daemon, younger than the agent
        process(73, WORKER, parent=71),
    )
    facts = look(unit_files({70: 1, 71: 600, 72: 700, 73: 650}, stale=(70,)), *states)
    assert facts.main_pid == 71
    assert [item.pid for item in facts.processes] == [71, 73]


def test_without_invocation_ids_the_older_rule_holds() -> None:
    files = unit_files({80: 1, 81: 2})
    del files.states[INVOKED]
    states = (process(80, "/usr/bin/dash"), process(81, CORE))
    facts = look(files, *states)
    assert (facts.main_pid, [item.pid for item in facts.processes]) == (0, [81])


def test_an_image_without_a_file_counts_beside_the_core() -> None:
    assert chosen(process(90, CORE), process(91, "/memfd:x", deleted=True)) == [90, 91]
    assert chosen(process(90, CORE), process(91, "/memfd:x", deleted=True, parent=90)) == [90]


def test_the_kernels_list_of_the_unit_tells_who_belongs_to_it() -> None:
    files = unit_files({95: 1})
    files.contents[GROUP] = b"95\n0\n"
    facts = look(files, process(95, "/opt/x", unit=""))
    assert [(item.pid, item.unit) for item in facts.processes] == [(95, UNIT)]
    assert facts.unread == ()


def test_a_process_that_the_list_of_processes_lacks_is_told() -> None:
    facts = look(FakeFiles({GROUP: b"96\n"}))
    assert [(item.pid, item.reason) for item in facts.unread] == [(96, "hidden-process")]


def test_finds_the_updater() -> None:
    path = "/var/lib/amazon/ssm/update/amazon-ssm-agent-updater/3.3.1.0/updater"
    facts = look(FakeFiles(), process(97, path, unit=""), process(98, "/opt/updater", unit=""))
    assert facts.updaters == (97,)
    for other in (status(1000), status(depth=2), b"?"):
        found = look(FakeFiles({"/proc/97/status": other}), process(97, path, unit=""))
        assert found.updaters == ()


MAPS = """\
55d0-55d1 r--p 00000000 08:01 10                         /usr/bin/amazon-ssm-agent
55d1-55d2 r-xp 00001000 08:01 10                         /usr/bin/amazon-ssm-agent
7f01-7f02 r-xp 00000000 08:01 11                         /usr/lib/x86_64-linux-gnu/libc.so.6
7f03-7f04 r-xp 00000000 08:01 12                         /usr/lib/x86_64-linux-gnu/libz.so (deleted)
7f05-7f06 r-xp 00000000 08:01 13                         /tmp/evil .so
7f05-7f06 rwxp 00000000 00:01 14                         /memfd:jit (deleted)
7f07-7f08 r--p 00000000 08:01 15                         /tmp/data
7ffc-7ffd r-xp 00000000 00:00 0                          [vdso]
7ffe-7fff rwxp 00000000 00:00 0
"""


def test_mapped_code() -> None:
    expected = (
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "/usr/lib/x86_64-linux-gnu/libz.so (deleted)",
        "/tmp/evil .so",  # noqa: S108
        "/memfd:jit (deleted)",
    )
    assert mapped_code(MAPS, CORE) == expected
    gone = MAPS.replace("ssm-agent\n", "ssm-agent (deleted)\n")
    assert mapped_code(gone, CORE) == expected
    assert mapped_code("", CORE) == ()
    assert mapped_code("\0\xff garbage r-xp", CORE) == ()


def test_reads_code_and_tracer() -> None:
    files = unit_files({10: 1})
    files.contents["/proc/10/maps"] = MAPS.encode()
    files.contents["/proc/10/status"] = status(tracer=4711)
    files.states["/tmp/evil .so"] = file_state("/tmp/evil .so", uid=7)  # noqa: S108
    (found,) = look(files, process(10, CORE)).processes
    assert [item.state.uid if item.state else None for item in found.code] == [None, None, 7, None]
    assert (found.tracer_pid, found.unseen) == (4711, "")
    for name in ("maps", "environ"):
        denied = unit_files({10: 1})
        denied.contents[f"/proc/10/{name}"] = Denied(f"{name}: permission denied")
        (found,) = look(denied, process(10, CORE)).processes
        assert (found.code, found.unseen) == ((), f"{name}: permission denied")
    many = "".join(f"1-2 r-xp 0 08:01 {n} /tmp/{n}\n" for n in range(257))
    files.contents["/proc/10/maps"] = many.encode()
    (found,) = look(files, process(10, CORE)).processes
    assert "257 files" in found.unseen


def test_an_unread_status_is_told() -> None:
    facts = look(FakeFiles({"/proc/10/status": b"\xff\0"}), process(10, CORE))
    assert [(item.reason, item.unit) for item in facts.unread] == [("not-understood", UNIT)]


@pytest.mark.parametrize(
    ("text", "uid"),
    [
        (status(), 0),
        (status(1000), 1000),
        (status(0, real=1000), 1000),  # su, waiting for a password under the agent's name
    ],
)
def test_only_who_is_wholly_root_is_root(text: bytes, uid: int) -> None:
    assert read_status(text.decode()).uid == uid


@pytest.mark.parametrize("text", ["", "Uid:\t0\t0\n", "Name:\tUid:\t0\t0\t0\t0\n", "\0" * 9])
def test_a_damaged_status_proves_no_owner(text: str) -> None:
    with pytest.raises(ProbeError):
        read_status(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (status(1000), "of user 1000"),
        (status(0, real=1000), "of user 1000"),
        (status(depth=2), "in a PID namespace of its own"),
    ],
)
def test_a_stranger_is_named_and_its_image_not_read(text: bytes, why: str) -> None:
    files = FakeFiles({"/proc/10/status": text, "/proc/10/exe": ProbeError("a file of a terabyte")})
    facts = look(files, process(10, CORE, unit="cron.service"))
    assert facts.ignored == (Bystander(10, "amazon-ssm-agent", CORE, why),)
    assert (facts.processes, facts.unread, facts.grouped) == ((), (), False)


def test_in_the_unit_a_pid_namespace_is_the_units_own() -> None:
    files = unit_files({10: 1})
    files.contents["/proc/10/status"] = status(depth=2)
    facts = look(files, process(10, CORE))
    assert ([item.pid for item in facts.processes], facts.ignored) == ([10], ())


def test_in_the_unit_a_users_process_counts_only_as_the_services_own() -> None:
    files = unit_files({10: 1, 11: 2, 12: 3})
    for pid in (10, 11, 12):
        files.contents[f"/proc/{pid}/status"] = status(1000)
    states = (process(10, CORE), process(11, CORE, parent=10), process(12, CORE))
    facts = look(files, *states)
    assert [item.pid for item in facts.processes] == [10]
    assert [item.pid for item in facts.ignored] == [11, 12]  # a session's, and its orphan
    del files.states[INVOKED]
    facts = look(files, *states)
    assert [item.pid for item in facts.processes] == [10, 12]


def namespaces(files: FakeFiles, **names: str) -> None:
    for pid, name in names.items():
        path = f"/proc/{pid[1:]}/ns/mnt"
        files.states[path] = file_state(path, kind=FileKind.LINK, target=name)


@pytest.mark.parametrize(
    ("unit", "mine", "inode", "mounts"),
    [
        ("", "mnt:[1]", 7, Mounts.SAME),
        ("", "mnt:[2]", 5, Mounts.OTHER),  # the installed file: a unit of the operator's own
        ("", "mnt:[2]", 7, None),
        ("", "", 7, Mounts.UNSEEN),
        (UNIT, "mnt:[2]", 7, Mounts.OTHER),
    ],
)
def test_a_copy_in_another_root_is_not_this_nodes_agent(
    unit: str, mine: str, inode: int, mounts: Mounts | None
) -> None:
    files = unit_files({10: 1})
    files.contents[CORE] = b""
    files.states[CORE] = file_state(CORE, device=1, inode=5)
    files.states["/proc/10/exe"] = file_state("/proc/10/exe", device=1, inode=inode)
    namespaces(files, p1="mnt:[1]", p10=mine)
    facts = look(files, process(10, CORE, unit=unit))
    assert [item.mounts for item in facts.processes] == ([mounts] if mounts else [])
    assert [item.why for item in facts.ignored] == (
        [] if mounts else ["in another mount namespace"]
    )
    assert facts.grouped is bool(unit)


def test_reads_what_the_loader_was_told() -> None:
    files = unit_files({10: 1})
    files.contents["/proc/10/environ"] = b"X=1\0LD_PRELOAD=/a.so\0LD_AUDIT=\0"
    files.contents["/etc/ld.so.preload"] = b"/opt/a.so # why\n$LIB/b.so\n"
    files.states["/opt/a.so"] = file_state("/opt/a.so")
    facts = look(files, process(10, CORE))
    assert [(item.name, item.entries) for item in facts.processes[0].variables] == [
        ("LD_PRELOAD", ("/a.so",))
    ]
    assert [(item.path, item.state is None) for item in facts.preloads] == [
        ("/opt/a.so", False),
        ("$LIB/b.so", True),
    ]
    assert look(FakeFiles()).preloads == ()
    unreadable = FakeFiles({"/etc/ld.so.preload": Denied("no")})
    assert (look(unreadable).preloads, look(unreadable).unseen) == ((), "no")


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"", []),
        (b"LD_PRELOAD", []),
        (b"XLD_PRELOAD=/a", []),
        (b"LD_PRELOAD=/a\0LD_AUDIT=/b\0LD_LIBRARY_PATH=:", ["LD_PRELOAD", "LD_AUDIT"]),
        (b"\xff=\xff\0LD_AUDIT=\xff", ["LD_AUDIT"]),
    ],
)
def test_loader_variables(data: bytes, names: list[str]) -> None:
    found = [item.name for item in loader_variables(data)]
    assert found[: len(names)] == names
    many = loader_variables(b"\0".join(b"LD_AUDIT=" + b"/a:" * 99 for _ in range(99)))
    assert (len(many), len(many[0].entries)) == (20, 20)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", ()),
        ("\n \t\n# /opt/none.so\n", ()),
        ("/a.so:/b.so /a.so\n\tc.so", ("/a.so", "/b.so", "c.so")),
        ("#\n/a.so#x", ("/a.so",)),
    ],
)
def test_preload_entries(text: str, entries: tuple[str, ...]) -> None:
    assert preload_entries(text) == entries
    assert len(preload_entries(" ".join(f"/{n}" for n in range(99)))) == 20


@pytest.mark.parametrize("stat", ["", "7 (x) S 1 2", "7 (x) " + "S " * 30, "\0" * 99])
def test_a_damaged_stat_file_proves_no_age(stat: str) -> None:
    with pytest.raises(ProbeError):
        start_ticks(stat)
