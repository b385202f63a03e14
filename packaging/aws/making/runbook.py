"""The Automation runbook (schema 0.3): check, mend the root cause, check again.

A clock is set right by the node's own daemon at once. What interrupts commands (a new agent, a
restart) waits for a person's approval, unless a maintenance window started the runbook. What
touches proof (signature, files, identity) is never mended here: it ends as failed, for a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from making.places import SOURCE

if TYPE_CHECKING:
    from making.documents import Document

NAME: Final = "^[A-Za-z0-9_.-]{3,128}$"
ROLE: Final = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}$"
TOPIC: Final = "^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$"
APPROVER: Final = "^arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:[A-Za-z0-9+=,.@_/-]{1,512}$"


def runbook() -> Document:
    """Return the document."""
    return {
        "schemaVersion": "0.3",
        "description": "Check one node, mend the root cause of its verdict, and check it again.",
        "assumeRole": "{{ AutomationAssumeRole }}",
        "parameters": _parameters(),
        "mainSteps": [*_look(), *_permit(), *_mend(), *_ends()],
        "outputs": ["judge.Advice", "judge.Verdict", "judge.Summary"],
    }


def _parameters() -> Document:
    return {
        "NodeId": _parameter("Managed node", "^m?i-[0-9a-f]{8,17}$"),
        "AutomationAssumeRole": _parameter("Role that this runbook acts with", ROLE),
        "ApprovedBy": {
            "type": "String",
            "description": "Who allows what interrupts commands: a person, asked in this run, or"
            " the maintenance window that started it",
            "default": "person",
            "allowedValues": ["person", "maintenance-window"],
        },
        "Approver": _parameter("User or role who may approve", APPROVER),
        "Topic": _parameter("SNS topic that asks for the approval", TOPIC),
        "RunDocument": _parameter("Command document that checks", NAME, "NodeCheck-Run"),
        "RepairDocument": _parameter("Command document that mends", NAME, "NodeCheck-Repair"),
    }


def _parameter(description: str, pattern: str, default: str = "") -> Document:
    given = {"default": default} if default else {}
    return {"type": "String", "description": description, **given, "allowedPattern": pattern}


def _look() -> list[Document]:
    return [
        {
            **_check("check", {"Detail": ["json"], "FailOn": ["never"]}),
            "nextStep": "judge",
        },
        _judge(),
        _branch(
            "choose",
            {"none": "healthy", "mend-clock": "mendClock"}
            | {"update-agent": "permit", "restart-agent": "permit"},
            variable="judge.Advice",
            default="needsPerson",
        ),
    ]


def _permit() -> list[Document]:
    return [
        _branch("permit", {"maintenance-window": "act"}, variable="ApprovedBy", default="approve"),
        {
            "name": "approve",
            "action": "aws:approve",
            "timeoutSeconds": 86400,
            "onFailure": "Abort",
            "inputs": {
                "NotificationArn": "{{ Topic }}",
                "Message": "nodecheck: {{ judge.Advice }} on {{ NodeId }}? It interrupts commands"
                " that run there. {{ judge.Summary }}",
                "MinRequiredApprovals": 1,
                "Approvers": ["{{ Approver }}"],
            },
            "nextStep": "act",
        },
        _branch(
            "act",
            {"update-agent": "updateAgent", "restart-agent": "restartAgent"},
            variable="judge.Advice",
            default="needsPerson",
        ),
    ]


def _mend() -> list[Document]:
    repair = "{{ RepairDocument }}"
    return [
        _change("mendClock", repair, {"Action": ["mend-clock"]}),
        _change("updateAgent", "AWS-UpdateSSMAgent", {"allowDowngrade": ["false"]}),
        _change("restartAgent", repair, {"Action": ["restart-agent"]}),
        {
            "name": "settle",
            "action": "aws:sleep",
            "inputs": {"Duration": "PT2M"},
            "nextStep": "online",
        },
        {
            "name": "online",
            "action": "aws:waitForAwsResourceProperty",
            "timeoutSeconds": 900,
            "onFailure": "step:needsPerson",
            "inputs": {
                "Service": "ssm",
                "Api": "DescribeInstanceInformation",
                "Filters": [{"Key": "InstanceIds", "Values": ["{{ NodeId }}"]}],
                "PropertySelector": "$.InstanceInformationList[0].PingStatus",
                "DesiredValues": ["Online"],
            },
            "nextStep": "checkAgain",
        },
    ]


def _ends() -> list[Document]:
    again = _check("checkAgain", {"Detail": ["line"], "FailOn": ["unknown"]})
    return [
        {**again, "isEnd": True},
        {"name": "healthy", "action": "aws:sleep", "inputs": {"Duration": "PT1S"}, "isEnd": True},
        _refuse("needsPerson"),
    ]


def _check(name: str, parameters: Document) -> Document:
    step = _command(name, "{{ RunDocument }}", {**parameters, "DeadlineSeconds": ["60"]})
    return {**step, "onFailure": "Abort", "isCritical": True}


def _command(name: str, document: str, parameters: Document) -> Document:
    """Return a step that runs a command on the node."""
    return {
        "name": name,
        "action": "aws:runCommand",
        "timeoutSeconds": 900,
        "inputs": {
            "DocumentName": document,
            "InstanceIds": ["{{ NodeId }}"],
            "Parameters": parameters,
        },
    }


def _change(name: str, document: str, parameters: Document) -> Document:
    """Return a step that changes the node; whether it helped, the check after it tells."""
    step = _command(name, document, parameters)
    return {**step, "onFailure": "step:settle", "isCritical": False, "nextStep": "settle"}


def _script(name: str, source: str, payload: Document) -> Document:
    return {
        "name": name,
        "action": "aws:executeScript",
        "timeoutSeconds": 120,
        "onFailure": "Abort",
        "inputs": {
            "Runtime": "python3.11",
            "Handler": source,
            "InputPayload": payload,
            "Script": (SOURCE / f"{source}.py").read_text(),
        },
    }


def _judge() -> Document:
    payload: Document = {"CommandId": "{{ check.CommandId }}", "NodeId": "{{ NodeId }}"}
    outputs = [
        {"Name": word.capitalize(), "Selector": f"$.Payload.{word}", "Type": "String"}
        for word in ("advice", "verdict", "summary")
    ]
    return {**_script("judge", "judge", payload), "outputs": outputs, "nextStep": "choose"}


def _refuse(name: str) -> Document:
    payload: Document = {"Advice": "{{ judge.Advice }}", "Summary": "{{ judge.Summary }}"}
    return {**_script(name, "refuse", payload), "isEnd": True}


def _branch(name: str, choices: dict[str, str], *, variable: str, default: str) -> Document:
    return {
        "name": name,
        "action": "aws:branch",
        "inputs": {
            "Choices": [
                {"NextStep": step, "Variable": "{{ " + variable + " }}", "StringEquals": value}
                for value, step in choices.items()
            ],
            "Default": default,
        },
    }
