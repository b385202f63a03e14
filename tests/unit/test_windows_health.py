"""The agent's channel, proxy, identity and upkeep on Windows: places, connections, commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks import agent_channel, agent_storage, agent_update, node_image, windows_fix
from nodecheck.checks.identity_problems import close_fix
from nodecheck.host.firmware import BIOS, look_at_firmware
from nodecheck.host.usage_door import ProcessSight
from nodecheck.model.agent import Channel, Installation
from nodecheck.model.agent_place import LINUX, WINDOWS, is_windows
from nodecheck.model.agent_proxy import AgentProxy
from nodecheck.model.authenticode import SERVICE_KEY
from nodecheck.model.channel import AgentCredentials, Way
from nodecheck.model.errors import Denied, ProbeError, SinkError
from nodecheck.model.install import AgentProcess, InstallSurvey, RunningFacts
from nodecheck.model.moment import instant
from nodecheck.model.sockets import TcpSocket
from nodecheck.model.storage import Entries, FileSystem, Role, Room, StorageFacts
from nodecheck.probes import (
    agent_channel as channel_probe,
)
from nodecheck.probes import (
    agent_proxy,
    node_credentials,
    node_identity,
    node_registration,
)
from nodecheck.probes import (
    agent_storage as storage_probe,
)
from nodecheck.probes import (
    agent_update as update_probe,
)
from nodecheck.probes import (
    node_image as image_probe,
)
from nodecheck.records import replace
from nodecheck.sinks import inventory
from tests.fake_host import FakeClock, FakeFiles, fake_host, file_state
from tests.reports import ok, report
from tests.windows_builders import FakeUsage, windows_node

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.model.node import FileState
    from nodecheck.model.report import Report
    from nodecheck.model.verdict import Fix, Verdict
    from tests.windows_builders import Value

FOLDER = "C:/Program Files/Amazon/SSM"
CORE, WORKER = 1234, 1300
MESSAGES = Way("ssmmessages", "ssmmessages.eu-west-1.amazonaws.com", 443, ("192.0.2.10",))
INSTALLED = InstallSurvey(
    (Installation(Channel.WINDOWS, "3.3.1142.0", "x", f"{FOLDER}/amazon-ssm-agent.exe"),), ()
)
NODE = "mi-0123456789abcdef0"


def process(pid: int, name: str) -> AgentProcess:
    image = f"{FOLDER}/{name}.exe"
    return AgentProcess(pid, name, image, False, 1, pid, "00", "AmazonSSMAgent", 0)  # noqa: FBT003 - the file is there


RUNNING = RunningFacts(
    (process(CORE, "amazon-ssm-agent"), process(WORKER, "ssm-agent-worker")), (), (), main_pid=CORE
)


def node(files: dict[str, bytes | ProbeError] | None = None, **parts: object) -> Host:
    host = fake_host(FakeFiles(files or {}), FakeClock(monotonic=10_000 * 10**9))
    return windows_node(host, **parts)  # type: ignore[arg-type]


def sight(age_s: float = 3600.0) -> ProcessSight:
    return ProcessSight(CORE, FakeClock().wall - round(age_s * 1e9), 1, 1.0)


def judge_channel(sockets: dict[int, tuple[TcpSocket, ...] | ProbeError]) -> Verdict:
    usage = FakeUsage({CORE: sight(), WORKER: sight()}, sockets)
    facts = channel_probe.look(node(usage=usage), RUNNING, (MESSAGES,), AgentCredentials())
    assert facts.core_age_s == pytest.approx(3600.0, abs=10)
    return agent_channel.judge(INSTALLED, RUNNING, facts, None)


def test_a_connection_of_the_worker_is_proof() -> None:
    verdict = judge_channel({WORKER: (TcpSocket("192.0.2.10", 443, 0, 0),)})
    assert verdict.status.value == "ok", verdict


def test_a_connection_elsewhere_is_none() -> None:
    verdict = judge_channel({WORKER: (TcpSocket("192.0.2.99", 443, 0, 0),)})
    assert verdict.status.value in {"unknown", "crit"}
    assert verdict.status.value != "ok"


def test_the_log_alone_proves_nothing_on_windows() -> None:
    began, answered = "2023-11-14 21:13:20", "2023-11-14 22:12:50"
    log = (
        f"{began}.0000 INFO [amazon-ssm-agent] amazon-ssm-agent - v3.3.1142.0\r\n"
        f"{answered}.0000 INFO [ssm-agent-worker] [MessageService] [MGSInteractor]"
        " Set up control channel successfully\r\n"
    )
    host = node({WINDOWS.log: log.encode()}, usage=FakeUsage({CORE: sight(), WORKER: sight()}))
    facts = channel_probe.look(host, RUNNING, (MESSAGES,), AgentCredentials())
    assert facts.stepped_s is None
    assert agent_channel.judge(INSTALLED, RUNNING, facts, None).status.value != "ok"


def test_connections_that_are_not_told_are_no_absence() -> None:
    problem = ProbeError("process 1300: whose the connections are is not told")
    verdict = judge_channel({CORE: problem, WORKER: problem})
    assert verdict.status.value == "unknown", verdict
    assert "is not told" in str(verdict)


@pytest.mark.parametrize("age_s", [-5.0, 20_000.0])
def test_an_age_that_cannot_be_true_is_none(age_s: float) -> None:
    usage = FakeUsage({CORE: sight(age_s), WORKER: sight(age_s)})
    facts = channel_probe.look(node(usage=usage), RUNNING, (MESSAGES,), AgentCredentials())
    assert facts.core_age_s is None


def test_logs_are_read_where_windows_keeps_them() -> None:
    line = b"2023-11-14 22:10:00.1000 INFO [ssm-agent-worker] x\r\n"
    facts = channel_probe.look(node({WINDOWS.log: line}), RUNNING, (MESSAGES,), AgentCredentials())
    assert facts.logs[0].path == "C:/ProgramData/Amazon/SSM/Logs/amazon-ssm-agent.log"
    assert facts.logs[0].lines == 1


ENVIRONMENT = rf"{SERVICE_KEY}\Environment"


@pytest.mark.parametrize(
    ("value", "proxy", "exempt"),
    [
        (("https_proxy=http://squid:3128", "no_proxy=169.254.169.254"), "http://squid:3128", True),
        (("HTTPS_PROXY=http://squid:3128", "", "NO_PROXY=169.254.169.254"), "http://squid:3128", 1),
        (("Https_Proxy=http://squid:3128",), "http://squid:3128", False),
        (("http_proxy=http://squid:3128",), "", False),
        (("https_proxy",), "", False),
        ((), "", False),
    ],
)
def test_the_proxy_of_the_service(value: tuple[str, ...], proxy: str, exempt: object) -> None:
    found = agent_proxy.look(node(registry={ENVIRONMENT: value}))
    assert (found.https_proxy, bool(found.no_proxy)) == (proxy, bool(exempt))
    assert found.source == (ENVIRONMENT if proxy else "")


@pytest.mark.parametrize(
    "value", ["https_proxy=http://squid:3128", 7, b"x", Denied("Environment: access denied")]
)
def test_a_proxy_of_another_form_is_not_guessed(value: Value) -> None:
    found = agent_proxy.look(node(registry={ENVIRONMENT: value}))
    assert (found.https_proxy, len(found.unread)) == ("", 1)


def test_go_does_not_take_a_bundle_on_windows() -> None:
    found = agent_proxy.look(node(registry={ENVIRONMENT: ("SSL_CERT_FILE=C:\\x.pem",)}))
    assert found.ca_file == ""
    assert agent_proxy.look(node()) == AgentProxy()


@pytest.mark.parametrize(
    ("values", "is_ec2", "maker"),
    [
        ({"SystemManufacturer": "Amazon EC2"}, True, "Amazon EC2"),
        ({"SystemManufacturer": "Xen", "BIOSVersion": "4.11.amazon"}, True, "Xen"),
        ({"SystemManufacturer": "Xen", "BIOSVersion": "4.11"}, False, ""),
        ({"SystemManufacturer": "VMware, Inc."}, False, "VMware, Inc."),
        ({"SystemManufacturer": b"Amazon EC2"}, False, ""),
        ({}, False, ""),
    ],
)
def test_whose_machine_it_is(values: dict[str, Value], is_ec2: object, maker: str) -> None:
    found = look_at_firmware(node(registry={f"{BIOS}\\{name}": it for name, it in values.items()}))
    assert (found.is_ec2, found.maker) == (is_ec2, maker)


def text(**members: str) -> bytes:
    return json.dumps(members).encode()


def test_who_it_is_stands_in_its_folders() -> None:
    data = "C:/ProgramData/Amazon/SSM"
    key = r"c:\programdata\amazon\ssm\InstanceData\Vault\Store\RegistrationKey"
    files: dict[str, bytes | ProbeError] = {
        f"{data}/InstanceData/registration": text(ManagedInstanceID=NODE, Region="eu-west-1"),
        f"{data}/runtimeconfig/identity_config.json": text(InstanceId=NODE, IdentityType="OnPrem"),
        f"{data}/InstanceData/Vault/Manifest": text(RegistrationKey=key),
        key.replace("\\", "/"): b"secret",
        f"{data}/InstanceData/Vault/Store/RegistrationKey": b"secret",
    }
    host = node(files)
    found = node_registration.look(host)
    assert found.registration is not None
    assert (found.registration.node_id, found.unread) == (NODE, ())
    assert [item.name for item in found.keys] == ["RegistrationKey"]
    assert node_identity.look(host, "").node_id == NODE
    assert node_identity.look(host, "").region == "eu-west-1"


def test_a_key_elsewhere_is_not_taken() -> None:
    data = "C:/ProgramData/Amazon/SSM"
    files: dict[str, bytes | ProbeError] = {
        f"{data}/InstanceData/Vault/Manifest": text(RegistrationKey=r"C:\Users\x\key")
    }
    found = node_registration.look(node(files))
    assert (found.keys, len(found.unread)) == ((), 1)


def test_credentials_lie_in_the_profile_of_system() -> None:
    path = "C:/Windows/System32/config/systemprofile/.aws/credentials"
    host = node({path: b"[default]\naws_access_key_id = x\n"})
    registration = node_registration.look(host)
    found = node_credentials.look(host, registration)
    assert [item.file.path for item in found.files] == [path]
    assert len(found.files[0].file.folders) == 3


def test_an_open_key_is_said_in_the_words_of_windows() -> None:
    path = f"{WINDOWS.vault}/Store/RegistrationKey"
    states: dict[str, FileState | ProbeError] = {path: file_state(path, mode=0o755)}
    files = FakeFiles({f"{WINDOWS.vault}/Manifest": text(RegistrationKey=path)}, states)
    (key,) = node_registration.look(windows_node(fake_host(files))).keys
    assert "by its access list, allowed are SYSTEM and administrators" in key.laxity
    assert "0755" not in key.laxity
    (stranger,) = node_registration.look(
        windows_node(fake_host(replace(files, states={path: file_state(path, uid=1001)})))
    ).keys
    assert "belongs to another user" in stranger.laxity
    fix = close_fix(path)
    assert fix.shell == "powershell"
    assert "/grant:r '*S-1-5-18:F' '*S-1-5-32-544:F'" in fix.command


def test_an_image_is_cleaned_in_powershell() -> None:
    files: dict[str, bytes | ProbeError] = {
        WINDOWS.registration: b"x",
        f"{WINDOWS.instances}/{NODE}/x": b"x",
        WINDOWS.log: b"x",
        WINDOWS.credentials: b"x",
    }
    facts = image_probe.look(node(files))
    verdict = node_image.judge(facts, is_image=True)
    assert verdict.status.value == "crit"
    (fix,) = verdict.fixes
    assert fix.shell == "powershell"
    assert fix.command.startswith("Stop-Service AmazonSSMAgent; Remove-Item -Recurse -Force '")
    assert r"'C:\ProgramData\Amazon\SSM\InstanceData\*'" in fix.command
    assert r"'C:\Program Files\Amazon\SSM\credentials'" in fix.command


def test_room_on_the_volume_of_windows() -> None:
    files = FakeFiles(
        {f"{WINDOWS.instances}/{NODE}/document/orchestration/a/x": b"", WINDOWS.log: b"x"},
        {
            WINDOWS.data: file_state(WINDOWS.data, kind=file_state("/").kind.FOLDER),
            WINDOWS.logs: file_state(WINDOWS.logs, kind=file_state("/").kind.FOLDER),
        },
    )
    room = FileSystem(10**9, 1000, 0, 0, read_only=False)
    files.spaces = {WINDOWS.data: room, WINDOWS.logs: room}
    facts = storage_probe.look(windows_node(fake_host(files)))
    assert facts.entries == Entries(1, complete=True, oldest_ns=0)
    verdict = agent_storage.judge(INSTALLED, facts, None)
    assert verdict.status.value == "crit"
    assert {fix.shell for fix in verdict.fixes} == {"powershell"}
    assert r"Get-ChildItem 'C:\' -Force -Recurse" in verdict.fixes[0].command
    assert r"InstanceData\*\document\orchestration\*" in verdict.fixes[1].command


def test_a_volume_that_is_read_only_and_logs_that_grow() -> None:
    room = Room(Role.DATA, WINDOWS.data, WINDOWS.data, 1, FileSystem(1, 1, 0, 0, read_only=True))
    facts = StorageFacts((room,), Entries(20_000), 10**9, WINDOWS.log)
    verdict = agent_storage.judge(INSTALLED, facts, None)
    assert [item.reason for item in verdict.findings] == [
        "read-only",
        "entries-piling-up",
        "logs-large",
    ]
    assert {fix.shell for fix in verdict.fixes} == {"powershell"}
    assert "Set-Disk -IsReadOnly $false" in verdict.fixes[1].command


def test_an_update_that_hangs() -> None:
    files = {f"{WINDOWS.data}/update.lock": b""}
    facts = update_probe.look(node(files))  # type: ignore[arg-type]
    now = instant(FakeClock().wall)
    verdict = agent_update.judge(INSTALLED, facts, None, None, now)
    assert "half-done" in [item.reason for item in verdict.findings]
    commands = [fix.command for fix in verdict.fixes]
    assert r"Get-Content -Tail 50 'C:\ProgramData\Amazon\SSM\Logs\AmazonSSMAgent-update.txt'" in (
        commands
    )
    assert any(r"Remove-Item 'C:\ProgramData\Amazon\SSM\update.lock'" in it for it in commands)


def all_fixes() -> tuple[Fix, ...]:
    return (
        windows_fix.CLEAN,
        windows_fix.LOGS,
        windows_fix.UPDATE_LOG,
        windows_fix.UNLOCK,
        *windows_fix.PROXY,
        windows_fix.largest("D:/x"),
        *windows_fix.writable("D:/x"),
        windows_fix.close("C:/a b/it's"),
        windows_fix.remove(("C:/a",)),
    )


def test_commands_are_for_powershell() -> None:
    for fix in all_fixes():
        assert fix.shell == "powershell"
        assert "&&" not in fix.command  # Windows PowerShell 5 has no such operator
        assert "/ProgramData" not in fix.command
        assert fix.command.count("'") % 2 == 0
    assert "'C:\\a b\\it''s'" in windows_fix.close("C:/a b/it's").command


def test_places_are_told_apart_by_their_drive() -> None:
    assert [is_windows(place.data) for place in (WINDOWS, LINUX)] == [True, False]


def inventory_node(**modes: int) -> Host:
    """Return a node with the agent's folder for inventory below folders of these modes."""
    folders = ["C:/", "C:/ProgramData", "C:/ProgramData/Amazon", WINDOWS.data, WINDOWS.instances]
    folders += [f"{WINDOWS.instances}/{NODE}", f"{WINDOWS.instances}/{NODE}/inventory"]
    kind = file_state("/").kind.FOLDER
    states: dict[str, FileState | ProbeError] = {
        path: file_state(path, kind=kind, mode=modes.get(path.rpartition("/")[2], 0o755))
        for path in folders
    }
    return windows_node(fake_host(FakeFiles({}, states)))


def made_report() -> Report:
    made = report(ok("clock.offset"))
    return replace(made, node=replace(made.node, platform="windows", node_id=NODE))


def test_inventory_below_folders_to_which_users_may_add() -> None:
    told = inventory.deliver(made_report(), inventory_node(ProgramData=0o1777))
    assert told.detail == f"{WINDOWS.instances}/{NODE}/inventory/custom/NodeCheck.json"


@pytest.mark.parametrize(
    "modes", [{"ProgramData": 0o777}, {"Amazon": 0o777}, {"inventory": 0o1777}]
)
def test_inventory_is_not_left_where_others_may_replace_it(modes: dict[str, int]) -> None:
    with pytest.raises(SinkError, match="its access list: others can write there"):
        inventory.deliver(made_report(), inventory_node(**modes))
