"""Tell Systems Manager Compliance what was found: PutComplianceItems, type ``Custom:NodeCheck``.

Each call overwrites what the node said before under this type (and nothing of other types), so it
always holds every check; a run that left checks out by a flag sends nothing. An item says the
verdict and the stable reason codes, and no value that changes from run to run: AWS Config, where it
records, makes an item of its own, 0.003 USD, of every change. For the same reason nothing is sent
while nothing changed, except once in 24 hours, and that with the same content hash.

A check that was left out by the settings, or does not apply, has no item: it was not judged. What
could not be proven is NON_COMPLIANT: COMPLIANT needs proof.

Source: AWS Systems Manager API reference, PutComplianceItems.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from nodecheck.aws.client import CallError, open_client
from nodecheck.model.errors import ProbeError, SinkError
from nodecheck.model.moment import instant
from nodecheck.model.report import shorten
from nodecheck.model.spool import Sent
from nodecheck.model.verdict import SkipReason, Status
from nodecheck.sinks import iam
from nodecheck.sinks.cloudwatch import region_of
from nodecheck.sinks.iam import Right, arn
from nodecheck.sinks.previews import as_if_kept, obstacles
from nodecheck.sinks.price import FREE
from nodecheck.sinks.refusals import explain, said_by
from nodecheck.sinks.whole import refuse_narrowed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nodecheck.host.door import Host
    from nodecheck.model.moment import CorrectedTime
    from nodecheck.model.report import NodeIdentity, Report
    from nodecheck.model.reporting import CompliancePolicy
    from nodecheck.model.spool import Consignment, DatedReport
    from nodecheck.model.verdict import Verdict

NAME: Final = "compliance"
SERVICE: Final = "Systems Manager"
TYPE: Final = "Custom:NodeCheck"

STATE_NAME: Final = "compliance.json"
STATE_LIMIT_BYTES: Final = 4_096
REPEAT_MS: Final = 24 * 3_600_000
"""So that a compliance of last month cannot be taken for one of today."""

TEXT_LIMIT: Final = 500
"""Longest title of an item (API reference: 500; a value of its details: 4,096)."""

_NODE: Final = re.compile(r"m?i-[0-9a-f]{8,17}")
_SEVERITIES: Final = {
    Status.CRIT: "CRITICAL",
    Status.UNKNOWN: "HIGH",
    Status.WARN: "MEDIUM",
    Status.OK: "INFORMATIONAL",
    Status.SKIP: "INFORMATIONAL",
}
_NOT_JUDGED: Final = frozenset({SkipReason.BY_REQUEST, SkipReason.NOT_APPLICABLE})
_REFUSED: Final = frozenset(
    {"InvalidItemContentException", "ItemSizeLimitExceededException"}
    | {"TotalSizeLimitExceededException", "ValidationException", "ParamValidationError"}
)
"""Codes for a content that no repetition mends."""

Item = dict[str, object]


def items(report: Report) -> list[Item]:
    """Return an item for each check that was judged, could not be, or is waived."""
    return [
        _item(check)
        for check in report.checks
        if check.skip_reason not in _NOT_JUDGED and check.weight is check.status
    ]


def _item(check: Verdict) -> Item:
    is_good = check.status is Status.OK or check.skip_reason is SkipReason.WAIVED
    is_unproven = check.status is Status.SKIP and not is_good
    reasons = sorted({finding.reason for finding in check.findings}) or [check.reason]
    details = {"Verdict": check.status.value, "Reasons": shorten(", ".join(reasons), TEXT_LIMIT)}
    if check.caused_by:
        details["ExplainedBy"] = shorten(check.caused_by, TEXT_LIMIT)
    return {
        "Id": shorten(check.check_id, TEXT_LIMIT),
        "Title": shorten(f"{check.check_id}: {', '.join(reasons)}", TEXT_LIMIT),
        "Severity": _SEVERITIES[Status.UNKNOWN if is_unproven else check.status],
        "Status": "COMPLIANT" if is_good else "NON_COMPLIANT",
        "Details": details,
    }


def render(report: Report, policy: CompliancePolicy) -> dict[str, object]:
    """Return what is kept of a report until it is sent.

    Raises:
        SinkError: checks were left out of this run, so the list would not be whole.
    """
    refuse_narrowed(policy.narrowed)
    return {"items": items(report)}


def send(host: Host, policy: CompliancePolicy, consignment: Consignment) -> Iterator[Sent]:
    """Send the newest report, unless Systems Manager has the same of today.

    Raises:
        SinkError: it was not accepted; the sentence says why and what would help.
    """
    *older, newest = consignment.reports
    if older:
        yield Sent(tuple(older), f"{TYPE}, replaced by a newer report")
    parameters = _parameters(newest, node_of(consignment.node))
    if parameters is None:
        yield Sent((newest,), refused="what was kept of it is not understood")
        return
    region = region_of(consignment.node, policy)
    mark = {
        "node": parameters["ResourceId"],
        "region": region,
        "hash": parameters["ItemContentHash"],
    }
    place = f"{TYPE} of {mark['node']} in {region}"
    sent_ms = _sent_before(host, policy, mark, consignment.corrected)
    if sent_ms is not None:
        when = f"{instant(sent_ms * 1_000_000):%Y-%m-%d %H:%M:%S} UTC"
        yield Sent((newest,), f"{place}, unchanged since it was sent at {when}")
        return
    try:
        with open_client(
            "ssm",
            region,
            host,
            consignment.corrected,
            policy.timeout_s,
            agent_credentials=policy.agent_credentials,
        ) as client:
            client.call("PutComplianceItems", parameters)
            source = client.credentials_source
    except CallError as exc:
        if exc.code in _REFUSED:
            yield Sent((newest,), refused=f"Systems Manager refused it: {said_by(exc)}")
            return
        raise SinkError(_explain(exc, consignment.node, region)) from exc
    note = _remember(host, policy, mark, consignment.corrected)
    yield Sent((newest,), f"{place}, credentials from {source}{note}")


def node_of(node: NodeIdentity) -> str:
    """Return the id under which Systems Manager knows this node.

    Raises:
        SinkError: it has none.
    """
    if not node.node_id or not _NODE.fullmatch(node.node_id):
        msg = "this node has no id of Systems Manager (i-... or mi-...)"
        raise SinkError(msg)
    return node.node_id


def _parameters(item: DatedReport, node_id: str) -> dict[str, object] | None:
    """Return those of the call, None where the payload is not of this sink's making."""
    content = item.report.payload.get("items")
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        return None
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return {
        "ResourceId": node_id,
        "ResourceType": "ManagedInstance",
        "ComplianceType": TYPE,
        "ExecutionSummary": {"ExecutionTime": instant(item.time_ms * 1_000_000)},
        "Items": content,
        "ItemContentHash": sha256(canonical.encode()).hexdigest(),
    }


def _sent_before(
    host: Host, policy: CompliancePolicy, mark: Mapping[str, object], corrected: CorrectedTime
) -> int | None:
    """Return when the same was sent, None where that is not known, or a day ago."""
    try:
        kept = json.loads(host.state.read(policy.state_folder, STATE_NAME, STATE_LIMIT_BYTES))
    except (ProbeError, ValueError, RecursionError):
        return None
    sent_ms = kept.get("sent_ms") if isinstance(kept, dict) else None
    if not isinstance(sent_ms, int) or kept != {**mark, "sent_ms": sent_ms}:
        return None
    age_ms = corrected.unix_ns(host.clock.monotonic_ns()) // 1_000_000 - sent_ms
    return sent_ms if 0 <= age_ms < REPEAT_MS else None


def _remember(
    host: Host, policy: CompliancePolicy, mark: Mapping[str, object], corrected: CorrectedTime
) -> str:
    """Keep what was sent; return a note where that is not possible, and it will be sent again."""
    sent_ms = corrected.unix_ns(host.clock.monotonic_ns()) // 1_000_000
    content = json.dumps({**mark, "sent_ms": sent_ms}).encode()
    try:
        host.state.write(policy.state_folder, STATE_NAME, content)
    except ProbeError as exc:
        return f"; not remembered, so the next run sends it again: {exc}"
    return ""


def _explain(exc: CallError, node: NodeIdentity, region: str) -> str:
    if exc.code == "InvalidResourceId":
        return f"Systems Manager in {region} does not know the node {node.node_id}"
    if exc.code == "ComplianceTypeCountLimitExceededException":
        return "the account has as many custom compliance types as it may"
    return explain(exc, SERVICE, f"the node {node.node_id}", iam.actions(rights(region, None)))


def rights(region: str, account: str | None) -> tuple[Right, ...]:
    """Return what a delivery needs: AmazonSSMManagedInstanceCore grants it, DHMC's policy too."""
    nodes = (
        arn("ec2", region, account, "instance/*"),
        arn("ssm", region, account, "managed-instance/*"),
    )
    return (Right(("ssm:PutComplianceItems",), nodes),)


def dry_run(report: Report, policy: CompliancePolicy) -> str:
    """Return what a delivery would send, what it needs, and what it costs."""
    region = policy.region or report.node.region or ""
    item = as_if_kept(NAME, report, render(report, policy))
    parameters = _parameters(item, report.node.node_id or "")
    lines = [
        f"to Systems Manager Compliance in {region or 'no Region'}",
        *obstacles(report, lambda: region_of(report.node, policy), lambda: node_of(report.node)),
        "PutComplianceItems, where it differs from what was sent in the last 24 hours:",
        json.dumps(parameters, separators=(",", ":"), default=str),
        "IAM policy (AmazonSSMManagedInstanceCore has this right already):",
        iam.text(rights(region, report.node.account)),
        FREE,
    ]
    return "\n".join(lines)
