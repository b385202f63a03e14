"""The function that turns compliance into findings, with the event that AWS documents."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from nodecheck.model.verdict import Status
from nodecheck.sinks.compliance import items
from tests import reports
from tests.aws_rules import check_parameters, load_model
from tests.command_document import load

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = "i-0123456789abcdef0"
EVENT = {
    "version": "0",
    "id": "01234567-0123-0123-0123-012345678901",
    "detail-type": "Configuration Compliance State Change",
    "source": "aws.ssm",
    "account": "123456789012",
    "time": "2026-11-23T19:03:26Z",
    "region": "eu-west-1",
    "resources": [f"arn:aws:ssm:eu-west-1:123456789012:managed-instance/{NODE}"],
    "detail": {
        "last-runtime": "2026-11-23T19:03:20Z",
        "compliance-status": "non_compliant",
        "resource-type": "managed-instance",
        "resource-id": NODE,
        "compliance-type": "Custom:NodeCheck",
        "severity": "critical",
    },
}
"""In the form of the Systems Manager user guide, "event examples"."""


class Hub:
    """Security Hub and Systems Manager, as far as the function uses them."""

    def __init__(self, found: list[dict[str, Any]], failed: int = 0) -> None:
        self.found, self.failed = found, failed
        self.calls: list[list[dict[str, Any]]] = []
        self.asked: dict[str, Any] = {}

    def get_paginator(self, name: str) -> Hub:
        assert name == "list_compliance_items"
        return self

    def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
        self.asked = given
        for start in range(0, len(self.found), 50):
            yield {"ComplianceItems": self.found[start : start + 50]}

    def batch_import_findings(self, Findings: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.calls.append(Findings)
        return {"FailedCount": self.failed, "FailedFindings": [{"ErrorCode": "InvalidInput"}]}


@pytest.fixture(name="hub")
def _hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    report = reports.report(
        reports.ok("clock.offset"), reports.bad("agent.files", Status.CRIT, "changed")
    )
    hub = Hub([dict(item) for item in items(report)])
    monkeypatch.setitem(sys.modules, "boto3", SimpleNamespace(client=lambda _name: hub))
    return hub


def check_call(service: str, operation: str, parameters: dict[str, Any]) -> None:
    """Hold the parameters of a call against the model, with its patterns and limits."""
    shape = load_model(service).operation_model(operation).input_shape
    check_parameters(shape, parameters)


def test_a_transition_becomes_findings(hub: Hub) -> None:
    assert load("findings").handle(EVENT, None) == {"imported": 2}
    check_call("ssm", "ListComplianceItems", hub.asked)
    check_call("securityhub", "BatchImportFindings", {"Findings": hub.calls[0]})
    good, bad = hub.calls[0]
    assert bad["Id"] == f"nodecheck/eu-west-1/123456789012/{NODE}/agent.files"
    assert bad["Severity"] == {"Label": "CRITICAL"}
    assert bad["RecordState"] == "ACTIVE"
    assert bad["Compliance"] == {"Status": "FAILED"}
    assert "agent.files is crit on i-0123456789abcdef0: changed" in bad["Description"]
    assert bad["Resources"][0]["Id"].endswith(f":instance/{NODE}")
    assert good["RecordState"] == "ARCHIVED"
    assert good["Severity"] == {"Label": "INFORMATIONAL"}
    assert bad["ProductArn"] == (
        "arn:aws:securityhub:eu-west-1:123456789012:product/123456789012/default"
    )


def test_the_same_trouble_has_the_same_id(hub: Hub) -> None:
    module = load("findings")
    module.handle(EVENT, None)
    module.handle(EVENT, None)
    first, second = ([item["Id"] for item in call] for call in hub.calls)
    assert first == second


def test_a_hybrid_node_is_no_instance(hub: Hub) -> None:
    event = {**EVENT, "detail": {**EVENT["detail"], "resource-id": "mi-0123456789abcdef0"}}  # type: ignore[dict-item]
    load("findings").handle(event, None)
    assert hub.calls[0][0]["Resources"][0]["Type"] == "Other"


@pytest.mark.parametrize("node", ['i-"; drop', "", "arn:aws:iam::1:root", "i-0123\n", "i-01' or"])
def test_a_strange_node_id_is_left_alone(hub: Hub, node: str) -> None:
    event = {**EVENT, "detail": {**EVENT["detail"], "resource-id": node}}  # type: ignore[dict-item]
    assert load("findings").handle(event, None)["imported"] == 0
    assert hub.calls == []


def test_hostile_items_stay_within_the_limits(hub: Hub) -> None:
    hub.found[0] |= {
        "Title": "x" * 5000,
        "Severity": "APOCALYPTIC",
        "Status": "NON_COMPLIANT",
        "Details": {"k" * 500: "v" * 5000, "Reasons": '{"invented":"json"}\n' * 100},
    }
    load("findings").handle(EVENT, None)
    bad = hub.calls[0][0]
    assert len(bad["Title"]) <= 256
    assert len(bad["Description"]) <= 1024
    assert bad["Severity"]["Label"] == "MEDIUM"
    assert all(len(k) <= 140 and len(v) <= 1024 for k, v in bad["ProductFields"].items())
    check_call("securityhub", "BatchImportFindings", {"Findings": hub.calls[0]})


def test_a_hundred_findings_a_call_and_a_refusal_is_raised(hub: Hub) -> None:
    hub.found = hub.found * 120
    assert load("findings").handle(EVENT, None) == {"imported": 240}
    assert [len(call) for call in hub.calls] == [100, 100, 40]
    hub.failed = 1
    with pytest.raises(RuntimeError, match="InvalidInput"):
        load("findings").handle(EVENT, None)
