"""The MSI, installed, upgraded and removed by Wine: what that cannot tell is in the README."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.windows_agent import make_signer
from tests.windows_lane import TOP, Lane, find_lane, windows_path

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT: Final = TOP / "scripts/package-windows"
TASK: Final = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
SOURCE: Final = r"HKLM\SYSTEM\CurrentControlSet\Services\EventLog\Application\nodecheck"
PATHS: Final = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
LISTED: Final = r"HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall"


@pytest.fixture
def windows(tmp_path: Path) -> Lane:
    return find_lane(tmp_path / "state")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """This version and a later one."""
    folder = tmp_path_factory.mktemp("msi")
    find_lane(folder / "state")
    return make(folder), make(folder, "--as", "77.8.9")


def make(folder: Path, *arguments: str, **more: Path) -> Path:
    """Return what the script made."""
    before = set(folder.glob("*.msi"))
    command: list[str | Path] = [SCRIPT, *arguments, folder]
    environment = {**os.environ, **{name: str(value) for name, value in more.items()}}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = set(folder.glob("*.msi")) - before
    return made


def run(windows: Lane, *command: str) -> tuple[int, str]:
    """Run any program of that Windows."""
    done = subprocess.run(
        [windows.script, "run", *command],
        env=windows.environment,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout.decode("cp1252").replace("\r", "")


def msiexec(windows: Lane, *words: str) -> int:
    return run(windows, "msiexec", *words, "/qn")[0]


def installed(windows: Lane) -> list[tuple[str, str]]:
    """The products and versions that Windows lists under our name."""
    listed = run(windows, "reg", "query", LISTED, "/s")[1]
    entries = [part for part in listed.split("\n\n") if re.search("DisplayName .* nodecheck", part)]
    found = []
    for entry in entries:
        version = re.search(r"DisplayVersion +REG_SZ +(\S+)", entry)
        product = re.search(r"/X(\{.*\})", entry)
        assert version
        assert product
        found.append((version[1], product[1]))
    return found


@pytest.fixture
def clean(windows: Lane) -> Iterator[None]:
    """Nothing of ours there, before and after; PATH as it was (Wine leaves a semicolon)."""

    def remove() -> None:
        for _, product in installed(windows):
            assert msiexec(windows, "/x", product) == 0
        shutil.rmtree(windows.drive / "ProgramData/nodecheck", ignore_errors=True)

    remove()
    said = re.search(r"PATH +(\S+) +(.*)", run(windows, "reg", "query", PATHS, "/v", "PATH")[1])
    assert said
    yield
    remove()
    run(windows, "reg", "add", PATHS, "/v", "PATH", "/t", said[1], "/d", said[2], "/f")


@pytest.mark.usefixtures("clean")
def test_installs_upgrades_and_leaves(windows: Lane, packages: tuple[Path, Path]) -> None:
    program = windows.drive / "Program Files/nodecheck"
    settings = windows.drive / "ProgramData/nodecheck/config.toml"
    task = windows.drive / "windows/system32/tasks/nodecheck"

    assert msiexec(windows, "/i", windows_path(packages[0])) == 0
    version = packages[0].name.split("-")[1]
    assert [entry[0] for entry in installed(windows)] == [version]
    code, out = run(windows, r"C:\Program Files\nodecheck\nodecheck.exe", "--version")
    assert (code, out) == (0, f"nodecheck {version}\n")
    built = {
        path.relative_to(windows.executable.parent) for path in windows.executable.parent.rglob("*")
    }
    assert {path.relative_to(program) for path in program.rglob("*")} == built | {Path("task.xml")}
    shown = run(windows, r"C:\Program Files\nodecheck\nodecheck.exe", "config", "show")[1]
    assert re.search(
        r'report.sinks = \["eventlog"\] +# C:/ProgramData/nodecheck/config.toml', shown
    )
    assert task.exists()
    text = (TOP / "packaging/msi/task.xml").read_text()
    assert (program / "task.xml").read_bytes() == b"\xff\xfe" + text.encode("utf-16-le")
    registered = run(windows, "reg", "query", SOURCE)[1]
    assert r"REG_EXPAND_SZ    %SystemRoot%\System32\EventCreate.exe" in registered
    assert r"C:\Program Files\nodecheck" in run(windows, "reg", "query", PATHS, "/v", "PATH")[1]

    settings.write_text("[clock]\nwarn_s = 33\n")
    assert msiexec(windows, "/i", windows_path(packages[1])) == 0
    assert [entry[0] for entry in installed(windows)] == ["77.8.9"]
    assert settings.read_text() == "[clock]\nwarn_s = 33\n"
    assert task.exists()
    assert (program / "nodecheck.exe").exists()
    assert msiexec(windows, "/i", windows_path(packages[0])) != 0, "a downgrade"
    assert [entry[0] for entry in installed(windows)] == ["77.8.9"]

    assert msiexec(windows, "/x", windows_path(packages[1])) == 0
    assert not installed(windows)
    assert not program.exists()
    assert not task.exists()
    assert run(windows, "reg", "query", SOURCE)[0] != 0
    assert "nodecheck" not in run(windows, "reg", "query", PATHS, "/v", "PATH")[1]
    assert settings.read_text() == "[clock]\nwarn_s = 33\n"


@pytest.mark.usefixtures("clean")
def test_settings_that_are_there_stay(windows: Lane, packages: tuple[Path, Path]) -> None:
    settings = windows.drive / "ProgramData/nodecheck/config.toml"
    settings.parent.mkdir()
    settings.write_text("[clock]\nwarn_s = 34\n")
    assert msiexec(windows, "/i", windows_path(packages[0])) == 0
    assert settings.read_text() == "[clock]\nwarn_s = 34\n"


def test_the_same_input_gives_the_same_bytes(packages: tuple[Path, Path], tmp_path: Path) -> None:
    assert make(tmp_path).read_bytes() == packages[0].read_bytes()


def table(msi: Path, name: str) -> list[list[str]]:
    """Rows of a table."""
    done = subprocess.run(["msiinfo", "export", msi, name], capture_output=True, check=True)
    return [line.split("\t") for line in done.stdout.decode().splitlines()[3:]]


def test_what_wine_does_not_show_is_in_the_tables(packages: tuple[Path, Path]) -> None:
    properties = dict(row for row in table(packages[0], "Property"))
    assert properties["UpgradeCode"] == "{01A8E68F-EA6D-48E4-8009-916C0FC48D42}"
    assert properties["ALLUSERS"] == "1"
    (access,) = table(packages[0], "MsiLockPermissionsEx")
    assert access[1:4] == ["data", "CreateFolder", "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"]
    assert {row[0]: row[3] for row in table(packages[0], "Component")}["config"] == str(
        256 + 128 + 16
    )
    order = {row[0]: (row[1], int(row[2])) for row in table(packages[0], "InstallExecuteSequence")}
    assert order["DeleteTask"][0] == 'REMOVE="ALL" AND NOT UPGRADINGPRODUCTCODE'
    assert order["InstallInitialize"][1] < order["RemoveExistingProducts"][1] < order["EndTask"][1]
    assert order["InstallFiles"][1] < order["CreateTask"][1] < order["InstallFinalize"][1]
    for name, kind, *_ in table(packages[0], "CustomAction"):
        assert int(kind) & (1024 | 2048) == 1024 | 2048, f"{name} is not deferred or impersonates"


def test_the_scheduled_task() -> None:
    content = (TOP / "packaging/msi/task.xml").read_text()
    root = ET.fromstring(content.encode("utf-16"))  # noqa: S314 - our own
    text = {
        "/".join(step.removeprefix(TASK) for step in path): value
        for path, value in leaves(root, ())
    }
    text.pop("RegistrationInfo/Description")
    assert text == {
        "Triggers/TimeTrigger/StartBoundary": "2000-01-01T00:00:00Z",
        "Triggers/TimeTrigger/Repetition/Interval": "PT30M",
        "Triggers/TimeTrigger/RandomDelay": "PT5M",
        "Triggers/BootTrigger/Delay": "PT5M",
        "Principals/Principal/UserId": "S-1-5-18",
        "Principals/Principal/RunLevel": "HighestAvailable",
        "Settings/MultipleInstancesPolicy": "IgnoreNew",
        "Settings/DisallowStartIfOnBatteries": "false",
        "Settings/StopIfGoingOnBatteries": "false",
        "Settings/StartWhenAvailable": "true",
        "Settings/ExecutionTimeLimit": "PT20M",
        "Actions/Exec/Command": r"%ProgramFiles%\nodecheck\nodecheck.exe",
        "Actions/Exec/Arguments": "--splay 900",
    }
    assert [item.tag for item in root.iter(f"{TASK}TimeTrigger") for item in item] == [
        TASK + name for name in ("StartBoundary", "Repetition", "RandomDelay")
    ], "the schema is a sequence there"


def leaves(item: ET.Element, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Elements that hold text."""
    for child in item:
        below = (*path, child.tag)
        if len(child):
            yield from leaves(child, below)
        else:
            yield below, child.text or ""


def test_is_signed_where_a_key_is_named(packages: tuple[Path, Path], tmp_path: Path) -> None:
    chain, key = make_signer(tmp_path / "signer", "Example")
    signed = make(tmp_path, NODECHECK_SIGN_KEY=key, NODECHECK_SIGN_CERT=chain)
    assert verify(signed, chain)
    subprocess.run(["msiextract", "-C", tmp_path, signed], capture_output=True, check=True)
    (program,) = tmp_path.rglob("nodecheck.exe")
    assert verify(program, chain)
    other, _ = make_signer(tmp_path / "other", "Example")
    assert not verify(signed, other)
    assert not verify(packages[0], chain)
    damaged = bytearray(signed.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    signed.write_bytes(damaged)
    assert not verify(signed, chain)


def verify(file: Path, root: Path) -> bool:
    """Ask osslsigncode."""
    command: list[str | Path] = ["osslsigncode", "verify", "-CAfile", root, "-in", file]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_half_a_key_signs_nothing(windows: Lane, tmp_path: Path) -> None:
    _, key = make_signer(tmp_path / "signer", "Example")
    environment = {**os.environ, "NODECHECK_SIGN_KEY": str(key)}
    command: list[str | Path] = [SCRIPT, "--from", windows.executable.parent, tmp_path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 69
    assert "must both name files" in done.stderr
    assert not list(tmp_path.glob("*.msi"))
