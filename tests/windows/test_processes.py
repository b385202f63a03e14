from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from nodecheck.model.errors import Absent, ProbeError

if sys.platform != "win32":
    pytest.skip("processes of Windows", allow_module_level=True)

assert sys.platform == "win32"  # for the type checker

from nodecheck.host.local_clock import SystemClock  # noqa: E402
from nodecheck.host.windows_files import WindowsFiles  # noqa: E402
from nodecheck.host.windows_paths import plain  # noqa: E402
from nodecheck.host.windows_processes import WindowsProcesses, windows_folder  # noqa: E402
from nodecheck.host.windows_services import WindowsServices  # noqa: E402

SERVICES = WindowsServices()
PROCESSES = WindowsProcesses(WindowsFiles(), SystemClock(), SERVICES, windows_folder())
PYTHON = sys.executable


def test_this_process_is_among_all() -> None:
    found = {item.pid: item for item in PROCESSES.all()}
    own = found[os.getpid()]
    assert own.image.lower() == plain(PYTHON).lower()
    assert own.name.lower() == "python.exe"
    assert (own.image_deleted, own.unit) == (False, "")


def test_a_service_has_its_name() -> None:
    pid = SERVICES.query("PlugPlay").pid
    found = {item.pid: item for item in PROCESSES.all()}
    assert found[pid].unit
    assert found[pid].image.lower().startswith("c:/windows/")


def test_a_child_has_its_parent() -> None:
    with subprocess.Popen([PYTHON, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = {item.pid: item for item in PROCESSES.all()}
        assert found[child.pid].parent_pid == os.getpid()


def test_a_tool_is_bounded_and_gets_a_fixed_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAK", "x")
    code = "import os; print(sorted(os.environ))"
    done = PROCESSES.run((PYTHON, "-I", "-c", code), 20, 10_000)
    assert done.code == 0
    assert b"LEAK" not in done.stdout
    assert b"SYSTEMROOT" in done.stdout
    code = "import sys; sys.stderr.write('x'); sys.exit(3)"
    done = PROCESSES.run((PYTHON, "-I", "-c", code), 20, 10)
    assert (done.code, done.stdout, done.stderr) == (3, b"", b"x")


@pytest.mark.parametrize(
    ("code", "reason"),
    [("import time; time.sleep(60)", "timeout"), ("while True: print('x' * 999)", "too-large")],
)
def test_a_tool_that_does_not_end_is_ended(code: str, reason: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ProbeError) as caught:
        PROCESSES.run((PYTHON, "-I", "-c", code), 3, 10_000)
    assert caught.value.reason == reason
    assert time.monotonic() - begun < 15


def test_what_is_no_tool() -> None:
    with pytest.raises(Absent):
        PROCESSES.run(("C:\\no\\such.exe",), 1, 10)
    with pytest.raises(ProbeError):
        PROCESSES.run(("python.exe",), 1, 10)
