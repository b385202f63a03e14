"""The IAM policy that a sink needs, and no more.

Which actions take which resources and condition keys: Service Authorization Reference, pages
"CloudWatch", "CloudWatch Logs" and "Systems Manager".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from nodecheck.aws import endpoints
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Right:
    """Actions on resources; ``condition`` is a key and the one value that it must have."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: tuple[str, str] | None = None


def arn(service: str, region: str, account: str | None, resource: str) -> str:
    """Return an ARN; an unknown Region or account is a star.

    >>> arn("ssm", "cn-north-1", None, "managed-instance/*")
    'arn:aws-cn:ssm:cn-north-1:*:managed-instance/*'
    """
    partition = endpoints.partition(region) if endpoints.is_region(region) else "aws"
    return f"arn:{partition}:{service}:{region or '*'}:{account or '*'}:{resource}"


def actions(rights: Iterable[Right]) -> tuple[str, ...]:
    """Return every action once."""
    return tuple(dict.fromkeys(action for right in rights for action in right.actions))


def document(rights: Iterable[Right]) -> dict[str, object]:
    """Return one policy with each right once."""
    statements = [_statement(right) for right in dict.fromkeys(rights)]
    return {"Version": "2012-10-17", "Statement": statements}


def text(rights: Iterable[Right]) -> str:
    """Return the policy as people and ``aws iam`` read it."""
    return json.dumps(document(rights), indent=2)


def _statement(right: Right) -> dict[str, object]:
    where: object = list(right.resources) if len(right.resources) > 1 else right.resources[0]
    statement = {"Effect": "Allow", "Action": list(right.actions), "Resource": where}
    if right.condition is None:
        return statement
    key, value = right.condition
    return {**statement, "Condition": {"StringEquals": {key: value}}}
