"""The Terraform module: nothing is wrong with it, and it equals the CloudFormation template."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.command_document import AWS
from tests.terraform_module import Block, named, parsed, problems

if TYPE_CHECKING:
    from pathlib import Path

MODULE = AWS / "terraform"
STACK: Block = yaml.safe_load((AWS / "nodecheck.yaml").read_text())
FILES = {path.name: path.read_text() for path in sorted(MODULE.glob("*.tf"))}
WHOLE = parsed(FILES)


def test_nothing_is_wrong_with_the_module() -> None:
    assert problems(FILES) == []


MISTAKES = {
    "unknown": ("schedules.tf", "sync_compliance ", "sync_complianc ", "sync_complianc is unknown"),
    "missing": ("telling.tf", '  protocol  = "email"\n', "", "protocol is missing"),
    "in-block": ("schedules.tf", "s3_region ", "s3_regions ", "output_location: s3_regions is"),
    "block-missing": (
        "telling.tf",
        "    namespace = var.namespace\n    name ",
        "    name ",
        "missing",
    ),
    "variable": ("telling.tf", "var.retention_days", "var.retention", "var.retention is not there"),
    "local": (
        "rights.tf",
        "local.trust_systems_manager",
        "local.trust",
        "local.trust is not there",
    ),
    "resource": ("rights.tf", "aws_sns_topic.alarms", "aws_sns_topic.alarm", "alarm is not there"),
    "data": ("versions.tf", "data.aws_region.here", "data.aws_region.there", "is not there"),
    "unused": ("telling.tf", "threshold           = var.crit_nodes", "threshold = 1", "not used"),
    "index": ("schedules.tf", "aws_iam_role.window[0]", "aws_iam_role.window", "has many"),
    "no-index": ("rights.tf", "aws_sns_topic.alarms.arn", "aws_sns_topic.alarms[0].arn", "has one"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_is_found(name: str) -> None:
    file, old, new, words = MISTAKES[name]
    assert old in FILES[file]
    found = problems(FILES | {file: FILES[file].replace(old, new, 1)})
    assert any(words in problem for problem in found), found


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_terraform_would_write_it_so() -> None:
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", str(MODULE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], ""),
        (["-var=reports=cloudwatch,compliance,inventory"], ""),
        (["-var=reports=cloudwatch; reboot"], "reports is not allowed"),
        (["-var=every_minutes=5"], "every_minutes is not allowed"),
        (["-var=linux_nodes=-1"], "linux_nodes is not allowed"),
    ],
)
def test_terraform_judges_the_variables(tmp_path: Path, given: list[str], words: str) -> None:
    shutil.copy(MODULE / "variables.tf", tmp_path)
    subprocess.run(
        ["terraform", "init", "-backend=false"], cwd=tmp_path, capture_output=True, check=True
    )
    done = subprocess.run(
        ["terraform", "plan", "-no-color", "-input=false", *given],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is not bool(words), done.stdout + done.stderr
    assert words in done.stderr


SAME = {
    "RunDocument": "aws_ssm_document.this",
    "RepairDocument": "aws_ssm_document.this",
    "MendDocument": "aws_ssm_document.this",
    "InstallAssociation": "aws_ssm_association.install",
    "CheckAssociation": "aws_ssm_association.check",
    "AgentUpdateAssociation": "aws_ssm_association.agent_update",
    "Window": "aws_ssm_maintenance_window.mend",
    "WindowTarget": "aws_ssm_maintenance_window_target.mend",
    "WindowTask": "aws_ssm_maintenance_window_task.mend",
    "ReportPolicy": "aws_iam_policy.report",
    "AutomationRole": "aws_iam_role.automation",
    "WindowRole": "aws_iam_role.window",
    "LogGroup": "aws_cloudwatch_log_group.reports",
    "AlarmTopic": "aws_sns_topic.alarms",
    "AlarmEmailSubscription": "aws_sns_topic_subscription.email",
    "OldestAgentsQuery": "aws_cloudwatch_query_definition.this",
    "SilentNodesQuery": "aws_cloudwatch_query_definition.this",
    "UnsignedQuery": "aws_cloudwatch_query_definition.this",
    "WorstClocksQuery": "aws_cloudwatch_query_definition.this",
    "SilentLinuxAlarm": "aws_cloudwatch_metric_alarm.silent",
    "CritLinuxAlarm": "aws_cloudwatch_metric_alarm.crit",
    "SkewLinuxAlarm": "aws_cloudwatch_metric_alarm.skew",
    "SilentWindowsAlarm": "aws_cloudwatch_metric_alarm.silent",
    "CritWindowsAlarm": "aws_cloudwatch_metric_alarm.crit",
    "SkewWindowsAlarm": "aws_cloudwatch_metric_alarm.skew",
    "SigningKeyFilter": "aws_cloudwatch_log_metric_filter.signing_key",
    "SigningKeyAlarm": "aws_cloudwatch_metric_alarm.signing_key",
    "FindingsLostAlarm": "aws_cloudwatch_metric_alarm.findings_lost",
    "Dashboard": "aws_cloudwatch_dashboard.this",
    "FindingsRole": "aws_iam_role.findings",
    "FindingsFunction": "aws_lambda_function.findings",
    "FindingsLogGroup": "aws_cloudwatch_log_group.findings",
    "FindingsRule": "aws_cloudwatch_event_rule.findings",
    "FindingsPermission": "aws_lambda_permission.findings",
    "FindingsLost": "aws_sqs_queue.findings_lost",
}
"""Each resource of CloudFormation, and where the module has it."""

ONLY_TERRAFORM = {
    *("aws_iam_role_policy.automation", "aws_iam_role_policy.window"),
    *("aws_iam_role_policy.findings", "aws_iam_role_policy_attachment.report"),
    "aws_cloudwatch_event_target.findings",
}
"""What CloudFormation has inside of another resource."""

OTHER_NAMES = {
    "log_group_name": "name",
    "filter_pattern": "pattern",
    "message_retention_period": "message_retention_seconds",
    "o_k_actions": "ok_actions",
}


def snake(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.replace("OKA", "OkA")).lower()
    return OTHER_NAMES.get(words, words)


def mark(match: re.Match[str]) -> str:
    """Return what the module writes for a parameter."""
    given = {
        "LinuxNodes": "each.value",
        "WindowsNodes": "each.value",
        "AWS::Region": "local.region",
    }
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", match[1]).lower()
    return "${" + given.get(match[1], f"var.{name}") + "}"


def as_terraform(value: Any) -> str | None:  # noqa: ANN401
    """Return a simple value of CloudFormation as the module would write it, None for others."""
    known = {*STACK["Parameters"], "AWS::Region"}
    if isinstance(value, dict) and value.get("Ref") in known:
        value = {"Fn::Sub": "${" + value["Ref"] + "}"}
    if isinstance(value, dict):
        text = str(value.get("Fn::Sub", "${another resource}"))
        inside = re.findall(r"\$\{([^}]+)\}", text)
        return re.sub(r"\$\{([^}]+)\}", mark, text) if set(inside) <= known else None
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int)) else None


def text_of(value: Any, platform: str) -> str:  # noqa: ANN401
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = text.replace("${title(each.key)}", platform).replace("${each.key}", platform.lower())
    return text.replace('\\"', '"')


DIFFERENT = {
    # The provider has no ScheduleOffset: the weekday takes its place.
    ("AgentUpdateAssociation", "schedule_expression"),
    # Each document by the key of its kind.
    *((f"{name}Document", "name") for name in ("Run", "Repair", "Mend")),
    *((f"{name}Document", "document_type") for name in ("Run", "Repair", "Mend")),
    *((f"{name}Document", "target_type") for name in ("Run", "Repair", "Mend")),
    *((f"{name}Query", "name") for name in ("OldestAgents", "SilentNodes", "Unsigned")),
    ("WorstClocksQuery", "name"),
    *((f"{name}Query", "query_string") for name in ("OldestAgents", "SilentNodes", "Unsigned")),
    ("WorstClocksQuery", "query_string"),
    ("FindingsLogGroup", "name"),
    ("SigningKeyFilter", "name"),
    # One file for both, of which another test compares the content.
    ("Dashboard", "dashboard_body"),
}
NOT_THERE = {"update_method", "schedule_offset"}


def test_both_have_the_same_resources() -> None:
    assert set(SAME) == set(STACK["Resources"])
    assert set(SAME.values()) | ONLY_TERRAFORM == set(named(WHOLE, "resource"))


@pytest.mark.parametrize("name", SAME)
def test_a_resource_has_the_same_values(name: str) -> None:
    body = named(WHOLE, "resource")[SAME[name]]
    platform = "Windows" if "Windows" in name else "Linux"
    compared = 0
    for member, value in STACK["Resources"][name]["Properties"].items():
        argument = snake(member)
        expected = as_terraform(value)
        if expected is None or argument in NOT_THERE or (name, argument) in DIFFERENT:
            continue
        assert argument in body, f"{argument} is missing"
        assert text_of(body[argument], platform) == expected, argument
        compared += 1
    assert compared or name in {
        *("ReportPolicy", "AutomationRole", "WindowRole", "FindingsRole", "Dashboard"),
        *("SigningKeyFilter", "FindingsLogGroup"),
        *(item for item in SAME if item.endswith(("Query", "Document"))),
    }


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("ReportPolicy", "aws_iam_policy.report"),
        ("AutomationRole", "aws_iam_role_policy.automation"),
        ("WindowRole", "aws_iam_role_policy.window"),
        ("FindingsRole", "aws_iam_role_policy.findings"),
    ],
)
def test_both_give_the_same_rights(name: str, address: str) -> None:
    properties = STACK["Resources"][name]["Properties"]
    policy = properties.get("PolicyDocument") or properties["Policies"][0]["PolicyDocument"]
    actions = [action for item in policy["Statement"] for action in item["Action"]]
    resources = sum(
        len(item["Resource"]) if isinstance(item["Resource"], list) else 1
        for item in policy["Statement"]
    )
    text = str(named(WHOLE, "resource")[address]["policy"])
    assert re.findall(r'"([a-z0-9]+:[A-Z]\w+)"(?! =)', text) == actions
    found = re.findall(r'"(?:arn:\$\{|\*")|(?<=[\[ ])aws_\w+\.\w+(?:\[0\])?\.arn(?=[\],])', text)
    assert len(found) == resources
    assert text.count("Condition") == sum("Condition" in item for item in policy["Statement"])


def test_the_event_pattern_is_the_same() -> None:
    expected = STACK["Resources"]["FindingsRule"]["Properties"]["EventPattern"]
    text = str(named(WHOLE, "resource")["aws_cloudwatch_event_rule.findings"]["event_pattern"])
    for words in (
        *expected["source"],
        *expected["detail-type"],
        *expected["detail"]["compliance-type"],
    ):
        assert f'"{words}"' in text
