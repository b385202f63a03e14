"""The content of the spool: one JSON object a line, a header with counts and reports.

A line that begins with a blank, or is empty, was removed in place. Whatever is left of a removal or
an addition that a crash cut short is either such a line or no JSON: neither can pass for a report.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Final, NoReturn

from nodecheck.model.spool import SpooledReport
from nodecheck.records import dataclass, field

SCHEMA: Final = "nodecheck-spool/1"
NAME_LIMIT: Final = 200
LARGEST_NS: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Line:
    """One report with where it stands."""

    start: int
    length: int
    report: SpooledReport

    @property
    def end(self) -> int:
        """Return where the next line starts."""
        return self.start + self.length + 1


@dataclass
class Content:
    """What was read. ``torn`` is what an addition that was cut short left at the end."""

    lines: list[Line] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    damaged: list[bytes] = field(default_factory=list)
    header_bytes: int = 0
    size_bytes: int = 0
    torn: bool = False

    @property
    def is_clean(self) -> bool:
        """Tell whether a line can simply be added."""
        return not self.damaged and not self.torn


def read_content(content: bytes) -> Content:
    """Return what is in the spool; nothing that it may hold raises."""
    found = Content(size_bytes=len(content))
    start = 0
    *ended, rest = content.split(b"\n")
    for line in ended:
        _read_line(found, start, line)
        start += len(line) + 1
    if rest:
        found.torn = True
        _read_line(found, start, rest)
    return found


def _read_line(found: Content, start: int, text: bytes) -> None:
    if not text or text.startswith(b" "):
        return
    try:
        document = json.loads(text, parse_constant=_refuse)
        if start == 0 and isinstance(document, dict) and document.get("spool") == SCHEMA:
            found.dropped = _counts(document.get("dropped"))
            found.header_bytes = len(text) + 1
            return
        found.lines.append(Line(start, len(text), _report(document)))
    except (ValueError, RecursionError):
        if not found.torn:
            found.damaged.append(text)


def _refuse(name: str) -> NoReturn:
    msg = f"{name} is no JSON"
    raise ValueError(msg)


def _counts(value: object) -> Counter[str]:
    items = value.items() if isinstance(value, dict) else ()
    return Counter({
        str(name)[:NAME_LIMIT]: count
        for name, count in items
        if isinstance(count, int) and 0 < count < LARGEST_NS
    })  # fmt: skip


def _report(document: object) -> SpooledReport:
    match document:
        case {
            "sink": str() as sink,
            "run": str() as run_id,
            "true_ns": int() | None as true_ns,
            "local_ns": int() as local_ns,
            "monotonic_ns": int() as monotonic_ns,
            "boot": str() as boot,
            "payload": dict() as payload,
        }:
            stamps = (local_ns, monotonic_ns, true_ns or 0)
            names = (sink, run_id, boot)
            is_sane = all(abs(item) < LARGEST_NS for item in stamps)
            if is_sane and all(len(name) <= NAME_LIMIT for name in names):
                return SpooledReport(sink, run_id, true_ns, local_ns, monotonic_ns, boot, payload)
    msg = "not a report"
    raise ValueError(msg)


def line_of(report: SpooledReport) -> bytes:
    """Return a report as a line."""
    document = {
        "sink": report.sink,
        "run": report.run_id,
        "true_ns": report.true_ns,
        "local_ns": report.local_ns,
        "monotonic_ns": report.monotonic_ns,
        "boot": report.boot,
        "payload": report.payload,
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def header_of(dropped: Counter[str]) -> bytes:
    """Return the first line, nothing where there is nothing to count."""
    if not dropped:
        return b""
    return json.dumps({"spool": SCHEMA, "dropped": dict(dropped)}).encode() + b"\n"
