"""The nodecheck.exe that ships, under Wine: what that cannot tell is in the README."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import jsonschema
import pytest

from nodecheck.sinks.json_schema import SCHEMA
from tests.aws_server import AwsServer
from tests.https_server import Answer, HttpsServer, make_certificate
from tests.ntp_server import Behaviour, NtpServer
from tests.windows_agent import WindowsAgent, make_program
from tests.windows_lane import Lane, find_lane, windows_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERDICTS: Final = {"ok": 0, "warn": 1, "crit": 2, "unknown": 3}
OFFLINE: Final = ("run", "--offline", "--format", "json")
CLOCK: Final = ("run", "--only", "clock.offset", "--format", "json")
HEALTHY: Final = (
    "clock.offset,agent.installed,agent.signature,agent.files,agent.running,agent.service,"
    "agent.advisory,agent.update,agent.storage,node.identity,node.credentials,"
    "hygiene.agent-update,hygiene.patch-scan"
)
HOLD: Final = r"""
import msvcrt, pathlib, sys, time
lock = pathlib.Path(sys.argv[1])
with lock.open("w+b") as stream:
    stream.seek(1 << 30)
    msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
    print("held", flush=True)
    for _ in range(300):
        time.sleep(0.1)
        if lock.with_name("stop").exists():
            break
"""
BARE: Final = r"""
import os, subprocess, sys
environment = {"SystemRoot": os.environ["SystemRoot"]}
done = subprocess.run(
    sys.argv[1:], env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
)
sys.stdout.write(f"{done.returncode} {done.stdout.decode()}")
"""


@pytest.fixture
def windows(tmp_path: Path) -> Lane:
    return find_lane(tmp_path / "state")


@pytest.fixture
def program_data(windows: Lane) -> Iterator[Path]:
    """Where an elevated run keeps state and settings; empty before and after."""
    folder = windows.drive / "ProgramData/nodecheck"
    shutil.rmtree(folder, ignore_errors=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_tells_its_version_and_helps(windows: Lane) -> None:
    done = windows("--version", "-v")
    assert (done.code, done.err) == (0, "")
    assert re.match(r"nodecheck \d+\.\d+\.\d+\ncommit +([0-9a-f]{40}(-dirty)?|unknown)\n", done.out)
    assert "exit codes" in windows("--help").out


def test_commands_that_look_at_nothing(windows: Lane) -> None:
    listed = re.findall(r"^[a-z]+\.[a-z-]+", windows("list").out, re.MULTILINE)
    assert "clock.offset" in listed
    assert windows("explain", "clock.offset").out.startswith("clock.offset")
    assert json.loads(windows("schema").out) == json.loads(json.dumps(SCHEMA))
    assert "8108A07A9EBE248E3F1C63F254F4F56E693ECA21" in windows("keys").out
    assert "run.deadline_s = 10" in windows("config", "show").out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["explain", "no.such"], 64),
        (["--no-such"], 64),
        (["config", "check", "--config", "C:\\no\\such file.toml"], 78),
    ],
)
def test_mistakes_have_their_codes(windows: Lane, arguments: list[str], code: int) -> None:
    done = windows(*arguments)
    assert done.code == code
    assert "nodecheck: " in done.err


def test_the_report_is_one_line_of_ascii(windows: Lane) -> None:
    code, out = windows.raw(*OFFLINE)
    report = json.loads(out)
    jsonschema.validate(report, json.loads(json.dumps(SCHEMA)))
    assert report["exit"] == code == VERDICTS[report["verdict"]]
    assert report["node"]["platform"] == "windows"
    assert report["node"]["os"].startswith("Windows 10 ")
    assert report["tool"]["commit"] != "source"
    assert report["run"]["privileged"] is True
    assert out.isascii()
    assert (out.count(b"\n"), out.count(b"\r")) == (1, 0)


def test_redirected_text_is_ascii_with_line_feeds(windows: Lane) -> None:
    code, out = windows.raw("run", "--offline", "-v")
    assert code in VERDICTS.values()
    assert out.isascii()
    assert b"\r" not in out
    assert b"\x1b" not in out


def test_what_is_told_in_utf_8_is_utf_8(windows: Lane) -> None:
    _, out = windows.raw("run", "--offline", "--format", "junit")
    assert out.startswith(b"<?xml")
    out.decode("utf-8")


def test_without_a_profile_and_any_variable(windows: Lane, program_data: Path) -> None:
    """So the service of the agent starts commands: as SYSTEM, without HOME or USERPROFILE."""
    found = windows.python(BARE, windows_path(windows.executable), *OFFLINE)
    code, _, out = found.partition(" ")
    report = json.loads(out)
    assert int(code) == report["exit"]
    assert (program_data / "lock").exists()


def test_state_is_kept_in_program_data(windows: Lane, program_data: Path) -> None:
    del windows.environment["NODECHECK_STATE_DIR"]
    done = windows(*OFFLINE)
    assert done.report["verdict"] in VERDICTS
    assert "takes no lock" not in done.err
    assert program_data.stat().st_mode & 0o007 == 0
    program_data.chmod(0o777)
    assert "others can write it (S-1-1-0)" in windows(*OFFLINE).err


def test_settings_of_program_data_are_read_unless_others_can_write_them(
    windows: Lane, program_data: Path
) -> None:
    program_data.mkdir(mode=0o755)
    settings = program_data / "config.toml"
    settings.write_text("[clock]\nwarn_s = 33\n")
    shown = windows("config", "show").out
    assert re.search(r"clock.warn_s = 33.* # C:/ProgramData/nodecheck/config.toml", shown)
    settings.chmod(0o666)
    done = windows("config", "show")
    assert done.code == 78
    assert "others can write C:/ProgramData/nodecheck/config.toml" in done.err
    assert "icacls" in done.err


@pytest.fixture
def clocks(tmp_path: Path) -> Iterator[tuple[dict[str, str], NtpServer, HttpsServer]]:
    """A time server and an endpoint."""
    certificate = make_certificate(tmp_path, time.time() - 86_400, time.time() + 86_400)
    with NtpServer(Behaviour()) as ntp, HttpsServer(Answer(), certificate) as https:
        settings = {
            "NODECHECK_CLOCK_SERVERS": ntp.name,
            "NODECHECK_CLOCK_ENDPOINT": https.url,
            "AWS_CA_BUNDLE": windows_path(certificate.ca_path),
        }
        yield settings, ntp, https


def test_a_right_clock_is_proven(
    windows: Lane, clocks: tuple[dict[str, str], NtpServer, HttpsServer]
) -> None:
    done = windows(*CLOCK, more=clocks[0])
    assert (done.code, done.report["verdict"]) == (0, "ok"), done
    assert abs(done.report["clock"]["offset_s"]) < 1
    assert not done.err


def test_a_slow_clock_is_proven(
    windows: Lane, clocks: tuple[dict[str, str], NtpServer, HttpsServer]
) -> None:
    settings, ntp, https = clocks
    ntp.how, https.answer = Behaviour(offset_s=412), Answer(offset_s=412)
    done = windows(*CLOCK, more=settings)
    assert (done.code, done.report["checks"][0]["reason"]) == (2, "beyond-tolerance")
    assert 411 < done.report["clock"]["offset_s"] < 413


def test_without_a_network_nothing_is_proven(windows: Lane) -> None:
    nowhere = {
        "NODECHECK_CLOCK_SERVERS": "127.0.0.1:1",
        "NODECHECK_CLOCK_ENDPOINT": "https://127.0.0.1:1/",
    }
    assert windows(*CLOCK, more=nowhere).report["verdict"] == "unknown"


def test_reports_are_spooled_and_delivered(
    windows: Lane, clocks: tuple[dict[str, str], NtpServer, HttpsServer], tmp_path: Path
) -> None:
    (tmp_path / "aws").mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(AwsServer(tmp_path / "aws", region="eu-central-1"))
        settings = {
            **clocks[0],
            **server.environment(),
            "AWS_CA_BUNDLE": windows_path(server.ca_file),
            "NODECHECK_CLOCK_ENDPOINT": server.url,
            "NODECHECK_NODE_REGION": "eu-central-1",
            "NODECHECK_REPORT_SINKS": "cloudwatch",
        }
        lost = settings | {"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": "https://127.0.0.1:1"}
        first = windows(*CLOCK, more=lost).report
        assert [item["state"] for item in first["delivery"]] == ["spooled"], first
        assert (tmp_path / "state/spool.jsonl").stat().st_size > 0
        second = windows(*CLOCK, more=settings).report
        assert [item["state"] for item in second["delivery"]] == ["delivered"], second
        runs = [json.loads(item["message"])["run"] for item in server.events]
        assert runs == [first["run"]["id"], second["run"]["id"]]


def test_the_second_of_two_runs_says_so(windows: Lane, tmp_path: Path) -> None:
    command: list[str | Path] = [
        windows.script,
        "python",
        "-I",
        "-c",
        HOLD,
        windows_path(tmp_path / "state/lock"),
    ]
    with subprocess.Popen(
        command, env=windows.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"held"
        done = windows(*CLOCK)
        assert (done.code, done.report["checks"][0]["reason"]) == (3, "busy")
        (tmp_path / "state/stop").touch()


def test_runs_from_and_writes_to_paths_with_blanks_and_of_any_length(
    windows: Lane, tmp_path: Path
) -> None:
    moved = tmp_path / "Program Files é"
    shutil.copytree(windows.executable.parent, moved)
    folder = tmp_path.joinpath("deep", *["folder of thirty characters 00"] * 9)
    folder.mkdir(parents=True)
    target = folder / "report.json"
    assert len(str(target)) > 260
    done = windows(*OFFLINE, "--output", windows_path(target), program=moved / "nodecheck.exe")
    assert json.loads(target.read_text())["run"]["id"] == done.report["run"]["id"]


def test_carries_only_what_it_needs(windows: Lane) -> None:
    names = {path.name.lower() for path in windows.executable.parent.rglob("*")}
    assert {"python311.dll", "vcruntime140.dll", "cacert.pem"} <= names
    assert not {"bcryptprimitives.dll", "pytest", "tcl86t.dll"} & names


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The stand-in agent, signed by an allowed publisher and by another."""
    if shutil.which("x86_64-w64-mingw32-gcc") is None:
        pytest.skip("no compiler for Windows")
    folder = tmp_path_factory.mktemp("programs")
    return make_program(folder / "good"), make_program(folder / "other", "Somebody Else")


@pytest.fixture
def agent(windows: Lane) -> Iterator[WindowsAgent]:
    agent = WindowsAgent(windows)
    yield agent
    agent.remove()


def reasons(windows: Lane) -> dict[str, str]:
    """Why each check of the agent says what it says; 'ok' where it is."""
    done = windows(*OFFLINE, "--only", "agent")
    return {check["id"]: check["reason"] for check in done.report["checks"]}


def test_a_healthy_node(
    windows: Lane,
    agent: WindowsAgent,
    programs: tuple[Path, Path],
    clocks: tuple[dict[str, str], NtpServer, HttpsServer],
) -> None:
    """Wine has neither W32Time nor owners of connections, and nothing here is AWS's."""
    began_s = time.time()
    agent.install(programs[0], "3.3.9000.0")
    agent.start()
    time.sleep(2)
    agent.register(began_s, time.time())
    with agent.trusting(programs[0].with_name("signer.pem")):
        done = windows("run", "--only", HEALTHY, "--format", "json", more=clocks[0])
    found = {check["id"]: f"{check['status']} {check['reason']}" for check in done.report["checks"]}
    assert found == dict.fromkeys(HEALTHY.split(","), "ok ok")
    assert (done.code, done.report["verdict"], done.err) == (0, "ok", "")


def test_a_signed_agent_whose_root_nobody_trusts(
    windows: Lane, agent: WindowsAgent, programs: tuple[Path, Path]
) -> None:
    agent.install(programs[0])
    agent.start()
    found = reasons(windows)
    assert found["agent.installed"] == found["agent.service"] == "ok"
    assert found["agent.signature"] == "untrusted-root"


@pytest.fixture
def person(windows: Lane) -> Iterator[None]:
    """Let the user of this Windows be a person, who then owns all files and runs all services."""
    windows.stop()
    windows.environment["LANE_USER"] = "person"
    yield
    windows.stop()
    del windows.environment["LANE_USER"]


@pytest.mark.usefixtures("person")
def test_an_agent_that_is_a_persons(
    windows: Lane, agent: WindowsAgent, programs: tuple[Path, Path]
) -> None:
    agent.install(programs[0])
    agent.start()
    found = reasons(windows)
    assert found["agent.installed"] == "ok"
    assert found["agent.files"] == "owner"
    assert found["agent.service"] == found["agent.running"] == "not-root"


def test_a_program_that_everybody_can_write(
    windows: Lane, agent: WindowsAgent, programs: tuple[Path, Path]
) -> None:
    agent.install(programs[0])
    agent.open_to_all()
    assert reasons(windows)["agent.files"] == "writable"


def test_an_agent_that_is_stopped_or_has_no_service(
    windows: Lane, agent: WindowsAgent, programs: tuple[Path, Path]
) -> None:
    agent.install(programs[0])
    found = reasons(windows)
    assert found["agent.service"] == found["agent.running"] == "not-running"
    agent.remove_service()
    assert found["agent.installed"] == "ok" != reasons(windows)["agent.installed"]


def test_a_tampered_agent_and_one_of_somebody_else(
    windows: Lane, agent: WindowsAgent, programs: tuple[Path, Path]
) -> None:
    agent.install(programs[0])
    program = agent.folder / "ssm-document-worker.exe"
    data = bytearray(program.read_bytes())
    data[0x600] ^= 1
    program.write_bytes(data)
    assert reasons(windows)["agent.signature"] == "bad-digest"
    agent.install(programs[1])
    assert reasons(windows)["agent.signature"] == "wrong-publisher"
