"""Run Windows programs from tests on Linux: by ``scripts/windows``, under Wine."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e.conftest import Done, Executable

if TYPE_CHECKING:
    from collections.abc import Mapping

TOP: Final = Path(__file__).parents[1]
SCRIPT: Final = TOP / "scripts/windows"
BUILT: Final = TOP / "dist/nodecheck-windows/nodecheck.exe"


def windows_path(path: Path | str) -> str:
    """Return a path of this machine as Windows programs know it there."""
    return f"Z:{path}"


@dataclass(frozen=True)
class Lane:
    """The executable for Windows, the environment that it gets, and the drive C: of its Windows."""

    executable: Path
    environment: dict[str, str]
    drive: Path

    script: Path = SCRIPT

    def __call__(
        self, *arguments: str, program: Path | None = None, more: Mapping[str, str] | None = None
    ) -> Done:
        """Run nodecheck.exe, ``more`` in its environment, and wait for its end."""
        path = windows_path(program or self.executable)
        environment = {**self.environment, **(more or {})}
        return Executable(self.script, environment)("run", path, *arguments)

    def raw(self, *arguments: str) -> tuple[int, bytes]:
        """Run nodecheck.exe and return its exit code and the bytes of stdout."""
        done = self._run("run", windows_path(self.executable), *arguments)
        return done.returncode, done.stdout

    def python(self, code: str, *arguments: str) -> str:
        """Run code in Windows' Python and return what it printed."""
        done = self._run("python", "-I", "-c", code, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    def stop(self) -> None:
        """End everything that runs there."""
        self._run("stop")

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self.script, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )


def find_lane(state: Path) -> Lane:
    """Return the lane with a state folder for one test; skip where there can be none."""
    executable = Path(os.environ.get("NODECHECK_WINDOWS_EXECUTABLE", BUILT))
    if not executable.is_file():
        if shutil.which("wine64") is None and not Path("/usr/lib/wine/wine64").exists():
            pytest.skip("Wine is not installed, so nodecheck.exe was not built")
        pytest.fail(f"{executable} is not built: run scripts/windows build", pytrace=False)
    kept = ("HOME", "NODECHECK_WINDOWS", "XDG_CACHE_HOME", "PATH")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    where = subprocess.run([SCRIPT, "where"], capture_output=True, text=True, check=True)
    drive = Path(where.stdout.strip()) / "prefix/drive_c"
    state.mkdir(mode=0o700)
    environment["NODECHECK_STATE_DIR"] = windows_path(state)
    return Lane(executable, environment, drive)
