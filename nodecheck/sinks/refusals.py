"""Say of a call that AWS refused why, and what would help.

CloudWatch, whose old protocol was Query, names its errors by the codes of that protocol too (the
header ``x-amzn-query-error``), and botocore then takes those: the same refusal has two names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.aws.client import NO_CREDENTIALS, NO_REPLY, UNTRUSTED
from nodecheck.model.report import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nodecheck.aws.client import CallError

EXPLANATION_LIMIT: Final = 600

DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException"})

_EXPIRED: Final = "the credentials have expired"
_STRANGER: Final = "AWS does not know these credentials"
_SIGNATURE: Final = "AWS refused the signature: wrong secret key or wrong time"
_CAUSES: Final = {
    NO_CREDENTIALS: "no AWS credentials; looked in the environment, the shared credentials and "
    "configuration files, the container endpoint and the instance metadata",
    NO_REPLY: "no answer from {service}",
    UNTRUSTED: "the server that answers for {service} cannot be trusted",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidClientTokenId": _STRANGER,
    "UnrecognizedClientException": _STRANGER,
    "SignatureDoesNotMatch": _SIGNATURE,
    "InvalidSignatureException": _SIGNATURE,
}


def explain(exc: CallError, service: str, place: str, wanted: Iterable[str]) -> str:
    """Return a sentence that says what to do, and what AWS said.

    ``place`` is what was written to, ``wanted`` are the actions that this needs.
    """
    said = said_by(exc)
    if exc.code in DENIED:
        return f"these credentials may not write to {place}, they need {', '.join(wanted)}: {said}"
    cause = _CAUSES.get(exc.code, f"{{service}} refused the report, {exc.code}")
    return shorten(f"{cause.format(service=service)}: {said}".rstrip(": "), EXPLANATION_LIMIT)


def said_by(exc: CallError) -> str:
    """Return AWS's own words on one line, without the request of a refused signature.

    That holds the session token. Whoever answers for AWS may send what steers a terminal.
    """
    return shorten(exc.message.partition("The Canonical String")[0], EXPLANATION_LIMIT)
