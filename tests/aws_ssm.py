"""Systems Manager as the tests see it: PutComplianceItems, GetParameter, from its API reference."""

# ruff: noqa: ANN401 - parameters are whatever a client sent
from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.aws_iam import ACCOUNT
from tests.aws_rules import Refusal, load_model, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.aws_rules import Request

MODEL = load_model("ssm")
TYPES_LIMIT = 10
BODY_LIMIT_BYTES = 1_048_576
"""Of our own: AWS documents TotalSizeLimitExceeded, but no number."""


@dataclass
class Compliance:
    """What one node said of one type; ``ignored`` counts calls with a hash already known."""

    items: list[dict[str, Any]]
    executed_at: datetime
    content_hash: str | None
    ignored: int = 0


@dataclass
class StoredParameter:
    """One parameter of Parameter Store."""

    value: str
    version: int = 1
    kind: str = "String"


@dataclass
class Ssm:
    """Systems Manager in one Region: its nodes, and what they said, by node and type."""

    region: str
    nodes: set[str]
    compliance: dict[tuple[str, str], Compliance] = field(default_factory=dict)
    stored: dict[str, StoredParameter] = field(default_factory=dict)

    signing_name = prefix = "ssm"
    model = MODEL

    def operation(self, request: Request) -> str:
        prefix, _, operation = request.headers.get("x-amz-target", "").partition(".")
        return operation if prefix == "AmazonSSM" else ""

    def parameters(self, request: Request) -> Any:
        if len(request.body) > BODY_LIMIT_BYTES:
            raise self.too_large()
        try:
            return json.loads(request.body)
        except ValueError:
            refuse("SerializationException", "")

    def resource(self, values: Mapping[str, Any]) -> str:
        if "Name" in values:
            return f"arn:aws:ssm:{self.region}:{ACCOUNT}:parameter{values['Name']}"
        node = values.get("ResourceId", "")
        if node.startswith("mi-"):
            return f"arn:aws:ssm:{self.region}:{ACCOUNT}:managed-instance/{node}"
        return f"arn:aws:ec2:{self.region}:{ACCOUNT}:instance/{node}"

    def context(self, _values: Mapping[str, Any]) -> Mapping[str, str]:
        return {}

    def too_large(self) -> Refusal:
        return Refusal("TotalSizeLimitExceededException", "")

    def answer_fault(self, _fault: str) -> dict[str, Any] | None:
        return None

    def answer(self, operation: str, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        if operation == "GetParameter":
            return self._get_parameter(values, now)
        if operation != "PutComplianceItems":
            refuse("UnknownOperationException", "")
        node, kind = values["ResourceId"], values["ComplianceType"]
        if values["ResourceType"] != "ManagedInstance":
            refuse("InvalidResourceType", "")
        if node not in self.nodes:
            refuse("InvalidResourceId", "")
        if not kind.startswith("Custom:"):
            refuse("InvalidItemContentException", f"{kind} belongs to Systems Manager itself")
        if values.get("UploadType", "COMPLETE") != "COMPLETE":
            refuse("InvalidItemContentException", "PARTIAL is for associations")
        executed_at = datetime.fromtimestamp(values["ExecutionSummary"]["ExecutionTime"], UTC)
        if abs(executed_at - now) > timedelta(days=30):
            refuse("ValidationException", f"ExecutionTime {executed_at}")
        self._put(node, kind, values, executed_at)
        return {}

    def _get_parameter(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        found = self.stored.get(values["Name"])
        if found is None:
            refuse("ParameterNotFound", "")
        is_secret = found.kind == "SecureString" and not values.get("WithDecryption")
        told = {
            "Name": values["Name"],
            "Type": found.kind,
            "Value": "AQICAHciphertext" if is_secret else found.value,
            "Version": found.version,
            "LastModifiedDate": now.timestamp(),
            "ARN": self.resource(values),
            "DataType": "text",
        }
        return {"Parameter": told}

    def _put(self, node: str, kind: str, values: dict[str, Any], executed_at: datetime) -> None:
        known = self.compliance.get((node, kind))
        content_hash = values.get("ItemContentHash")
        if known and content_hash and known.content_hash == content_hash:
            known.ignored += 1
            return
        if known is None and len({name for _, name in self.compliance}) >= TYPES_LIMIT:
            refuse("ComplianceTypeCountLimitExceededException", "")
        self.compliance[node, kind] = Compliance(values["Items"], executed_at, content_hash)
