"""Read OpenPGP v4 RSA public keys, take their fingerprints, and verify with them.

Sources: RFC 4880 sections 5.5.2 (keys), 9.1 (algorithms), 12.2 (fingerprints); RFC 8017 section
8.2.2 (RSASSA-PKCS1-v1_5).
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
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

        if value >= self.modulus:
            return False
        kinds: dict[str, hashes.HashAlgorithm] = {
            "sha1": hashes.SHA1(),  # noqa: S303 - rpm headers up to 2024; the caller warns
            "sha256": hashes.SHA256(),
            "sha384": hashes.SHA384(),
            "sha512": hashes.SHA512(),
        }
        public = rsa.RSAPublicNumbers(self.exponent, self.modulus).public_key()
        size = (self.modulus.bit_length() + 7) // 8
        prehashed = utils.Prehashed(kinds[algorithm])
        try:
            public.verify(value.to_bytes(size, "big"), digest, padding.PKCS1v15(), prehashed)
        except InvalidSignature:
            return False
        return True


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
