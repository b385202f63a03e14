"""Judge one value of a setting: its kind, its range and its form."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.settings import Kind

if TYPE_CHECKING:
    from nodecheck.model.settings import Key, Setting

SWITCHES: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
WHOLE: Final = frozenset({Kind.DAYS, Kind.COUNT})


def from_text(key: Key, raw: str) -> object:
    """Return what a variable of the environment stands for; ``checked`` judges it."""
    if key.kind is Kind.LIST:
        return [part.strip() for part in raw.split(",") if part.strip()]
    if key.kind is Kind.SWITCH:
        return SWITCHES.get(raw.strip().lower(), raw)
    if key.kind is Kind.TEXT:
        return raw
    try:
        return int(raw) if key.kind in WHOLE else float(raw)
    except ValueError:
        return raw


def is_list_of_codes(raw: object) -> bool:
    """Tell whether a value is a list of reason codes, not empty.

    >>> is_list_of_codes(["too-old"]), is_list_of_codes([]), is_list_of_codes("too-old")
    (True, False, False)
    """
    if not isinstance(raw, list) or not raw:
        return False
    return all(isinstance(item, str) and re.fullmatch("[a-z0-9-]{1,60}", item) for item in raw)


def checked(key: Key, raw: object) -> Setting:
    """Return the value if the key allows it.

    Raises:
        ValueError: wrong kind, range or form; says what was expected.
    """
    if key.kind is Kind.LIST:
        return _checked_list(key, raw)
    if key.kind is Kind.TEXT:
        if not isinstance(raw, str):
            raise _expected(key, raw)
        return _checked_text(key, raw)
    if key.kind is Kind.SWITCH:
        if not isinstance(raw, bool):
            raise _expected(key, raw)
        return raw
    return _checked_number(key, raw)


def _checked_list(key: Key, raw: object) -> tuple[str, ...]:
    if not isinstance(raw, (list, tuple)):
        raise _expected(key, raw)
    found, problems = [], []
    for item in raw:
        try:
            if not isinstance(item, str):
                raise _expected(key, raw)
            found.append(_checked_text(key, item))
        except ValueError as exc:
            problems.append(str(exc))
    if problems:
        raise ValueError("; ".join(problems))
    return tuple(dict.fromkeys(found))


def _checked_number(key: Key, raw: object) -> float:
    whole = key.kind in WHOLE
    if isinstance(raw, bool) or not isinstance(raw, int if whole else (int, float)):
        raise _expected(key, raw)
    if not key.least <= raw <= key.most or raw == math.inf:
        most = f" to {key.most:g}" if key.most < math.inf else " or more"
        msg = f"expected {key.kind.value}, {key.least:g}{most}, not {raw!r}"
        raise ValueError(msg)
    return raw if whole else float(raw)


def _checked_text(key: Key, raw: str) -> str:
    if key.choices and raw not in key.choices:
        msg = f"expected one of {', '.join(key.choices)}, not {raw!r}"
        raise ValueError(msg)
    if key.parse is not None and raw != key.default:
        key.parse(raw)
    pattern, words = key.pattern
    if raw != key.default and not re.fullmatch(pattern or ".*", raw, re.DOTALL):
        msg = f"expected {words}, not {raw!r}"
        raise ValueError(msg)
    return raw


def _expected(key: Key, raw: object) -> ValueError:
    unit = ", without a unit" if isinstance(raw, str) and key.kind is Kind.SECONDS else ""
    return ValueError(f"expected {key.kind.value}{unit}, not {raw!r}")
