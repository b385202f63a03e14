"""Modules of ``packaging`` that account for a release, and the schema that a bill must follow."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema
from referencing import Registry, Resource

if TYPE_CHECKING:
    from types import ModuleType

TOP: Final = Path(__file__).parents[1]
SCHEMAS: Final = Path(__file__).parent / "assets/cyclonedx"


def load(name: str) -> ModuleType:
    """Return a module of packaging, which is no package."""
    spec = importlib.util.spec_from_file_location(name, TOP / "packaging" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def validate(bill: Any) -> None:  # noqa: ANN401 - a JSON document
    """Raise unless a bill follows CycloneDX 1.5."""
    schemas = {
        f"http://cyclonedx.org/schema/{path.name}": json.loads(path.read_text())
        for path in SCHEMAS.glob("*.schema.json")
    }
    resources = [(uri, Resource.from_contents(schema)) for uri, schema in schemas.items()]
    registry: Registry[Any] = Registry().with_resources(resources)
    schema = schemas["http://cyclonedx.org/schema/bom-1.5.schema.json"]
    checker = jsonschema.validators.validator_for(schema)
    checker(schema, registry=registry).validate(bill)
