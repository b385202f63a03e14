"""The CloudFormation template: its parameters, and the resources of the other modules together."""

from __future__ import annotations

from typing import Any, Final

from making.findings import findings
from making.fleet import fleet
from making.parameters import SINKS
from making.rights import rights
from making.telling import telling

Resource = dict[str, Any]

YES_NO: Final = {"AllowedValues": ["yes", "no"]}


def stack(documents: dict[str, Resource]) -> Resource:
    """Return the template."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "nodecheck for a fleet: documents, schedules, alarms, dashboard, findings",
        "Parameters": _parameters(),
        "Conditions": _conditions(),
        "Resources": {**fleet(documents), **rights(), **telling(), **findings()},
        "Outputs": _outputs(),
    }


def _parameters() -> Resource:
    rate = "^[1-9][0-9]{0,2}%?$"
    return {
        "Prefix": _text(
            "Begins the name of every document", "NodeCheck", "^[A-Za-z][A-Za-z0-9-]{2,40}$"
        ),
        "TagKey": _text(
            "Nodes with this tag are checked", "NodeCheck", "^[A-Za-z0-9_.:/=+@-]{1,128}$"
        ),
        "TagValue": _text("... and this value of it", "on", "^[A-Za-z0-9_.:/=+@-]{1,256}$"),
        "Install": _text(
            "Where a node gets nodecheck: distributor (the package Package), or none (it is there)",
            "distributor",
            values=["distributor", "none"],
        ),
        "Package": _text("Distributor package", "NodeCheck", "^[A-Za-z0-9_.:/-]{1,200}$"),
        "Reports": _text(
            "Sinks of each run, with commas", "cloudwatch,compliance", f"^{SINKS}(,{SINKS})*$"
        ),
        "FailOn": _text(
            "The mildest verdict that makes the association non-compliant",
            "crit",
            values=["warn", "unknown", "crit", "never"],
        ),
        "EveryMinutes": _number("Minutes between two runs", 30, [30, 60]),
        "SplaySeconds": _text(
            "Spread reports over; 300 beyond 10,000 nodes", "60", "^(0|[1-9][0-9]{0,2})$"
        ),
        "MaxConcurrency": _text("Nodes at once, a number or a share", "10%", rate),
        "MaxErrors": _text(
            "Failures that end a round of checks, a number or a share (a critical node is one)",
            "100%",
            rate,
        ),
        "OutputBucket": _text(
            "S3 bucket for whole outputs, in this Region; empty: none",
            "",
            "^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$",
        ),
        "InstanceRoles": {
            "Type": "CommaDelimitedList",
            "Description": "Names of the instance roles that get the right to report; empty: none",
            "Default": "",
        },
        "UpdateAgent": {
            **_text("Update the SSM Agent every month (not beside Quick Setup)", "no"),
            **YES_NO,
        },
        "UpdateOffsetDays": _number("Days after the month's second Tuesday", 2, [1, 2, 3, 4, 5, 6]),
        "MendInWindow": {
            **_text("Mend nodes in a maintenance window, also what interrupts commands", "no"),
            **YES_NO,
        },
        "WindowSchedule": _text(
            "When (UTC)", "cron(0 3 ? * SUN *)", r"^(cron|rate)\([A-Za-z0-9 ?*#,/-]{1,100}\)$"
        ),
        "SecurityHub": {**_text("Findings in Security Hub, which must be enabled", "no"), **YES_NO},
        "AlarmEmail": _text(
            "Address for alarms and approvals; empty: none", "", "^([^@ ]{1,64}@[^@ ]{1,190})?$"
        ),
        "LinuxNodes": _count("Linux nodes expected to report; 0: no alarms for Linux"),
        "WindowsNodes": _count("Windows nodes expected to report; 0: no alarms for Windows"),
        "HeardPercent": _limit("Alarm when fewer of them report", 90),
        "CritNodes": _limit("Alarm from so many critical nodes on", 1),
        "SkewSeconds": _limit("Alarm when 1 % of the clocks are further off", 60),
        "LogGroupName": _text(
            "Log group of the reports", "/nodecheck", "^[.A-Za-z0-9_/#-]{1,512}$"
        ),
        "Namespace": _text("Namespace of the metrics", "NodeCheck", "^[A-Za-z0-9._#:/-]{1,255}$"),
        "RetentionDays": _number(
            "Days that reports are kept", 14, [3, 7, 14, 30, 60, 90, 180, 365]
        ),
    }


def _text(
    description: str, default: str, pattern: str = "", values: list[str] | None = None
) -> Resource:
    bounds: Resource = {"AllowedPattern": pattern} if pattern else {}
    if values:
        bounds = {"AllowedValues": values}
    return {"Type": "String", "Description": description, "Default": default, **bounds}


def _number(description: str, default: int, values: list[int]) -> Resource:
    return {
        "Type": "Number",
        "Description": description,
        "Default": default,
        "AllowedValues": values,
    }


def _count(description: str) -> Resource:
    return {"Type": "Number", "Description": description, "Default": 0, "MinValue": 0}


def _limit(description: str, default: int) -> Resource:
    return {"Type": "Number", "Description": description, "Default": default, "MinValue": 1}


def _conditions() -> Resource:
    return {
        "FromDistributor": _equals("Install", "distributor"),
        "HasOutputBucket": _not(_equals("OutputBucket", "")),
        "HasInstanceRoles": _not(
            {"Fn::Equals": [{"Fn::Join": ["", {"Ref": "InstanceRoles"}]}, ""]}
        ),
        "UpdatesAgent": _equals("UpdateAgent", "yes"),
        "MendsInWindow": _equals("MendInWindow", "yes"),
        "HasSecurityHub": _equals("SecurityHub", "yes"),
        "HasEmail": _not(_equals("AlarmEmail", "")),
        "HasLinux": _not(_equals("LinuxNodes", "0")),
        "HasWindows": _not(_equals("WindowsNodes", "0")),
        "HasNodes": {"Fn::Or": [{"Condition": "HasLinux"}, {"Condition": "HasWindows"}]},
    }


def _equals(name: str, value: str) -> Resource:
    return {"Fn::Equals": [{"Ref": name}, value]}


def _not(condition: Resource) -> Resource:
    return {"Fn::Not": [condition]}


def _outputs() -> Resource:
    return {
        "ReportPolicy": {
            "Description": "Managed policy for roles of nodes, the hybrid ones too",
            "Value": {"Ref": "ReportPolicy"},
        },
        "AutomationRole": {
            "Description": "AutomationAssumeRole of the runbook",
            "Value": {"Fn::GetAtt": ["AutomationRole", "Arn"]},
        },
        "AlarmTopic": {"Description": "Gets the alarms", "Value": {"Ref": "AlarmTopic"}},
        "Dashboard": {
            "Description": "The dashboard",
            "Value": {
                "Fn::Sub": "https://${AWS::Region}.console.aws.amazon.com/cloudwatch/home"
                "?region=${AWS::Region}#dashboards:name=${Dashboard}"
            },
        },
    }
