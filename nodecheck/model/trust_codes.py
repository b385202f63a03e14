"""The answers of WinVerifyTrust that mean something of their own, and the errors of a chain.

Names and numbers are those of winerror.h and wincrypt.h of the Windows SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nodecheck.model.authenticode import TrustAnswer


class Code:
    """Returns of WinVerifyTrust, as unsigned numbers."""

    GOOD: Final = 0
    NO_SIGNATURE: Final = 0x800B0100
    BAD_DIGEST: Final = 0x80096010
    DISTRUSTED: Final = 0x800B0111
    REVOKED: Final = 0x800B010C
    REVOKED_CERTIFICATE: Final = 0x80092010
    NOT_TRUSTED: Final = 0x800B0004
    CERTIFICATE_SIGNATURE: Final = 0x80096004
    COUNTER_SIGNER: Final = 0x80096003
    TIME_STAMP: Final = 0x80096005
    BASIC_CONSTRAINTS: Final = 0x80096019
    PATH_LENGTH: Final = 0x800B0104
    WRONG_USAGE: Final = 0x800B0110
    PURPOSE: Final = 0x800B0106
    MALFORMED: Final = 0x80096011
    EXPIRED: Final = 0x800B0101
    NESTING: Final = 0x800B0102
    UNTRUSTED_ROOT: Final = 0x800B0109
    UNTRUSTED_CA: Final = 0x800B0112
    TEST_ROOT: Final = 0x800B010D
    CHAINING: Final = 0x800B010A
    NO_REVOCATION_CHECK: Final = 0x80092012
    REVOCATION_OFFLINE: Final = 0x80092013
    REVOCATION_FAILURE: Final = 0x800B010E
    NO_REVOCATION_DLL: Final = 0x80092011
    SECURITY_SETTINGS: Final = 0x80092026
    BAD_ALGORITHM: Final = 0x80090008


REVOCATION_UNKNOWN: Final = frozenset(
    {
        Code.NO_REVOCATION_CHECK,
        Code.REVOCATION_OFFLINE,
        Code.REVOCATION_FAILURE,
        Code.NO_REVOCATION_DLL,
    }
)

CHAIN_CODES: Final = (
    (0x0000_0004, Code.REVOKED),
    (0x0400_0000, Code.DISTRUSTED),
    (0x0000_0008, Code.CERTIFICATE_SIGNATURE),
    (0x0000_0400, Code.BASIC_CONSTRAINTS),
    (0x0000_0010, Code.WRONG_USAGE),
    (0x0000_0020, Code.UNTRUSTED_ROOT),
    (0x0001_0080, Code.CHAINING),
)
"""Error bits of a chain (CERT_TRUST_STATUS of wincrypt.h), and the code that says the same."""


def effective_code(answer: TrustAnswer) -> int:
    """Return the code that counts: a good one does not outweigh errors of the chain behind it.

    >>> from nodecheck.model.authenticode import TrustAnswer
    >>> hex(effective_code(TrustAnswer(0, chain_errors=0x20)))
    '0x800b0109'
    """
    if answer.code or answer.chain_errors is None:
        return answer.code
    found = (code for bits, code in CHAIN_CODES if answer.chain_errors & bits)
    return next(found, Code.GOOD)
