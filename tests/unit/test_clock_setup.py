"""Daemons among processes, unit files, configurations, ClockBound's memory: looked at in a fake."""

from __future__ import annotations

import struct
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.clock_looks import DISCIPLINE
from nodecheck.model.clock import Discipline
from nodecheck.model.discipline import InstalledDaemon, RunningDaemon
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.kernel_clock import KernelClock
from nodecheck.model.node import FileKind, ProcessState
from nodecheck.probes import (
    clock_clockbound,
    clock_daemons,
    clock_discipline,
    clock_setup,
    clock_steps,
    clock_timesyncd,
)
from tests.fake_host import (
    FakeFiles,
    FakeProcesses,
    FakeSteering,
    fake_host,
    file_state,
)

INIT = ProcessState(1, 0, "systemd", 0, "/usr/lib/systemd/systemd", image_deleted=False, unit="")


def process(pid: int, image: str, *arguments: str, parent: int = 1, name: str = "") -> ProcessState:
    name = name or image.rpartition("/")[2][:15]
    words = arguments or (image,)
    return ProcessState(pid, parent, name, 0, image, image_deleted=False, unit="", arguments=words)


def daemons(*states: ProcessState, files: FakeFiles | None = None) -> tuple[RunningDaemon, ...]:
    return clock_daemons.look(fake_host(files, processes=FakeProcesses((INIT, *states)))).daemons


@pytest.mark.parametrize(
    ("state", "discipline"),
    [
        (process(7, "/usr/sbin/chronyd"), Discipline.CHRONY),
        (process(7, "", "/usr/sbin/chronyd", "-F", "2"), Discipline.CHRONY),
        (process(7, "/lib/systemd/systemd-timesyncd"), Discipline.TIMESYNCD),
        (process(7, "", "x", name="systemd-timesyn"), Discipline.TIMESYNCD),
        (process(7, "/usr/sbin/ntpd", "/usr/sbin/ntpd", "-g"), Discipline.NTPD),
    ],
)
def test_daemons_by_image_name_or_arguments(state: ProcessState, discipline: Discipline) -> None:
    (found,) = daemons(state)
    assert (found.discipline, found.pid, found.steers) == (discipline, 7, True)


def test_others_are_no_daemons() -> None:
    assert daemons(process(7, "/usr/bin/chronyc"), process(8, "/usr/sbin/ntpdate")) == ()


@pytest.mark.parametrize(
    ("arguments", "steers"),
    [
        (("chronyd", "-F", "1"), True),
        (("chronyd", "-x"), False),
        (("chronyd", "-4xd"), False),
        (("chronyd", "-Q", "server x"), False),
        (("chronyd", "-f", "-x"), True),
        (("chronyd", "-u_x"), True),
        (("chronyd", "-d", "-"), True),
    ],
)
def test_a_chronyd_that_leaves_the_clock_alone(arguments: tuple[str, ...], *, steers: bool) -> None:
    (found,) = daemons(process(7, "/usr/sbin/chronyd", *arguments))
    assert found.steers is steers


@pytest.mark.parametrize(
    ("status", "steers"),
    [
        ("Name:\tchronyd\nCapEff:\t0000000002000400\n", True),
        ("Name:\tchronyd\nCapEff:\t0000000000000400\n", False),
        ("Name:\tchronyd\n", True),
        ("", True),
    ],
)
def test_a_name_without_the_capability_steers_nothing(status: str, *, steers: bool) -> None:
    files = FakeFiles({"/proc/7/status": status.encode()})
    (found,) = daemons(process(7, "/usr/sbin/chronyd"), files=files)
    assert found.steers is steers


def test_helpers_of_a_daemon_are_not_a_second_one() -> None:
    found = daemons(process(7, "/usr/sbin/chronyd"), process(8, "/usr/sbin/chronyd", parent=7))
    assert [item.pid for item in found] == [7]


def test_hidden_processes_are_said() -> None:
    processes = FakeProcesses((process(7, "/usr/sbin/chronyd"),))
    assert not clock_daemons.look(fake_host(processes=processes)).seen


# --- unit files ----------------------------------------------------------------------------------

LIB = "/usr/lib/systemd/system"
ETC = "/etc/systemd/system"


def link(path: str, target: str) -> dict[str, object]:
    return {path: file_state(path, kind=FileKind.LINK, target=target)}


def test_installed_enabled_masked_and_aliases() -> None:
    states = (
        link(f"{ETC}/chronyd.service", f"{LIB}/chrony.service")
        | link(f"{ETC}/multi-user.target.wants/chrony.service", f"{LIB}/chrony.service")
        | link(f"{ETC}/sysinit.target.wants/systemd-timesyncd.service", "gone")
        | link(f"{ETC}/ntpsec.service", "/dev/null")
    )
    files = FakeFiles(
        {f"{LIB}/chrony.service": b"", f"{LIB}/ntpsec.service": b"", "/usr/bin/dnf": b""},
        states,  # type: ignore[arg-type]
    )
    found = clock_setup.look(files)
    assert found.installed == (
        InstalledDaemon(Discipline.CHRONY, "chrony.service", enabled=True),
        InstalledDaemon(Discipline.NTPD, "ntpsec.service", enabled=False, masked=True),
    )
    assert found.package_tool == "dnf"
    assert found.agent_unit == ""


def test_when_the_agent_starts() -> None:
    unit = b"[Unit]\nAfter=network-online.target chrony.service\n[Service]\nExecStart=/x\n"
    files = FakeFiles(
        {
            f"{LIB}/amazon-ssm-agent.service": unit,
            f"{ETC}/amazon-ssm-agent.service.d/time.conf": b"[Unit]\nAfter=time-sync.target\n",
        }
    )
    found = clock_setup.look(files)
    assert found.agent_unit == "amazon-ssm-agent.service"
    assert found.agent_after == ("chrony.service", "time-sync.target")


def test_containers_and_what_cannot_be_looked_at() -> None:
    assert clock_setup.look(FakeFiles({"/.dockerenv": b""})).container == "docker"
    found = clock_setup.look(FakeFiles({"/run/systemd/container": b"lxc\x1b\n"}))
    assert found.container == "lxc"
    denied = Denied(f"{LIB}: permission denied")
    found = clock_setup.look(FakeFiles(states={f"{LIB}/chrony.service": denied}))
    assert found.notes[0] == str(denied)
    path = "/run/systemd/container"
    assert clock_setup.look(FakeFiles({path: denied})).notes == (str(denied),)


# --- when daemons step ---------------------------------------------------------------------------

CHRONY = "/etc/chrony/chrony.conf"


def rule(contents: dict[str, bytes | ProbeError], daemon: RunningDaemon | None = None) -> object:
    found, _ = clock_steps.look(FakeFiles(contents), (daemon,) if daemon else ())
    rules = dict(found)
    return rules.get(Discipline.CHRONY) or rules.get(Discipline.NTPD)


@pytest.mark.parametrize(
    ("text", "threshold_s", "updates"),
    [
        ("makestep 1 3", 1.0, 3),
        ("MakeStep 0.1 -1 # always", 0.1, -1),
        ("makestep 1 3\nmakestep 10 2", 10.0, 2),
        ("#makestep 1 3", inf, 0),
        ("", inf, 0),
        ("makestep", inf, 0),
        ("makestep one 3", 0.0, 3),
    ],
)
def test_makestep(text: str, threshold_s: float, updates: int) -> None:
    found = dict(clock_steps.look(FakeFiles({CHRONY: text.encode()}), ())[0])[Discipline.CHRONY]
    assert (found.threshold_s, found.updates) == (threshold_s, updates)
    assert found.always_steps is (updates < 0)
    assert found.slew_ppm == clock_steps.CHRONY_SLEW_PPM


def test_makestep_in_another_file_and_limits() -> None:
    contents: dict[str, bytes | ProbeError] = {
        CHRONY: b"confdir /etc/chrony/conf.d\ninclude more.conf\nmaxchange 1000 1 2\n",
        "/etc/chrony/conf.d/a.conf": b"makestep 2 -1\n",
        "/etc/chrony/conf.d/a.txt": b"makestep 3 3\n",
        "/etc/chrony/more.conf": b"maxslewrate 500\n",
    }
    found = dict(clock_steps.look(FakeFiles(contents), ())[0])[Discipline.CHRONY]
    assert (found.threshold_s, found.updates, found.gives_up_s, found.slew_ppm) == (
        2.0,
        -1,
        1000.0,
        500.0,
    )


def test_the_file_that_the_process_was_started_with() -> None:
    arguments = ("chronyd", "-f", "/opt/c.conf")
    daemon = RunningDaemon(Discipline.CHRONY, 7, "", arguments=arguments)
    contents: dict[str, bytes | ProbeError] = {
        CHRONY: b"makestep 1 3",
        "/opt/c.conf": b"makestep 5 1",
    }
    found, _ = clock_steps.look(FakeFiles(contents), (daemon,))
    assert dict(found)[Discipline.CHRONY].threshold_s == 5.0


def test_a_configuration_that_includes_itself_ends() -> None:
    contents: dict[str, bytes | ProbeError] = {CHRONY: f"include {CHRONY}\nmakestep 1 3".encode()}
    assert rule(contents) is not None


def test_what_cannot_be_read_is_noted() -> None:
    found, notes = clock_steps.look(FakeFiles({CHRONY: Denied("chrony.conf: denied")}), ())
    assert Discipline.CHRONY not in dict(found)
    assert notes == ("chrony.conf: denied",)
    many: dict[str, bytes | ProbeError] = {
        f"/etc/chrony/d/{number}.conf": b"" for number in range(65)
    }
    _, notes = clock_steps.look(FakeFiles({CHRONY: b"confdir /etc/chrony/d", **many}), ())
    assert notes == ("/etc/chrony/d: more than 64 entries",)


@pytest.mark.parametrize(
    ("text", "arguments", "step_s", "panic_s"),
    [
        ("", ("ntpd", "-g"), 0.128, 1000.0),
        ("tinker panic 0", ("ntpd",), 0.128, inf),
        ("tinker step 2 panic 5000", ("ntpd",), 2.0, 5000.0),
        ("tinker step 0", ("ntpd",), inf, 1000.0),
        ("tinker panic", ("ntpd", "-x"), 600.0, 1000.0),
    ],
)
def test_ntpd(text: str, arguments: tuple[str, ...], step_s: float, panic_s: float) -> None:
    daemon = RunningDaemon(Discipline.NTPD, 7, "", arguments=arguments)
    found, _ = clock_steps.look(FakeFiles({"/etc/ntp.conf": text.encode()}), (daemon,))
    chosen = dict(found)[Discipline.NTPD]
    assert (chosen.threshold_s, chosen.gives_up_s, chosen.updates) == (step_s, panic_s, -1)


# --- timesyncd and ClockBound --------------------------------------------------------------------


def test_timesyncd_by_its_files() -> None:
    with pytest.raises(Absent):
        clock_timesyncd.look(fake_host())
    folder = {clock_timesyncd.FOLDER: file_state(clock_timesyncd.FOLDER, kind=FileKind.FOLDER)}
    never = clock_timesyncd.look(fake_host(FakeFiles(states=dict(folder))))
    assert (never.synchronised, never.source) == (False, "")
    done = file_state(clock_timesyncd.SYNCHRONISED, mtime_ns=5)
    files = FakeFiles(states={**folder, clock_timesyncd.SYNCHRONISED: done})
    found = clock_timesyncd.look(fake_host(files))
    assert (found.synchronised, found.updated_ns, found.lists_sources) == (True, 5, False)


def memory(version: int = 2, status: int = 1, generation: int = 4, bound_ns: int = 1000) -> bytes:
    """A segment: taken 100 s after start, void after 1100 s, drift 50 ppm."""
    head = struct.pack("=IIIHH", *clock_clockbound.MAGIC, 80, version, generation)
    times = struct.pack("=5q", 100, 0, 1100, 0, bound_ns)
    if version == 2:
        return head + times + struct.pack("=QIiB7x", 0, 50_000, status, 1)
    return head + times + struct.pack("=IIi4x", 50_000, 0, status)


@pytest.mark.parametrize("version", [1, 2])
def test_clockbound(version: int) -> None:
    found = clock_clockbound.parse(memory(version), 110 * 10**9)
    assert (found.status, found.valid, found.age_s) == ("synchronised", True, 10.0)
    assert found.bound_s == pytest.approx(1e-6 + 10 * 50e-6)


@pytest.mark.parametrize(("now_s", "valid"), [(99, False), (1100, True), (1101, False)])
def test_clockbound_out_of_date(now_s: int, *, valid: bool) -> None:
    assert clock_clockbound.parse(memory(), now_s * 10**9).valid is valid


@pytest.mark.parametrize(
    "data",
    [
        b"",
        memory()[:15],
        memory()[:71],
        memory(version=3),
        memory(generation=5),
        memory(generation=0),
        memory(status=9),
        memory(status=-1),
        memory(bound_ns=-1),
        b"\0" * 4096,
    ],
)
def test_memory_that_is_not_understood(data: bytes) -> None:
    with pytest.raises(ProbeError, match="ClockBound"):
        clock_clockbound.parse(data, 0)


@given(st.binary(max_size=120))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        clock_clockbound.parse(struct.pack("=II", *clock_clockbound.MAGIC) + data, 1)
    except ProbeError:
        return


def test_clockbound_where_it_is() -> None:
    assert clock_clockbound.look(FakeFiles(), 0) is None
    files = FakeFiles({clock_clockbound.PATHS[1]: memory(1)})
    assert clock_clockbound.look(files, 110 * 10**9) is not None


# --- joined --------------------------------------------------------------------------------------


def test_an_empty_node_has_facts_all_the_same() -> None:
    found = clock_discipline.look(fake_host(), DISCIPLINE, is_ec2=True)
    assert (found.words, found.kernel, found.clockbound) == ((), None, None)
    assert [item.discipline for item in found.silences] == [item for item, _ in DISCIPLINE.askers]
    assert found.advised_source == "169.254.169.123"
    assert "no kernel record" in found.notes


def test_a_list_of_processes_that_fails_hides_them() -> None:
    class Failing(FakeProcesses):
        def all(self) -> tuple[ProcessState, ...]:
            raise ProbeError("process list: broken")  # noqa: EM101, TRY003

    found = clock_discipline.look(fake_host(processes=Failing()), DISCIPLINE, is_ec2=False)
    assert not found.processes.seen
    assert found.advised_source == "time.aws.com"


def test_damaged_shared_memory_is_noted() -> None:
    steering = FakeSteering(kernel=KernelClock(0.1, 0.1, 0.0, 5))
    files = FakeFiles({clock_clockbound.PATHS[0]: b"x"})
    found = clock_discipline.look(fake_host(files, steering=steering), DISCIPLINE, is_ec2=False)
    assert found.clockbound is None
    assert any("ClockBound" in note for note in found.notes)
