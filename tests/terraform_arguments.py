"""Make tests/assets/terraform_aws.json: which arguments the AWS provider's resources have.

    python tests/terraform_arguments.py WHEEL

WHEEL is cdktf-cdktf-provider-aws from PyPI: classes that its makers generate from the provider's
own schema. (The provider itself comes from a registry of its own, and has 700 MB.)
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).parent / "assets"
MODULE = ASSETS.parents[1] / "packaging" / "aws" / "terraform"
OF_CDKTF = {
    *("scope", "id_", "connection", "count", "depends_on", "for_each", "lifecycle"),
    *("provider", "provisioners"),
}


def main(wheel: str) -> None:
    """Write the arguments of the resources that our module has."""
    text = "".join(path.read_text() for path in MODULE.glob("*.tf"))
    kinds = sorted(set(re.findall(r'^resource "aws_(\w+)"', text, re.MULTILINE)))
    with zipfile.ZipFile(wheel) as archive:
        made = {f"aws_{kind}": resource(archive, kind) for kind in kinds}
    made["made_from"] = Path(wheel).name  # type: ignore[assignment]
    target = ASSETS / "terraform_aws.json"
    target.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")


def resource(archive: zipfile.ZipFile, kind: str) -> dict[str, Any]:
    """Return the arguments of one resource."""
    tree = ast.parse(archive.read(f"cdktf_cdktf_provider_aws/{kind}/__init__.py"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    first = "".join(word.capitalize() for word in kind.split("_"))
    return arguments(classes, first)


def arguments(classes: dict[str, ast.ClassDef], name: str) -> dict[str, Any]:
    """Return the needed and the known arguments of a class, and its blocks."""
    methods = [node for node in classes[name].body if isinstance(node, ast.FunctionDef)]
    given = next(node for node in methods if node.name == "__init__").args
    needed, known, blocks = [], [], {}
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        if argument.arg in OF_CDKTF:
            continue
        known.append(argument.arg)
        if default is None:
            needed.append(argument.arg)
        annotation = ast.unparse(argument.annotation) if argument.annotation else ""
        inner = [found for found in re.findall(rf"{name}\w+", annotation) if found in classes]
        if inner:
            blocks[argument.arg] = arguments(classes, inner[0])
    return {"needed": needed, "known": sorted(known), "blocks": blocks}


if __name__ == "__main__":
    main(sys.argv[1])
