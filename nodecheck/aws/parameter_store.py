"""Read one parameter of Parameter Store, by GetParameter of Systems Manager.

A standard parameter holds 4 KB, an advanced one 8 KB; all Get calls of an account share 40 a second
by default (Parameter Store, "Parameter tiers" and "throughput"). The core policy of managed nodes
allows GetParameter, default host management does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.aws.client import CallError, open_client
from nodecheck.records import dataclass, field

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.model.moment import CorrectedTime

VALUE_LIMIT_BYTES: Final = 8192
KINDS: Final = ("String", "SecureString")
UNUSABLE: Final = "Unusable"
"""The code of an answer that came, and is no text of settings."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One version of a parameter, decrypted."""

    name: str
    version: int
    kind: str
    text: str = field(repr=False)


def fetch(
    host: Host, name: str, region: str, corrected: CorrectedTime | None, timeout_s: float
) -> Parameter:
    """Return the newest version of a parameter.

    Raises:
        CallError: refused, not reached, no credentials; ``Unusable`` for another kind of answer.
    """
    with open_client("ssm", region, host, corrected, timeout_s) as client:
        reply = client.call("GetParameter", {"Name": name, "WithDecryption": True})
    found = reply.get("Parameter")
    members = found if isinstance(found, dict) else {}
    text, version, kind = (members.get(key) for key in ("Value", "Version", "Type"))
    if not isinstance(text, str) or not isinstance(version, int) or not isinstance(kind, str):
        raise CallError(UNUSABLE, "the answer holds no parameter")
    if kind not in KINDS:
        raise CallError(UNUSABLE, f"a {kind[:20]}, expected a {' or a '.join(KINDS)}")
    if len(text.encode("utf-8", "replace")) > VALUE_LIMIT_BYTES:
        raise CallError(UNUSABLE, f"larger than {VALUE_LIMIT_BYTES} bytes")
    return Parameter(name, version, kind, text)
