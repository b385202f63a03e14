"""Write plain values as YAML to be read: long texts as blocks, short maps in a line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH: Final = 110
NESTING: Final = 3
"""Maps in one line."""

_PLAIN: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./ +*()-]*")
_OTHER_TYPES: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def yaml_text(value: object) -> str:
    """Return a value of dicts, lists, texts and numbers as YAML 1.1."""
    return "\n".join(_lines(value, "")) + "\n"


def _lines(value: object, indent: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _entry(f"{indent}{_scalar(str(key))}:", item, indent)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict) and not _fits(item, indent):
                first, *rest = _lines(item, indent + "  ")
                yield f"{indent}- {first.lstrip()}"
                yield from rest
            else:
                yield from _entry(f"{indent}-", item, indent)


def _entry(head: str, item: object, indent: str) -> Iterator[str]:
    if isinstance(item, str) and "\n" in item:
        yield f"{head} |{'' if item.endswith(chr(10)) else '-'}"
        yield from (f"{indent}  {line}" if line else "" for line in item.splitlines())
    elif not isinstance(item, (dict, list)) or _fits(item, head):
        yield f"{head} {_flow(item)}"
    else:
        yield head
        yield from _lines(item, indent + "  ")


def _fits(item: object, before: str) -> bool:
    """Tell whether it is short and flat enough for one line."""
    if not item:
        return True
    text = _flow(item)
    return "\\n" not in text and text.count("{") <= NESTING and len(before) + len(text) < WIDTH


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{_scalar(str(key))}: {_flow(item)}" for key, item in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not value.endswith(" "):
        return json.dumps(value) if value.lower() in _OTHER_TYPES else value
    return json.dumps(value)
