"""The CloudFormation template: fresh, by cfn-lint's rules, and true to what nodecheck sends."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]
from cfnlint import lint  # type: ignore[import-untyped]

from nodecheck.model.reporting import CloudWatchPolicy
from nodecheck.model.settings import DEFAULTS
from nodecheck.model.verdict import Status
from nodecheck.outlets import RIGHTS
from nodecheck.records import replace
from nodecheck.sinks import iam
from nodecheck.sinks.emf import METRICS, emf_document, emf_line
from nodecheck.sinks.price import estimate
from tests import reports
from tests.command_document import AWS, document
from tests.ssm_document import allows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if sys.platform == "win32":
    pytest.skip("templates are made on Linux", allow_module_level=True)

TOP = Path(__file__).parents[2]
TEXT = (AWS / "nodecheck.yaml").read_text()
STACK: dict[str, Any] = yaml.safe_load(TEXT)
RESOURCES: dict[str, Any] = STACK["Resources"]
PARAMETERS: dict[str, Any] = STACK["Parameters"]
TEMPLATES = ("scripts/aws-templates", "--check")


def of_type(kind: str) -> dict[str, Any]:
    return {name: item["Properties"] for name, item in RESOURCES.items() if item["Type"] == kind}


def walk(value: object) -> Iterator[Any]:
    yield value
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(inner, str) or not hasattr(inner, "__iter__"):
        return
    for item in inner:
        yield from walk(item)


def resolved(value: Any, given: dict[str, str]) -> Any:  # noqa: ANN401
    """Return a value with Ref and Fn::Sub filled in."""
    if isinstance(value, dict) and set(value) == {"Ref"}:
        return given[value["Ref"]]
    if isinstance(value, dict) and set(value) == {"Fn::Sub"}:
        return re.sub(r"\$\{([^}]+)\}", lambda match: given[match[1]], value["Fn::Sub"])
    if isinstance(value, dict):
        return {key: resolved(item, given) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, given) for item in value]
    return value


GIVEN = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "*",
    "LogGroupName": "/nodecheck",
    "Namespace": "NodeCheck",
}


def test_what_is_in_the_folder_is_what_would_be_made() -> None:
    done = subprocess.run(TEMPLATES, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_stale_file_is_named(tmp_path: Path) -> None:
    shutil.copytree(AWS, tmp_path / "aws")
    target = tmp_path / "aws" / "documents" / "NodeCheck-Run.json"
    target.write_text(target.read_text().replace("30", "31", 1))
    program = [sys.executable, "-B", str(tmp_path / "aws" / "making" / "__main__.py"), "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "documents/NodeCheck-Run.json is not fresh" in done.stderr


@pytest.mark.parametrize("words", [["--chek"], ["package"], ["package", "1.0", "out"], ["x"]])
def test_a_wrong_command_line_is_refused(words: list[str]) -> None:
    done = subprocess.run(
        [str(TOP / TEMPLATES[0]), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 64
    assert "scripts/aws-templates package VERSION OUTDIR" in done.stderr


def test_cfn_lint_has_nothing_to_say() -> None:
    assert lint(TEXT) == []


MISTAKES: dict[str, Callable[[dict[str, Any]], object]] = {
    "E3002": lambda found: found["LogGroup"]["Properties"].update(Retention=14),
    "E3003": lambda found: found["Window"]["Properties"].pop("Cutoff"),
    "E3030": lambda found: found["CheckAssociation"]["Properties"].update(SyncCompliance="yes"),
    "E1020": lambda found: found["Dashboard"]["Properties"].update(DashboardName={"Ref": "No"}),
    "E3015": lambda found: found["WindowRole"].update(Condition="MendInWindow"),
}


def test_cfn_lint_sees_each_mistake() -> None:
    template = copy.deepcopy(STACK)
    for mutate in MISTAKES.values():
        mutate(template["Resources"])
    assert set(MISTAKES) <= {match.rule.id for match in lint(json.dumps(template))}


def test_limits_of_cloudformation() -> None:
    assert len(TEXT.encode()) < 1_000_000, "a template in S3"
    assert len(RESOURCES) < 500
    assert all(len(item["Description"]) < 4000 for item in PARAMETERS.values())
    code = RESOURCES["FindingsFunction"]["Properties"]["Code"]["ZipFile"]
    assert code == (AWS / "source" / "findings.py").read_text()
    assert len(code) < 4096


def test_defaults_of_parameters_are_allowed() -> None:
    for name, item in PARAMETERS.items():
        default = item["Default"]
        assert re.fullmatch(item.get("AllowedPattern", ".*"), str(default)), name
        assert default in item.get("AllowedValues", [default]), name


@pytest.mark.parametrize("short", ["Run", "Repair", "Mend"])
def test_the_documents_are_those_of_the_folder(short: str) -> None:
    found = RESOURCES[f"{short}Document"]["Properties"]["Content"]
    expected = copy.deepcopy(document(f"NodeCheck-{short}"))
    for content in (found, expected):
        for step in content["mainSteps"]:
            if "runCommand" in step["inputs"]:
                step["inputs"]["runCommand"] = "\n".join(step["inputs"]["runCommand"])
    assert found == expected


@pytest.mark.parametrize("sinks", [["cloudwatch", "cloudwatch-metrics", "compliance"]])
def test_nodes_get_what_nodecheck_iam_prints_and_no_more(sinks: list[str]) -> None:
    values = {**DEFAULTS.values, "node.region": "eu-west-1"}
    settings = replace(DEFAULTS, values=values)
    expected = iam.document(right for sink in sinks for right in RIGHTS[sink](settings))
    found = resolved(RESOURCES["ReportPolicy"]["Properties"]["PolicyDocument"], GIVEN)
    assert found == expected


def test_no_role_may_do_everything() -> None:
    wide = {
        *("ssm:ListCommands", "ssm:ListCommandInvocations", "ssm:GetCommandInvocation"),
        *("ssm:DescribeInstanceInformation", "ssm:ListComplianceItems"),
        "cloudwatch:PutMetricData",  # bounded by its namespace
    }
    statements = [item for item in walk(RESOURCES) if isinstance(item, dict) and "Effect" in item]
    assert len(statements) > 10
    for item in statements:
        actions = item["Action"] if isinstance(item["Action"], list) else [item["Action"]]
        assert not any("*" in action for action in actions)
        if "*" in item.get("Resource", []):
            assert set(actions) <= wide
    passing = [item for item in statements if "iam:PassRole" in item["Action"]]
    assert all("iam:PassedToService" in item["Condition"]["StringEquals"] for item in passing)


def test_associations() -> None:
    run = document("NodeCheck-Run")["parameters"]
    for name, item in of_type("AWS::SSM::Association").items():
        is_cron = str(item["ScheduleExpression"]).startswith("cron")
        assert ("ScheduleOffset" in item) <= (is_cron and item["ApplyOnlyAtCronInterval"]), name
        assert item["Targets"][0]["Key"] == {"Fn::Sub": "tag:${TagKey}"}
        assert {"MaxConcurrency", "MaxErrors", "ComplianceSeverity", "OutputLocation"} <= set(item)
    check = RESOURCES["CheckAssociation"]["Properties"]
    for name, value in check["Parameters"].items():
        given = PARAMETERS[value[0]["Ref"]]
        assert allows(run[name], given["Default"])
        assert all(allows(run[name], item) for item in given.get("AllowedValues", []))
        assert given.get("AllowedPattern", "") in {"", run[name].get("allowedPattern", "")} or (
            name == "Reports"
        )
    assert min(PARAMETERS["EveryMinutes"]["AllowedValues"]) >= 30, "the least that a rate may be"


def test_the_window_gives_the_runbook_what_it_needs() -> None:
    mend = document("NodeCheck-Mend")["parameters"]
    task = RESOURCES["WindowTask"]["Properties"]["TaskInvocationParameters"]
    given = task["MaintenanceWindowAutomationParameters"]["Parameters"]
    assert set(given) <= set(mend)
    assert {name for name, item in mend.items() if "default" not in item} <= set(given)
    assert given["ApprovedBy"] == ["maintenance-window"]


EVENT = emf_document(
    reports.report(
        *(reports.right(name) for name in reports.IDS if name != "agent.signing-key"),
        reports.bad("agent.signing-key", Status.WARN, "expiring"),
    ),
    CloudWatchPolicy(),
)


def test_alarms_and_dashboard_use_metrics_that_there_are() -> None:
    known = {metric.name for metric in METRICS}
    units = [item for item in walk(of_type("AWS::CloudWatch::Alarm")) if isinstance(item, dict)]
    names = {item["MetricName"] for item in units if item.get("Namespace") == {"Ref": "Namespace"}}
    assert names - {"SigningKeyDue"} <= known
    widgets = json.loads(dashboard())["widgets"]
    shown = [
        metric
        for widget in widgets
        if widget["type"] == "metric"
        for metric in widget["properties"]["metrics"]
    ]
    assert shown
    directives: Any = EVENT["_aws"]
    sets = [item["Dimensions"][0] for item in directives["CloudWatchMetrics"]]
    for namespace, metric, *dimensions, options in shown:
        assert namespace == "NodeCheck"
        assert metric in known
        assert dimensions[::2] in sets
        assert options["label"]


def dashboard() -> str:
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]
    text: str = resolved(body, GIVEN)
    return text


def test_the_dashboard_is_json_without_marks_and_nothing_overlaps() -> None:
    widgets = json.loads(dashboard())["widgets"]
    assert "${" not in dashboard()
    cells = [(item["x"] // 12, item["y"] // 6) for item in widgets]
    assert len(set(cells)) == len(cells) == 8
    template = (AWS / "terraform" / "dashboard.json.tftpl").read_text()
    given = {"region": "eu-west-1", "log_group": "/nodecheck", "namespace": "NodeCheck"}
    filled = re.sub(r"\$\{(\w+)\}", lambda match: given[match[1]], template)
    assert json.loads(filled) == json.loads(dashboard())


@pytest.mark.parametrize("platform", ["Linux", "Windows"])
def test_silence_is_breaching_and_a_whole_fleet_is_100_percent(platform: str) -> None:
    alarm = RESOURCES[f"Silent{platform}Alarm"]["Properties"]
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["ComparisonOperator"] == "LessThanThreshold"
    expression = alarm["Metrics"][0]["Expression"]
    for minutes, reports_an_hour in (("30", 200), ("60", 100)):
        given = {"EveryMinutes": minutes, f"{platform}Nodes": "100"}
        text = resolved(expression, given).replace("runs", str(reports_an_hour))
        top, *below = text.split(" / ")
        share = eval(top, {}) / float(below[0]) / float(below[1])  # noqa: S307 - our own numbers
        assert share == 100


def test_the_filter_finds_a_key_that_expires() -> None:
    pattern = RESOURCES["SigningKeyFilter"]["Properties"]["FilterPattern"]
    found = re.findall(r'\(\$\.([\w.-]+) = "(\w+)\*"\)', pattern)
    assert {start for _, start in found} == {"warn", "crit"}
    for path, _ in found:
        value: Any = EVENT
        for name in path.split("."):
            value = value[name]
        assert value == "warn expiring"


def test_queries_ask_for_what_the_event_has() -> None:
    queries = of_type("AWS::Logs::QueryDefinition")
    assert len(queries) == 4
    for item in queries.values():
        text = "\n".join(
            line for line in item["QueryString"].splitlines() if not line.startswith("#")
        )
        made = set(re.findall(r"\bas (\w+)", text))
        text = re.sub(r"/[^/\n]*/", "", text)
        words = set(re.findall(r"(?<![@\w.])[a-z_]+(?:\.[a-z_-]+)*", text))
        syntax = {
            *("fields", "filter", "stats", "sort", "limit", "by", "as", "asc", "desc", "like"),
            *("not", "or", "and", "latest", "abs", "ispresent", "timestamp"),
        }
        for word in words - made - syntax:
            value: Any = EVENT
            for name in word.split("."):
                assert name in value, f"the event has no {word}"
                value = value[name]


@pytest.mark.parametrize("nodes", [100, 1_000, 100_000])
def test_the_readme_tells_the_price_that_a_dry_run_tells(nodes: int) -> None:
    size = round(len(emf_line(reports.report(), CloudWatchPolicy(), 1_795_437_609_254)), -2)
    price = estimate(nodes, size, CloudWatchPolicy())
    rows = [
        re.findall(r"[\d.,]+", line)
        for line in (AWS / "README.md").read_text().splitlines()
        if line.startswith(f"| {nodes:,} |")
    ]
    series, logs, total, _ = (float(text) for text in rows[0][1:])
    assert series == price.series_usd
    assert logs == pytest.approx(price.logs_usd, rel=0.05)
    assert total == pytest.approx(price.total_usd, rel=0.05)
