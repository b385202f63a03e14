"""Run the steps of a Command document as the SSM Agent does, with a stand-in nodecheck."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.ssm_document import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

AWS = Path(__file__).parents[1] / "packaging" / "aws"
STAND_IN = """#!/bin/sh
for word in "$@"; do printf '%s\\0' "$word"; done >"$STAND_IN_ARGUMENTS"
echo 'CRIT: a stand-in speaks'
exit "${STAND_IN_EXIT:-0}"
"""
SHELLS = {
    "dash": ("dash",),
    "bash": ("bash", "--posix"),
    "busybox": ("busybox", "sh"),
}


def document(name: str) -> dict[str, Any]:
    """Return a document by its name."""
    content: dict[str, Any] = json.loads((AWS / "documents" / f"{name}.json").read_text())
    return content


def load(name: str) -> ModuleType:
    """Return a Python script that runs in AWS."""
    spec = importlib.util.spec_from_file_location(name, AWS / "source" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shells() -> list[str]:
    """Return the shells of this machine."""
    return [name for name, command in SHELLS.items() if shutil.which(command[0])]


@dataclass(frozen=True)
class Ran:
    """What a step did: its exit code and words, and what the stand-in was given, if it ran."""

    code: int
    out: str
    error: str
    arguments: list[str] | None


@dataclass(frozen=True)
class AgentNode:
    """A folder that is a node: a stand-in nodecheck on PATH, or none."""

    folder: Path

    def install(self) -> None:
        """Put the stand-in on PATH."""
        (self.folder / "bin").mkdir(exist_ok=True)
        program = self.folder / "bin" / "nodecheck"
        program.write_text(STAND_IN)
        program.chmod(0o755)

    def run(
        self,
        name: str,
        shell: str,
        given: Mapping[str, str],
        *,
        is_old: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run the Linux step; an old agent puts parameters into the text, not the environment."""
        whole = document(name)
        values = {key: str(item["default"]) for key, item in whole["parameters"].items()}
        values |= dict(given)
        step = next(item for item in whole["mainSteps"] if item["name"] == "linux")
        text = "\n".join(step["inputs"]["runCommand"]) + "\n"
        parameters = {}
        if is_old:
            text = REFERENCE.sub(lambda match: values[match[1]], text)
        else:
            parameters = {f"SSM_{key}": value for key, value in values.items()}
        return self.run_text(text, shell, {**parameters, **(environment or {})})

    def run_text(self, text: str, shell: str, environment: Mapping[str, str]) -> Ran:
        """Run a script."""
        script = self.folder / "_script.sh"
        script.write_text(text)
        seen = self.folder / "arguments"
        seen.unlink(missing_ok=True)
        done = subprocess.run(
            [*SHELLS[shell], str(script)],
            env={
                "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
                "STAND_IN_ARGUMENTS": str(seen),
                **environment,
            },
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        arguments = seen.read_text().split("\0")[:-1] if seen.exists() else None
        return Ran(done.returncode, done.stdout, done.stderr, arguments)
