"""IAM's judgement of one request by one identity policy: action, resource, and StringEquals.

Written from "IAM JSON policy evaluation logic": what no statement allows is denied.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.aws_rules import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT = "123456789012"


def authorise(
    policy: Mapping[str, Any] | None, action: str, resource: str, context: Mapping[str, str]
) -> None:
    """Refuse what the policy does not allow; None is a policy that allows everything."""
    if policy is None or allows(policy, action, resource, context):
        return
    refuse(
        "AccessDeniedException",
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/node/i-0123456789abcdef0 is not authorized to "
        f"perform: {action} on resource: {resource} because no identity-based policy allows the "
        f"{action} action",
    )


def allows(
    policy: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]
) -> bool:
    return any(_applies(item, action, resource, context) for item in policy["Statement"])


def _applies(
    statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]
) -> bool:
    conditions = statement.get("Condition", {})
    assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert set(conditions) <= {"StringEquals"}
    assert statement["Effect"] == "Allow"
    return (
        any(_matches(item.lower(), action.lower()) for item in _list(statement["Action"]))
        and any(_matches(item, resource) for item in _list(statement["Resource"]))
        and all(
            context.get(key) in _list(values)
            for key, values in conditions.get("StringEquals", {}).items()
        )
    )


def _matches(pattern: str, text: str) -> bool:
    quoted = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(quoted, text, re.DOTALL) is not None


def _list(value: Any) -> list[str]:  # noqa: ANN401 - JSON
    return [value] if isinstance(value, str) else list(value)
