"""Turn the compliance of a node into findings of Security Hub.

EventBridge calls this when a node's compliance changes. The event says only which node: what is
wrong is read from Systems Manager, so no node writes a finding. A finding has the same id each
time: what is wrong again updates it, what is right again archives it.
"""

import os
import re
from datetime import UTC, datetime

import boto3

TYPE = "Custom:NodeCheck"
LABELS = {"CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL"}


def handle(event, _context):
    """Bring the findings of the node in the event up to date; raise where one was refused."""
    node = str(event["detail"]["resource-id"])
    if not re.fullmatch("m?i-[0-9a-f]{8,17}", node):
        return {"imported": 0, "skipped": f"no node of Systems Manager: {node[:40]!r}"}
    account, region = event["account"], event["region"]
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    findings = [finding(item, node, account, region, at) for item in items(node)]
    hub = boto3.client("securityhub")
    for start in range(0, len(findings), 100):  # BatchImportFindings takes 100
        reply = hub.batch_import_findings(Findings=findings[start : start + 100])
        if reply["FailedCount"]:
            raise RuntimeError(str(reply["FailedFindings"])[:1000])
    return {"imported": len(findings)}


def items(node):
    """Return what this node's nodecheck last told Systems Manager, one item for each check."""
    pages = (
        boto3.client("ssm")
        .get_paginator("list_compliance_items")
        .paginate(
            ResourceIds=[node],
            ResourceTypes=["ManagedInstance"],
            Filters=[{"Key": "ComplianceType", "Values": [TYPE], "Type": "EQUAL"}],
        )
    )
    return [item for page in pages for item in page["ComplianceItems"]]


def line(value, most):
    """Return a text as Security Hub takes it: one line, not empty, not too long."""
    return " ".join(str(value).split())[:most] or "-"


def finding(item, node, account, region, at):
    """Return one check of one node in the form of Security Hub (ASFF)."""
    good = item["Status"] == "COMPLIANT"
    partition = os.environ.get("PARTITION", "aws")
    check = item["Id"]
    severity = "INFORMATIONAL" if good else item.get("Severity")
    label = severity if severity in LABELS else "MEDIUM"
    details = {line(key, 100): line(value, 1024) for key, value in item.get("Details", {}).items()}
    is_instance = node.startswith("i-")
    place = f"arn:{partition}:ec2:{region}:{account}:instance/{node}"
    return {
        "SchemaVersion": "2018-10-08",
        "Id": f"nodecheck/{region}/{account}/{node}/{check}",
        "ProductArn": f"arn:{partition}:securityhub:{region}:{account}:product/{account}/default",
        "GeneratorId": f"nodecheck/{check}",
        "AwsAccountId": account,
        "Types": ["Software and Configuration Checks/AWS Security Best Practices"],
        "CreatedAt": at,
        "UpdatedAt": at,
        "Severity": {"Label": label},
        "Title": line(f"nodecheck: {item.get('Title') or check}", 256),
        "Description": line(
            f"{check} is {details.get('Verdict', 'unknown')} on {node}: "
            f"{details.get('Reasons', 'no reason told')}. See: nodecheck explain {check}",
            1024,
        ),
        "ProductFields": {f"nodecheck/{key}": value for key, value in details.items()},
        "Resources": [
            {
                "Type": "AwsEc2Instance" if is_instance else "Other",
                "Id": place if is_instance else node,
                "Partition": partition,
                "Region": region,
            }
        ],
        "Compliance": {"Status": "PASSED" if good else "FAILED"},
        "RecordState": "ARCHIVED" if good else "ACTIVE",
    }
