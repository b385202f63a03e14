"""A checker of Terraform modules: arguments by the provider's schema, references by the module.

``terraform validate`` needs the provider, which comes from a registry of its own; the arguments are
held against a copy of its schema instead (tests/terraform_arguments.py).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hcl2

if TYPE_CHECKING:
    from collections.abc import Iterator

Block = dict[str, Any]

KNOWN: Block = json.loads((Path(__file__).parent / "assets" / "terraform_aws.json").read_text())
META = {"count", "for_each", "depends_on", "lifecycle", "provider", "dynamic"} | {
    "__is_block__",
    "__comments__",
}


def plain(value: Any) -> Any:  # noqa: ANN401
    """Return a parsed value without the quotes of its texts."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return json.loads(value) if "${" not in value else value[1:-1]
    return value


def parsed(files: dict[str, str]) -> Block:
    """Return the blocks of all files together, by kind."""
    whole: Block = {}
    for text in files.values():
        for kind, blocks in plain(hcl2.loads(text)).items():
            whole.setdefault(kind, []).extend(blocks)
    return whole


def named(whole: Block, kind: str) -> dict[str, Block]:
    """Return the blocks of a kind by their address."""
    found: dict[str, Block] = {}
    for block in whole.get(kind, []):
        for first, inner in block.items():
            if kind in {"resource", "data"}:
                found |= {f"{first}.{name}": body for name, body in inner.items()}
            else:
                found[first] = inner
    return found


def problems(files: dict[str, str]) -> list[str]:
    """Return every unknown or missing argument, dangling reference and unused name."""
    whole = parsed(files)
    found = [
        problem
        for address, body in named(whole, "resource").items()
        for problem in check_arguments(body, KNOWN[address.partition(".")[0]], address)
    ]
    return found + list(check_references(whole, "\n".join(files.values())))


def check_arguments(body: Block, known: Block, where: str) -> Iterator[str]:
    given = set(body) - META
    blocks = {name: body[name] for name in given & set(known["blocks"])}
    for item in body.get("dynamic", []):
        for name, content in item.items():
            given.add(name)
            blocks[name] = content["content"]
    yield from (f"{where}: {name} is unknown" for name in sorted(given - set(known["known"])))
    yield from (f"{where}: {name} is missing" for name in sorted(set(known["needed"]) - given))
    for name, content in blocks.items():
        for inner in content if isinstance(content, list) else [content]:
            if isinstance(inner, dict):
                yield from check_arguments(inner, known["blocks"][name], f"{where}.{name}")


def check_references(whole: Block, text: str) -> Iterator[str]:
    resources, data = named(whole, "resource"), named(whole, "data")
    local = {name for block in whole["locals"] for name in block} - META
    made = {
        "var": set(named(whole, "variable")),
        "local": local,
    }
    # A validation of a variable is no use of it.
    used_text = re.sub(r"(?ms)^variable .*?^}$", "", text)
    for kind, names in made.items():
        used = set(re.findall(rf"\b{kind}\.(\w+)", used_text))
        yield from (f"{kind}.{name} is not there" for name in sorted(used - names))
        yield from (f"{kind}.{name} is not used" for name in sorted(names - used))
    for address in set(re.findall(r"(?<!data\.)\b(aws_\w+\.\w+)\b", used_text)) - set(resources):
        yield f"{address} is not there"
    for address in set(re.findall(r"\bdata\.(\w+\.\w+)", used_text)) - set(data):
        yield f"data.{address} is not there"
    yield from check_counts(resources, used_text)


def check_counts(resources: dict[str, Block], text: str) -> Iterator[str]:
    """Return references that want one of many, or many of one."""
    for address, index in set(re.findall(r"(?<!data\.)\b(aws_\w+\.\w+)(\[[^\]]*\])?", text)):
        body = resources.get(address, {})
        is_many = "count" in body or "for_each" in body
        if body and is_many != bool(index):
            yield f"{address}{index} has {'many' if is_many else 'one'}"
