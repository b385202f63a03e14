"""Cut botocore's data of AWS services down to the operations that nodecheck calls.

A client parses the whole model of its service at every start: that of Systems Manager costs 6 MB of
memory and 140 KB on disk, for one operation. Documentation and what nothing reaches are left out;
so are the endpoints of 300 services that are never called, 7 MB of memory.
"""

# ruff: noqa: ANN401 - models are JSON of botocore's own form
import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

OPERATIONS = {
    "cloudwatch": ("PutMetricData",),
    "logs": ("CreateLogGroup", "CreateLogStream", "PutLogEvents"),
    "ssm": ("GetParameter", "PutComplianceItems"),
    "sts": ("AssumeRole", "AssumeRoleWithWebIdentity"),  # of the credential chain
}

ENDPOINT_PREFIXES = ("logs", "monitoring", "ssm", "sts")
"""What these services are called in the list of endpoints."""


def trimmed(model: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return a model with these operations and the shapes that they reach."""
    operations = {name: _silent(model["operations"][name]) for name in names}
    waiting = [
        part["shape"]
        for operation in operations.values()
        for part in (operation.get("input"), operation.get("output"), *operation.get("errors", ()))
        if part
    ]
    shapes = {}
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            shapes[name] = _silent(model["shapes"][name])
            waiting += _references(shapes[name])
    ordered = {name: shapes[name] for name in model["shapes"] if name in shapes}
    kept = {key: model[key] for key in model if key not in {"documentation", "examples"}}
    return {**kept, "operations": operations, "shapes": ordered}


def _silent(part: Any) -> Any:
    """Return a part of a model without its documentation."""
    if isinstance(part, list):
        return [_silent(item) for item in part]
    if not isinstance(part, dict):
        return part
    # A member may be called documentation too; then it is no text.
    return {
        key: _silent(value)
        for key, value in part.items()
        if key != "documentation" or not isinstance(value, str)
    }


def _references(shape: dict[str, Any]) -> list[str]:
    parts = [*shape.get("members", {}).values()]
    parts += [shape[key] for key in ("member", "key", "value") if key in shape]
    return [part["shape"] for part in parts]


def write_model(source: Path, target: Path, service: str) -> None:
    """Write the cut model of a service, which is ``service-2.json.gz`` in botocore's data."""
    model = json.loads(gzip.decompress(source.read_bytes()))
    text = json.dumps(trimmed(model, OPERATIONS[service]), separators=(",", ":"))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(text.encode(), mtime=0))


def write_endpoints(source: Path, target: Path) -> None:
    """Write the list of endpoints of the services that are called, of all partitions."""
    listed = json.loads(source.read_bytes())
    for partition in listed["partitions"]:
        services = partition["services"]
        partition["services"] = {
            name: services[name] for name in ENDPOINT_PREFIXES if name in services
        }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(listed, separators=(",", ":")))
