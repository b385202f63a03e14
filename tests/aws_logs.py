"""CloudWatch Logs as the tests see it: its state, its answers, and what can go wrong with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.aws_iam import ACCOUNT
from tests.aws_rules import Refusal, check_batch, load_model, refuse
from tests.aws_service import Fault as Fault  # noqa: PLC0414 - tests have it from here
from tests.aws_service import judge

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from tests.aws_rules import Request

MODEL = load_model("logs")

BODY_LIMIT_BYTES = 1_048_576


@dataclass
class Logs:
    """The state of CloudWatch Logs in one Region: groups with their streams, events received."""

    region: str
    groups: dict[str, set[str]]
    events: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    policy: Mapping[str, Any] | None = None

    def fault(self) -> str:
        """Return the name of the fault that the next request meets, and count it."""
        for fault in self.faults:
            if fault.times is None:
                return fault.name
            if fault.times > 0:
                fault.times -= 1
                return fault.name
        return ""

    signing_name = prefix = "logs"
    model = MODEL

    def judge(self, request: Request, fault: str) -> dict[str, Any]:
        """Return the answer to a request, or raise what AWS answers instead."""
        return judge(self, request, fault, self.policy)

    def operation(self, request: Request) -> str:
        prefix, _, operation = request.headers.get("x-amz-target", "").partition(".")
        return operation if prefix == "Logs_20140328" else ""

    def parameters(self, request: Request) -> Any:  # noqa: ANN401 - whatever a client sent
        try:
            return json.loads(request.body)
        except ValueError:
            refuse("SerializationException", "Could not parse the request body")

    def resource(self, values: Mapping[str, Any]) -> str:
        """Return the ARN by which AWS judges all three operations used here."""
        place = f"log-group:{values['logGroupName']}:log-stream:{values.get('logStreamName', '')}"
        return f"arn:aws:logs:{self.region}:{ACCOUNT}:{place}"

    def context(self, values: Mapping[str, Any]) -> Mapping[str, str]:
        return {}

    def too_large(self) -> Refusal:
        text = f"Upload too large: 1048577 bytes exceeds limit of {BODY_LIMIT_BYTES}"
        return Refusal("InvalidParameterException", text)

    def answer_fault(self, fault: str) -> dict[str, Any] | None:
        if fault == "lost-stream":
            refuse("ResourceNotFoundException", "The specified log stream does not exist.")
        return (
            {"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 1}}
            if fault == "rejected"
            else None
        )

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
