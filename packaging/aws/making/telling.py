"""What tells people: log group, queries and alarms, and the dashboard beside them."""

from __future__ import annotations

from typing import Any, Final

from making.dashboard import HOUR, PLATFORMS, by_widget, dashboard
from making.places import QUERIES

Resource = dict[str, Any]

KEY_PATTERN: Final = (
    '{ ($.checks.agent.signing-key = "warn*") || ($.checks.agent.signing-key = "crit*") }'
)


def telling() -> Resource:
    """Return the resources."""
    return {
        "LogGroup": {
            "Type": "AWS::Logs::LogGroup",
            "Properties": {
                "LogGroupName": {"Ref": "LogGroupName"},
                "LogGroupClass": "STANDARD",
                "RetentionInDays": {"Ref": "RetentionDays"},
            },
        },
        "AlarmTopic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {"DisplayName": "nodecheck"},
        },
        "AlarmEmailSubscription": {
            "Type": "AWS::SNS::Subscription",
            "Condition": "HasEmail",
            "Properties": {
                "TopicArn": {"Ref": "AlarmTopic"},
                "Protocol": "email",
                "Endpoint": {"Ref": "AlarmEmail"},
            },
        },
        **_queries(),
        **_alarms(),
        "Dashboard": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {
                "DashboardName": {"Fn::Sub": "${Prefix}-${AWS::Region}"},
                "DashboardBody": {
                    "Fn::Sub": by_widget(
                        dashboard("${AWS::Region}", "${LogGroupName}", "${Namespace}")
                    )
                },
            },
        },
    }


def _queries() -> Resource:
    made: Resource = {}
    for path in sorted(QUERIES.glob("*.txt")):
        title = "".join(word.capitalize() for word in path.stem.split("-"))
        made[f"{title}Query"] = {
            "Type": "AWS::Logs::QueryDefinition",
            "Properties": {
                "Name": {"Fn::Sub": "${Prefix}/" + path.stem},
                "LogGroupNames": [{"Ref": "LogGroup"}],
                "QueryString": path.read_text(),
            },
        }
    return made


def _metric(name: str, platform: str, statistic: str, identity: str) -> Resource:
    return {
        "Id": identity,
        "ReturnData": False,
        "MetricStat": {
            "Metric": {
                "Namespace": {"Ref": "Namespace"},
                "MetricName": name,
                "Dimensions": [{"Name": "Platform", "Value": platform}],
            },
            "Period": HOUR,
            "Stat": statistic,
        },
    }


def _alarm(condition: str, about: str, missing: str, **rest: object) -> Resource:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Condition": condition,
        "Properties": {
            "AlarmDescription": about,
            **rest,
            "TreatMissingData": missing,
            "AlarmActions": [{"Ref": "AlarmTopic"}],
            "OKActions": [{"Ref": "AlarmTopic"}],
        },
    }


def _sum_alarm(
    condition: str, about: str, namespace: object, metric: str, **rest: object
) -> Resource:
    return _alarm(
        condition,
        about,
        "notBreaching",
        Namespace=namespace,
        MetricName=metric,
        Period=HOUR,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        **rest,
    )


def _alarms() -> Resource:
    made: Resource = {}
    for name, platform in PLATFORMS.items():
        made |= _platform_alarms(name, platform)
    made["SigningKeyFilter"] = {
        "Type": "AWS::Logs::MetricFilter",
        "Properties": {
            "LogGroupName": {"Ref": "LogGroup"},
            "FilterPattern": KEY_PATTERN,
            "MetricTransformations": [
                {
                    "MetricNamespace": {"Ref": "Namespace"},
                    "MetricName": "SigningKeyDue",
                    "MetricValue": "1",
                }
            ],
        },
    }
    made["SigningKeyAlarm"] = _sum_alarm(
        "HasNodes",
        "The newest signing key known to nodecheck expires within 60 days: update nodecheck",
        {"Ref": "Namespace"},
        "SigningKeyDue",
        Statistic="Sum",
    )
    made["FindingsLostAlarm"] = _sum_alarm(
        "HasSecurityHub",
        "Findings did not reach Security Hub; the events wait in the queue",
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": {"Fn::GetAtt": ["FindingsLost", "QueueName"]}}],
        Statistic="Maximum",
    )
    return made


def _platform_alarms(name: str, platform: str) -> Resource:
    condition, nodes = f"Has{name}", f"${{{name}Nodes}}"
    heard = {
        "Id": "heard",
        "Label": "share of nodes heard, %",
        "Expression": {"Fn::Sub": f"100 * runs * ${{EveryMinutes}} / 60 / {nodes}"},
    }
    critical = {
        "Id": "critical",
        "Label": "critical nodes",
        "Expression": {"Fn::Sub": "crit * ${EveryMinutes} / 60"},
    }
    return {
        f"Silent{name}Alarm": _alarm(
            condition,
            f"Fewer {name} nodes report than expected: see the query silent-nodes",
            "breaching",
            Metrics=[heard, _metric("Runs", platform, "Sum", "runs")],
            EvaluationPeriods=2,
            Threshold={"Ref": "HeardPercent"},
            ComparisonOperator="LessThanThreshold",
        ),
        f"Crit{name}Alarm": _alarm(
            condition,
            f"{name} nodes are critical: see the dashboard",
            "notBreaching",
            Metrics=[critical, _metric("Crit", platform, "Sum", "crit")],
            EvaluationPeriods=1,
            Threshold={"Ref": "CritNodes"},
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        ),
        f"Skew{name}Alarm": _alarm(
            condition,
            f"1 % of the clocks of {name} nodes are off: see the query worst-clocks",
            "notBreaching",
            Namespace={"Ref": "Namespace"},
            MetricName="ClockOffsetAbs",
            Dimensions=[{"Name": "Platform", "Value": platform}],
            ExtendedStatistic="p99",
            Period=HOUR,
            EvaluationPeriods=1,
            Threshold={"Ref": "SkewSeconds"},
            ComparisonOperator="GreaterThanThreshold",
        ),
    }
