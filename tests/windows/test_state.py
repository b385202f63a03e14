from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Timer

import pytest

from nodecheck.host.windows_paths import native, plain
from nodecheck.model.errors import Absent, Busy, ProbeError

if sys.platform != "win32":
    pytest.skip("state on Windows", allow_module_level=True)

assert sys.platform == "win32"  # for the type checker

from nodecheck.host.here import this_host  # noqa: E402
from nodecheck.host.local_clock import SystemClock  # noqa: E402
from nodecheck.host.spool_file import SpoolFile  # noqa: E402
from nodecheck.host.windows_access import WindowsAccess  # noqa: E402
from nodecheck.host.windows_files import WindowsFiles  # noqa: E402
from nodecheck.host.windows_state import WindowsState  # noqa: E402
from nodecheck.model.access import EVERYONE  # noqa: E402
from nodecheck.model.spool import SpooledReport  # noqa: E402
from tests.windows.lists import EVERYONE_MAY, set_list  # noqa: E402

ACCESS = WindowsAccess()


def state_of(*, privileged: bool = True, **environment: str) -> WindowsState:
    files, clock = WindowsFiles(), SystemClock()
    return WindowsState(files, ACCESS, clock, environment, "C:/ProgramData", privileged=privileged)


STATE = state_of()


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return plain(str(tmp_path / "state of é"))


def names_in(folder: str) -> list[str]:
    return [path.name for path in Path(native(folder)).iterdir()]


def test_where_state_is_kept() -> None:
    assert STATE.default_folder() == "C:/ProgramData/nodecheck"
    user = state_of(privileged=False, LOCALAPPDATA=r"C:\users\x\AppData\Local")
    assert user.default_folder() == "C:/users/x/AppData/Local/nodecheck"
    assert state_of(privileged=False).default_folder() == ""
    assert state_of(privileged=False, LOCALAPPDATA="relative").default_folder() == ""
    with pytest.raises(ProbeError, match="LOCALAPPDATA"):
        STATE.write("", "history", b"x")
    with pytest.raises(Absent):
        STATE.read("", "history", 9)


def test_the_folder_is_made_private(folder: str) -> None:
    STATE.write(folder, "history", b"x")
    for path in (folder, f"{folder}/history"):
        facts = ACCESS.of(path)
        assert EVERYONE not in facts.writers
        assert EVERYONE not in ACCESS.of(folder).readers


def test_a_folder_that_others_can_write_is_refused(folder: str) -> None:
    Path(native(folder)).mkdir()
    set_list(folder, EVERYONE_MAY)
    assert EVERYONE in ACCESS.of(folder).writers
    for look in (
        lambda: STATE.write(folder, "history", b"x"),
        lambda: STATE.read(folder, "history", 9),
    ):
        with pytest.raises(ProbeError, match=r"others can write it.*icacls"):
            look()


def test_what_is_kept_is_kept_whole(folder: str) -> None:
    with pytest.raises(Absent):
        STATE.read(folder, "history", 100)
    STATE.write(folder, "history", b"one")
    STATE.write(folder, "history", b"two\n")
    assert STATE.read(folder, "history", 100) == b"two\n"
    assert names_in(folder) == ["history"]
    with pytest.raises(ProbeError):
        STATE.read(folder, "history", 2)
    assert STATE.set_aside(folder, "history") == f"{folder}/history.damaged"
    with pytest.raises(Absent):
        STATE.read(folder, "history", 9)


def test_a_reader_that_holds_the_file_for_a_moment_is_waited_for(folder: str) -> None:
    STATE.write(folder, "history", b"x" * 2_000_000)
    stream = Path(native(f"{folder}/history")).open("rb")  # noqa: SIM115 - closed by the timer
    timer = Timer(0.2, stream.close)
    timer.start()
    STATE.write(folder, "history", b"new")
    timer.join()
    assert STATE.read(folder, "history", 9) == b"new"


def test_a_file_that_cannot_be_replaced_stays(folder: str) -> None:
    STATE.write(folder, "history", b"old")
    with Path(native(f"{folder}/history")).open("rb"):  # without FILE_SHARE_DELETE
        with pytest.raises(ProbeError) as caught:
            STATE.write(folder, "history", b"new")
        assert caught.value.reason == "no-state"
    assert STATE.read(folder, "history", 9) == b"old"
    assert names_in(folder) == ["history"]


def test_appending_and_erasing_in_place(folder: str) -> None:
    STATE.append(folder, "spool", b"one\n")
    STATE.append(folder, "spool", b"two\nthree\n")
    STATE.erase(folder, "spool", ((0, 3),), 8)
    assert STATE.read(folder, "spool", 99) == b"   \ntwo\n"


def test_one_run_at_a_time(folder: str) -> None:
    notes: list[str] = []
    code = (
        "import sys\n"
        "from nodecheck.host.here import this_host\n"
        f"with this_host().state.run_lock({folder!r}, print):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with (
        STATE.run_lock(folder, notes.append),
        pytest.raises(Busy, match=rf"another run \(process {os.getpid()}\)"),
        STATE.run_lock(folder, notes.append),
    ):
        pass
    top = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": top},
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == b"held"
        with pytest.raises(Busy, match="another run"), STATE.run_lock(folder, notes.append):
            pass
        child.kill()
    with STATE.run_lock(folder, notes.append):
        pass
    assert notes == []


def test_the_spool_works(folder: str) -> None:
    spool = SpoolFile(STATE, SystemClock(), folder)
    reports = tuple(
        SpooledReport("cloudwatch", f"run-{at}", None, at, at, "boot", {"a": "é"})
        for at in range(3)
    )
    spool.keep(reports)
    assert [item.run_id for item in spool.look().reports] == ["run-0", "run-1", "run-2"]
    spool.remove([reports[1].key])
    assert [item.run_id for item in spool.look().reports] == ["run-0", "run-2"]


def test_a_boot_has_one_name() -> None:
    from nodecheck.host.boot import boot_id

    host = this_host()
    assert boot_id(host.files) == boot_id(host.files)
    assert len(boot_id(host.files)) == 16
