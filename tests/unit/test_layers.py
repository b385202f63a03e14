"""Every import of the product against the table of who may import whom.

Rooms are the folders of ``nodecheck`` and the single modules beside them. An import that only
the type checker sees counts like any other: it is knowledge all the same.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = Path(__file__).parents[2] / "nodecheck"

FOLDERS: Final = {"model", "trust", "host", "checks", "probes", "aws", "sinks"}

# Single modules beside the rooms, each with a row below: what wires looks, judgements, the run and
# the command line.
LOOKS: Final = {"plan", "found", "clock_looks", "agent_looks", "health_looks", "node_looks"} | {
    "hygiene_looks",
    "probing",
}
JUDGES: Final = {"policies", "clock_judges", "agent_judges", "health_judges", "node_judges"} | {
    "hygiene_judges",
    "catalogue",
    "causes",
}
DELIVERING: Final = {"outlets", "spooling", "delivering"}
RUN: Final = LOOKS | JUDGES | DELIVERING | {"looking", "judging", "stages", "run"}
CLI: Final = {"arguments", "manual", "running", "telling", "settings", "settings_file", "flags"} | {
    "settings_parameter",
    "spool_command",
    "completion",
    "versions",
}
MAY_IMPORT: Final = {
    "model": {"model"},
    "trust": {"trust", "model"},
    "host": {"host", "model"},
    "checks": {"checks", "model"},
    "aws": {"aws", "host", "model"},
    "probes": {"host", "trust", "aws", "model"},  # never another probe
    "sinks": {"sinks", "aws", "host", "model"},
    "plan": {"host", "model"},
    "policies": {"model"},
    "found": {"plan", "model"},
    # The key ring is a fact; a survey of facts is made by a check.
    "clock_looks": {"plan", "found", "probes", "model"},
    "agent_looks": {"plan", "found", "policies", "checks", "probes", "trust", "model"},
    "health_looks": {"plan", "found", "policies", "probes", "model"},
    "hygiene_looks": {"plan", "probes", "model"},
    "node_looks": {"plan", "found", "policies", "probes", "model"},
    "probing": LOOKS | {"probes", "model"},
    "clock_judges": {"plan", "policies", "checks", "commit", "model"},
    "agent_judges": {"plan", "policies", "checks", "trust", "model"},
    "health_judges": {"plan", "policies", "checks", "model"},
    "hygiene_judges": {"plan", "checks", "model"},
    "node_judges": {"plan", "policies", "checks", "model"},
    "catalogue": {"plan"} | JUDGES,
    "causes": {"plan"},
    "stages": {"model"},
    "looking": {"plan", "host", "model"},
    "judging": {"plan", "looking", "host", "model"},
    "outlets": {"policies", "sinks", "host", "model"},
    "spooling": {"outlets", "host", "model"},
    "delivering": {"looking", "outlets", "policies", "spooling", "host", "model"},
    "run": {
        "plan",
        "probing",
        "looking",
        "judging",
        "catalogue",
        "causes",
        "stages",
        "outlets",
        "sinks",
        "host",
        "model",
    },
    "settings": {"settings_file", "settings_parameter", "aws", "host", "model"},
    "settings_parameter": {"aws", "host", "probes", "model"},
    "settings_file": {"host", "model"},
    "arguments": {"model"},
    "versions": {"model"},
    "flags": {"catalogue", "model"},
    "manual": FOLDERS | RUN | CLI,
    "running": FOLDERS | RUN | CLI,
    "spool_command": FOLDERS | RUN | CLI,
    "completion": {"arguments", "catalogue", "model"},
    "telling": FOLDERS | RUN | CLI,
    "cli": FOLDERS | RUN | CLI,
    "__main__": {"cli", "host"},
    "commit": set[str](),
    "records": set[str](),
    "": set[str](),
}
FOR_ALL: Final = {"", "commit", "records"}

# Rooms of pure values and pure functions: no third party, and of the standard library these only.
PURE: Final = {"model", "checks"}
# posixpath: of it only what takes paths apart.
VALUES: Final = {"datetime", "decimal", "fractions", "ipaddress", "math", "posixpath", "re"} | {
    "string",
    "struct",
}
LANGUAGE: Final = {"__future__", "collections", "enum", "functools", "itertools"}
VALUE_MODULES: Final = VALUES | LANGUAGE | {"types", "typing"}

# What the executable of one platform is shipped without, and what is too slow to define classes by.
OWNERS: Final = {
    "cryptography": {
        "nodecheck.trust.signer",
        "nodecheck.trust.authenticode",
        "nodecheck.versions",
    },
    "sqlite3": {"nodecheck.host.posix_files", "nodecheck.versions"},
    "dataclasses": {"nodecheck.records"},
}

ASKS_PLATFORM: Final = {("sys", "platform"), ("os", "name"), ("platform", "system")}
MAY_ASK_PLATFORM: Final = {"host", "probing"}


def room_of(module: str) -> str:
    """``nodecheck.host.door`` is of the room ``host``, ``nodecheck`` itself of the room ``""``."""
    return f"{module}.".split(".")[1]


def targets(node: ast.AST) -> Iterator[str]:
    """Every module that one statement imports; a room named after ``from nodecheck`` is one too."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module == "nodecheck":
        for alias in node.names:
            yield f"nodecheck.{alias.name}" if alias.name in MAY_IMPORT else "nodecheck"
    elif isinstance(node, ast.ImportFrom):
        yield node.module or ""


def objection(module: str, target: str) -> str | None:
    """Say why a module may not import another one, or nothing."""
    room, package = room_of(module), target.partition(".")[0]
    if package == "importlib":
        return "computes imports"
    if module not in OWNERS.get(package, {module}):
        return f"imports {target}, which others own"
    if package != "nodecheck":
        is_impure = room in PURE and package not in VALUE_MODULES
        return f"is pure, but imports {target}" if is_impure else None
    return None if room_of(target) in MAY_IMPORT[room] | FOR_ALL else f"may not import {target}"


def violations(module: str, source: str) -> list[str]:
    """Every broken rule of one source file, as ``module:line: what``."""
    room = room_of(module)
    if room not in MAY_IMPORT:
        return [f"{module}: the room {room} is not in the table"]
    found = []
    for node in ast.walk(ast.parse(source)):
        said: list[str | None] = []
        if isinstance(node, ast.ImportFrom) and node.level:
            said.append("imports by a relative name")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            said += [objection(module, target) for target in targets(node)]
        elif isinstance(node, ast.Name) and node.id == "__import__":
            said.append("computes imports")
        said.append(platform_question(room, node))
        found += [f"{module}:{getattr(node, 'lineno', 0)}: {what}" for what in said if what]
    return found


def platform_question(room: str, node: ast.AST) -> str | None:
    """Say whether a room that must not know the platform asks for it."""
    if room in MAY_ASK_PLATFORM:
        return None
    asked = set()
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        asked = {(node.value.id, node.attr)}
    elif isinstance(node, ast.ImportFrom):
        asked = {(node.module or "", alias.name) for alias in node.names}
    return "asks for the platform" if asked & ASKS_PLATFORM else None


def is_docstring_only(source: str) -> bool:
    """A room's ``__init__`` says what the room is for, and nothing else."""
    body = ast.parse(source).body
    return len(body) == 1 and ast.get_docstring(ast.Module(body, [])) is not None


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES: Final = sorted(PACKAGE.rglob("*.py"))


def test_finds_the_rooms() -> None:
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"} == FOLDERS
    assert {room_of(module_name(path)) for path in FILES} >= {"model", "host", "trust", "commit"}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_follow_the_table(path: Path) -> None:
    assert "\n".join(violations(module_name(path), path.read_text("utf-8"))) == ""


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_a_room_opens_with_a_docstring_only(folder: str) -> None:
    assert is_docstring_only((PACKAGE / folder / "__init__.py").read_text("utf-8"))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("nodecheck.model.clock", "from nodecheck.host.door import Host"),
        ("nodecheck.model.clock", "import nodecheck.checks.clock"),
        ("nodecheck.trust.openpgp", "def f():\n    from cryptography.hazmat import primitives"),
        ("nodecheck.probes.agent_rpm", "import sqlite3"),
        ("nodecheck.trust.claim", "from dataclasses import dataclass"),
        ("nodecheck.model.clock", "from nodecheck import host"),
        ("nodecheck.model.clock", "import os"),
        ("nodecheck.model.clock", "import os.path as p"),
        ("nodecheck.model.clock", "from ntplib import NTPPacket"),
        ("nodecheck.checks.clock", "from nodecheck.probes.clock_ntp import measure"),
        ("nodecheck.checks.clock", "import socket"),
        ("nodecheck.checks.clock", "def f():\n    import requests"),
        ("nodecheck.trust.openpgp", "from nodecheck.host.door import Host"),
        ("nodecheck.host.door", "if TYPE_CHECKING:\n    from nodecheck.trust.claim import Claim"),
        ("nodecheck.probes.agent_rpm", "from nodecheck.probes.agent_deb import read"),
        ("nodecheck.probes.agent_rpm", "from nodecheck.probes import agent_deb"),
        ("nodecheck.probes.agent_rpm", "from nodecheck.checks.agent import judge"),
        ("nodecheck.sinks.text", "from nodecheck.checks.clock import judge"),
        ("nodecheck.aws.client", "from nodecheck.sinks.text import write"),
        ("nodecheck.catalogue", "from nodecheck.sinks.text import write"),
        ("nodecheck.run", "from nodecheck.cli import main"),
        ("nodecheck.settings", "from nodecheck.run import run"),
        ("nodecheck", "from nodecheck.model.verdict import Status"),
        ("nodecheck.commit", "import nodecheck.cli"),
        ("nodecheck.utils", "x = 1"),
        ("nodecheck.model.clock", "from . import errors"),
        ("nodecheck.cli", "from .run import run"),
        ("nodecheck.run", "import importlib"),
        ("nodecheck.run", "from importlib import import_module"),
        ("nodecheck.run", "__import__('nodecheck.cli')"),
        ("nodecheck.checks.clock", "import sys\nwindows = sys.platform == 'win32'"),
        ("nodecheck.probes.clock", "import os\nwindows = os.name == 'nt'"),
        ("nodecheck.cli", "from sys import platform"),
        ("nodecheck.run", "import platform\nplatform.system()"),
    ],
)
def test_sees_a_broken_rule(module: str, source: str) -> None:
    assert len(violations(module, source)) >= 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("nodecheck.model.clock", "from nodecheck.model.moment import EPOCH\nimport math"),
        ("nodecheck.model.clock", "from collections.abc import Mapping"),
        (
            "nodecheck.checks.clock",
            "from nodecheck import VERSION\nfrom nodecheck.commit import COMMIT",
        ),
        ("nodecheck.probes.agent_rpm", "from nodecheck.trust.claim import Claim\nimport zlib"),
        ("nodecheck.host.door", "import sys\nwindows = sys.platform == 'win32'"),
        ("nodecheck.probing", "import sys\nwindows = sys.platform == 'win32'"),
        ("nodecheck.cli", "from nodecheck.run import run\nfrom nodecheck.sinks import text"),
    ],
)
def test_lets_good_imports_pass(module: str, source: str) -> None:
    assert violations(module, source) == []


@pytest.mark.parametrize(
    ("source", "only"),
    [('"""A room."""\n', True), ("", False), ("x = 1", False), ('"""A room."""\nx = 1', False)],
)
def test_knows_a_docstring_from_code(source: str, only: bool) -> None:  # noqa: FBT001
    assert is_docstring_only(source) is only
