"""Each rule of the checker of SSM documents is seen to fail on a document with that one mistake."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.ssm_document import RULES, Json, faults

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENTS = Path(__file__).parents[2] / "packaging" / "aws" / "documents"
CALLED = {path.stem: json.loads(path.read_text()) for path in DOCUMENTS.glob("NodeCheck-*.json")}


def step(document: Json, name: str) -> Json:
    return next(item for item in document["mainSteps"] if item["name"] == name)


def put(*path: str, value: Any) -> Callable[[Json], None]:  # noqa: ANN401
    """Return a mutation that sets a member; a path begins with a step's name or 'document'."""

    def mutate(document: Json) -> None:
        first, *middle, last = path
        place = document if first == "document" else step(document, first)
        for name in middle:
            place = place[name]
        place[last] = value

    return mutate


def drop(*path: str) -> Callable[[Json], None]:
    def mutate(document: Json) -> None:
        first, *middle, last = path
        place = document if first == "document" else step(document, first)
        for name in middle:
            place = place[name]
        del place[last]

    return mutate


def parameter(name: str, **members: object) -> Callable[[Json], None]:
    """Return a mutation that changes members of a parameter; None takes one away."""

    def mutate(document: Json) -> None:
        for member, value in members.items():
            document["parameters"][name].pop(member, None)
            if value is not None:
                document["parameters"][name][member] = value

    return mutate


def script(name: str, *, old: str, new: str) -> Callable[[Json], None]:
    """Return a mutation of one line of a script."""

    def mutate(document: Json) -> None:
        lines = step(document, name)["inputs"]["runCommand"]
        lines[lines.index(old)] = new

    return mutate


def code(name: str, old: str, new: str) -> Callable[[Json], None]:
    def mutate(document: Json) -> None:
        inputs = step(document, name)["inputs"]
        assert old in inputs["Script"]
        inputs["Script"] = inputs["Script"].replace(old, new, 1)

    return mutate


def twice(document: Json) -> None:
    document["mainSteps"].append(copy.deepcopy(document["mainSteps"][1]))


def bad_selector(document: Json) -> None:
    step(document, "judge")["outputs"][1]["Selector"] = "Payload.verdict"


def go_round(document: Json) -> None:
    del step(document, "healthy")["isEnd"]
    step(document, "healthy")["nextStep"] = "healthy"


def add_step(document: Json) -> None:
    document["mainSteps"].append(
        {"name": "lost", "action": "aws:sleep", "inputs": {"Duration": "PT1S"}, "isEnd": True}
    )


def add_parameter(document: Json) -> None:
    document["parameters"]["Nobody"] = {
        "type": "String",
        "description": "asks for it",
        "allowedValues": ["a"],
    }


RUN, MEND = "NodeCheck-Run", "NodeCheck-Mend"
INSTALL = "NodeCheck-InstallAndRun"
PLATFORM = ("linux", "precondition")
CHOICE = {"NextStep": "act", "Variable": "{{ ApprovedBy }}"}

MISTAKES: list[tuple[str, str, Callable[[Json], None]]] = [
    ("too-large", RUN, put("document", "description", value="x" * 65_536)),
    ("schema-version", RUN, put("document", "schemaVersion", value="2.1")),
    ("unknown-member", RUN, put("document", "steps", value=[])),
    ("unknown-member", RUN, parameter("Only", alowedPattern="^a$")),
    ("no-description", MEND, drop("document", "description")),
    ("no-description", RUN, parameter("Only", description=None)),
    ("parameter-type", MEND, parameter("NodeId", type="Text")),
    ("parameter-unbounded", MEND, parameter("NodeId", allowedPattern=None)),
    ("parameter-unbounded", INSTALL, parameter("Package", allowedPattern=None)),
    ("pattern-open", INSTALL, parameter("Package", allowedPattern="[A-Za-z]+")),
    ("pattern-open", MEND, parameter("NodeId", allowedPattern="^i-[0-9a-f]+")),
    ("pattern-broken", INSTALL, parameter("Package", allowedPattern="^[a-z$")),
    ("default-refused", RUN, parameter("SplaySeconds", default="none")),
    ("default-refused", RUN, parameter("FailOn", default="error")),
    ("parameter-unused", RUN, add_parameter),
    ("reference-unknown", INSTALL, put("install", "inputs", "version", value="{{ Version }}")),
    ("reference-unknown", MEND, put("check", "inputs", "Comment", value="{{ judge.Advise }}")),
    ("reference-unknown", MEND, put("document", "assumeRole", value="{{ Role }}{{ NodeId }}")),
    ("reference-unknown", MEND, put("document", "outputs", value=["judge.Nothing"])),
    ("interpolation", INSTALL, parameter("Package", interpolationType="RAW")),
    ("interpolation", MEND, parameter("NodeId", interpolationType="ENV_VAR")),
    ("step-name", RUN, put("linux", "name", value="on linux")),
    ("step-name", RUN, twice),
    ("step-unknown-member", RUN, put("linux", "nextSteps", value="windows")),
    ("step-unknown-member", MEND, put("check", "next", value="judge")),
    ("action-unknown", INSTALL, put("install", "action", value="aws:configurePackages")),
    ("action-unknown", MEND, put("settle", "action", value="aws:wait")),
    ("input-missing", INSTALL, drop("install", "inputs", "action")),
    ("input-missing", MEND, drop("check", "inputs", "DocumentName")),
    ("input-unknown", RUN, put("linux", "inputs", "timeoutSecond", value="60")),
    ("input-unknown", MEND, put("check", "inputs", "InstanceId", value="{{ NodeId }}")),
    ("input-value", INSTALL, put("install", "inputs", "action", value="Update")),
    ("input-value", RUN, put("windows", "inputs", "runCommand", value="exit $LASTEXITCODE")),
    ("input-value", MEND, put("settle", "inputs", "Timestamp", value="2026-11-23T00:00:00Z")),
    ("precondition", RUN, put(*PLATFORM, value={"StringEquals": ["platformType", "linux"]})),
    ("precondition", RUN, put(*PLATFORM, value={"StringLike": ["platformType", "Linux"]})),
    (
        "precondition",
        INSTALL,
        put("install", "precondition", value={"StringEquals": ["{{ Package }}", "a;b"]}),
    ),
    (
        "precondition",
        INSTALL,
        put("install", "precondition", value={"StringEquals": ["{{ FailOn }}", "never"]}),
    ),
    ("platform", RUN, drop(*PLATFORM)),
    ("platform", RUN, put(*PLATFORM, value={"StringEquals": ["platformType", "Windows"]})),
    ("injection", RUN, parameter("Only", interpolationType=None)),
    ("injection", MEND, code("judge", "import time", "import time  # {{ NodeId }}")),
    ("injection-place", RUN, script("linux", old="{{ Only }}", new="Only='{{ Only }}'")),
    ("injection-place", RUN, script("windows", old="{{ Only }}", new=" {{ Only }}")),
    ("injection-place", RUN, script("windows", old="if (-not $Only) { $Only = @'", new='$Only=@"')),
    ("pattern-wide", RUN, parameter("Only", allowedPattern="^[^;]*$")),
    ("pattern-wide", RUN, parameter("Only", allowedPattern="^.*$")),
    ("pattern-wide", RUN, parameter("Only", allowedPattern="^[a-z -]+$")),
    ("exit-code", RUN, script("windows", old="exit $LASTEXITCODE", new="exit 0")),
    ("timeout", RUN, put("linux", "inputs", "timeoutSeconds", value="4")),
    ("timeout", RUN, put("linux", "inputs", "timeoutSeconds", value=1800)),
    ("timeout", MEND, put("check", "timeoutSeconds", value="900")),
    ("target-unknown", MEND, put("settle", "nextStep", value="onlin")),
    ("target-unknown", MEND, put("mendClock", "onFailure", value="step:nowhere")),
    ("unreachable", MEND, add_step),
    ("no-end", MEND, go_round),
    ("end-and-next", MEND, put("needsPerson", "nextStep", value="healthy")),
    ("on-failure", MEND, put("check", "onFailure", value="Ignore")),
    ("branch", MEND, put("permit", "inputs", "Choices", value=[CHOICE])),
    ("branch", MEND, drop("act", "inputs", "Default")),
    ("output", MEND, bad_selector),
    ("output-too-early", MEND, put("check", "inputs", "Comment", value="{{ judge.Advice }}")),
    ("script", MEND, code("judge", "def judge(events, _context)", "def judge(events)")),
    ("script", MEND, code("judge", "def judge(events, _context):", "def judge(events, _context)")),
    ("script", MEND, put("judge", "inputs", "Handler", value="judge_it")),
    ("runtime", MEND, put("judge", "inputs", "Runtime", value="python3.8")),
    ("approvers", MEND, put("approve", "inputs", "MinRequiredApprovals", value=2)),
    ("approvers", MEND, put("approve", "inputs", "Approvers", value=[])),
    ("called-parameter", MEND, put("check", "inputs", "Parameters", "Details", value=["json"])),
    ("called-parameter", MEND, put("check", "inputs", "Parameters", "Detail", value=["xml"])),
    ("called-parameter", MEND, put("check", "inputs", "Parameters", "Detail", value="json")),
]

SIDE_EFFECTS = {
    "step-name": {"platform"},
    "action-unknown": {"input-missing"},
    "precondition": {"parameter-unused"},
    "reference-unknown": {"parameter-unused"},
    "target-unknown": {"unreachable", "no-end"},
    "approvers": {"parameter-unused"},
    "branch": {"unreachable", "parameter-unused", "output-too-early"},
}
"""What else is wrong with a document that has the mistake."""


@pytest.mark.parametrize("name", sorted(CALLED))
def test_our_documents_have_no_fault(name: str) -> None:
    assert faults(CALLED[name], CALLED) == []


@pytest.mark.parametrize(
    ("rule", "name", "mutate"),
    MISTAKES,
    ids=[f"{rule}-{number}" for number, (rule, _, _) in enumerate(MISTAKES)],
)
def test_one_mistake_is_found_by_its_rule(
    rule: str, name: str, mutate: Callable[[Json], None]
) -> None:
    document = copy.deepcopy(CALLED[name])
    mutate(document)
    found = {fault.rule for fault in faults(document, CALLED)}
    assert rule in found
    assert found - {rule} <= SIDE_EFFECTS.get(rule, set())


def test_every_rule_has_a_mistake() -> None:
    assert {rule for rule, _, _ in MISTAKES} == set(RULES)


def test_an_approval_or_a_window_stands_before_all_that_interrupts() -> None:
    document = copy.deepcopy(CALLED[MEND])
    changing = {"updateAgent", "restartAgent"}
    permitting = {"approve", "permit"}
    steps = {item["name"]: item for item in document["mainSteps"]}
    window = steps["permit"]["inputs"]["Choices"]
    assert [choice["StringEquals"] for choice in window] == ["maintenance-window"]
    leading = {
        item["name"]
        for item in document["mainSteps"]
        if changing & {choice["NextStep"] for choice in item["inputs"].get("Choices", [])}
    }
    assert leading == {"act"}
    to_act = {
        item["name"]
        for item in document["mainSteps"]
        if item.get("nextStep") == "act"
        or "act" in [choice["NextStep"] for choice in item["inputs"].get("Choices", [])]
    }
    assert to_act == permitting
    assert document["parameters"]["ApprovedBy"]["default"] == "person"


def test_the_gate_step_fits_into_a_runbook_that_builds_images() -> None:
    gate = json.loads((DOCUMENTS / "image-gate-step.json").read_text())
    document: Json = {
        "schemaVersion": "0.3",
        "description": "Build an image",
        "parameters": {
            "Source": {
                "type": "String",
                "description": "AMI",
                "allowedPattern": "^ami-[0-9a-f]{8,17}$",
            }
        },
        "mainSteps": [
            {
                "name": "launchInstance",
                "action": "aws:runInstances",
                "inputs": {"ImageId": "{{ Source }}"},
            },
            gate,
            {
                "name": "createImage",
                "action": "aws:createImage",
                "inputs": {"InstanceId": "{{ launchInstance.InstanceIds }}", "ImageName": "new"},
                "isEnd": True,
            },
        ],
    }
    assert faults(document, CALLED) == []
