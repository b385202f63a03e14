"""Every scenario of the table, on Amazon's own addresses in network namespaces."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chronyd import miss, need_chronyd
from tests.clock_scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]


def namespace_command() -> list[str]:
    """Return what runs a program in a network namespace of its own; a CI must have one."""
    unshare = shutil.which("unshare") or ""
    for flags in (["--net"], ["--map-root-user", "--net"]):
        trial = [unshare, *flags, "/bin/true"]
        if unshare and subprocess.run(trial, capture_output=True, check=False).returncode == 0:
            return trial[:-1]
    return miss("network namespaces cannot be made here (unshare --net)")


@pytest.fixture(scope="module")
def scenario_problems() -> dict[str, list[str]]:
    """Run every scenario, eight namespaces side by side: most of the time is waiting."""
    need_chronyd()
    command = [*namespace_command(), sys.executable, "-m", "tests.clock_scenarios"]
    names = [scenario.name for scenario in SCENARIOS]
    runs = [
        subprocess.Popen([*command, *names[start::8]], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for start in range(8)
    ]
    lines = [line for run in runs for line in run.communicate(timeout=60)[0].splitlines()]
    told = [json.loads(line) for line in lines]
    return {line["name"]: line["problems"] for line in told}


@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
def test_scenario_on_amazons_own_addresses(
    name: str, scenario_problems: dict[str, list[str]]
) -> None:
    assert scenario_problems[name] == []


def test_without_namespaces_a_ci_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="namespaces"):
        namespace_command()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="namespaces"):
        namespace_command()
