from __future__ import annotations

import json

import pytest

from nodecheck.model.report import ClockReading
from nodecheck.model.reporting import CompliancePolicy
from nodecheck.model.verdict import Finding, SkipReason, Status, Verdict
from nodecheck.records import replace
from nodecheck.sinks import compliance
from tests.reports import MOMENT, bad, ok, report

POLICY = CompliancePolicy()


def skip(reason: SkipReason) -> Verdict:
    return Verdict.skip("agent.files", reason, "not judged")


@pytest.mark.parametrize(
    ("check", "status", "severity", "reasons"),
    [
        (ok("agent.files"), "COMPLIANT", "INFORMATIONAL", "ok"),
        (bad("agent.files", Status.WARN, "behind"), "NON_COMPLIANT", "MEDIUM", "behind"),
        (bad("agent.files", Status.UNKNOWN, "not-observed"), "NON_COMPLIANT", "HIGH",
         "not-observed"),
        (bad("agent.files", Status.CRIT, "digest"), "NON_COMPLIANT", "CRITICAL", "digest"),
        (skip(SkipReason.WAIVED), "COMPLIANT", "INFORMATIONAL", "waived"),
        (skip(SkipReason.OFFLINE), "NON_COMPLIANT", "HIGH", "offline"),
        (skip(SkipReason.NO_PERMISSION), "NON_COMPLIANT", "HIGH", "no-permission"),
    ],
)  # fmt: skip
def test_compliant_needs_proof(check: Verdict, status: str, severity: str, reasons: str) -> None:
    (item,) = compliance.items(report(check))
    assert (item["Status"], item["Severity"]) == (status, severity)
    assert item["Title"] == f"agent.files: {reasons}"
    assert item["Details"] == {"Verdict": check.status.value, "Reasons": reasons}


@pytest.mark.parametrize("reason", [SkipReason.BY_REQUEST, SkipReason.NOT_APPLICABLE])
def test_what_was_not_asked_has_no_item(reason: SkipReason) -> None:
    assert compliance.items(report(skip(reason))) == []


def test_reasons_are_told_once_in_a_stable_order_with_the_cause() -> None:
    findings = tuple(Finding(reason, "412 s") for reason in ("b", "a", "b"))
    check = Verdict.of("clock.offset", Status.CRIT, findings).explained_by("clock.discipline")
    (item,) = compliance.items(report(check))
    assert item["Details"] == {
        "Verdict": "crit",
        "Reasons": "a, b",
        "ExplainedBy": "clock.discipline",
    }


def test_no_value_that_changes_from_run_to_run_is_in_it() -> None:
    one = report(bad("clock.offset", Status.CRIT), ok("agent.files"))
    late = MOMENT.replace(year=2027)
    other = report(
        replace(bad("clock.offset", Status.CRIT), message="clock is 7 h slow", duration_ms=9),
        replace(ok("agent.files"), message="12 files", duration_ms=7),
        moment=late,
        clock=ClockReading(9.0, 1.0, "ntp", ()),
    )
    assert compliance.render(one, POLICY) == compliance.render(other, POLICY)


def test_a_dry_run_shows_payload_rights_and_price() -> None:
    text = compliance.dry_run(report(), POLICY)
    (line,) = [row for row in text.splitlines() if row.startswith('{"ResourceId"')]
    assert len(json.loads(line)["Items"]) == 19
    assert "ssm:PutComplianceItems" in text
    assert "0.00 USD" in text
    assert "would be kept" not in text
