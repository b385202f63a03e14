"""Read OpenPGP v4 RSA public keys, take their fingerprints, and verify with them.

Sources: RFC 4880 sections 5.5.2 (keys), 9.1 (algorithms), 12.2 (fingerprints); RFC 8017 sections
8.2.2 (RSASSA-PKCS1-v1_5) and 9.2 (its encoding, with the prefixes of note 1).

Verifying needs no secret, so nothing can leak. A digest has one encoding: it is built and compared
whole, and what a signature yields is never taken apart, which the known forgeries need. The same
from the cryptography package costs 10 MB of memory, and a second OpenSSL to keep up to date.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass
from nodecheck.trust.packets import Reader, TrustError

if TYPE_CHECKING:
    from datetime import datetime

RSA_ALGORITHMS: Final = frozenset({1, 3})
"""RSA, and RSA sign only."""

_VERSION: Final = 4
_BITS: Final = range(2048, 8193)
_EXPONENTS: Final = range(3, 2**32, 2)

_PREFIXES: Final = {
    "sha1": "3021300906052b0e03021a05000414",
    "sha256": "3031300d060960864801650304020105000420",
    "sha384": "3041300d060960864801650304020205000430",
    "sha512": "3051300d060960864801650304020305000440",
}
"""DigestInfo of each algorithm up to the digest; its last byte is the length of the digest."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An RSA public key. ``body`` is its packet's body, which its fingerprint is taken over."""

    fingerprint: str
    created_at: datetime
    modulus: int
    exponent: int
    body: bytes

    @property
    def key_id(self) -> str:
        """Return the last 64 bits of the fingerprint."""
        return self.fingerprint[-16:]

    def verifies(self, algorithm: str, digest: bytes, value: int) -> bool:
        """Tell whether this RSA signature value was made by this key over this digest."""
        prefix = bytes.fromhex(_PREFIXES[algorithm])
        if len(digest) != prefix[-1]:
            msg = f"a {algorithm} digest of {len(digest)} bytes"
            raise ValueError(msg)
        size = (self.modulus.bit_length() + 7) // 8
        padding = b"\xff" * (size - 3 - len(prefix) - len(digest))
        encoded = b"\x00\x01" + padding + b"\x00" + prefix + digest
        if value >= self.modulus:
            return False
        return pow(value, self.exponent, self.modulus) == int.from_bytes(encoded, "big")


def read_public_key(body: bytes) -> PublicKey:
    """Return the RSA key of a public-key packet's body.

    Raises:
        TrustError: not version 4, not RSA, of an unusual size, or damaged.
    """
    reader = Reader(body)
    version = reader.number(1)
    if version != _VERSION:
        msg = f"public key of version {version}, only 4 is supported"
        raise TrustError(msg, unsupported=True)
    created_at = reader.instant()
    algorithm = reader.number(1)
    if algorithm not in RSA_ALGORITHMS:
        msg = f"public key of algorithm {algorithm}, only RSA is supported"
        raise TrustError(msg, unsupported=True)
    modulus, exponent = reader.multiprecision(), reader.multiprecision()
    reader.end("public key")
    if modulus.bit_length() not in _BITS or not modulus & 1:
        msg = f"RSA modulus of {modulus.bit_length()} bits, 2048 to 8192 are supported"
        raise TrustError(msg, unsupported=True)
    if exponent not in _EXPONENTS:
        msg = "unusual RSA exponent"
        raise TrustError(msg, unsupported=True)
    digest = hashlib.sha1(key_frame(body), usedforsecurity=False)
    return PublicKey(digest.hexdigest().upper(), created_at, modulus, exponent, body)


def key_frame(body: bytes) -> bytes:
    """Return a key as it enters fingerprints and certifications (RFC 4880 section 12.2)."""
    return b"\x99" + len(body).to_bytes(2, "big") + body
