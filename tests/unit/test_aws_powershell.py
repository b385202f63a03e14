"""The PowerShell of documents and packages: parsed by a grammar, since nothing here runs it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Parser

from tests.command_document import AWS, document

if TYPE_CHECKING:
    from tree_sitter import Node


def powershell() -> dict[str, str]:
    found = {
        path.name: path.read_text() for path in [*AWS.glob("*.ps1"), *AWS.glob("distributor/*.ps1")]
    }
    for name in ("NodeCheck-Run", "NodeCheck-InstallAndRun", "NodeCheck-Repair"):
        for step in document(name)["mainSteps"]:
            if step["name"] == "windows":
                found[name] = "\n".join(step["inputs"]["runCommand"])
    return found


def broken(node: Node) -> list[Node]:
    own = [node] if node.type == "ERROR" or node.is_missing else []
    return own + [item for child in node.children for item in broken(child)]


def parse_powershell(text: str) -> list[Node]:
    parser = Parser(Language(tree_sitter_powershell.language()))
    return broken(parser.parse(text.encode()).root_node)


@pytest.mark.parametrize("name", sorted(powershell()))
def test_powershell_parses_and_passes_the_exit_code_on(name: str) -> None:
    text = powershell()[name]
    assert parse_powershell(text) == []
    assert text.strip().splitlines()[-1] == "exit $LASTEXITCODE"
    inside = [line for line in text.splitlines() if "{{" in line]
    assert all(re.fullmatch(r"\{\{ [A-Za-z]+ \}\}", line) for line in inside)
    assert "Invoke-Expression" not in text
    assert all(ord(character) < 128 for character in text), "read in the machine's own code page"


@pytest.mark.parametrize("old", ["{", "'@ }", "(", '"'])
def test_the_grammar_sees_what_is_missing(old: str) -> None:
    text = powershell()["NodeCheck-Run"]
    assert old in text
    before, _, after = text.rpartition(old)
    assert parse_powershell(before + after) != []
