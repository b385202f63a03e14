"""What each answer of WinVerifyTrust means for the agent: how bad, under which reason, in words.

Crit are answers that prove something wrong with the file. What says that Windows could not find
out, or lacks a root, proves nothing: roots come to a node only when they are asked for. The return
is a LONG of any provider; a number that is not listed is unknown, never good.

Source: winerror.h of the Windows SDK.
"""

from __future__ import annotations

from typing import Final

from nodecheck.model.trust_codes import Code
from nodecheck.model.verdict import Status

Meaning = tuple[Status, str, str]

_NO_ROOT: Final = "its chain ends in a root that this node does not trust"
_REVOKED: Final = "its certificate is revoked"
_MEANINGS: Final[dict[int, Meaning]] = {
    Code.NO_SIGNATURE: (Status.CRIT, "unsigned", "Windows finds no signature"),
    Code.BAD_DIGEST: (Status.CRIT, "bad-digest", "its content is not what was signed"),
    Code.DISTRUSTED: (Status.CRIT, "distrusted", "its publisher is distrusted on this node"),
    Code.REVOKED: (Status.CRIT, "revoked", _REVOKED),
    Code.REVOKED_CERTIFICATE: (Status.CRIT, "revoked", _REVOKED),
    Code.NOT_TRUSTED: (Status.CRIT, "refused-by-policy", "this node's policy refuses it"),
    Code.CERTIFICATE_SIGNATURE: (
        Status.CRIT,
        "bad-signature",
        "a certificate of its chain does not verify",
    ),
    Code.COUNTER_SIGNER: (Status.CRIT, "bad-timestamp", "its countersignature does not verify"),
    Code.TIME_STAMP: (Status.CRIT, "bad-timestamp", "its timestamp is wrong or missing"),
    Code.BASIC_CONSTRAINTS: (Status.CRIT, "bad-signature", "a leaf of its chain signs others"),
    Code.PATH_LENGTH: (Status.CRIT, "bad-signature", "its chain is longer than allowed"),
    Code.WRONG_USAGE: (Status.CRIT, "wrong-usage", "its certificate is not for code signing"),
    Code.PURPOSE: (Status.CRIT, "wrong-usage", "its certificate is used for another purpose"),
    Code.MALFORMED: (Status.CRIT, "malformed-signature", "Windows cannot read its signature"),
    Code.EXPIRED: (Status.CRIT, "expired", "a certificate is out of its validity"),
    Code.NESTING: (Status.CRIT, "expired", "validities in its chain do not nest"),
    Code.UNTRUSTED_ROOT: (Status.UNKNOWN, "untrusted-root", _NO_ROOT),
    Code.UNTRUSTED_CA: (Status.UNKNOWN, "untrusted-root", _NO_ROOT),
    Code.TEST_ROOT: (Status.UNKNOWN, "untrusted-root", _NO_ROOT),
    Code.CHAINING: (Status.UNKNOWN, "chain-incomplete", "its chain to a root is not complete"),
    Code.SECURITY_SETTINGS: (
        Status.UNKNOWN,
        "not-verified",
        "this node's security settings kept Windows from verifying",
    ),
    Code.BAD_ALGORITHM: (
        Status.UNKNOWN,
        "not-verified",
        "an algorithm of the signature is not allowed or not known on this node",
    ),
}
_BY_CLOCK: Final = frozenset({Code.EXPIRED, Code.NESTING, Code.REVOKED, Code.REVOKED_CERTIFICATE})
"""Windows judges these by the node's own clock, where no timestamp counts."""


def judge_code(code: int, *, is_clock_right: bool) -> Meaning:
    """Return status, reason code and words of an answer that is not good.

    >>> judge_code(0x800B0109, is_clock_right=True)[1]
    'untrusted-root'
    >>> judge_code(0x7A, is_clock_right=True)[:2]
    (<Status.UNKNOWN: 'unknown'>, 'not-verified')
    """
    text = "Windows did not verify it"
    status, reason, words = _MEANINGS.get(code, (Status.UNKNOWN, "not-verified", text))
    if code in _BY_CLOCK and not is_clock_right:
        return Status.UNKNOWN, "clock-wrong", f"{words}, by a clock that is wrong or unmeasured"
    return status, reason, words
