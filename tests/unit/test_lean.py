"""The modules that are shipped in a lean form have what others import from them."""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path
from typing import Final

import pytest

PACKAGING: Final = Path(__file__).parents[2] / "packaging"
LEAN: Final = PACKAGING / "lean"
FORMS: Final = {
    ".".join(path.relative_to(LEAN).with_suffix("").parts).removesuffix(".__init__"): path
    for path in LEAN.rglob("*.py")
}


@cache
def imports(package: str) -> list[tuple[str, str]]:
    """Return (module, name) of each ``from module import name`` in a package.

    What a folder that is left out imports from its own is left out as well.
    """
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    top = Path(spec.origin).parent
    found = []
    for path in top.rglob("*.py"):
        parts = (package, *path.relative_to(top).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and not {"docs", "http2"} & {*parts}:
                base = parts[: -node.level] if node.level else ()
                module = ".".join((*base, *filter(None, [node.module])))
                found += [(module, name.name) for name in node.names]
    return found


def asked_of(module: str) -> set[str]:
    """Return the names that the rest of the package imports from a module."""
    package = module.partition(".")[0]
    return {name for source, name in imports(package) if source == module}


def submodules(module: str) -> set[str]:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    folders = spec.submodule_search_locations or ()
    return {path.stem for folder in folders for path in Path(folder).glob("*.py")}


def names_in(path: Path) -> set[str]:
    body = ast.parse(path.read_text("utf-8")).body
    return {node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)} | {
        target.id
        for node in body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def test_there_are_some() -> None:
    assert set(FORMS) == {"botocore.docs", "botocore.docs.docstring", "urllib3.http2"}
    assert asked_of("botocore.docs.docstring") >= {"ClientMethodDocstring", "WaiterDocstring"}
    assert asked_of("urllib3.http2") == {"probe"}


@pytest.mark.parametrize("module", FORMS)
def test_all_that_is_imported_is_there(module: str) -> None:
    assert asked_of(module) <= names_in(FORMS[module]) | submodules(module)


def test_what_is_used_of_the_documentation_is_shipped() -> None:
    recipe = ast.parse((PACKAGING / "nodecheck.spec").read_text())
    (kept,) = (
        ast.literal_eval(node.value)
        for node in recipe.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION"
    )
    used = {f"botocore.docs.{name}" for name in submodules("botocore.docs")}
    used = {name for name in used if asked_of(name)}
    assert used | {"botocore.docs"} == set(kept)
