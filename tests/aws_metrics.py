"""CloudWatch metrics as the tests see them: PutMetricData in AWS's JSON protocol, version 1.0.

Of the three protocols of CloudWatch's model botocore takes this one. Written from the API reference
of PutMetricData; the error texts are AWS's. A request in "query mode" has its errors named in the
header ``x-amzn-query-error`` by the codes of the old protocol too; ``query_errors`` switches that
off, because the clients must cope with both.
"""

# ruff: noqa: ANN401 - parameters are whatever a client sent
from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.aws_rules import Refusal, load_model, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.aws_rules import Request

MODEL = load_model("cloudwatch")
TARGET = "GraniteServiceVersion20100801"

BODY_LIMIT_BYTES = 1_000_000
METRICS_LIMIT = 1_000
DIMENSIONS_LIMIT = 30
VALUES_LIMIT = 150
EARLIEST = timedelta(days=14)
LATEST = timedelta(hours=2)

QUERY_CODES = {
    "AccessDeniedException": "AccessDenied",
    "ExpiredTokenException": "ExpiredToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "InvalidParameterCombinationException": "InvalidParameterCombination",
    "InvalidParameterException": "ValidationError",
    "InvalidParameterValueException": "InvalidParameterValue",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "MissingRequiredParameterException": "MissingParameter",
    "RequestEntityTooLargeException": "RequestEntityTooLarge",
    "ServiceUnavailableException": "ServiceUnavailable",
    "ThrottlingException": "Throttling",
    "UnrecognizedClientException": "InvalidClientTokenId",
}


@dataclass
class Metrics:
    """CloudWatch in one Region: every metric it took, as it came, with its namespace."""

    region: str
    data: list[dict[str, Any]] = field(default_factory=list)
    query_errors: bool = True

    signing_name = "monitoring"
    prefix = "cloudwatch"
    model = MODEL

    def operation(self, request: Request) -> str:
        prefix, _, operation = request.headers.get("x-amz-target", "").partition(".")
        return operation if prefix == TARGET else ""

    def parameters(self, request: Request) -> Any:
        headers = request.headers
        if headers.get("content-type") != "application/x-amz-json-1.0":
            refuse("SerializationException", "not application/x-amz-json-1.0")
        if len(request.body) > BODY_LIMIT_BYTES:
            raise self.too_large()
        try:
            packed = headers.get("content-encoding") == "gzip"
            return json.loads(gzip.decompress(request.body) if packed else request.body)
        except (ValueError, OSError) as exc:
            refuse("SerializationException", str(exc))

    def resource(self, _values: Mapping[str, Any]) -> str:
        return "*"

    def context(self, values: Mapping[str, Any]) -> Mapping[str, str]:
        return {"cloudwatch:namespace": values["Namespace"]}

    def too_large(self) -> Refusal:
        return Refusal("RequestEntityTooLargeException", "Request size exceeded 1000000 bytes", 413)

    def answer_fault(self, _fault: str) -> dict[str, Any] | None:
        return None

    def answer(self, operation: str, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        if operation != "PutMetricData":
            refuse("UnknownOperationException", "")
        check_metrics(values, now)
        self.data += [{"Namespace": values["Namespace"], **item} for item in values["MetricData"]]
        return {}

    def error(self, refusal: Refusal) -> dict[str, str]:
        """Return the header of an error in query mode."""
        if not self.query_errors:
            return {}
        code = QUERY_CODES.get(refusal.code, refusal.code)
        return {"x-amzn-query-error": f"{code};{'Sender' if refusal.status < 500 else 'Receiver'}"}


def check_metrics(values: Mapping[str, Any], now: datetime) -> None:
    """Apply the rules of PutMetricData that its model does not have."""
    namespace, data = values["Namespace"], values.get("MetricData", [])
    if namespace.startswith("AWS/"):
        _invalid(f"The value {namespace} for parameter Namespace is invalid.")
    if not data:
        refuse("MissingRequiredParameterException", "The parameter MetricData is required.")
    if len(data) > METRICS_LIMIT:
        _invalid("The collection MetricData must not have a size greater than 1000.")
    for number, item in enumerate(data, 1):
        _check_datum(item, f"MetricData.member.{number}", now)


def _check_datum(item: Mapping[str, Any], at: str, now: datetime) -> None:
    dimensions = item.get("Dimensions", [])
    if len(dimensions) > DIMENSIONS_LIMIT:
        _invalid(f"The collection {at}.Dimensions must not have a size greater than 30.")
    names = Counter(pair["Name"] for pair in dimensions)
    if any(count > 1 for count in names.values()):
        _invalid(f"The parameter {at}.Dimensions has a duplicate name.")
    for pair in dimensions:
        for key in ("Name", "Value"):
            _check_text(pair[key], f"{at}.Dimensions.{key}", is_name=key == "Name")
    _check_text(item["MetricName"], f"{at}.MetricName")
    if item.get("StorageResolution", 60) not in {1, 60}:
        _invalid(f"The value for parameter {at}.StorageResolution must be 1 or 60.")
    stamp = datetime.fromtimestamp(item.get("Timestamp", now.timestamp()), UTC)
    if not now - EARLIEST <= stamp <= now + LATEST:
        _invalid(
            f"The parameter {at}.Timestamp must specify a time no more than two weeks in past."
        )
    _check_values(item, at)


def _check_values(item: Mapping[str, Any], at: str) -> None:
    given = [name for name in ("Value", "StatisticValues", "Values") if name in item]
    if len(given) != 1:
        text = f"At least one of the parameters {at}.Value or {at}.StatisticValues is required"
        refuse("InvalidParameterCombinationException", text)
    values = item.get("Values", []) or [item.get("Value", 0.0)]
    if len(values) > VALUES_LIMIT or len(item.get("Counts", values)) != len(values):
        _invalid(f"The collection {at}.Values must not have a size greater than 150.")
    for value in [*values, *item.get("StatisticValues", {}).values()]:
        if not math.isfinite(value) or abs(value) > 2.0**360:
            _invalid(f"The value {value} for parameter {at}.Value is invalid.")


def _check_text(text: str, at: str, *, is_name: bool = False) -> None:
    wrong = not text.isascii() or not text.isprintable() or not text.strip()
    if wrong or (is_name and text.startswith(":")):
        _invalid(
            f"The parameter {at} must contain only ASCII characters, and one that is no blank."
        )


def _invalid(message: str) -> None:
    refuse("InvalidParameterValueException", message)
