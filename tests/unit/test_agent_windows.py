from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from nodecheck.checks import agent_installed, agent_windows_files, agent_windows_running
from nodecheck.checks.agent_authenticode import Timing, judge_program, proven_programs
from nodecheck.checks.agent_windows_installed import survey_windows
from nodecheck.host.door import ToolOutput
from nodecheck.model.access import AccessFacts
from nodecheck.model.agent import Channel
from nodecheck.model.authenticode import PublisherPolicy, TrustAnswer
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.install import EXECUTABLES
from nodecheck.model.node import FileKind, ProcessState
from nodecheck.model.verdict import Status
from nodecheck.model.windows_service import ServicePhase
from nodecheck.probes import agent_programs, agent_windows, agent_windows_processes
from nodecheck.records import replace
from tests.fake_host import FakeProcesses, file_state
from tests.fake_windows import COMMAND, CORE, FOLDER, SAFE, FakeRegistry, WindowsNode, service
from tests.pe_maker import NOW, Signing, make_identity, name, program, root, signed

if TYPE_CHECKING:
    from nodecheck.host.windows_door import Bits
    from nodecheck.model.authenticode import WindowsInstall, WindowsPrograms
    from nodecheck.model.verdict import Verdict

POLICY = PublisherPolicy()
TIMING = Timing(NOW, is_clock_right=True)
KEY: Final = r"HKLM\SYSTEM\CurrentControlSet\Services\AmazonSSMAgent"
UNINSTALL: Final = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall"
USERS: Final = "S-1-5-32-545"
SIGNED: Final = {name_: signed(program(name_.encode())) for name_ in EXECUTABLES}
OTHERS: Final = signed(how=Signing(make_identity(name("Acme Ltd", "Acme Ltd"), root())))


def process(pid: int = 700, image: str = CORE, uid: int = 0, **changes: object) -> ProcessState:
    values: dict[str, object] = {
        "pid": pid,
        "parent_pid": 500,
        "name": image.rpartition("/")[2],
        "uid": uid,
        "image": image,
        "image_deleted": False,
        "unit": "",
    }
    return ProcessState(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def node() -> WindowsNode:
    """Return a node with a healthy agent."""
    made = WindowsNode()
    made.files.contents.update({f"{FOLDER}/{name_}.exe": data for name_, data in SIGNED.items()})
    for number, path in enumerate(made.files.contents):
        made.files.states[path] = file_state(path, inode=number + 1)
    made.services.services["AmazonSSMAgent"] = service()
    made.registry.values[KEY, "Version", 64] = "3.3.1142.0"
    made.processes.processes = (
        process(),
        process(701, f"{FOLDER}/ssm-agent-worker.exe", parent_pid=700),
    )
    return made


def look(node: WindowsNode) -> tuple[WindowsInstall, WindowsPrograms]:
    install = agent_windows.look(node.host)
    found = agent_programs.look(
        node.host, install, lambda fact: judge_program(fact, POLICY, TIMING) is None
    )
    return install, found


def judge_installed(node: WindowsNode) -> Verdict:
    return agent_installed.judge(survey_windows(agent_windows.look(node.host)))


def judge_files(node: WindowsNode) -> Verdict:
    return agent_windows_files.judge(*look(node), POLICY, TIMING)


def judge_running(node: WindowsNode) -> Verdict:
    install, programs = look(node)
    running = agent_windows_processes.look(node.host, install, programs)
    proven = proven_programs(programs, POLICY, TIMING)
    return agent_windows_running.judge(install, running, proven)


def said(verdict: Verdict) -> str:
    return f"{verdict.status.value} {verdict.reason}"


# agent.installed and the version.


def test_a_healthy_node(node: WindowsNode) -> None:
    survey = survey_windows(agent_windows.look(node.host))
    assert [item.version for item in survey.installations] == ["3.3.1142.0"]
    assert survey.native is Channel.WINDOWS
    assert judge_installed(node).status is Status.OK
    assert judge_files(node).status is Status.OK
    assert judge_running(node).status is Status.OK


def test_nothing_there() -> None:
    node = WindowsNode()
    verdict = judge_installed(node)
    assert said(verdict) == "crit not-installed"
    assert verdict.fixes[0].shell == "powershell"
    assert judge_files(node).status is Status.SKIP
    assert judge_running(node).status is Status.SKIP


def test_a_file_without_service_and_the_other_way_round(node: WindowsNode) -> None:
    node.services.services.clear()
    assert said(judge_installed(node)) == "crit half-installed"
    node.services.services["AmazonSSMAgent"] = service()
    node.files.contents.clear()
    node.files.states.clear()
    assert said(judge_installed(node)) == "crit half-installed"


LOCK: Final = "C:/ProgramData/Amazon/SSM/update.lock"


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [(10, "unknown not-observed"), (-500, "unknown not-observed"), (4000, "crit half-installed")],
)
def test_the_updater_deletes_the_service_for_a_while(
    node: WindowsNode, age_s: int, expected: str
) -> None:
    node.services.services.clear()
    written_ns = node.host.clock.wall_ns() - age_s * 10**9
    node.files.states[LOCK] = file_state(LOCK, mtime_ns=written_ns)
    assert said(judge_installed(node)) == expected


def test_an_updater_that_runs(node: WindowsNode) -> None:
    image = "C:/ProgramData/Amazon/SSM/Update/amazon-ssm-agent-updater/x/updater.exe"
    node.processes.processes += (process(900, image),)
    assert len(agent_windows.look_for_update(node.host).signs) == 1
    node.processes.processes += (process(901, image, uid=1001),)
    assert len(agent_windows.look_for_update(node.host).signs) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3.3.1142.0\n", "3.3.1142.0"),
        ("", ""),
        ("3.3", None),
        ("версия", None),
        ("9" * 4000, None),
        (ProbeError("is REG_BINARY, expected REG_SZ", "wrong-type"), None),
        (Denied("access denied"), None),
    ],
)
def test_the_version_of_the_service_key(
    node: WindowsNode, value: str | ProbeError, expected: str | None
) -> None:
    node.registry.values[KEY, "Version", 64] = value
    found = agent_windows.look(node.host)
    assert found.version == (expected or "")
    assert bool(found.unobserved) is (expected is None)
    status = judge_installed(node).status
    assert status is (Status.UNKNOWN if expected is None else Status.OK)


def test_uninstall_keys_of_both_views_are_a_hint(node: WindowsNode) -> None:
    del node.registry.values[KEY, "Version", 64]
    for bits, key in ((64, "{A}"), (32, "{B}")):
        node.registry.values[f"{UNINSTALL}\\{key}", "DisplayName", bits] = "Amazon SSM Agent"
        node.registry.values[f"{UNINSTALL}\\{key}", "DisplayVersion", bits] = "3.3.987.0"
    node.registry.values[f"{UNINSTALL}\\Other", "DisplayName", 32] = "Amazon SSM Agent Helper"
    node.registry.values[f"{UNINSTALL}\\Other", "DisplayVersion", 32] = "1.0.0.0"
    install = agent_windows.look(node.host)
    assert install.listed == ("3.3.987.0",)
    assert survey_windows(install).installations[0].version == "3.3.987.0"
    node.registry.values[f"{UNINSTALL}\\{{A}}", "DisplayVersion", 64] = "3.3.988.0"
    assert survey_windows(agent_windows.look(node.host)).installations[0].version == ""


ASKED: Final = (CORE, "-version")


def test_the_agent_is_asked_only_after_its_signature_passed(node: WindowsNode) -> None:
    del node.registry.values[KEY, "Version", 64]
    node.processes.outputs[ASKED] = ToolOutput(0, b"SSM Agent version: 3.3.1142.0\r\n", b"")
    assert look(node)[1].reported == "3.3.1142.0"
    node.answers[CORE] = TrustAnswer(0x800B0109)
    assert look(node)[1].reported == ""


def test_the_agent_is_not_run_where_the_key_tells(node: WindowsNode) -> None:
    node.processes.outputs[ASKED] = ToolOutput(0, b"SSM Agent version: 9.9.9.9\n", b"")
    assert look(node)[1].reported == ""


@pytest.mark.parametrize(
    "output",
    [
        ToolOutput(1, b"SSM Agent version: 3.3.1142.0", b""),
        ToolOutput(0, b"", b""),
        ToolOutput(0, b"SSM Agent version: latest", b""),
        ToolOutput(0, b"x SSM Agent version: 3.3.1142.0", b""),
    ],
)
def test_an_answer_that_is_not_understood(node: WindowsNode, output: ToolOutput) -> None:
    del node.registry.values[KEY, "Version", 64]
    node.processes.outputs[ASKED] = output
    found = look(node)[1]
    assert found.reported == ""
    assert found.note


WINDOWS_KEY: Final = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion"


def test_programs_lie_where_the_registry_says(node: WindowsNode) -> None:
    node.registry.values[WINDOWS_KEY, "ProgramFilesDir", 64] = "D:\\Programme"
    install = agent_windows.look(node.host)
    assert install.executable == "D:/Programme/Amazon/SSM/amazon-ssm-agent.exe"
    assert install.is_service_elsewhere


def test_what_cannot_be_looked_at_is_told(node: WindowsNode) -> None:
    node.files.states[CORE] = Denied(f"{CORE}: access denied")
    node.files.states[LOCK] = Denied(f"{LOCK}: access denied")
    assert said(judge_installed(node)) == "unknown not-observed"
    assert len(agent_windows.look_for_update(node.host).unobserved) == 1


def test_lists_of_programs_that_cannot_be_read_are_a_note(node: WindowsNode) -> None:
    class Closed(FakeRegistry):
        def subkeys(self, key: str, limit: int, bits: Bits = 64) -> tuple[str, ...]:
            message = f"{key}: more than {limit} keys"
            raise ProbeError(message)

    node.registry = Closed(node.registry.values)
    install = agent_windows.look(node.host)
    assert len(install.notes) == 3
    assert judge_installed(node).status is Status.OK


def test_processes_that_cannot_be_listed_are_no_sign_of_an_update(node: WindowsNode) -> None:
    class Closed(FakeProcesses):
        def all(self) -> tuple[ProcessState, ...]:
            message = "process list: error 5"
            raise ProbeError(message)

    node.processes = Closed()
    found = agent_windows.look_for_update(node.host)
    assert found.signs == ()
    assert found.unobserved == ("process list: error 5",)


# agent.files.


def test_an_executable_that_is_not_amazons(node: WindowsNode) -> None:
    node.files.contents[f"{FOLDER}/ssm-session-worker.exe"] = OTHERS
    verdict = judge_files(node)
    assert said(verdict) == "crit unproven-digests"
    assert verdict.findings[0].path == f"{FOLDER}/ssm-session-worker.exe"


def test_an_executable_that_cannot_be_judged(node: WindowsNode) -> None:
    node.files.contents[CORE] = ProbeError(f"{CORE}: in use", "locked")
    assert said(judge_files(node)) == "unknown unproven-digests"
    assert said(judge_running(node)) == "unknown locked"


def test_missing_executables(node: WindowsNode) -> None:
    del node.files.contents[f"{FOLDER}/ssm-session-worker.exe"]
    del node.files.states[f"{FOLDER}/ssm-session-worker.exe"]
    assert said(judge_files(node)) == "crit missing"
    node.registry.values[KEY, "Version", 64] = "2.3.1319.0"
    assert judge_files(node).status is Status.OK


def test_an_executable_that_is_a_link(node: WindowsNode) -> None:
    node.files.states[CORE] = file_state(CORE, kind=FileKind.LINK, target="C:/x.exe")
    verdict = judge_files(node)
    assert verdict.status is Status.CRIT
    assert {item.reason for item in verdict.findings} == {"unproven-digests", "folder-link"}


UNQUOTED: Final = COMMAND.strip('"')


def test_an_unquoted_path_is_a_finding_with_its_command(node: WindowsNode) -> None:
    node.services.services["AmazonSSMAgent"] = service(UNQUOTED)
    verdict = judge_files(node)
    assert said(verdict) == "warn unquoted-path"
    assert verdict.fixes[0].command.endswith(f"ImagePath '{COMMAND}'")
    assert judge_running(node).status is Status.OK


def test_a_program_that_the_unquoted_path_would_start(node: WindowsNode) -> None:
    node.services.services["AmazonSSMAgent"] = service(UNQUOTED)
    node.files.contents["C:/Program.exe"] = b"MZ"
    assert said(judge_files(node)) == "crit shadowed"
    node.services.services["AmazonSSMAgent"] = service()
    assert judge_files(node).status is Status.OK


@pytest.mark.parametrize(
    "command",
    ['"C:\\Temp\\amazon-ssm-agent.exe"', "\\\\server\\share\\x.exe", '"', "", "x.exe", '"C:\\nul"'],
)
def test_a_service_that_starts_something_else(node: WindowsNode, command: str) -> None:
    node.services.services["AmazonSSMAgent"] = service(command)
    verdict = judge_files(node)
    assert verdict.status is Status.CRIT
    assert "start-overridden" in {item.reason for item in verdict.findings}


def test_another_spelling_of_the_same_file(node: WindowsNode) -> None:
    short = "C:/PROGRA~1/Amazon/SSM/amazon-ssm-agent.exe"
    node.services.services["AmazonSSMAgent"] = service(short.replace("/", "\\"))
    node.files.contents[short] = node.files.contents[CORE]
    state = node.files.states[CORE]
    assert not isinstance(state, ProbeError)
    node.files.states[short] = replace(state, path=short)
    assert judge_files(node).status is Status.OK


def writable(*sids: str, owner: str = "S-1-5-18") -> AccessFacts:
    return AccessFacts(owner, (), sids, sids, inherited=False)


@pytest.mark.parametrize(
    ("path", "access", "expected"),
    [
        (CORE, writable(USERS), "crit writable"),
        (CORE, writable(owner=USERS), "crit owner"),
        (FOLDER, writable(USERS), "crit folder-writable"),
        (FOLDER, writable(owner="S-1-5-21-1-2-3-1001"), "crit folder-owner"),
        ("C:/Program Files", writable(USERS), "crit folder-writable"),
        ("C:/", writable("S-1-5-11"), "crit folder-writable"),
        ("C:/", replace(SAFE, writers=("S-1-5-11",)), "ok ok"),
        (CORE, writable("S-1-5-21-1-2-3-500", owner="S-1-5-21-1-2-3-500"), "ok ok"),
        (FOLDER, writable("S-1-3-0", "S-1-5-18"), "ok ok"),
        (CORE, writable("S-1-1-0"), "crit writable"),
        (CORE, ProbeError("entry of kind 5 is not known"), "unknown not-observed"),
        (FOLDER, Denied("access denied"), "unknown not-observed"),
    ],
)
def test_who_else_may_write(
    node: WindowsNode, path: str, access: AccessFacts | ProbeError, expected: str
) -> None:
    node.access.lists[path] = access
    assert said(judge_files(node)) == expected


def test_the_configuration_beside_the_agent_is_looked_at(node: WindowsNode) -> None:
    path = f"{FOLDER}/configuration/amazon-ssm-agent.json"
    node.files.contents[path] = b"{}"
    assert judge_files(node).status is Status.OK
    node.access.lists[f"{FOLDER}/configuration"] = writable(USERS)
    verdict = judge_files(node)
    assert said(verdict) == "crit folder-writable"
    assert verdict.fixes[0].command == (
        f"icacls '{FOLDER}/configuration' /remove:g '*{USERS}'".replace(
            f"{FOLDER}/configuration", f"{FOLDER}/configuration".replace("/", "\\")
        )
    )


# agent.running.


def test_a_stopped_service(node: WindowsNode) -> None:
    node.services.services["AmazonSSMAgent"] = service(pid=0, phase=ServicePhase.STOPPED)
    node.processes.processes = ()
    verdict = judge_running(node)
    assert said(verdict) == "crit not-running"
    assert verdict.fixes[0].command == "Restart-Service AmazonSSMAgent"


def test_an_agent_started_by_hand_beside_a_stopped_service(node: WindowsNode) -> None:
    node.services.services["AmazonSSMAgent"] = service(pid=0, phase=ServicePhase.STOPPED)
    assert said(judge_running(node)) == "crit not-running"


def test_another_program_under_the_services_number(node: WindowsNode) -> None:
    image = "C:/Temp/evil.exe"
    node.files.contents[image] = b"MZ"
    node.processes.processes = (process(image=image),)
    verdict = judge_running(node)
    assert verdict.status is Status.CRIT
    assert {item.reason for item in verdict.findings} == {"other-path", "not-running"}


def test_a_worker_as_the_services_process_is_not_the_core(node: WindowsNode) -> None:
    node.processes.processes = (process(image=f"{FOLDER}/ssm-agent-worker.exe"),)
    assert said(judge_running(node)) == "crit not-running"


def test_the_agents_name_from_elsewhere(node: WindowsNode) -> None:
    image = "C:/Temp/SSM-Agent-Worker.EXE"
    node.files.contents[image] = SIGNED["ssm-agent-worker"]
    node.processes.processes += (process(800, image),)
    assert said(judge_running(node)) == "crit other-path"
    node.processes.processes = (*node.processes.processes[:2], process(800, image, uid=1001))
    verdict = judge_running(node)
    assert verdict.status is Status.OK
    evidence = {item.name: item.value for item in verdict.evidence}
    assert evidence["ignored_processes"] == ("process 800 (ssm-agent-worker) runs as user 1001",)


def test_the_image_is_tampered(node: WindowsNode) -> None:
    data = bytearray(SIGNED["amazon-ssm-agent"])
    data[700] ^= 1
    node.files.contents[CORE] = bytes(data)
    assert said(judge_running(node)) == "crit image-not-signed"


def test_what_cannot_be_judged_is_unproven(node: WindowsNode) -> None:
    node.answers[CORE] = TrustAnswer(0x800B0109)
    assert said(judge_running(node)) == "unknown unproven"


def test_a_renamed_image(node: WindowsNode) -> None:
    node.processes.processes = (process(image_deleted=True),)
    verdict = judge_running(node)
    assert said(verdict) == "crit image-replaced"


def test_not_as_system(node: WindowsNode) -> None:
    node.processes.processes = (process(uid=1001),)
    assert said(judge_running(node)) == "crit not-root"


@pytest.mark.parametrize("state", [process(image=""), process(uid=-1)])
def test_an_image_that_cannot_be_seen(node: WindowsNode, state: ProcessState) -> None:
    node.processes.processes = (state,)
    assert said(judge_running(node)) == "unknown no-permission"


def test_a_service_whose_process_is_hidden(node: WindowsNode) -> None:
    node.processes.processes = ()
    assert said(judge_running(node)) == "unknown hidden-process"


def test_a_service_that_cannot_be_asked(node: WindowsNode) -> None:
    node.services.services["AmazonSSMAgent"] = Denied("access denied")
    assert said(judge_installed(node)) == "unknown not-observed"
    assert said(judge_files(node)) == "unknown not-observed"
    assert said(judge_running(node)) == "unknown not-observed"


def test_a_probe_that_failed_is_not_absence() -> None:
    survey = survey_windows(ProbeError("timeout"))
    assert said(agent_installed.judge(survey)) == "unknown not-observed"
    assert survey.native is Channel.WINDOWS
