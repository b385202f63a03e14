"""The scripts of the Command documents in real shells, with a stand-in for nodecheck."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nodecheck.arguments import parse
from nodecheck.flags import read_flags
from tests.command_document import AWS, SHELLS, AgentNode, document, shells
from tests.ssm_document import DANGEROUS, allows

TOP = Path(__file__).parents[2]
RUN = document("NodeCheck-Run")["parameters"]
SCRIPTED = [name for name, item in RUN.items() if "interpolationType" in item]

HOSTILE = (
    *DANGEROUS,
    "; touch canary #",
    "'; touch canary; '",
    '"; touch canary; "',
    "`touch canary`",
    "$(touch canary)",
    "x\ntouch canary",
    "x\n'\ntouch canary",
    "*",
    "-rf /",
    "none --output=canary",
    "\\",
    "äöü",
)
RESERVED = {137, 168, 169, 194}
"""Exit codes of a step that the agent takes for something else."""


@pytest.fixture(name="node")
def _node(tmp_path: Path) -> AgentNode:
    node = AgentNode(tmp_path)
    node.install()
    return node


def shells_and_agents() -> list[tuple[str, bool]]:
    return [(shell, is_old) for shell in shells() for is_old in (False, True)]


def test_every_shell_of_the_list_is_here() -> None:
    assert shells() == list(SHELLS), "scripts/debian-packages.txt has them"


@pytest.mark.parametrize("name", ["NodeCheck-Run", "NodeCheck-InstallAndRun"])
@pytest.mark.parametrize(("shell", "is_old"), shells_and_agents())
def test_defaults_run_the_program_quietly(
    node: AgentNode, name: str, shell: str, *, is_old: bool
) -> None:
    ran = node.run(name, shell, {}, is_old=is_old)
    assert ran.code == 0
    assert ran.out == "CRIT: a stand-in speaks\n"
    assert ran.arguments == ["run", "--fail-on=warn", "--deadline=30", "--splay=0", "--quiet"]


@pytest.mark.parametrize(("shell", "is_old"), shells_and_agents())
def test_every_parameter_becomes_its_option(node: AgentNode, shell: str, *, is_old: bool) -> None:
    given = {
        "Detail": "json",
        "Reports": "cloudwatch,compliance",
        "FailOn": "crit",
        "Only": "clock,agent.version",
        "Stage": "image",
        "DeadlineSeconds": "60",
        "SplaySeconds": "300",
        "Config": "/etc/nodecheck/other.toml",
    }
    assert all(allows(RUN[name], value) for name, value in given.items())
    ran = node.run("NodeCheck-Run", shell, given, is_old=is_old)
    assert ran.arguments == [
        *("run", "--fail-on=crit", "--deadline=60", "--splay=300", "--ami", "--format=json"),
        *("--report=cloudwatch,compliance", "--only=clock,agent.version"),
        "--config=/etc/nodecheck/other.toml",
    ]
    read_flags(parse(ran.arguments))


@pytest.mark.parametrize("name", [name for name in SCRIPTED if "allowedValues" in RUN[name]])
def test_nodecheck_knows_every_choice(node: AgentNode, name: str) -> None:
    for value in RUN[name]["allowedValues"]:
        ran = node.run("NodeCheck-Run", "dash", {name: value})
        assert ran.arguments is not None
        read_flags(parse(ran.arguments))


@pytest.mark.parametrize("code", [0, 1, 2, 3, 64, 70, 78])
def test_the_exit_code_is_that_of_nodecheck(node: AgentNode, code: int) -> None:
    ran = node.run("NodeCheck-Run", "dash", {}, environment={"STAND_IN_EXIT": str(code)})
    assert ran.code == code
    assert code not in RESERVED


@pytest.mark.parametrize(
    "value", ["ssm:/nodecheck/settings", "/etc/other.toml", "C:/ProgramData/nodecheck/a.toml"]
)
def test_settings_may_be_a_file_or_a_parameter(node: AgentNode, value: str) -> None:
    assert allows(RUN["Config"], value)
    ran = node.run("NodeCheck-Run", "dash", {"Config": value})
    assert ran.arguments is not None
    assert f"--config={value}" in ran.arguments


@pytest.mark.parametrize("name", SCRIPTED)
@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_refused_by_its_pattern(name: str, value: str) -> None:
    assert not allows(RUN[name], value)


@pytest.mark.parametrize(("shell", "is_old"), shells_and_agents())
@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_that_came_through_is_only_a_word(
    node: AgentNode, shell: str, value: str, *, is_old: bool
) -> None:
    names = ("Reports", "FailOn", "Only", "DeadlineSeconds", "SplaySeconds", "Config")
    given = dict.fromkeys([*names, "Detail", "Stage"], value)
    ran = node.run("NodeCheck-Run", shell, given, is_old=is_old)
    assert not (node.folder / "canary").exists()
    word = value.partition("\n")[0] if is_old else value
    options = ["--fail-on", "--deadline", "--splay", "--quiet", "--report", "--only", "--config"]
    if word == "none":  # a first line that is a word of the document's own
        options = [name for name in options if name not in {"--report", "--config"}]
    assert ran.arguments == [
        "run",
        *(name if name == "--quiet" else f"{name}={word}" for name in options),
    ]


@pytest.mark.parametrize(("shell", "is_old"), shells_and_agents())
@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_address_is_only_a_word(
    tmp_path: Path, shell: str, value: str, *, is_old: bool
) -> None:
    node = AgentNode(tmp_path)
    given = {"PackageUrl": "http://[" + value, "PackageSums": value}
    ran = node.run("NodeCheck-Run", shell, given, is_old=is_old)
    assert ran.code == 69
    assert not (node.folder / "canary").exists()


@pytest.mark.parametrize("shell", shells())
def test_a_node_without_nodecheck_says_so_first(tmp_path: Path, shell: str) -> None:
    ran = AgentNode(tmp_path).run("NodeCheck-Run", shell, {})
    assert ran.code == 69
    assert ran.code not in RESERVED
    assert ran.out.startswith("UNKNOWN: nodecheck: it is not installed")
    assert ran.error.startswith("nodecheck: it is not installed")
    assert len(ran.error) < 300


def test_the_verdict_of_the_real_program_fits_into_the_console(tmp_path: Path) -> None:
    node = AgentNode(tmp_path)
    node.install()
    program = tmp_path / "bin" / "nodecheck"
    program.write_text(f'#!/bin/sh\ncd {TOP} && exec {sys.executable} -m nodecheck "$@"\n')
    ran = node.run("NodeCheck-Run", "dash", {"Only": "agent", "FailOn": "never"})
    assert ran.code == 0
    assert ran.out.count("\n") == 1
    assert len(ran.out) <= 301
    as_json = node.run("NodeCheck-Run", "dash", {"Detail": "json", "FailOn": "never"})
    assert len(as_json.out) < 24_000, "what GetCommandInvocation gives"


@pytest.mark.parametrize("shell", shells())
def test_the_gate_for_images_asks_for_an_image(node: AgentNode, shell: str) -> None:
    ran = node.run_text((AWS / "image-gate.sh").read_text(), shell, {})
    assert ran.arguments == [
        *("run", "--fail-on=crit", "--deadline=30", "--splay=0", "--ami", "--quiet"),
    ]
    read_flags(parse(ran.arguments))
    refused = node.run_text((AWS / "image-gate.sh").read_text(), shell, {"STAND_IN_EXIT": "2"})
    assert refused.code == 2
