"""What reaches the nodes: documents, associations and the maintenance window."""

from __future__ import annotations

from typing import Any, Final

Resource = dict[str, Any]

TARGETS: Final = [{"Key": {"Fn::Sub": "tag:${TagKey}"}, "Values": [{"Ref": "TagValue"}]}]
RATE: Final = {"MaxConcurrency": {"Ref": "MaxConcurrency"}, "MaxErrors": {"Ref": "MaxErrors"}}


def fleet(documents: dict[str, Resource]) -> Resource:
    """Return the resources."""
    made: Resource = {}
    for name, content in documents.items():
        short = name.removeprefix("NodeCheck-")
        made[f"{short}Document"] = _document(short, content)
    return {
        **made,
        "InstallAssociation": _install(),
        "CheckAssociation": _check(),
        "AgentUpdateAssociation": _agent_update(),
        **_window(),
    }


def _document(short: str, content: Resource) -> Resource:
    kind = "Automation" if content["schemaVersion"] == "0.3" else "Command"
    target = {} if kind == "Automation" else {"TargetType": "/AWS::EC2::Instance"}
    return {
        "Type": "AWS::SSM::Document",
        "Properties": {
            "Name": {"Fn::Sub": "${Prefix}-" + short},
            "DocumentType": kind,
            "DocumentFormat": "JSON",
            **target,
            "UpdateMethod": "NewVersion",
            "Content": in_one_text(content),
        },
    }


def in_one_text(content: Resource) -> Resource:
    """Return a document whose scripts are one text each, which YAML shows as it is."""
    steps = content["mainSteps"]
    if not isinstance(steps, list):
        raise TypeError
    return {**content, "mainSteps": [_joined(step) for step in steps]}


def _joined(step: Resource) -> Resource:
    inputs = step["inputs"]
    if not isinstance(inputs, dict) or "runCommand" not in inputs:
        return step
    return {**step, "inputs": {**inputs, "runCommand": ["\n".join(inputs["runCommand"])]}}


def _check() -> Resource:
    """Return the schedule of the checks.

    The agent runs a rate association at its own phase, a cron one on all nodes in one minute; an
    offset of days (ScheduleOffset) exists for cron only.
    """
    names = ("Reports", "FailOn", "SplaySeconds")
    return {
        "Type": "AWS::SSM::Association",
        "Properties": {
            "AssociationName": {"Fn::Sub": "${Prefix}-check"},
            "Name": {"Ref": "RunDocument"},
            "DocumentVersion": "$LATEST",
            "Parameters": {name: [{"Ref": name}] for name in names},
            "ScheduleExpression": {"Fn::Sub": "rate(${EveryMinutes} minutes)"},
            "Targets": TARGETS,
            **RATE,
            "ComplianceSeverity": "HIGH",
            "SyncCompliance": "AUTO",
            "OutputLocation": _if("HasOutputBucket", _output("nodecheck")),
        },
    }


def _install() -> Resource:
    """Return the schedule of the package: at once on a new node, and every day its new version."""
    return {
        "Type": "AWS::SSM::Association",
        "Condition": "FromDistributor",
        "Properties": {
            "AssociationName": {"Fn::Sub": "${Prefix}-install"},
            "Name": "AWS-ConfigureAWSPackage",
            "Parameters": {
                "action": ["Install"],
                "installationType": ["In-place update"],
                "name": [{"Ref": "Package"}],
            },
            "ScheduleExpression": "rate(1 day)",
            "Targets": TARGETS,
            "MaxConcurrency": {"Ref": "MaxConcurrency"},
            "MaxErrors": "5%",
            "ComplianceSeverity": "MEDIUM",
            "SyncCompliance": "AUTO",
            "OutputLocation": _if("HasOutputBucket", _output("install")),
        },
    }


def _agent_update() -> Resource:
    return {
        "Type": "AWS::SSM::Association",
        "Condition": "UpdatesAgent",
        "Properties": {
            "AssociationName": {"Fn::Sub": "${Prefix}-agent-update"},
            "Name": "AWS-UpdateSSMAgent",
            "Parameters": {"allowDowngrade": ["false"]},
            "ScheduleExpression": "cron(0 4 ? * TUE#2 *)",
            "ApplyOnlyAtCronInterval": True,
            "ScheduleOffset": {"Ref": "UpdateOffsetDays"},
            "Targets": TARGETS,
            "MaxConcurrency": {"Ref": "MaxConcurrency"},
            "MaxErrors": "5%",
            "ComplianceSeverity": "MEDIUM",
            "SyncCompliance": "AUTO",
            "OutputLocation": _if("HasOutputBucket", _output("agent-update")),
        },
    }


def _output(prefix: str) -> Resource:
    return {
        "S3Location": {
            "OutputS3BucketName": {"Ref": "OutputBucket"},
            "OutputS3KeyPrefix": prefix,
            "OutputS3Region": {"Ref": "AWS::Region"},
        }
    }


def _if(condition: str, value: object) -> Resource:
    return {"Fn::If": [condition, value, {"Ref": "AWS::NoValue"}]}


def _window() -> Resource:
    """Return the window in which the runbook may do what interrupts commands."""
    given = {
        "NodeId": ["{{ TARGET_ID }}"],
        "AutomationAssumeRole": [{"Fn::GetAtt": ["AutomationRole", "Arn"]}],
        "ApprovedBy": ["maintenance-window"],
        "Approver": [{"Fn::GetAtt": ["AutomationRole", "Arn"]}],
        "Topic": [{"Ref": "AlarmTopic"}],
        "RunDocument": [{"Ref": "RunDocument"}],
        "RepairDocument": [{"Ref": "RepairDocument"}],
    }
    return {
        "Window": {
            "Type": "AWS::SSM::MaintenanceWindow",
            "Condition": "MendsInWindow",
            "Properties": {
                "Name": {"Fn::Sub": "${Prefix}-mend"},
                "Description": "Mends what nodecheck found, also what interrupts commands",
                "Schedule": {"Ref": "WindowSchedule"},
                "ScheduleTimezone": "UTC",
                "Duration": 3,
                "Cutoff": 1,
                "AllowUnassociatedTargets": False,
            },
        },
        "WindowTarget": {
            "Type": "AWS::SSM::MaintenanceWindowTarget",
            "Condition": "MendsInWindow",
            "Properties": {
                "WindowId": {"Ref": "Window"},
                "ResourceType": "INSTANCE",
                "Targets": TARGETS,
            },
        },
        "WindowTask": {
            "Type": "AWS::SSM::MaintenanceWindowTask",
            "Condition": "MendsInWindow",
            "Properties": {
                "WindowId": {"Ref": "Window"},
                "TaskType": "AUTOMATION",
                "TaskArn": {"Ref": "MendDocument"},
                "ServiceRoleArn": {"Fn::GetAtt": ["WindowRole", "Arn"]},
                "Targets": [{"Key": "WindowTargetIds", "Values": [{"Ref": "WindowTarget"}]}],
                "MaxConcurrency": {"Ref": "MaxConcurrency"},
                "MaxErrors": "10%",
                "Priority": 1,
                "CutoffBehavior": "CONTINUE_TASK",
                "TaskInvocationParameters": {
                    "MaintenanceWindowAutomationParameters": {
                        "DocumentVersion": "$LATEST",
                        "Parameters": given,
                    }
                },
            },
        },
    }
