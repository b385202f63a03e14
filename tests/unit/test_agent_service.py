"""What service managers and the kernel say of the agent's service, and what is made of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from nodecheck.checks import agent_service
from nodecheck.checks.service_processes import GRACE_S
from nodecheck.host.door import ToolOutput
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.install import AgentProcess, RunningFacts, UnreadImage
from nodecheck.model.node import FileKind
from nodecheck.model.service import (
    UNITS,
    Failure,
    Job,
    Manager,
    ProcessUse,
    ServiceFacts,
    ServiceProcesses,
    UnitLinks,
    UnitState,
)
from nodecheck.model.service_text import (
    files_limit,
    parse_job,
    parse_show,
    parse_stat,
    resident_bytes,
    starts_at_boot,
)
from nodecheck.model.verdict import Status, Verdict
from nodecheck.probes import agent_service as probe
from nodecheck.probes import agent_service_processes
from nodecheck.records import replace
from tests.fake_host import FakeClock, FakeFiles, FakeProcesses, fake_host, file_state

UNIT, SNAP = UNITS
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

# systemd 252 of Debian 12: a running unit and one that is not there.
RUNNING = b"""\
MainPID=48
Result=success
NRestarts=0
ExecMainCode=0
ExecMainStatus=0
User=
Names=amazon-ssm-agent.service
WantedBy=multi-user.target
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
ActiveEnterTimestampMonotonic=11545340807
StartLimitBurst=5
"""
MISSING = b"""\
MainPID=0
Result=success
NRestarts=0
ExecMainCode=0
ExecMainStatus=0
User=
Names=snap.amazon-ssm-agent.amazon-ssm-agent.service
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
ActiveEnterTimestampMonotonic=0
StartLimitBurst=5
"""
SHOWN = RUNNING + b"\n" + MISSING


def test_reads_what_systemctl_shows() -> None:
    unit, other = parse_show(SHOWN, UNITS)
    assert unit == UnitState(
        unit=UNIT,
        load="loaded",
        enablement="enabled",
        active="active",
        sub="running",
        result="success",
        main_pid=48,
        restarts=0,
        burst=5,
        active_since_us=11545340807,
        wanted_by=("multi-user.target",),
    )
    assert unit.runs
    assert (other.load, other.state, other.runs) == ("not-found", "inactive (dead)", False)


def test_an_older_systemd_does_not_count_restarts() -> None:
    (unit,) = parse_show(re.sub(b"(NRestarts|StartLimitBurst)=.\n", b"", RUNNING), (UNIT,))
    assert (unit.restarts, unit.burst) == (None, None)


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"\n\n\n",
        b"Failed to connect to bus: No such file or directory\n",
        "Verbindung zum Bus gescheitert: Datei für Socket nicht gefunden\n".encode(),
        RUNNING,
        RUNNING + b"\n" + MISSING[:-100],
        RUNNING + b"\n" + RUNNING,
        MISSING + b"\n" + RUNNING,
        SHOWN + b"\n" + MISSING,
        SHOWN.replace(b"MainPID=48", b"MainPID=-1"),
        SHOWN.replace(b"MainPID=48", b"MainPID=" + b"9" * 400),
        SHOWN.replace(b"MainPID=48", b"MainPID="),
        SHOWN.replace(b"MainPID=48\n", b""),
        SHOWN.replace(b"LoadState=loaded\n", b""),
        SHOWN.replace(b"ActiveState=active\n", b"ActiveState=active\nActiveState=failed\n"),
        SHOWN.replace(b"SubState=running", b"SubState=l\xe4uft"),
        SHOWN.replace(b"SubState=running", "SubState=läuft".encode()),
        SHOWN.replace(b"SubState=running", b"SubState running"),
        SHOWN.replace(b"NRestarts=0", b"NRestarts=[not set]"),
        SHOWN.replace(b"User=\n", b"User=" + b"x" * 100 + b"\n"),
        SHOWN.replace(b"\n", b"\r\n"),
        b"\0\xff" * 1000,
    ],
)
def test_anything_else_is_no_fact(output: bytes) -> None:
    with pytest.raises(ProbeError) as raised:
        parse_show(output, UNITS)
    assert raised.value.reason == "not-understood"
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    ("output", "state"),
    [
        (b"amazon-ssm-agent start/running, process 1142\n", "start/running"),
        (b"amazon-ssm-agent stop/waiting\n", "stop/waiting"),
        (b"amazon-ssm-agent start/post-stop, process 7\n", "start/post-stop"),
        (b"", None),
        (b"initctl: Unknown job: amazon-ssm-agent\n", None),
        (b"amazon-ssm-agent-x start/running, process 1\n", None),
        (b"other start/running\namazon-ssm-agent stop/waiting\n", None),
        (b"amazon-ssm-agent start/running, process 1\nmore\n", None),
        (b"amazon-ssm-agent l\xe4uft\n", None),
    ],
)
def test_reads_what_initctl_says(output: bytes, state: str | None) -> None:
    if state is not None:
        assert parse_job(output) == state
        return
    with pytest.raises(ProbeError):
        parse_job(output)


@pytest.mark.parametrize(
    ("job", "override", "starts"),
    [
        ("start on (runlevel [345] and started network)\n", "", True),
        ("start on runlevel [345]\nmanual\n", "", False),
        ("manual\nstart on runlevel [345]\n", "", True),
        ("start on runlevel [345]\n", "manual\n", False),
        ("start on runlevel [345]\n", "manual # no\nstart on x\n", True),
        ("start on runlevel [345]\n", "#manual\n", True),
        ("exec /usr/bin/amazon-ssm-agent\n", "", False),
        ("", "", False),
    ],
)
def test_an_upstart_job_starts_at_boot(job: str, override: str, starts: bool) -> None:  # noqa: FBT001
    assert starts_at_boot(job, override) is starts


@pytest.mark.parametrize(
    "text", ["", "7 (x", "7 (x) S 1", "7 (x) S" + " a" * 30, "7 (x) S" + " -1" * 30, "\0" * 99]
)
def test_a_stat_that_is_cut_is_no_fact(text: str) -> None:
    with pytest.raises(ProbeError):
        parse_stat(text)


def test_memory_and_files_that_are_not_told() -> None:
    assert resident_bytes("Name:\tx\nVmRSS:\t12 MB\n") is None
    assert resident_bytes("") is None
    assert files_limit("Max open files            unlimited            unlimited   files") is None
    assert files_limit("") is None


# The probe.

SHOW = (probe.SYSTEMCTL[0], *probe.SHOW)
SEEN = ServiceProcesses()


def look(
    files: FakeFiles, outputs: dict[tuple[str, ...], ToolOutput] | None = None
) -> ServiceFacts:
    host = fake_host(
        files=files,
        clock=FakeClock(monotonic=11_600_000_000_000),
        processes=FakeProcesses(outputs=outputs or {}),
    )
    return probe.look(host, SEEN)


def with_systemd() -> FakeFiles:
    states = {probe.BOOTED: file_state(probe.BOOTED, kind=FileKind.FOLDER)}
    return FakeFiles(states=states)  # type: ignore[arg-type]


def test_systemd_is_asked_and_its_files_are_read() -> None:
    files = with_systemd()
    path = f"/usr/lib/systemd/system/{UNIT}"
    wants = f"/etc/systemd/system/multi-user.target.wants/{UNIT}"
    files.contents[path] = b"[Service]\n"
    files.states[wants] = file_state(wants, kind=FileKind.LINK, target=path)
    facts = look(files, {SHOW: ToolOutput(0, SHOWN, b"")})
    assert [unit.unit for unit in facts.units] == list(UNITS)
    assert (facts.failure, facts.monotonic_s) == (None, 11600.0)
    links = facts.links_of(UNIT)
    assert links == UnitLinks(UNIT, path, masked=False, wants=(wants,))
    assert links.starts
    assert facts.links_of(SNAP) == UnitLinks(SNAP)


@pytest.mark.parametrize("kind", ["link", "empty"])
def test_a_mask_is_seen_without_systemctl(kind: str) -> None:
    files = with_systemd()
    path = f"/etc/systemd/system/{UNIT}"
    if kind == "link":
        files.states[path] = file_state(path, kind=FileKind.LINK, target="/dev/null")
    else:
        files.contents[path] = b""
    facts = look(files)
    assert facts.links_of(UNIT).masked
    assert facts.failure == Failure(
        "not-observed", "systemd runs, but there is no /usr/bin/systemctl"
    )


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (ToolOutput(1, b"", b"Failed to connect to bus"), "not-observed"),
        (ToolOutput(1, SHOWN, b""), "not-observed"),
        (ToolOutput(-9, SHOWN, b"\xff"), "not-observed"),
        (ToolOutput(0, b"", b"Running in chroot, ignoring command 'show'"), "not-understood"),
    ],
)
def test_a_systemctl_that_fails_is_no_fact(output: ToolOutput, reason: str) -> None:
    facts = look(with_systemd(), {SHOW: output})
    assert facts.units == ()
    assert facts.failure is not None
    assert facts.failure.reason == reason


def test_the_other_place_of_systemctl() -> None:
    facts = look(with_systemd(), {(probe.SYSTEMCTL[1], *probe.SHOW): ToolOutput(0, SHOWN, b"")})
    assert len(facts.units) == 2


def test_whether_systemd_is_there_must_be_seen() -> None:
    files = FakeFiles(states={probe.BOOTED: Denied("/run: permission denied")})
    with pytest.raises(Denied):
        look(files)


def test_folders_that_cannot_be_listed_are_noted() -> None:
    files = with_systemd()
    names = {f"/etc/systemd/system/{number}.service": b"x" for number in range(10_001)}
    files.contents |= names
    facts = look(files, {SHOW: ToolOutput(0, SHOWN, b"")})
    assert facts.unobserved == ("/etc/systemd/system: more than 10000 entries",)


def test_upstart() -> None:
    files = FakeFiles({probe.JOB_FILE: b"start on runlevel [345]\n"})
    output = ToolOutput(0, b"amazon-ssm-agent start/running, process 9\n", b"")
    facts = look(files, {probe.INITCTL: output})
    assert facts.manager is Manager.UPSTART
    assert facts.job == Job(probe.JOB_FILE, "start/running", starts=True)
    files.contents[probe.JOB_OVERRIDE] = b"manual\n"
    job = look(files, {probe.INITCTL: output}).job
    assert job is not None
    assert not job.starts


def test_a_job_file_without_upstart_is_no_upstart() -> None:
    files = FakeFiles({probe.JOB_FILE: b"start on runlevel [345]\n"})
    assert look(files).manager is Manager.NONE
    facts = look(files, {probe.INITCTL: ToolOutput(0, b"", b"")})
    assert (facts.manager, facts.job) == (Manager.UPSTART, None)
    assert facts.failure is not None


@pytest.mark.parametrize(
    ("links", "starts"),
    [
        (("/etc/rc3.d/S20amazon-ssm-agent",), True),
        (("/etc/rc.d/rc5.d/S99amazon-ssm-agent",), True),
        (("/etc/rc3.d/K20amazon-ssm-agent",), False),
        (("/etc/rc6.d/S20amazon-ssm-agent",), False),
        (("/etc/rc3.d/S20amazon-ssm-agent2",), False),
        ((), False),
    ],
)
def test_a_script_of_sysv(links: tuple[str, ...], starts: bool) -> None:  # noqa: FBT001
    files = FakeFiles({probe.SCRIPT: b"#!/bin/sh\n", **dict.fromkeys(links, b"x")})
    facts = look(files)
    assert facts.manager is Manager.SYSV
    assert facts.job == Job(probe.SCRIPT, "", starts)


STAT = "{} (x) S {} 1 1 0 -1 0 0 0 0 0 {} 0 0 0 20 0 1 0 {} 0 0"
CORE_PROCESS = AgentProcess(
    48,
    "amazon-ssm-agent",
    "/usr/bin/amazon-ssm-agent",
    deleted=False,
    device=1,
    inode=2,
    sha256="00",
    unit=UNIT,
    uid=0,
)


def process_files(*, ticks: int = 100_000) -> FakeFiles:
    return FakeFiles(
        {
            "/proc/uptime": b"2000.00 1.0\n",
            "/proc/48/stat": STAT.format(48, 1, 250, ticks).encode(),
            "/proc/48/status": b"Name:\tx\nVmRSS:\t   26624 kB\n",
            "/proc/48/limits": b"Max open files            1024                 4096      files\n",
            "/proc/48/fd/0": b"x",
            "/proc/48/fd/1": b"x",
        }
    )


def test_a_process_and_what_it_uses() -> None:
    running = RunningFacts((CORE_PROCESS,), (), (), main_pid=48)
    seen = agent_service_processes.look(process_files(), running)
    assert seen.main_pid == 48
    assert seen.processes == (
        ProcessUse(48, "amazon-ssm-agent", UNIT, 1, 1000.0, 0, 26 << 20, 2.5, 2, 1024),
    )


@pytest.mark.parametrize(("state", "suspended"), [("T", True), ("t", False), ("D", False)])
def test_a_process_that_a_signal_holds(state: str, suspended: bool) -> None:  # noqa: FBT001
    files = process_files()
    files.contents["/proc/48/stat"] = STAT.format(48, 1, 0, 1).replace(" S ", f" {state} ").encode()
    (item,) = agent_service_processes.look(files, RunningFacts((CORE_PROCESS,), (), ())).processes
    assert item.suspended is suspended


def test_what_cannot_be_seen_is_none() -> None:
    files = process_files(ticks=300_000)  # after now
    files.contents["/proc/48/fd/0"] = b"x"
    files.states["/proc/48/fd"] = Denied("/proc/48/fd: permission denied")
    files.contents["/proc/48/limits"] = Denied("/proc/48/limits: permission denied")
    unread = UnreadImage(48, "ssm-agent-worker", "no-permission", "denied", UNIT)
    (item,) = agent_service_processes.look(files, RunningFacts((), (unread,), ())).processes
    assert (item.age_s, item.uid, item.files_limit) == (None, None, None)
    assert (item.name, item.parent_pid) == ("ssm-agent-worker", 1)
    files.contents["/proc/uptime"] = b"junk"
    assert agent_service_processes.look(files, RunningFacts((), (unread,), ())).processes


def test_a_process_that_ended_and_one_that_is_not_understood() -> None:
    files = process_files()
    other = replace(CORE_PROCESS, pid=49)
    files.contents["/proc/48/stat"] = b"junk"
    seen = agent_service_processes.look(files, RunningFacts((CORE_PROCESS, other), (), ()))
    assert seen.ended == (49,)
    assert seen.processes == (ProcessUse(48, "amazon-ssm-agent", UNIT, 0),)
    files = process_files()
    files.contents["/proc/48/limits"] = Absent("ended")
    assert agent_service_processes.look(files, RunningFacts((CORE_PROCESS,), (), ())).ended == (48,)


def test_too_many_open_files_are_counted_as_many() -> None:
    files = process_files()
    files.contents |= {f"/proc/48/fd/{number}": b"" for number in range(65_600)}
    (item,) = agent_service_processes.look(files, RunningFacts((CORE_PROCESS,), (), ())).processes
    assert item.open_files == agent_service_processes.FILES_LIMIT


# The check.

INSTALL = InstallFacts(
    (Installation(Channel.DEB, "3.3.1142.0", "amazon-ssm-agent", "/usr/bin/amazon-ssm-agent"),), ()
)
CORE = ProcessUse(48, "amazon-ssm-agent", UNIT, 1, 1000.0, 0, 26 << 20, 2.0, 20, 1024)
WORKER = ProcessUse(60, "ssm-agent-worker", UNIT, 48, 990.0, 0, 33 << 20, 2.0, 20, 1024)
GOOD = UnitState(
    UNIT,
    "loaded",
    "enabled",
    "active",
    "running",
    result="success",
    main_pid=48,
    restarts=0,
    burst=5,
    active_since_us=10_600_000_000,
    wanted_by=("multi-user.target",),
)
NO_SNAP = UnitState(SNAP, "not-found", "", "inactive", "dead", restarts=0)
DOWN = replace(GOOD, active="inactive", sub="dead", main_pid=0)


def facts(
    unit: UnitState | None = GOOD,
    *processes: ProcessUse,
    other: UnitState = NO_SNAP,
    **changes: object,
) -> ServiceFacts:
    if not processes and unit is not None and unit.runs:
        processes = (CORE, WORKER)
    made = ServiceFacts(
        Manager.SYSTEMD,
        11_600.0,
        units=(unit, other) if unit else (),
        links=(UnitLinks(UNIT, f"/lib/systemd/system/{UNIT}", wants=("/etc/x",)),),
        seen=ServiceProcesses(processes, main_pid=48),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def judge(found: ServiceFacts, install: InstallFacts = INSTALL) -> Verdict:
    return agent_service.judge(install, found, NOW)


def outcome(verdict: Verdict) -> str:
    return f"{verdict.status.value} {' '.join(item.reason for item in verdict.findings)}".strip()


def test_a_healthy_service() -> None:
    verdict = judge(facts())
    assert verdict.status is Status.OK
    assert verdict.message == (
        f"{UNIT} is enabled and runs as root for 16 min 40 s, 0 restarts; worker is process 60"
    )
    evidence = {item.name: item.value for item in verdict.evidence}
    assert evidence["running_s"] == 1000
    assert evidence["started_at"] == "2026-11-23T11:43:20+00:00"
    assert "not_seen" not in evidence
    unknown = agent_service.judge(INSTALL, facts(), None)
    assert "started_at" not in {item.name for item in unknown.evidence}


BY_STATE = {
    "stopped": (DOWN, "crit not-running"),
    "exited": (replace(GOOD, sub="exited", main_pid=0), "crit not-running"),
    "failed": (
        replace(DOWN, active="failed", sub="failed", result="oom-kill", exit_kind=2, exit_status=9),
        "crit failed",
    ),
    "start limit, in its own word": (
        replace(DOWN, active="failed", sub="failed", result="start-limit-hit"),
        "crit start-limit-hit",
    ),
    "start limit, by count": (
        replace(DOWN, active="failed", sub="failed", result="exit-code", restarts=5, exit_kind=1),
        "crit start-limit-hit",
    ),
    "failed once": (
        replace(DOWN, active="failed", sub="failed", result="exit-code", restarts=1, exit_kind=1),
        "crit failed",
    ),
    "failed, not counted": (
        replace(DOWN, active="failed", sub="failed", restarts=None, burst=None),
        "crit failed",
    ),
    "reboot": (
        replace(DOWN, active="failed", sub="failed", exit_kind=1, exit_status=194),
        "crit reboot-requested",
    ),
    "reboot as success": (replace(DOWN, exit_kind=1, exit_status=194), "crit reboot-requested"),
    "signal 194 is none": (replace(DOWN, exit_kind=2, exit_status=194), "crit not-running"),
    "auto-restart": (
        replace(DOWN, active="activating", sub="auto-restart", restarts=0, exit_kind=2),
        "crit auto-restart",
    ),
    "auto-restart after 194 by hand": (
        replace(DOWN, active="activating", sub="auto-restart", exit_kind=1, exit_status=194),
        "crit auto-restart",
    ),
    "auto-restart, not counted": (
        replace(DOWN, active="activating", sub="auto-restart", restarts=None),
        "crit auto-restart",
    ),
    "auto-restart again": (
        replace(DOWN, active="activating", sub="auto-restart-queued", restarts=3),
        "crit restart-loop",
    ),
    "starting": (replace(DOWN, active="activating", sub="start-pre"), "warn changing-state"),
    "stopping": (replace(DOWN, active="deactivating", sub="stop"), "warn changing-state"),
    "masked": (replace(DOWN, load="masked", enablement="masked"), "crit masked"),
    "masked for now": (replace(GOOD, enablement="masked-runtime"), "warn masked"),
    "masked, runs": (replace(GOOD, load="masked"), "warn masked"),
    "missing": (replace(DOWN, load="not-found", enablement=""), "crit unit-missing"),
    "missing, runs": (replace(GOOD, load="not-found", enablement=""), "warn unit-missing"),
    "broken": (replace(DOWN, load="bad-setting"), "crit unit-broken"),
    "broken, runs": (replace(GOOD, load="error"), "warn unit-broken"),
    "another user": (replace(GOOD, user="ssm"), "ok"),  # the process is root's, see below
    "root by number": (replace(GOOD, user="0"), "ok"),
    "no count": (replace(GOOD, restarts=None, active_since_us=0), "ok"),
    "restarted long ago": (replace(GOOD, restarts=2), "ok"),
    "restarted": (
        replace(GOOD, restarts=1, active_since_us=11_590_000_000),
        "warn recently-restarted",
    ),
    "three restarts in three hours": (replace(GOOD, restarts=3), "ok"),
    "restarts often": (replace(GOOD, restarts=4), "warn restart-loop"),
    "since after now": (replace(GOOD, restarts=1, active_since_us=11_700_000_000), "ok"),
    "reloading": (replace(GOOD, active="reloading", sub="reload"), "ok"),
}


@pytest.mark.parametrize("case", BY_STATE)
def test_the_states_of_a_unit(case: str) -> None:
    unit, wanted = BY_STATE[case]
    assert outcome(judge(facts(unit))) == wanted


@pytest.mark.parametrize(
    ("word", "wants", "wanted_by", "wanted"),
    [
        ("enabled", (), (), "ok"),
        ("disabled", (), ("multi-user.target",), "warn disabled"),
        ("disabled", ("/usr/lib/systemd/system/x.target.wants/a",), (), "ok"),
        (
            "enabled-runtime",
            ("/run/systemd/system/x.target.wants/a",),
            ("x.target",),
            "warn disabled",
        ),
        ("static", (), (), "warn disabled"),
        ("static", (), ("multi-user.target",), "ok"),
        ("linked", (), (), "warn disabled"),
        ("linked", ("/etc/systemd/system/multi-user.target.wants/a",), (), "ok"),
        ("indirect", (), (), "warn disabled"),
        ("transient", (), ("multi-user.target",), "warn disabled"),
        ("", (), (), "unknown not-observed"),
        ("brand-new", (), ("multi-user.target",), "unknown not-observed"),
    ],
)
def test_what_starts_at_boot(
    word: str, wants: tuple[str, ...], wanted_by: tuple[str, ...], wanted: str
) -> None:
    unit = replace(GOOD, enablement=word, wanted_by=wanted_by)
    links = (UnitLinks(UNIT, "/x", wants=wants),)
    assert outcome(judge(facts(unit, links=links))) == wanted


ALONE = replace(CORE, unit="")
STRANGE = replace(WORKER, pid=61, parent_pid=1)
BY_PROCESS = {
    "by hand": (DOWN, (ALONE, WORKER), "warn unmanaged not-running"),
    "by hand, masked": (
        replace(DOWN, load="masked"),
        (ALONE, WORKER),
        "warn unmanaged masked",
    ),
    "no worker": (GOOD, (CORE,), "crit worker-missing"),
    "no worker yet": (GOOD, (replace(CORE, age_s=GRACE_S - 1),), "warn worker-starting"),
    "no worker, no age": (GOOD, (replace(CORE, age_s=None),), "unknown not-observed"),
    "left over": (GOOD, (CORE, WORKER, STRANGE), "warn left-over-worker"),
    "left over alone": (GOOD, (CORE, STRANGE), "warn left-over-worker"),
    "left over, stopped": (DOWN, (STRANGE,), "crit not-running left-over-worker"),
    "parent not seen": (GOOD, (CORE, replace(WORKER, parent_pid=0)), "unknown not-observed"),
    "two": (GOOD, (CORE, WORKER, replace(WORKER, pid=62)), "warn several-workers"),
    "held": (GOOD, (replace(CORE, suspended=True), WORKER), "crit suspended"),
    "worker held": (GOOD, (CORE, replace(WORKER, suspended=True)), "crit suspended"),
    "document held": (
        GOOD,
        (CORE, WORKER, replace(WORKER, pid=70, name="ssm-document-worker", suspended=True)),
        "warn suspended",
    ),
    "second core": (GOOD, (CORE, WORKER, replace(ALONE, pid=99)), "warn second-core"),
    "asked for its version": (GOOD, (CORE, WORKER, replace(ALONE, pid=99, age_s=0.1)), "ok"),
    "asked by a command": (GOOD, (CORE, WORKER, replace(CORE, pid=99, parent_pid=98)), "ok"),
    "no worker, asked by a command": (
        GOOD,
        (CORE, replace(CORE, pid=99, parent_pid=98, age_s=0.1)),
        "crit worker-missing",
    ),
    "another program": (GOOD, (replace(CORE, name="sleep"), WORKER), "crit not-running"),
    "not seen": (GOOD, (replace(CORE, pid=50, unit=SNAP), WORKER), "unknown not-observed"),
    "not root": (GOOD, (replace(CORE, uid=999), WORKER), "crit not-root"),
    "document worker": (
        GOOD,
        (CORE, WORKER, replace(WORKER, pid=70, name="ssm-document-worker", parent_pid=1)),
        "ok",
    ),
    "memory": (GOOD, (CORE, replace(WORKER, rss_bytes=600 << 20)), "warn memory-high"),
    "processor": (GOOD, (CORE, replace(WORKER, cpu_s=600.0)), "warn cpu-high"),
    "processor, young": (GOOD, (CORE, replace(WORKER, cpu_s=80.0, age_s=100.0)), "ok"),
    "files": (GOOD, (CORE, replace(WORKER, open_files=900)), "warn files-high"),
    "files, no limit": (
        GOOD,
        (CORE, replace(WORKER, open_files=900, files_limit=None)),
        "warn files-high",
    ),
    "files, high limit": (
        GOOD,
        (CORE, replace(WORKER, open_files=900, files_limit=524_288)),
        "ok",
    ),
    "files, absolute": (
        GOOD,
        (CORE, replace(WORKER, open_files=1025, files_limit=524_288)),
        "warn files-high",
    ),
    "not told": (
        GOOD,
        (CORE, ProcessUse(60, "ssm-agent-worker", UNIT, 48)),
        "ok",
    ),
}


@pytest.mark.parametrize("case", BY_PROCESS)
def test_the_processes(case: str) -> None:
    unit, processes, wanted = BY_PROCESS[case]
    assert outcome(judge(facts(unit, *processes))) == wanted


def test_a_user_is_told_by_the_unit_where_the_process_cannot_be_seen() -> None:
    verdict = judge(facts(replace(GOOD, user="ssm"), replace(CORE, uid=None), WORKER))
    assert (outcome(verdict), "is to run as user ssm" in verdict.message) == ("crit not-root", True)


def test_detached_workers_are_evidence() -> None:
    detached = replace(WORKER, pid=70, name="ssm-document-worker", parent_pid=1)
    evidence = judge(facts(GOOD, CORE, WORKER, detached)).evidence
    assert ("70 ssm-document-worker",) in [item.value for item in evidence]


@pytest.mark.parametrize(("version", "wanted"), [("2.3.1644.0", "ok"), ("", "crit worker-missing")])
def test_agents_before_3_have_no_worker(version: str, wanted: str) -> None:
    install = InstallFacts((replace(INSTALL.installations[0], version=version),), ())
    verdict = judge(facts(GOOD, CORE), install)
    assert outcome(verdict) == wanted
    assert wanted != "ok" or verdict.message.endswith("no worker, as in its version")


def test_a_worker_that_ended_meanwhile_is_not_missing() -> None:
    seen = ServiceProcesses((CORE,), ended=(60,), main_pid=48)
    assert outcome(judge(facts(seen=seen))) == "unknown not-observed"


def test_processes_that_cannot_be_seen_prove_nothing() -> None:
    seen = ServiceProcesses(failure=Failure("no-permission", "process list is restricted"))
    verdict = judge(facts(seen=seen))
    assert outcome(verdict).startswith("unknown no-permission")
    assert "run as root" in verdict.message
    none = ServiceFacts(Manager.NONE, 1.0, seen=seen)
    assert outcome(judge(none)) == "unknown no-permission"


def test_where_systemd_does_not_answer_files_and_processes_still_tell() -> None:
    failure = Failure("timeout", "/usr/bin/systemctl: no answer in time")
    running = facts(None, CORE, WORKER, failure=failure)
    assert outcome(judge(running)) == "unknown timeout"
    assert outcome(judge(facts(None, failure=failure))) == "crit not-running timeout"
    masked = (UnitLinks(UNIT, "/etc/systemd/system/x", masked=True),)
    assert outcome(judge(replace(running, links=masked))) == "unknown timeout masked"
    bare = (UnitLinks(UNIT, "/lib/systemd/system/x"),)
    assert outcome(judge(replace(running, links=bare))) == "unknown timeout disabled"
    blind = replace(running, links=bare, unobserved=("/etc: permission denied",))
    assert outcome(judge(blind)) == "unknown timeout"


def test_what_was_not_asked_and_what_cannot_be_seen_is_unknown() -> None:
    assert outcome(judge(facts(None, CORE, WORKER))) == "unknown not-observed"
    seen = ServiceProcesses(failure=Failure("timeout", "running facts: no answer within 8.0 s"))
    masked = (UnitLinks(UNIT, "/etc/systemd/system/x", masked=True),)
    verdict = judge(facts(None, seen=seen, links=masked))
    assert outcome(verdict) == "unknown not-observed timeout masked"
    assert "run as root" not in str(verdict.findings)


BY_JOB = {
    "container": (Manager.NONE, None, (ALONE, WORKER), "warn unmanaged"),
    "container, stopped": (Manager.NONE, None, (), "crit not-running"),
    "sysv": (Manager.SYSV, Job("/etc/init.d/a", "", starts=True), (ALONE, WORKER), "ok"),
    "sysv, off": (
        Manager.SYSV,
        Job("/etc/init.d/a", "", starts=False),
        (ALONE, WORKER),
        "warn disabled",
    ),
    "upstart": (
        Manager.UPSTART,
        Job("/etc/init/a.conf", "start/running", starts=True),
        (ALONE, WORKER),
        "ok",
    ),
    "upstart, stopped": (
        Manager.UPSTART,
        Job("/etc/init/a.conf", "stop/waiting", starts=True),
        (),
        "crit not-running",
    ),
    "upstart, by hand": (
        Manager.UPSTART,
        Job("/etc/init/a.conf", "stop/waiting", starts=True),
        (ALONE, WORKER),
        "warn unmanaged",
    ),
}


@pytest.mark.parametrize("case", BY_JOB)
def test_nodes_without_systemd(case: str) -> None:
    manager, job, processes, wanted = BY_JOB[case]
    found = ServiceFacts(manager, 1.0, job=job, seen=ServiceProcesses(processes))
    assert outcome(judge(found)) == wanted


def test_an_upstart_that_does_not_answer_is_unknown() -> None:
    failure = Failure("not-understood", "initctl status is not understood")
    found = ServiceFacts(Manager.UPSTART, 1.0, failure=failure)
    running = replace(found, seen=ServiceProcesses((ALONE, WORKER)))
    assert outcome(judge(running)) == "unknown not-understood"
    assert outcome(judge(found)) == "crit not-running not-understood"


def test_the_unit_of_the_installed_channel_counts() -> None:
    snap = InstallFacts((replace(INSTALL.installations[0], channel=Channel.SNAP),), ())
    own = replace(GOOD, unit=SNAP)
    processes = (replace(CORE, unit=SNAP), replace(WORKER, unit=SNAP))
    both = facts(
        replace(GOOD, load="not-found", active="inactive", main_pid=0), *processes, other=own
    )
    assert outcome(judge(both, snap)) == "ok"
    assert outcome(judge(both)).startswith("crit unit-missing other-unit")
    left = facts(replace(DOWN), *processes, other=own)
    verdict = judge(left, snap)
    assert (outcome(verdict), UNIT in verdict.message) == ("warn other-unit", True)
    several = InstallFacts((*INSTALL.installations, *snap.installations), ())
    assert agent_service.choose_unit(several, left) == SNAP
    assert agent_service.choose_unit(several, facts(DOWN)) == UNIT


def test_no_agent_and_one_that_was_not_looked_for() -> None:
    none = InstallFacts((), ())
    assert judge(facts(), none).reason == "not-applicable"
    assert outcome(judge(facts(), InstallFacts((), ("rpm: timeout",)))) == "unknown not-observed"


MENDS = [
    (DOWN, Channel.DEB, "systemctl enable --now amazon-ssm-agent", False),
    (replace(DOWN, load="masked"), Channel.DEB, f"systemctl unmask {UNIT} && ", False),
    (replace(DOWN, active="failed"), Channel.DEB, f"systemctl reset-failed {UNIT} && ", False),
    (replace(DOWN, load="not-found"), Channel.RPM, "rpm -U ", True),
    (replace(DOWN, load="not-found"), Channel.BY_HAND, "", False),
]


@pytest.mark.parametrize(("unit", "channel", "command", "disruptive"), MENDS)
def test_the_command_that_mends(
    unit: UnitState,
    channel: Channel,
    command: str,
    disruptive: bool,  # noqa: FBT001
) -> None:
    install = InstallFacts((replace(INSTALL.installations[0], channel=channel),), ())
    fixes = judge(facts(unit), install).fixes
    if not command:
        assert fixes == ()
        return
    assert fixes[0].command.startswith(command)
    assert fixes[0].disruptive is disruptive


def test_the_commands_of_other_managers() -> None:
    snap = InstallFacts((replace(INSTALL.installations[0], channel=Channel.SNAP),), ())
    stopped, none = replace(DOWN, unit=SNAP), replace(NO_SNAP, unit=UNIT)
    fixes = judge(facts(none, other=stopped), snap).fixes
    assert fixes[0].command == "snap start --enable amazon-ssm-agent"
    worker = facts(none, replace(CORE, unit=SNAP), other=replace(GOOD, unit=SNAP))
    assert judge(worker, snap).fixes[0].command == "snap restart amazon-ssm-agent"
    two = facts(GOOD, other=stopped)
    assert judge(two).fixes[0].command == "snap stop --disable amazon-ssm-agent"
    for manager, start, restart in (
        (Manager.UPSTART, "initctl start amazon-ssm-agent", "initctl restart amazon-ssm-agent"),
        (
            Manager.SYSV,
            "/etc/init.d/amazon-ssm-agent start",
            "/etc/init.d/amazon-ssm-agent restart",
        ),
    ):
        found = ServiceFacts(manager, 1.0, job=Job("/x", "", starts=True))
        assert judge(found).fixes[0].command.endswith(start)
        alone = judge(replace(found, seen=ServiceProcesses((ALONE,))))
        assert (alone.reason, alone.fixes[0].command) == ("worker-missing", restart)
    contained = ServiceFacts(Manager.NONE, 1.0, seen=ServiceProcesses((ALONE,)))
    assert judge(contained).fixes == ()


CODES = """
    disabled recently-restarted restart-loop changing-state worker-starting left-over-worker
    several-workers second-core other-unit unmanaged memory-high cpu-high files-high not-observed
    timeout not-understood no-permission too-large update-in-progress not-running unit-missing
    masked unit-broken failed start-limit-hit auto-restart reboot-requested not-root worker-missing
    suspended
"""


@pytest.mark.parametrize("code", CODES.split())
def test_every_reason_code_is_explained(code: str) -> None:
    limits = agent_service.EXPLANATION.partition("LIMITS")[2]
    assert re.search(rf"(?<![\w-]){code}(?![\w-])", limits)


def test_the_reasons_of_the_tables_are_among_those() -> None:
    seen = {word for _, wanted in BY_STATE.values() for word in wanted.split()[1:]}
    seen |= {word for _, _, wanted in BY_PROCESS.values() for word in wanted.split()[1:]}
    assert seen <= set(CODES.split())
