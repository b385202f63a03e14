"""The JSON Schema (draft 2020-12) of the report; ``nodecheck schema`` prints it.

Within ``nodecheck/1`` members are only ever added, so unknown members are allowed everywhere.
"""

from __future__ import annotations

from typing import Final

from nodecheck.sinks.json_document import SCHEMA_NAME, Json

_TEXT: Final[Json] = {"type": "string"}
_MAYBE_TEXT: Final[Json] = {"type": ["string", "null"]}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_SWITCH: Final[Json] = {"type": "boolean"}
_MAYBE_NUMBER: Final[Json] = {"type": ["number", "null"]}
_TIME: Final[Json] = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
}
_STATUSES: Final[list[Json]] = ["ok", "warn", "crit", "unknown", "skip"]
_CHECK_ID: Final[Json] = {"type": "string", "pattern": r"^[a-z]+\.[a-z-]+$"}


def _object(**members: Json) -> dict[str, Json]:
    """Return the schema of an object all of whose members are required."""
    return {"type": "object", "required": list(members), "properties": dict(members)}


def _list(item: Json) -> Json:
    return {"type": "array", "items": item}


_EVIDENCE: Final[Json] = {
    "type": "object",
    "additionalProperties": {
        "anyOf": [
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": {"type": "string"}},
        ]
    },
}

_CHECK: Final[dict[str, Json]] = {
    **_object(
        id=_CHECK_ID,
        status={"enum": _STATUSES},
        reason={"type": "string", "pattern": r"^[a-z0-9-]+$"},
        message=_TEXT,
        findings=_list(_object(reason=_TEXT, message=_TEXT, path=_MAYBE_TEXT)),
        evidence=_EVIDENCE,
        sources={"type": "object", "additionalProperties": _TEXT},
        limit=_TEXT,
        duration_ms=_COUNT,
        caused_by={"anyOf": [_CHECK_ID, {"type": "null"}]},
        waiver=_MAYBE_TEXT,
        fix=_list(_object(command=_TEXT, shell=_TEXT, disruptive=_SWITCH)),
    ),
    # Everything else may be left out of a document that says "reduced".
    "required": ["id", "status", "reason"],
}

_REPORT: Final = _object(
    schema={"const": SCHEMA_NAME},
    verdict={"enum": ["ok", "warn", "crit", "unknown"]},
    summary={"type": "string", "maxLength": 300},
    exit={"enum": [0, 1, 2, 3, 70, 78]},
    tool=_object(version=_TEXT, commit=_TEXT),
    run=_object(
        id=_TEXT,
        started_at=_TIME,
        local_started_at=_TIME,
        duration_ms=_COUNT,
        deadline_s={"type": "number", "exclusiveMinimum": 0},
        privileged=_SWITCH,
        trigger=_TEXT,
    ),
    node=_object(
        id=_MAYBE_TEXT,
        kind=_MAYBE_TEXT,
        region=_MAYBE_TEXT,
        account=_MAYBE_TEXT,
        platform={"enum": ["linux", "windows"]},
        os=_TEXT,
        arch=_TEXT,
    ),
    clock={
        "anyOf": [
            {"type": "null"},
            _object(
                offset_s=_MAYBE_NUMBER,
                bound_s=_MAYBE_NUMBER,
                source=_TEXT,
                falsetickers=_list(_TEXT),
            ),
        ]
    },
    checks={"type": "array", "minItems": 1, "items": _CHECK},
    counts=_object(ok=_COUNT, warn=_COUNT, crit=_COUNT, unknown=_COUNT, skip=_COUNT),
    delivery=_list(
        _object(
            sink=_TEXT,
            state={"enum": ["delivered", "spooled", "failed", "dry-run"]},
            detail=_TEXT,
        )
    ),
)

SCHEMA: Final[Json] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": f"urn:{SCHEMA_NAME}",
    "title": "The report of a nodecheck run",
    **_REPORT,
}
