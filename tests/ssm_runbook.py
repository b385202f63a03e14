"""Rules for Automation runbooks (schema 0.3); see tests/ssm_document.py."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final

from tests.ssm_document import Fault, Json, allows, check_inputs, references, steps_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ACTIONS: Final = {
    "aws:runCommand": (
        {"DocumentName"},
        {
            *("InstanceIds", "Targets", "Parameters", "DocumentVersion", "Comment", "MaxErrors"),
            *("MaxConcurrency", "OutputS3BucketName", "OutputS3KeyPrefix", "ServiceRoleArn"),
            *("CloudWatchOutputConfig", "NotificationConfig", "DocumentHash", "TimeoutSeconds"),
        },
    ),
    "aws:executeScript": ({"Runtime", "Script"}, {"Handler", "InputPayload", "Attachment"}),
    "aws:branch": ({"Choices"}, {"Default"}),
    "aws:approve": ({"Approvers"}, {"NotificationArn", "Message", "MinRequiredApprovals"}),
    "aws:sleep": (set[str](), {"Duration", "Timestamp"}),
    "aws:waitForAwsResourceProperty": (
        {"Service", "Api", "PropertySelector", "DesiredValues"},
        {"Filters"},
    ),
    "aws:executeAwsApi": ({"Service", "Api"}, {"InstanceIds", "Parameters"}),
    "aws:createImage": ({"InstanceId", "ImageName"}, {"ImageDescription", "NoReboot"}),
    "aws:runInstances": ({"ImageId"}, {"InstanceType", "IamInstanceProfileName", "SubnetId"}),
    "aws:changeInstanceState": ({"InstanceIds", "DesiredState"}, {"CheckStateOnly", "Force"}),
}
OUTPUTS: Final = {
    "aws:runCommand": {"CommandId", "Status", "ResponseCode", "Output"},
    "aws:approve": {"ApprovalStatus", "ApproverDecisions"},
    "aws:runInstances": {"InstanceIds", "InstanceStates"},
    "aws:createImage": {"ImageId", "ImageState"},
}
STEP: Final = {
    *("name", "action", "inputs", "description", "nextStep", "isEnd", "onFailure", "onCancel"),
    *("isCritical", "timeoutSeconds", "maxAttempts", "outputs"),
}
OPERATORS: Final = {
    *("StringEquals", "EqualsIgnoreCase", "StartsWith", "EndsWith", "Contains"),
    *("NumericEquals", "NumericGreater", "NumericLesser", "BooleanEquals"),
}
OUTPUT_TYPES: Final = {"String", "StringList", "Integer", "Boolean", "StringMap", "MapList"}
RUNTIMES: Final = {"python3.11", "PowerShell 7.4"}
GLOBALS: Final = {f"global:{name}" for name in ("DATE", "DATE_TIME", "REGION", "ACCOUNT_ID")} | {
    "automation:EXECUTION_ID"
}


def runbook_faults(document: Json, called: dict[str, Json]) -> Iterator[Fault]:
    """Return every mistake of the steps and of their order."""
    steps = steps_of(document)
    for step in steps:
        name, action = str(step.get("name")), str(step.get("action"))
        inputs = step.get("inputs", {})
        for member in sorted(set(step) - STEP):
            yield Fault("step-unknown-member", name, member)
        yield from check_inputs(action, inputs, ACTIONS, name)
        yield from _step(step, action, inputs, name)
        if action == "aws:runCommand":
            yield from _call(inputs, document, called, name)
    yield from _order(steps)
    yield from _references(document, steps)


def _step(step: Json, action: str, inputs: Json, where: str) -> Iterator[Fault]:
    timeout = step.get("timeoutSeconds")
    if timeout is not None and (not isinstance(timeout, int) or timeout < 1):
        yield Fault("timeout", where, f"{timeout!r} is no number of seconds")
    failure = step.get("onFailure", "Abort")
    if failure not in {"Abort", "Continue"} and not str(failure).startswith("step:"):
        yield Fault("on-failure", where, repr(failure))
    if step.get("isEnd") and step.get("nextStep"):
        yield Fault("end-and-next", where, "ends, and goes on")
    for output in step.get("outputs", []):
        is_whole = output.get("Name") and str(output.get("Selector", "")).startswith("$")
        if not is_whole or output.get("Type") not in OUTPUT_TYPES:
            yield Fault("output", where, repr(output))
    judges = {
        "aws:executeScript": _script,
        "aws:branch": _branch,
        "aws:approve": _approve,
        "aws:sleep": _sleep,
    }
    if action in judges:
        yield from judges[action](inputs, where)


def _approve(inputs: Json, where: str) -> Iterator[Fault]:
    need, people = inputs.get("MinRequiredApprovals", 1), inputs.get("Approvers", [])
    if not people or not 1 <= need <= len(people):
        yield Fault("approvers", where, f"{need} of {len(people)}")


def _sleep(inputs: Json, where: str) -> Iterator[Fault]:
    if len(inputs) != 1:
        yield Fault("input-value", where, "either Duration or Timestamp")


def _script(inputs: Json, where: str) -> Iterator[Fault]:
    runtime, script = str(inputs.get("Runtime")), str(inputs.get("Script", ""))
    if runtime not in RUNTIMES:
        yield Fault("runtime", where, runtime)
    if list(references(script)):
        yield Fault("injection", where, "a reference inside a script: use InputPayload")
    if not runtime.startswith("python"):
        return
    try:
        functions = [n for n in ast.parse(script).body if isinstance(n, ast.FunctionDef)]
    except SyntaxError as exc:
        yield Fault("script", where, str(exc))
        return
    takes = {item.name: len(item.args.args) for item in functions}
    if takes.get(str(inputs.get("Handler"))) != 2:
        yield Fault("script", where, f"no function {inputs.get('Handler')}(events, context)")


def _branch(inputs: Json, where: str) -> Iterator[Fault]:
    for choice in inputs.get("Choices", []):
        compared = set(choice) & OPERATORS
        if len(compared) != 1 or set(choice) != compared | {"NextStep", "Variable"}:
            yield Fault("branch", where, repr(choice))
    if not inputs.get("Choices") or "Default" not in inputs:
        yield Fault("branch", where, "without Default nothing happens when no choice is true")


def _call(inputs: Json, document: Json, called: dict[str, Json], where: str) -> Iterator[Fault]:
    """Compare what a step hands over with the document that it calls, if that is at hand."""
    name = inputs.get("DocumentName", "")
    for reference in references(name):
        name = document.get("parameters", {}).get(reference, {}).get("default", "")
    if name not in called:
        return
    known = called[name].get("parameters", {})
    for parameter, values in inputs.get("Parameters", {}).items():
        if parameter not in known:
            yield Fault("called-parameter", where, f"{name} has no {parameter}")
        elif not isinstance(values, list) or not all(
            list(references(value)) or allows(known[parameter], value) for value in values
        ):
            yield Fault("called-parameter", where, f"{name} does not allow {parameter}: {values}")


def _ways(step: Json, following: str | None) -> set[str]:
    """Return the steps to which a step may lead; '' is the end of the execution."""
    ways = set()
    failure = str(step.get("onFailure", "Abort"))
    if failure.startswith("step:"):
        ways.add(failure.removeprefix("step:"))
    if step.get("action") == "aws:branch":
        inputs = step.get("inputs", {})
        ways |= {str(choice.get("NextStep")) for choice in inputs.get("Choices", [])}
        return ways | ({str(inputs["Default"])} if "Default" in inputs else {""})
    if step.get("isEnd"):
        return ways | {""}
    return ways | {str(step.get("nextStep") or following or "")}


def _order(steps: list[Json]) -> Iterator[Fault]:
    names = [str(step.get("name")) for step in steps]
    followers = [*names[1:], None]
    ways = {
        name: _ways(step, after) for name, step, after in zip(names, steps, followers, strict=True)
    }
    for name, targets in ways.items():
        for target in sorted(targets - set(names) - {""}):
            yield Fault("target-unknown", name, f"there is no step {target!r}")
    reached = _closure(set(names[:1]), ways)
    for name in names:
        if name not in reached:
            yield Fault("unreachable", name, "nothing leads to it")
        elif "" not in _closure({name}, ways):
            yield Fault("no-end", name, "the execution would never end")


def _closure(begin: set[str], ways: dict[str, set[str]]) -> set[str]:
    reached, new = set(begin), set(begin)
    while new:
        new = {target for name in new for target in ways.get(name, set())} - reached
        reached |= new
    return reached


def always_before(steps: list[Json], name: str) -> set[str]:
    """Return the steps without which a step cannot be reached."""
    names = [str(step.get("name")) for step in steps]
    followers = [*names[1:], None]
    ways = {n: _ways(s, after) for n, s, after in zip(names, steps, followers, strict=True)}
    needed = set()
    for other in names:
        if other == name:
            continue
        rest = {key: targets for key, targets in ways.items() if key != other}
        if names[0] == other or name not in _closure({names[0]}, rest):
            needed.add(other)
    return needed


def _references(document: Json, steps: list[Json]) -> Iterator[Fault]:
    made = {
        f"{step.get('name')}.{output}": str(step.get("name"))
        for step in steps
        for output in _outputs(step)
    }
    known = set(document.get("parameters", {})) | GLOBALS
    for step in steps:
        where = str(step.get("name"))
        content = {key: value for key, value in step.items() if key != "outputs"}
        outputs = [name for name in references(content) if not _is_known(name, known)]
        before = always_before(steps, where)
        for name in outputs:
            if name not in made:
                yield Fault("reference-unknown", where, name)
            elif made[name] not in before:
                yield Fault("output-too-early", where, name)
    ends = [*references(document.get("assumeRole", "")), *document.get("outputs", [])]
    for name in ends:
        if name not in made and name not in known:
            yield Fault("reference-unknown", "document", str(name))


def _is_known(name: str, known: set[str]) -> bool:
    return name in known or name.startswith("ssm:")


def _outputs(step: dict[str, Any]) -> set[str]:
    own = {str(output.get("Name")) for output in step.get("outputs", [])}
    return own | OUTPUTS.get(str(step.get("action")), set())
