"""The document that mends: what it does on a node with stand-ins for the node's own tools."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.command_document import AgentNode, document, shells
from tests.ssm_document import allows

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("shell", shells())
@pytest.mark.parametrize("action", ["", "reboot", "mend-clock; reboot", "$(reboot)"])
def test_it_does_what_it_knows_and_nothing_else(tmp_path: Path, shell: str, action: str) -> None:
    ran = AgentNode(tmp_path).run("NodeCheck-Repair", shell, {"Action": action})
    assert ran.code == 64
    assert not allows(document("NodeCheck-Repair")["parameters"]["Action"], action)


TOOLS = {
    "systemctl": """echo "systemctl $*" >>"$LOG"
case "$1" in cat) [ "$2" = "$UNIT" ] ;; is-active) exit 3 ;; esac""",
    "systemd-run": 'echo "systemd-run $*" >>"$LOG"',
    "chronyc": 'echo "chronyc $*" >>"$LOG"; [ "$1" != "$FAILS" ]',
    "snap": 'echo "snap $*" >>"$LOG"; [ "$UNIT" = snap.amazon-ssm-agent.amazon-ssm-agent.service ]',
}
SOON = "systemd-run --on-active=15 --timer-property=AccuracySec=1s systemctl restart "


@dataclass(frozen=True)
class Case:
    """What a node has, and what must be done there, in this order."""

    action: str
    unit: str
    tools: tuple[str, ...]
    expected: tuple[str, ...]
    code: int = 0
    fails: str = ""


CASES = {
    "chrony": Case(
        "mend-clock",
        "chrony",
        ("systemctl", "chronyc"),
        ("systemctl restart chrony", "chronyc waitsync 12", "chronyc makestep"),
    ),
    "chrony-without-time": Case(
        "mend-clock",
        "chrony",
        ("systemctl", "chronyc"),
        ("chronyc waitsync 12",),
        code=1,
        fails="waitsync",
    ),
    "timesyncd": Case(
        "mend-clock",
        "systemd-timesyncd",
        ("systemctl",),
        ("systemctl unmask systemd-timesyncd", "systemctl restart systemd-timesyncd"),
    ),
    "no-daemon": Case("mend-clock", "nothing", ("systemctl",), (), code=1),
    "agent": Case(
        "restart-agent",
        "amazon-ssm-agent.service",
        ("systemctl", "systemd-run", "snap"),
        (SOON + "amazon-ssm-agent.service",),
    ),
    "agent-snap": Case(
        "restart-agent",
        "snap.amazon-ssm-agent.amazon-ssm-agent.service",
        ("systemctl", "systemd-run", "snap"),
        (SOON + "snap.amazon-ssm-agent.amazon-ssm-agent.service",),
    ),
    "no-agent": Case("restart-agent", "nothing", ("systemctl", "systemd-run", "snap"), (), code=1),
}


@pytest.mark.parametrize("shell", shells())
@pytest.mark.parametrize("name", CASES)
def test_it_uses_the_nodes_own_tools(tmp_path: Path, shell: str, name: str) -> None:
    case, node = CASES[name], AgentNode(tmp_path)
    environment = {
        "LOG": str(tmp_path / "log"),
        "UNIT": case.unit,
        "FAILS": case.fails,
        "PATH": stand_ins(tmp_path, case.tools),
    }
    ran = node.run("NodeCheck-Repair", shell, {"Action": case.action}, environment=environment)
    assert ran.code == case.code, ran.error
    done = (tmp_path / "log").read_text().splitlines()
    changing = ("restart", "unmask", "waitsync", "makestep", "systemd-run")
    seen = [line for line in done if any(word in line for word in changing)]
    assert [line for line in seen if line in case.expected] == list(case.expected)
    assert case.expected or not seen
    assert "chronyc makestep" not in seen or "chronyc makestep" in case.expected


def stand_ins(folder: Path, tools: tuple[str, ...]) -> str:
    """Return a PATH of the stand-ins and of nothing else but shells."""
    place = folder / "bin"
    place.mkdir()
    for name in ("sh", "dash", "bash", "busybox"):
        (place / name).symlink_to(shutil.which(name) or name)
    for tool in tools:
        program = place / tool
        program.write_text(f"#!/bin/sh\n{TOOLS[tool]}\n")
        program.chmod(0o755)
    return str(place)
