"""The built executable, and a node of its own for each test: home, state and temporary folder."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.e2e.made_packages import Packages, make

if TYPE_CHECKING:
    from collections.abc import Mapping

TOP: Final = Path(__file__).parents[2]
BUILT: Final = TOP / "dist/nodecheck/nodecheck"

EXIT_CODES: Final = frozenset({0, 1, 2, 3, 64, 70, 78})
"""All that nodecheck may exit with; anything else is a crash or a signal."""


@dataclass(frozen=True)
class Done:
    """How one start of the executable ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> Any:  # noqa: ANN401 - a JSON document
        """The report: one line of JSON."""
        assert self.out.count("\n") == 1, self
        assert self.out.endswith("\n"), self
        return json.loads(self.out)


@dataclass(frozen=True)
class Executable:
    """The executable, and the environment in which a test starts it."""

    path: Path
    environment: Mapping[str, str]

    def __call__(self, *arguments: str, **options: Any) -> Done:  # noqa: ANN401 - Popen's own
        """Start it, wait for its end, and refuse an end that is no defined one."""
        return self.finish(self.start(*arguments, **options))

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:  # noqa: ANN401
        """Start it without waiting; in a shell ``script`` it is ``"$0" "$@"``."""
        script = options.pop("script", None)
        prefix = ["/bin/sh", "-c", script] if script else []
        given: dict[str, Any] = {"env": self.environment, "cwd": "/", "stdin": subprocess.DEVNULL}
        given |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
        process: subprocess.Popen[str] = subprocess.Popen(
            [*prefix, str(self.path), *arguments], **given
        )
        return process

    @staticmethod
    def finish(process: subprocess.Popen[str], timeout_s: float = 60) -> Done:
        """Wait for the end."""
        with process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert "Traceback" not in err, err
        assert "Exception ignored" not in err, err
        assert process.returncode in EXIT_CODES, (process.returncode, err)
        return Done(process.returncode, out, err)


@pytest.fixture(scope="session")
def executable_path() -> Path:
    """The file that ships; tests without it fail, for they would prove nothing."""
    path = Path(os.environ.get("NODECHECK_EXECUTABLE", BUILT))
    if not os.access(path, os.X_OK):
        hint = "run scripts/build, or name an executable by NODECHECK_EXECUTABLE"
        pytest.fail(f"{path} is not built: {hint}", pytrace=False)
    return path


@pytest.fixture
def nodecheck(executable_path: Path, tmp_path: Path) -> Executable:
    """The executable on a node with empty folders of its own."""
    folders = {"HOME": "home", "TMPDIR": "temporary", "NODECHECK_STATE_DIR": "state"}
    for name in folders.values():
        (tmp_path / name).mkdir(mode=0o700)
    environment = {variable: str(tmp_path / name) for variable, name in folders.items()}
    return Executable(executable_path, environment | {"PATH": "/usr/bin:/bin"})


@pytest.fixture(scope="session")
def packages(executable_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """The packages of the executable, two releases of them."""
    folder = tmp_path_factory.mktemp("packages")
    folder.chmod(0o755)
    return make(executable_path.parent, folder)
