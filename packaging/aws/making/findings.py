"""Findings of Security Hub, made centrally from the changes of compliance.

Nodes get no right to write findings: 100,000 of them would take hours at the 10 calls a second that
an account has, and each could write what it likes. Systems Manager tells EventBridge that a node's
compliance changed (that of the association, or of Custom:NodeCheck), and the function reads why.
"""

from __future__ import annotations

from typing import Any

from making.places import SOURCE
from making.rights import allow, arn, role

Resource = dict[str, Any]


def findings() -> Resource:
    """Return the resources, all of them only where Security Hub is wanted."""
    made: Resource = {
        "FindingsRole": role("lambda.amazonaws.com", _rights()),
        "FindingsFunction": _function(),
        "FindingsLogGroup": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {
                "LogGroupName": {"Fn::Sub": "/aws/lambda/${FindingsFunction}"},
                "RetentionInDays": {"Ref": "RetentionDays"},
            },
        },
        "FindingsRule": _rule(),
        "FindingsPermission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": {"Ref": "FindingsFunction"},
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
                "SourceArn": {"Fn::GetAtt": ["FindingsRule", "Arn"]},
            },
        },
        "FindingsLost": {
            "Type": "AWS::SQS::Queue",
            "Properties": {"MessageRetentionPeriod": 1209600, "SqsManagedSseEnabled": True},
        },
    }
    for resource in made.values():
        if isinstance(resource, dict):
            resource["Condition"] = "HasSecurityHub"
    return made


def _rights() -> list[Resource]:
    return [
        allow(["ssm:ListComplianceItems"], ["*"]),
        allow(
            ["securityhub:BatchImportFindings"],
            [arn("securityhub:${AWS::Region}:${AWS::AccountId}:product/${AWS::AccountId}/default")],
        ),
        allow(["sqs:SendMessage"], [{"Fn::GetAtt": ["FindingsLost", "Arn"]}]),
        allow(
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [arn("logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/lambda/*:*")],
        ),
    ]


def _function() -> Resource:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Description": "Turns the compliance of a node into findings of Security Hub",
            "Runtime": "python3.12",
            "Architectures": ["arm64"],
            "Handler": "index.handle",
            "Role": {"Fn::GetAtt": ["FindingsRole", "Arn"]},
            "Timeout": 60,
            "MemorySize": 128,
            "DeadLetterConfig": {"TargetArn": {"Fn::GetAtt": ["FindingsLost", "Arn"]}},
            "Environment": {
                "Variables": {
                    "PARTITION": {"Ref": "AWS::Partition"},
                    "AWS_RETRY_MODE": "standard",
                    "AWS_MAX_ATTEMPTS": "8",
                }
            },
            "Code": {"ZipFile": (SOURCE / "findings.py").read_text()},
        },
    }


def _rule() -> Resource:
    return {
        "Type": "AWS::Events::Rule",
        "Properties": {
            "Description": "The compliance of a node changed",
            "EventPattern": {
                "source": ["aws.ssm"],
                "detail-type": ["Configuration Compliance State Change"],
                "detail": {"compliance-type": ["Custom:NodeCheck", "Association"]},
            },
            "Targets": [{"Id": "findings", "Arn": {"Fn::GetAtt": ["FindingsFunction", "Arn"]}}],
        },
    }
