"""agent.service on Windows: the service control manager, recovery, processes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.checks import agent_service
from nodecheck.host.usage_door import ProcessSight
from nodecheck.model.agent import Channel, Installation
from nodecheck.model.agent_service_setup import parse_recovery
from nodecheck.model.authenticode import SERVICE_KEY
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.install import AgentProcess, InstallSurvey, RunningFacts, UnreadImage
from nodecheck.model.service import Failure, ServiceProcesses
from nodecheck.model.windows_service import ServicePhase, StartType, WindowsService
from nodecheck.probes import agent_service as probe
from nodecheck.probes import agent_service_processes
from tests.fake_host import FakeClock, fake_host
from tests.windows_builders import FakeUsage, service, windows_node

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.model.verdict import Verdict
    from tests.windows_builders import Value

FOLDER = "C:/Program Files/Amazon/SSM"
CORE, WORKER = 1234, 1300
UP_NS = 10_000 * 10**9
INSTALLED = InstallSurvey(
    (Installation(Channel.WINDOWS, "3.3.1142.0", "x", f"{FOLDER}/amazon-ssm-agent.exe"),), ()
)
RESTARTS = struct.pack("<IIIII", 86400, 0, 0, 3, 20) + struct.pack(
    "<IIIIII", 1, 1000, 1, 1000, 0, 0
)


def process(pid: int, name: str, **changes: object) -> AgentProcess:
    values: dict[str, object] = {
        "pid": pid,
        "name": name,
        "image": f"{FOLDER}/{name}.exe",
        "deleted": False,
        "device": 1,
        "inode": pid,
        "sha256": "00",
        "unit": "AmazonSSMAgent",
        "uid": 0,
    }
    return AgentProcess(**(values | changes))  # type: ignore[arg-type]


def running(*processes: AgentProcess, unread: tuple[UnreadImage, ...] = ()) -> RunningFacts:
    found = processes or (process(CORE, "amazon-ssm-agent"), process(WORKER, "ssm-agent-worker"))
    return RunningFacts(found, unread, (), main_pid=CORE, grouped=True)


def sights(age_s: float = 3600.0, **changes: object) -> dict[int, ProcessSight | ProbeError]:
    values: dict[str, object] = {
        "parent_pid": CORE,
        "began_ns": FakeClock().wall - round(age_s * 1e9),
        "rss_bytes": 33_000_000,
        "cpu_s": 3.0,
    }
    sight = ProcessSight(**(values | changes))  # type: ignore[arg-type]
    return {CORE: sight, WORKER: sight}


def judge(
    found: WindowsService | ProbeError | None,
    facts: RunningFacts | None = None,
    seen: dict[int, ProcessSight | ProbeError] | None = None,
    registry: dict[str, Value] | None = None,
) -> Verdict:
    usage = FakeUsage(sights() if seen is None else seen)
    clock = FakeClock(monotonic=UP_NS)
    services = {} if found is None else {"AmazonSSMAgent": found}
    host: Host = windows_node(fake_host(clock=clock), services, registry, usage)
    processes = agent_service_processes.look_at_windows(host, facts or running())
    return agent_service.judge(INSTALLED, probe.look(host, processes), None)


NOBODY = RunningFacts((), (), (), main_pid=0)


def reasons(verdict: Verdict) -> list[str]:
    return [finding.reason for finding in verdict.findings]


def told(verdict: Verdict) -> dict[str, object]:
    return {item.name: item.value for item in verdict.evidence}


def test_a_service_as_it_should_be() -> None:
    registry: dict[str, Value] = {
        rf"{SERVICE_KEY}\FailureActions": RESTARTS,
        rf"{SERVICE_KEY}\DelayedAutostart": 1,
    }
    verdict = judge(service(), registry=registry)
    assert verdict.status.value == "ok", verdict
    assert verdict.message == (
        "AmazonSSMAgent starts automatic (delayed) and runs as LocalSystem for 1 h 0 min; "
        "worker is process 1300"
    )
    evidence = told(verdict)
    assert evidence["recovery"] == (
        "restart after 1 s, restart after 1 s, nothing; counted anew after 86400 s"
    )
    assert evidence["state"] == "running"
    assert "systemctl" not in str(verdict)


@pytest.mark.parametrize(
    ("changes", "facts", "expected"),
    [
        ({"phase": ServicePhase.STOPPED, "pid": 0}, NOBODY, ("crit", ["not-running"])),
        (
            {"phase": ServicePhase.STOPPED, "pid": 0, "exit_code": 1077},
            NOBODY,
            ("crit", ["not-running"]),
        ),
        ({"phase": ServicePhase.STOPPED, "pid": 0, "exit_code": 5}, NOBODY, ("crit", ["failed"])),
        (
            {"phase": ServicePhase.STOPPED, "pid": 0, "start": StartType.DISABLED},
            NOBODY,
            ("crit", ["not-running", "disabled"]),
        ),
        ({"phase": ServicePhase.PAUSED}, NOBODY, ("crit", ["not-running"])),
        ({"phase": ServicePhase.STARTING, "pid": 0}, NOBODY, ("warn", ["changing-state"])),
        ({"phase": ServicePhase.STOPPED, "pid": 0}, None, ("warn", ["unmanaged"])),
        ({"start": StartType.MANUAL}, None, ("warn", ["disabled"])),
        ({"start": StartType.DISABLED}, None, ("warn", ["disabled"])),
        ({"account": r"CORP\svc"}, None, ("crit", ["not-root"])),
        ({"account": r"NT AUTHORITY\SYSTEM"}, None, ("ok", [])),
    ],
)
def test_what_the_manager_says(
    changes: dict[str, object], facts: RunningFacts | None, expected: tuple[str, list[str]]
) -> None:
    verdict = judge(service("AmazonSSMAgent", **changes), facts)
    assert (verdict.status.value, reasons(verdict)) == expected, verdict
    assert all(fix.shell == "powershell" for fix in verdict.fixes)


def test_no_service_is_missing_and_installing_brings_it() -> None:
    verdict = judge(None, NOBODY)
    assert (verdict.status.value, reasons(verdict)) == ("crit", ["unit-missing"])
    assert "AmazonSSMAgentSetup.exe" in verdict.fixes[0].command


def test_a_manager_that_does_not_answer_is_unknown_but_absence_is_proven() -> None:
    denied = Denied("service AmazonSSMAgent: access denied")
    assert judge(denied).status.value == "unknown"
    verdict = judge(denied, NOBODY)
    assert (verdict.status.value, reasons(verdict)) == ("crit", ["not-running", "no-permission"])


def test_processes_that_cannot_be_seen_are_unknown() -> None:
    seen = ServiceProcesses(failure=Failure("no-permission", "process list: denied"))
    host = windows_node(services={"AmazonSSMAgent": service()})
    verdict = agent_service.judge(INSTALLED, probe.look(host, seen), None)
    assert (verdict.status.value, reasons(verdict)) == ("unknown", ["no-permission"])
    assert "as an administrator" in verdict.message


def test_a_process_of_another_number_is_unknown() -> None:
    hidden = UnreadImage(CORE, "AmazonSSMAgent", "hidden-process", "not in the list", "x")
    facts = running(process(WORKER, "ssm-agent-worker"), unread=(hidden,))
    seen = sights() | {CORE: Denied("no")}
    verdict = judge(service(), facts, seen)
    assert verdict.status.value == "unknown", verdict


def test_another_program_as_the_service_is_critical() -> None:
    facts = running(process(CORE, "other"), process(WORKER, "ssm-agent-worker"))
    verdict = judge(service(), facts)
    assert "not-running" in reasons(verdict)
    assert verdict.status.value == "crit"
    assert "runs other.exe" in verdict.message


def test_the_worker_must_be_there() -> None:
    verdict = judge(service(), running(process(CORE, "amazon-ssm-agent")))
    assert (verdict.status.value, reasons(verdict)) == ("crit", ["worker-missing"])
    assert verdict.fixes[0].command == "Restart-Service AmazonSSMAgent"
    young = judge(service(), running(process(CORE, "amazon-ssm-agent")), sights(20.0))
    assert (young.status.value, reasons(young)) == ("warn", ["worker-starting"])


@pytest.mark.parametrize("age_s", [-400.0, 20_000.0])
def test_an_age_that_cannot_be_true_is_none(age_s: float) -> None:
    verdict = judge(service(), running(process(CORE, "amazon-ssm-agent")), sights(age_s))
    assert (verdict.status.value, reasons(verdict)) == ("unknown", ["not-observed"])


def test_a_worker_of_an_earlier_start_is_left_over() -> None:
    seen = sights() | {WORKER: sights(parent_pid=99)[WORKER]}
    verdict = judge(service(), None, seen)
    assert (verdict.status.value, reasons(verdict)) == ("warn", ["left-over-worker"])
    assert verdict.fixes[0].command == "Stop-Process -Id 1300 -Force"


def test_what_is_suspended_does_nothing() -> None:
    verdict = judge(service(), None, sights(suspended=True))
    assert reasons(verdict) == ["suspended", "suspended"]
    assert "signal" not in verdict.message
    assert {fix.shell for fix in verdict.fixes} == {"powershell"}


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<IIIII", 0, 0, 0, 65, 20) + bytes(65 * 8),
        b"",
        RESTARTS[:19],
        RESTARTS[:-1],
        struct.pack("<IIIII", 0, 0, 0, 1 << 30, 20),
        bytes(12),
    ],
)
def test_recovery_that_is_cut_is_no_fact(data: bytes) -> None:
    with pytest.raises(ProbeError):
        parse_recovery("x", data)
    registry: dict[str, Value] = {rf"{SERVICE_KEY}\FailureActions": data}
    verdict = judge(service(), registry=registry)
    assert verdict.status.value == "ok"
    assert "FailureActions" in str(told(verdict)["not_seen"])


@given(st.binary(max_size=200))
def test_any_bytes_are_recovery_or_a_probe_error(data: bytes) -> None:
    try:
        assert len(parse_recovery("x", data).actions) <= 64
    except ProbeError:
        return


def test_a_value_of_the_wrong_type_is_said() -> None:
    registry: dict[str, Value] = {
        rf"{SERVICE_KEY}\FailureActions": "text",
        rf"{SERVICE_KEY}\DelayedAutostart": "1",
    }
    notes = told(judge(service(), registry=registry))["not_seen"]
    assert isinstance(notes, tuple)
    assert len(notes) == 2


def test_an_unquoted_command_is_noted() -> None:
    unquoted = r"C:\Program Files\Amazon\SSM\amazon-ssm-agent.exe"
    assert told(judge(service(command=unquoted)))["command_unquoted"] is True
    assert "command_unquoted" not in told(judge(service()))
