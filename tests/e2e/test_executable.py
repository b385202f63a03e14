"""The file that ships, in the surroundings that a node may offer it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import jsonschema
import pytest

from tests.e2e.conftest import Executable

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY: Final = 65534
VERDICTS: Final = {"ok": 0, "warn": 1, "crit": 2, "unknown": 3}
OFFLINE: Final = ("run", "--offline", "--format", "json")


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_tells_its_version_and_commit(nodecheck: Executable) -> None:
    done = nodecheck("--version")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"nodecheck \d+\.\d+\.\d+\n", done.out)
    lines = nodecheck("--version", "-v").out.splitlines()
    assert [line for line in lines if re.fullmatch("commit +([0-9a-f]{40}(-dirty)?|unknown)", line)]


def test_helps(nodecheck: Executable) -> None:
    done = nodecheck("--help")
    assert (done.code, done.err) == (0, "")
    assert "exit codes" in done.out


def test_explains_every_check_that_it_lists(nodecheck: Executable) -> None:
    listed = re.findall(r"^[a-z]+\.[a-z-]+", nodecheck("list").out, re.MULTILINE)
    assert "clock.offset" in listed
    for check_id in listed:
        done = nodecheck("explain", check_id)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(check_id)
        assert len(done.out) > 400


@pytest.mark.parametrize(
    "arguments", [["explain", "no.such"], ["--no-such"], ["run", "--only", "no.such"]], ids=" ".join
)
def test_refuses_what_it_does_not_know(nodecheck: Executable, arguments: list[str]) -> None:
    done = nodecheck(*arguments)
    assert done.code == 64
    assert done.out == ""
    assert "nodecheck: " in done.err


def test_report_follows_its_schema_on_one_line(nodecheck: Executable) -> None:
    schema = json.loads(nodecheck("schema").out)
    checker = jsonschema.validators.validator_for(schema)
    checker.check_schema(schema)
    done = nodecheck(*OFFLINE)
    checker(schema).validate(done.report)
    assert done.report["exit"] == done.code == VERDICTS[done.report["verdict"]]
    assert done.report["tool"]["commit"] != "source"


def test_runs_without_any_environment(nodecheck: Executable, tmp_path: Path) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text(f'[state]\ndir = "{tmp_path / "state"}"\n')
    assert nodecheck(*OFFLINE, "--config", str(settings), env={}).report["verdict"] in VERDICTS


@pytest.fixture
def public_copy(nodecheck: Executable) -> Iterator[Executable]:
    """A copy in a folder that every user can read; it also proves that the folder may be moved."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        copy = Path(folder, "moved")
        shutil.copytree(nodecheck.path.parent, copy)
        yield Executable(copy / "nodecheck", {"HOME": folder, "TMPDIR": folder})


def test_runs_as_a_user_without_a_writable_home(public_copy: Executable) -> None:
    before = files_below(public_copy.path.parents[1])
    is_root = public_copy.path.stat().st_uid == 0
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if is_root else {}
    done = public_copy(*OFFLINE, **user)
    assert done.report["verdict"] in VERDICTS
    assert done.report["run"]["privileged"] is False
    assert files_below(public_copy.path.parents[1]) == before


def test_imports_nothing_from_the_current_folder(nodecheck: Executable, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    for package in ("nodecheck", "json", "psutil", "encodings"):
        (trap / package).mkdir(parents=True)
        (trap / package / "__init__.py").write_text("raise SystemExit(99)\n")
    environment = {**nodecheck.environment, "PYTHONPATH": str(trap), "PYTHONHOME": str(trap)}
    assert nodecheck(*OFFLINE, cwd=trap, env=environment).report["verdict"] in VERDICTS


def test_runs_in_a_folder_that_is_gone(nodecheck: Executable, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    script = 'rmdir "$PWD" && exec "$0" "$@"'
    assert nodecheck(*OFFLINE, cwd=tmp_path / "gone", script=script).report["verdict"] in VERDICTS


@pytest.mark.parametrize(
    "redirection", [">&-", ">/dev/full", "2>&-", "2>/dev/full", "<&- >&- 2>&-", ">/dev/full 2>&1"]
)
@pytest.mark.parametrize(
    "arguments",
    [OFFLINE, ("run", "--offline"), ("list",), ("--help",), ("--no-such",)],
    ids=" ".join,
)
def test_survives_a_lost_output(
    nodecheck: Executable, arguments: tuple[str, ...], redirection: str, tmp_path: Path
) -> None:
    done = nodecheck(*arguments, script=f'exec "$0" "$@" {redirection}')
    if arguments[0] == "run" and not redirection.startswith("2"):
        assert done.code >= VERDICTS["crit"], "an undelivered report is never ok"
    # A file opened in the place of a closed stdout must not receive the report.
    for file in (path for path in (tmp_path / "state").rglob("*") if path.is_file()):
        assert b"verdict" not in file.read_bytes()


def test_survives_a_reader_that_leaves(nodecheck: Executable) -> None:
    process = nodecheck.start(*OFFLINE, "-v")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    assert nodecheck.finish(process).code >= VERDICTS["crit"]


@pytest.fixture
def silence() -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """A time server and an endpoint that take what they get and never answer."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as time_server,
        socket.create_server(("127.0.0.1", 0)) as endpoint,
    ):
        time_server.bind(("127.0.0.1", 0))
        time_server.settimeout(20)
        yield (
            time_server,
            {
                "NODECHECK_CLOCK_SERVERS": f"127.0.0.1:{time_server.getsockname()[1]}",
                "NODECHECK_CLOCK_ENDPOINT": f"https://127.0.0.1:{endpoint.getsockname()[1]}/",
            },
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_leaves_a_clear_line_and_no_files(
    nodecheck: Executable,
    silence: tuple[socket.socket, dict[str, str]],
    number: signal.Signals,
    tmp_path: Path,
) -> None:
    time_server, settings = silence
    process = nodecheck.start(
        *("run", "--only", "clock", "--deadline", "50"), env={**nodecheck.environment, **settings}
    )
    time_server.recv(512)
    process.send_signal(number)
    done = nodecheck.finish(process, timeout_s=5)
    assert done.code == VERDICTS["unknown"]
    assert number.name in done.out + done.err
    assert len(done.out.splitlines()[0]) <= 300
    assert files_below(tmp_path / "temporary") == files_below(tmp_path / "home") == set()
    assert not [name for name in files_below(tmp_path / "state") if "tmp" in name or "new" in name]


# A node whose rpm database rpm alone can read, and an rpm that notes what it was started with.
IN_SUCH_A_NODE: Final = """
mount -t tmpfs none /var/lib/rpm && touch /var/lib/rpm/Packages.db &&
mount --bind "$TMPDIR/rpm" /usr/bin/rpm && exec "$0" "$@"
"""


def test_children_get_nothing_of_its_environment(nodecheck: Executable, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not make name spaces")
    noted = tmp_path / "noted"
    rpm = tmp_path / "temporary" / "rpm"
    rpm.write_text(f"#!/bin/sh\nenv >{noted}\nexit 3\n")
    rpm.chmod(0o755)
    script = f"""exec unshare -rm /bin/sh -c '{IN_SUCH_A_NODE}' "$0" "$@" """
    assert nodecheck(*OFFLINE, "--only", "agent.installed", script=script).report
    names = {line.partition("=")[0] for line in noted.read_text().splitlines()}
    assert names <= {"LC_ALL", "PATH", "PWD", "OLDPWD", "SHLVL", "_"}


def test_carries_only_the_data_it_needs(executable_path: Path) -> None:
    data = files_below(executable_path.parent)
    assert any(name.endswith("certifi/cacert.pem") for name in data)
    assert any(name.endswith("botocore/data/endpoints.json") for name in data)
    services = {
        name.split("botocore/data/")[1].split("/")[0] for name in data if "service-2" in name
    }
    assert services == {"cloudwatch", "logs", "ssm", "sts"}
    assert not [name for name in data if ".dist-info" in name]
