"""What all stand-ins of AWS services share: the order in which a request is judged, and its faults.

Signature and time come first, then the rights, then the parameters, then the service itself.
"""

# ruff: noqa: ANN401 - parameters are whatever a client sent
from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from tests.aws_iam import authorise
from tests.aws_rules import Refusal, check_parameters, check_signature, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.aws_rules import Request

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
        "to perform: {action} on resource: * because no identity-based policy allows the "
        "{action} action",
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


class Service(Protocol):
    """One AWS service in one Region."""

    region: str

    @property
    def signing_name(self) -> str: ...

    @property
    def prefix(self) -> str:
        """What stands before the colon of its IAM actions."""

    @property
    def model(self) -> Any: ...

    def operation(self, request: Request) -> str: ...

    def parameters(self, request: Request) -> Any: ...

    def resource(self, values: Mapping[str, Any]) -> str: ...

    def context(self, values: Mapping[str, Any]) -> Mapping[str, str]: ...

    def too_large(self) -> Refusal: ...

    def answer_fault(self, fault: str) -> dict[str, Any] | None: ...

    def answer(self, operation: str, values: dict[str, Any], now: datetime) -> dict[str, Any]: ...


def judge(
    service: Service, request: Request, fault: str, policy: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the answer to a request, or raise what AWS answers instead."""
    now = datetime.now(UTC)
    check_signature(request, service.region, service.signing_name, now)
    operation = service.operation(request)
    if operation not in service.model.operation_names:
        refuse("UnknownOperationException", "")
    action = f"{service.prefix}:{operation}"
    if fault in REFUSALS:
        known = REFUSALS[fault]
        refuse(known.code, known.message.format(action=action), known.status)
    if fault == "too-large":
        raise service.too_large()
    values = service.parameters(request)
    check_parameters(service.model.operation_model(operation).input_shape, values)
    authorise(policy, action, service.resource(values), service.context(values))
    told = service.answer_fault(fault)
    return service.answer(operation, values, now) if told is None else told
