"""CloudWatch Logs as the tests see it: its state, its answers, and what can go wrong with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.aws_rules import (
    Refusal,
    check_batch,
    check_parameters,
    check_signature,
    load_model,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.aws_rules import Request

MODEL = load_model("logs")

REFUSALS = {
    "throttled": Refusal("ThrottlingException", "Rate exceeded"),
    "error500": Refusal("InternalFailure", "", 500),
    "error503": Refusal("ServiceUnavailableException", "The service cannot complete it.", 503),
    "expired-token": Refusal(
        "ExpiredTokenException", "The security token included in the request is expired"
    ),
    "access-denied": Refusal(
        "AccessDeniedException",
        "User: arn:aws:sts::123456789012:assumed-role/node/i-0123456789abcdef0 is not authorized "
        "to perform: logs:{operation} on resource: * because no identity-based policy allows the "
        "logs:{operation} action",
    ),
}


@dataclass
class Fault:
    """What goes wrong with the next ``times`` signed requests; None: with all."""

    name: str
    times: int | None = None

    @classmethod
    def parse(cls, text: str) -> Fault:
        name, _, times = text.partition(":")
        return cls(name, int(times) if times else None)


@dataclass
class Logs:
    """The state of CloudWatch Logs in one Region: groups with their streams, events received."""

    region: str
    groups: dict[str, set[str]]
    events: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def fault(self) -> str:
        """Return the name of the fault that the next request meets, and count it."""
        for fault in self.faults:
            if fault.times is None:
                return fault.name
            if fault.times > 0:
                fault.times -= 1
                return fault.name
        return ""

    def judge(self, request: Request, fault: str) -> dict[str, Any]:
        """Return the answer to a request, or raise what AWS answers instead."""
        now = datetime.now(UTC)
        check_signature(request, self.region, "logs", now)
        prefix, _, operation = request.headers.get("x-amz-target", "").partition(".")
        if prefix != "Logs_20140328" or operation not in MODEL.operation_names:
            refuse("UnknownOperationException", "")
        if fault in REFUSALS:
            known = REFUSALS[fault]
            refuse(known.code, known.message.format(operation=operation), known.status)
        try:
            values = json.loads(request.body)
        except ValueError:
            refuse("SerializationException", "Could not parse the request body")
        check_parameters(MODEL.operation_model(operation).input_shape, values)
        if fault == "lost-stream":
            refuse("ResourceNotFoundException", "The specified log stream does not exist.")
        if fault == "rejected":
            return {"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1}}
        return self.answer(operation, values, now)

    def answer(self, operation: str, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        group, stream = values["logGroupName"], values.get("logStreamName", "")
        if operation == "CreateLogGroup":
            self._create(self.groups, group, "log group")
            self.groups[group] = set()
            return {}
        if group not in self.groups:
            refuse("ResourceNotFoundException", "The specified log group does not exist.")
        if operation == "CreateLogStream":
            self._create(self.groups[group], stream, "log stream")
            self.groups[group].add(stream)
            return {}
        if stream not in self.groups[group]:
            refuse("ResourceNotFoundException", "The specified log stream does not exist.")
        rejected = check_batch(values["logEvents"], now)
        if rejected:
            return {"rejectedLogEventsInfo": rejected}
        self.events += [{"group": group, "stream": stream, **item} for item in values["logEvents"]]
        return {"nextSequenceToken": "49590302938490205870980589"}

    @staticmethod
    def _create(existing: Collection[str], name: str, what: str) -> None:
        if name in existing:
            refuse("ResourceAlreadyExistsException", f"The specified {what} already exists")
