"""What AWS demands of a request: the signature, its time, and the parameters of its model.

Written from the Signature Version 4 reference and the CloudWatch Logs API reference, not from
botocore's code: only the shapes of the parameters are botocore's own model. Error texts are AWS's.
"""

# ruff: noqa: ANN401 - parameters are whatever a client sent
from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl, quote, urlsplit

import botocore.loaders
import botocore.model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ACCESS_KEY = "AKIDNODECHECKTESTS00"
SECRET_KEY = "not/a/secret+of+anybody"  # noqa: S105 - of the tests' own server
SESSION_TOKEN = "token-of-the-tests"  # noqa: S105 - as above

SKEW = timedelta(minutes=5)
STAMP = "%Y%m%dT%H%M%SZ"
BATCH_LIMIT_BYTES = 1_048_576
EVENT_OVERHEAD_BYTES = 26
DAY_MS = 24 * 3600 * 1000
EVENT_LIMIT_BYTES = 1_048_576

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)


class Refusal(Exception):  # noqa: N818 - what AWS answers
    """An error reply in AWS's JSON protocol."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def refuse(code: str, message: str, status: int = 400) -> NoReturn:
    raise Refusal(code, message, status)


@dataclass(frozen=True)
class Request:
    """One request as it arrived; names of headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


def check_signature(request: Request, region: str, service: str, now: datetime) -> None:
    """Refuse what AWS would refuse before it looks at the operation."""
    raw = request.headers.get("authorization")
    if not raw:
        refuse("MissingAuthenticationTokenException", "Missing Authentication Token")
    match = _AUTHORIZATION.fullmatch(raw)
    if match is None:
        refuse("IncompleteSignatureException", f"not in the form of version 4: {raw}")
    key, date, scope_region, scope_service, signed, signature = match.groups()
    _check_token(request, key)
    stamp = request.headers.get("x-amz-date", "")
    scope = f"{date}/{scope_region}/{scope_service}/aws4_request"
    if (scope_region, scope_service) != (region, service):
        _invalid(f"Credential should be scoped to a valid region: '{region}/{service}'.")
    if not stamp.startswith(date):
        _invalid(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
            f"from HTTP: '{date}' != '{stamp[:8]}', from '{stamp}'."
        )
    _check_time(stamp, now)
    names = signed.split(";")
    if not {"host", "x-amz-date"} <= set(names) or names != sorted(names):
        _invalid("'Host' and 'x-amz-date' must be a 'SignedHeader' in the AWS Authorization.")
    if "x-amz-security-token" in request.headers and "x-amz-security-token" not in names:
        _invalid("'x-amz-security-token' must be a signed header")
    canonical = _canonical_request(request, names)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    if not hmac.compare_digest(_signature(date, region, service, text), signature):
        _invalid(
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method."
        )


def _check_token(request: Request, key: str) -> None:
    token = request.headers.get("x-amz-security-token")
    if key != ACCESS_KEY or token not in {None, SESSION_TOKEN}:
        refuse(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )


def _check_time(stamp: str, now: datetime) -> None:
    try:
        moment = datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
    except ValueError:
        refuse("IncompleteSignatureException", f"Date must be ISO-8601: {stamp}")
    if moment < now - SKEW:
        _invalid(
            f"Signature expired: {stamp} is now earlier than {now - SKEW:{STAMP}} "
            f"({now:{STAMP}} - 5 min.)"
        )
    if moment > now + SKEW:
        _invalid(
            f"Signature not yet current: {stamp} is still later than {now + SKEW:{STAMP}} "
            f"({now:{STAMP}} + 5 min.)"
        )


def _canonical_request(request: Request, names: list[str]) -> str:
    parts = urlsplit(request.target)
    query = sorted(parse_qsl(parts.query, keep_blank_values=True))
    values = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names
    )
    digest = hashlib.sha256(request.body).hexdigest()
    declared = request.headers.get("x-amz-content-sha256", digest)
    return "\n".join(
        [
            request.method,
            quote(parts.path or "/", safe="/~"),
            "&".join(f"{quote(a, safe='~')}={quote(b, safe='~')}" for a, b in query),
            values,
            ";".join(names),
            digest if declared != "UNSIGNED-PAYLOAD" else declared,
        ]
    )


def _signature(date: str, region: str, service: str, text: str) -> str:
    key = f"AWS4{SECRET_KEY}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _invalid(message: str) -> NoReturn:
    refuse("InvalidSignatureException", message)


def load_model(service: str) -> botocore.model.ServiceModel:
    return botocore.model.ServiceModel(
        botocore.loaders.Loader().load_service_model(service, "service-2"), service
    )


def check_parameters(shape: Any, value: object) -> None:
    """Refuse parameters that the model does not allow; botocore checks only some of this."""
    problems = list(_problems(shape, value, ""))
    if problems:
        text = f"{len(problems)} validation errors detected: {'; '.join(problems)}"
        refuse("InvalidParameterException", text)


TYPES = {"string": str, "integer": int, "long": int, "boolean": bool, "structure": dict,
         "map": dict, "list": list, "double": (int, float), "float": (int, float),
         "timestamp": (int, float)}  # fmt: skip


def _problems(shape: Any, value: Any, at: str) -> Iterator[str]:
    expected = TYPES.get(shape.type_name, object)
    wrong_bool = isinstance(value, bool) and shape.type_name != "boolean"
    if not isinstance(value, expected) or wrong_bool:  # type: ignore[arg-type]
        yield f"Value at '{at}' is no {shape.type_name}"
        return
    if shape.type_name == "structure":
        yield from (
            f"'{at}.{name}' is required" for name in shape.required_members if name not in value
        )
        yield from (f"'{at}.{name}' is unknown" for name in value if name not in shape.members)
        for name in set(value) & set(shape.members):
            yield from _problems(shape.members[name], value[name], f"{at}.{name}")
    elif shape.type_name == "list":
        for number, item in enumerate(value):
            yield from _problems(shape.member, item, f"{at}.{number + 1}.member")
    elif shape.type_name == "map":
        for name, item in value.items():
            yield from _problems(shape.key, name, f"{at}.key")
            yield from _problems(shape.value, item, f"{at}.{name}")
    yield from _scalar_problems(shape.metadata, value, at)


def _scalar_problems(rules: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
    size = len(value) if hasattr(value, "__len__") else value
    if isinstance(size, (int, float)) and not isinstance(value, bool):
        if size < rules.get("min", size):
            yield f"'{at}': Member must have length or value of at least {rules['min']}"
        if size > rules.get("max", size):
            yield f"'{at}': Member must have length or value of at most {rules['max']}"
    if "pattern" in rules and not re.fullmatch(rules["pattern"], value):
        yield f"'{at}': Member must satisfy regular expression pattern: {rules['pattern']}"
    if "enum" in rules and value not in rules["enum"]:
        yield f"'{at}': Member must satisfy enum value set: {rules['enum']}"


def check_batch(events: list[dict[str, Any]], now: datetime) -> dict[str, int]:
    """Apply the batch rules of PutLogEvents; return which events are rejected for their time."""
    stamps = [event["timestamp"] for event in events]
    batch = "Log events in a single PutLogEvents request"
    if stamps != sorted(stamps):
        refuse("InvalidParameterException", f"{batch} must be in chronological order.")
    if stamps[-1] - stamps[0] > DAY_MS:
        refuse("InvalidParameterException", f"{batch} cannot span more than 24 hours.")
    sizes = [len(event["message"].encode()) + EVENT_OVERHEAD_BYTES for event in events]
    if sum(sizes) > BATCH_LIMIT_BYTES or max(sizes) > EVENT_LIMIT_BYTES:
        text = f"Upload too large: {sum(sizes)} bytes exceeds limit of {BATCH_LIMIT_BYTES}"
        refuse("InvalidParameterException", text)
    now_ms = now.timestamp() * 1000
    old = [number for number, stamp in enumerate(stamps) if stamp < now_ms - 14 * DAY_MS]
    new = [number for number, stamp in enumerate(stamps) if stamp > now_ms + DAY_MS / 12]
    rejected = {"tooOldLogEventEndIndex": old[-1] + 1} if old else {}
    return rejected | ({"tooNewLogEventStartIndex": new[0]} if new else {})
