"""Who may do what, and nothing else: the nodes' policy, and the roles of runbook and window."""

from __future__ import annotations

from typing import Any, Final

Resource = dict[str, Any]

REPORT: Final = [
    {
        "Effect": "Allow",
        "Action": ["logs:PutLogEvents", "logs:CreateLogStream"],
        "Resource": {
            "Fn::Sub": "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}"
            ":log-group:${LogGroupName}:log-stream:*"
        },
    },
    {
        "Effect": "Allow",
        "Action": ["cloudwatch:PutMetricData"],
        "Resource": "*",
        "Condition": {"StringEquals": {"cloudwatch:namespace": {"Ref": "Namespace"}}},
    },
    {
        "Effect": "Allow",
        "Action": ["ssm:PutComplianceItems"],
        "Resource": [
            {"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/*"},
            {
                "Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}"
                ":managed-instance/*"
            },
        ],
    },
]
"""What ``nodecheck iam --report cloudwatch,cloudwatch-metrics,compliance`` prints, by account."""


def rights() -> Resource:
    """Return the resources."""
    return {
        "ReportPolicy": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "Description": "Lets a node send nodecheck's reports",
                "PolicyDocument": {"Version": "2012-10-17", "Statement": REPORT},
                "Roles": {
                    "Fn::If": [
                        "HasInstanceRoles",
                        {"Ref": "InstanceRoles"},
                        {"Ref": "AWS::NoValue"},
                    ]
                },
            },
        },
        "AutomationRole": role("ssm.amazonaws.com", _mending()),
        "WindowRole": {
            **role("ssm.amazonaws.com", _starting()),
            "Condition": "MendsInWindow",
        },
    }


def role(service: str, statements: list[Resource]) -> Resource:
    """Return a role that a service takes for this account only."""
    trust: Resource = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if service != "lambda.amazonaws.com":
        trust["Condition"] = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [
                {
                    "PolicyName": "nodecheck",
                    "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
                }
            ],
        },
    }


def arn(rest: str) -> Resource:
    """Return an ARN of this partition."""
    return {"Fn::Sub": "arn:${AWS::Partition}:" + rest}


def allow(actions: list[str], resources: list[object], **more: object) -> Resource:
    """Return one statement."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def _mending() -> list[Resource]:
    return [
        allow(
            ["ssm:SendCommand"],
            [
                arn("ssm:${AWS::Region}:${AWS::AccountId}:document/${RunDocument}"),
                arn("ssm:${AWS::Region}:${AWS::AccountId}:document/${RepairDocument}"),
                arn("ssm:${AWS::Region}::document/AWS-UpdateSSMAgent"),
                arn("ec2:${AWS::Region}:${AWS::AccountId}:instance/*"),
                arn("ssm:${AWS::Region}:${AWS::AccountId}:managed-instance/*"),
            ],
        ),
        allow(
            [
                "ssm:ListCommands",
                "ssm:ListCommandInvocations",
                "ssm:GetCommandInvocation",
                "ssm:DescribeInstanceInformation",
            ],
            ["*"],
        ),
        allow(["sns:Publish"], [{"Ref": "AlarmTopic"}]),
    ]


def _starting() -> list[Resource]:
    return [
        allow(
            ["ssm:StartAutomationExecution"],
            [arn("ssm:${AWS::Region}:${AWS::AccountId}:automation-definition/${MendDocument}:*")],
        ),
        allow(
            ["iam:PassRole"],
            [{"Fn::GetAtt": ["AutomationRole", "Arn"]}],
            Condition={"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}},
        ),
    ]
