"""A checker of SSM documents: Command (schema 2.2) and Automation (schema 0.3).

cfn-lint looks at the schema version alone, and AWS tells the rest when a document is created or,
for branches and references, when it runs. Each fault names its rule; ``RULES`` lists them, and
tests/unit/test_ssm_document.py has for each a document with that one mistake.

Sources: AWS Systems Manager user guide, "Data elements and parameters", "Command document plugin
reference", "Systems Manager Automation actions reference"; SSM Agent, agent/docparser.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

LIMIT_BYTES: Final = 65_536
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{2,127}")
REFERENCE: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
TYPES: Final = {
    *("String", "StringList", "Integer", "Boolean", "MapList", "StringMap"),
    *("AWS::EC2::Instance::Id", "List<AWS::EC2::Instance::Id>", "AWS::IAM::Role::Arn"),
}
MEMBERS: Final = {
    *("type", "description", "default", "allowedValues", "allowedPattern", "interpolationType"),
    *("minChars", "maxChars", "minItems", "maxItems", "displayType"),
}
TOP: Final = {
    "2.2": {"schemaVersion", "description", "parameters", "mainSteps", "variables"},
    "0.3": {
        *("schemaVersion", "description", "parameters", "mainSteps", "variables"),
        *("assumeRole", "outputs", "files"),
    },
}

DANGEROUS: Final = (
    *("5; reboot", "a'b", 'a"b', "a`b`", "$(a)", "a|b", "a&b", "a\nb", "a b", "a>b", "a{{b}}"),
    *("none\nend", "none; a", "/a;b", "https://a/b;c", "a\\b", "${a}", "--format=json"),
)
"""What no parameter of a script may be, whatever its pattern means to allow."""

RULES: Final = {
    "too-large": "more than 64 KB",
    "schema-version": "neither 2.2 nor 0.3",
    "unknown-member": "a member that the schema does not have",
    "no-description": "a document or a parameter without a description",
    "parameter-type": "a type that there is not",
    "parameter-unbounded": "neither allowedPattern nor allowedValues",
    "pattern-open": "a pattern that does not begin with ^ and end with $",
    "pattern-broken": "a pattern that is no regular expression",
    "default-refused": "a default that pattern or values do not allow",
    "parameter-unused": "a parameter that nothing refers to",
    "reference-unknown": "a reference to no parameter, output or global",
    "interpolation": "interpolationType is not ENV_VAR, or not of a String in schema 2.2",
    "step-name": "a name that is missing, strange or given twice",
    "step-unknown-member": "a member that steps of this schema do not have",
    "action-unknown": "an action that there is not",
    "input-missing": "an input that the action needs",
    "input-unknown": "an input that the action does not have",
    "input-value": "an input of the wrong type or value",
    "precondition": "not of the form StringEquals: two texts, one of them known to the agent",
    "platform": "a script of one platform without the precondition for it",
    "injection": "a parameter inside a script that is unbounded or not in the environment",
    "injection-place": "a parameter elsewhere in a script than alone on a quoted line",
    "pattern-wide": "a pattern of a parameter in a script that lets shell characters through",
    "exit-code": "a PowerShell script that does not end with exit $LASTEXITCODE",
    "timeout": "a timeout that is no number, or out of range",
    "target-unknown": "nextStep, onFailure or a branch to a step that there is not",
    "unreachable": "a step that nothing leads to",
    "no-end": "a step from which no end can be reached",
    "end-and-next": "isEnd and nextStep together",
    "on-failure": "onFailure is not Abort, Continue or step:NAME",
    "branch": "a choice without Variable, NextStep or exactly one comparison, or no Default",
    "output": "an output of a step without Name, Selector ($...) or a known Type",
    "output-too-early": "an output of a step that has not always run before",
    "script": "a Python script that does not parse, or has no such handler",
    "runtime": "a runtime that Automation does not run",
    "approvers": "an approval that nobody, or more than there are, must give",
    "called-parameter": "a parameter that the called document does not have, or does not allow",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake: its rule, where it is, and what it is."""

    rule: str
    where: str
    text: str


def faults(document: Json, called: dict[str, Json] | None = None) -> list[Fault]:
    """Return every mistake of a document; ``called`` has the documents that it may run."""
    from tests.ssm_command import command_faults
    from tests.ssm_runbook import runbook_faults

    found = list(_common(document))
    version = document.get("schemaVersion")
    if version == "2.2":
        found += command_faults(document)
    elif version == "0.3":
        found += runbook_faults(document, called or {})
    return found


def references(value: object) -> Iterator[str]:
    """Return every name in {{ }} of a value."""
    if isinstance(value, str):
        yield from REFERENCE.findall(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def steps_of(document: Json) -> list[Json]:
    """Return the steps."""
    steps: list[Json] = document.get("mainSteps", [])
    return steps


def allows(parameter: Json, value: str) -> bool:
    """Tell whether AWS would accept this value of a parameter."""
    values = parameter.get("allowedValues")
    if values is not None and value not in values:
        return False
    pattern = parameter.get("allowedPattern")
    return pattern is None or re.search(re.sub(r"\$$", r"\\Z", pattern), value) is not None


def check_inputs(
    action: str, inputs: Json, table: dict[str, tuple[set[str], set[str]]], where: str
) -> Iterator[Fault]:
    """Return what is missing or unknown among the inputs of an action."""
    if action not in table:
        yield Fault("action-unknown", where, f"there is no action {action!r}")
        return
    needed, allowed = table[action]
    for name in sorted(needed - set(inputs)):
        yield Fault("input-missing", where, f"{action} needs {name}")
    for name in sorted(set(inputs) - needed - allowed):
        yield Fault("input-unknown", where, f"{action} has no {name}")


def check_names(steps: list[Json]) -> Iterator[Fault]:
    """Return the steps without a good name of their own."""
    seen: set[str] = set()
    for step in steps:
        name = str(step.get("name", ""))
        if not NAME.fullmatch(name) or name in seen:
            yield Fault("step-name", name, "a step needs a name of its own, of letters and digits")
        seen.add(name)


def _common(document: Json) -> Iterator[Fault]:
    size = len(json.dumps(document).encode())
    if size > LIMIT_BYTES:
        yield Fault("too-large", "document", f"{size} bytes, allowed {LIMIT_BYTES}")
    version = document.get("schemaVersion")
    if version not in TOP:
        yield Fault("schema-version", "document", f"{version!r}")
        return
    for name in sorted(set(document) - TOP[version]):
        yield Fault("unknown-member", "document", f"schema {version} has no {name}")
    if not document.get("description"):
        yield Fault("no-description", "document", "what is it for?")
    used = set(references({k: v for k, v in document.items() if k != "parameters"}))
    for name, parameter in document.get("parameters", {}).items():
        yield from _parameter(name, parameter, version)
        if name not in used:
            yield Fault("parameter-unused", name, "nothing refers to it")
    yield from check_names(steps_of(document))


def _parameter(name: str, parameter: Json, version: str) -> Iterator[Fault]:
    for member in sorted(set(parameter) - MEMBERS):
        yield Fault("unknown-member", name, f"a parameter has no {member}")
    if not parameter.get("description"):
        yield Fault("no-description", name, "what is it for?")
    if parameter.get("type") not in TYPES:
        yield Fault("parameter-type", name, f"{parameter.get('type')!r}")
    interpolation = parameter.get("interpolationType", "ENV_VAR")
    is_text_of_command = version == "2.2" and parameter.get("type") == "String"
    if interpolation != "ENV_VAR" or ("interpolationType" in parameter and not is_text_of_command):
        yield Fault("interpolation", name, f"{interpolation!r}")
    yield from _bounds(name, parameter)


def _bounds(name: str, parameter: Json) -> Iterator[Fault]:
    pattern, values = parameter.get("allowedPattern"), parameter.get("allowedValues")
    if not pattern and not values:
        yield Fault("parameter-unbounded", name, "needs allowedPattern or allowedValues")
        return
    if pattern:
        try:
            re.compile(pattern)
        except re.error as exc:
            yield Fault("pattern-broken", name, str(exc))
            return
        if not (pattern.startswith("^") and pattern.endswith("$")):
            yield Fault("pattern-open", name, pattern)
    default = parameter.get("default")
    if default is not None and not allows(parameter, str(default)):
        yield Fault("default-refused", name, repr(default))
