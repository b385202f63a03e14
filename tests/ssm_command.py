"""Rules for Command documents (schema 2.2); see tests/ssm_document.py."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tests.ssm_document import (
    DANGEROUS,
    REFERENCE,
    Fault,
    Json,
    allows,
    check_inputs,
    references,
    steps_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT: Final = ({"runCommand"}, {"timeoutSeconds", "workingDirectory"})
ACTIONS: Final = {
    "aws:runShellScript": SCRIPT,
    "aws:runPowerShellScript": SCRIPT,
    "aws:configurePackage": (
        {"name", "action"},
        {"version", "installationType", "additionalArguments"},
    ),
    "aws:downloadContent": ({"sourceType", "sourceInfo"}, {"destinationPath"}),
    "aws:runDocument": ({"documentType", "documentPath"}, {"documentParameters"}),
    "aws:softwareInventory": (set[str](), {"applications", "customInventory", "files"}),
    "aws:updateSsmAgent": ({"agentName", "source"}, {"allowDowngrade", "targetVersion"}),
}
STEP: Final = {
    *("action", "name", "inputs", "precondition"),
    *("isEnd", "isCritical", "onFailure", "onSuccess", "maxAttempts", "timeoutSeconds"),
}
VALUES: Final = {
    ("aws:configurePackage", "action"): {"Install", "Uninstall"},
    ("aws:configurePackage", "installationType"): {
        "In-place update",
        "Uninstall and reinstall",
    },
}
PLATFORM_OF: Final = {"aws:runShellScript": "Linux", "aws:runPowerShellScript": "Windows"}
PLATFORMS: Final = {"Linux", "Windows", "MacOS"}
TIMEOUT: Final = range(5, 172_801)
"""Seconds that the agent allows a step (agent/framework/processor, pluginutil)."""


def command_faults(document: Json) -> Iterator[Fault]:
    """Return every mistake of the steps."""
    parameters: dict[str, Json] = document.get("parameters", {})
    for step in steps_of(document):
        name, inputs = str(step.get("name")), step.get("inputs", {})
        action = str(step.get("action"))
        for member in sorted(set(step) - STEP):
            yield Fault("step-unknown-member", name, member)
        yield from check_inputs(action, inputs, ACTIONS, name)
        yield from _values(action, inputs, name)
        yield from _precondition(step, parameters, name)
        for reference in references(step):
            if reference not in parameters and not reference.startswith("ssm:"):
                yield Fault("reference-unknown", name, reference)
        if "runCommand" in inputs:
            yield from _script(step, parameters, name)


def _values(action: str, inputs: Json, where: str) -> Iterator[Fault]:
    for name, value in inputs.items():
        allowed = VALUES.get((action, name))
        if allowed and value not in allowed and not REFERENCE.fullmatch(value):
            yield Fault("input-value", where, f"{name}: {value!r}")
    timeout = inputs.get("timeoutSeconds")
    if timeout is not None and not (
        isinstance(timeout, str) and timeout.isdecimal() and int(timeout) in TIMEOUT
    ):
        yield Fault("timeout", where, f"{timeout!r}: a text of 5 to 172800 seconds")


def _precondition(step: Json, parameters: dict[str, Json], where: str) -> Iterator[Fault]:
    condition = step.get("precondition")
    platform = PLATFORM_OF.get(str(step.get("action")))
    if condition is None:
        if platform:
            yield Fault("platform", where, f"runs on {platform} only")
        return
    pair = condition.get("StringEquals") if isinstance(condition, dict) else None
    if list(condition) != ["StringEquals"] or not isinstance(pair, list) or len(pair) != 2:
        yield Fault("precondition", where, repr(condition))
    elif pair[0] == "platformType":
        if pair[1] not in PLATFORMS:
            yield Fault("precondition", where, f"there is no platform {pair[1]!r}")
        elif platform not in {None, pair[1]}:
            yield Fault("platform", where, f"for {pair[1]}, but {platform} runs it")
    else:
        yield from _compared(pair, parameters, where)
        if platform:
            yield Fault("platform", where, f"runs on {platform} only")


def _compared(pair: list[str], parameters: dict[str, Json], where: str) -> Iterator[Fault]:
    """Judge a comparison of a parameter, which the agent puts into the text itself."""
    match = REFERENCE.fullmatch(pair[0])
    parameter = parameters.get(match[1]) if match else None
    if parameter is None or not allows(parameter, pair[1]):
        yield Fault("precondition", where, f"never true: {pair}")
    elif "interpolationType" in parameter:
        yield Fault("precondition", where, "a parameter in the environment is not in the text")


def _script(step: Json, parameters: dict[str, Json], where: str) -> Iterator[Fault]:
    lines = step["inputs"]["runCommand"]
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        yield Fault("input-value", where, "runCommand is a list of lines")
        return
    lines = "\n".join(lines).splitlines()
    is_windows = step.get("action") == "aws:runPowerShellScript"
    if is_windows and (not lines or lines[-1].strip() != "exit $LASTEXITCODE"):
        yield Fault("exit-code", where, "ends otherwise, so that a failure passes for success")
    for number, line in enumerate(lines):
        for name in REFERENCE.findall(line):
            if name not in parameters:
                continue
            yield from _inside(name, parameters[name], where)
            before, after = lines[max(number - 1, 0)], "\n".join(lines[number + 1 : number + 2])
            if not _alone(line, before, after, is_windows=is_windows):
                yield Fault("injection-place", where, line.strip())


def _inside(name: str, parameter: Json, where: str) -> Iterator[Fault]:
    """Judge a parameter that gets into a script."""
    is_bounded = "allowedPattern" in parameter or "allowedValues" in parameter
    if not is_bounded or parameter.get("interpolationType") != "ENV_VAR":
        yield Fault("injection", where, f"{name} is unbounded, or not in the environment")
        return
    try:
        wide = [text for text in DANGEROUS if allows(parameter, text)]
    except re.error:
        return
    if wide:
        yield Fault("pattern-wide", where, f"{name} may be {wide[0]!r}")


def _alone(line: str, before: str, after: str, *, is_windows: bool) -> bool:
    """Tell whether a line is the whole of a quoted here-document, for agents without ENV_VAR."""
    if not REFERENCE.fullmatch(line):
        return False
    if is_windows:
        return before.endswith("@'") and after.startswith("'@")
    match = re.search(r"<<'([A-Za-z-]+)'$", before)
    return match is not None and after == match[1]
