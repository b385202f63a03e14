"""Read OpenPGP v4 RSA signatures strictly, and verify them.

Only what Amazon's and rpm's signatures consist of is understood; everything else is refused,
because what a reader does not understand it cannot prove: one whole packet, version 4, RSA, SHA-1
or SHA-2, one date, one issuer, and no unknown critical subpacket. SHA-1 is verified because
Amazon's rpm headers carried it up to about 2024; whether it is believed is for the caller to judge.

Sources: RFC 4880 sections 5.2.3 (signatures), 5.2.4 (what is hashed), 9.4 (digests).
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from nodecheck.model.moment import EPOCH
from nodecheck.records import dataclass
from nodecheck.trust.packets import TAG_SIGNATURE, Reader, TrustError, read_length, read_packets
from nodecheck.trust.public_key import RSA_ALGORITHMS

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.trust.public_key import PublicKey

_VERSION: Final = 4
_BINARY_DOCUMENT: Final = 0x00
_DIGESTS: Final = {2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512"}

_CREATED: Final = 2
_SIGNATURE_LIFETIME: Final = 3
_KEY_LIFETIME: Final = 9
_ISSUER: Final = 16
_KEY_FLAGS: Final = 27
_ISSUER_FINGERPRINT: Final = 33
_HARMLESS: Final = frozenset({11, 21, 22, 23, 25, 28, 30, 34})
"""Preferences, primary user id, signer's user id, features: they never change what is proven."""
_KNOWN: Final = _HARMLESS | {
    _CREATED,
    _SIGNATURE_LIFETIME,
    _KEY_LIFETIME,
    _ISSUER,
    _KEY_FLAGS,
    _ISSUER_FINGERPRINT,
}


class Hasher(Protocol):
    """A running digest of ``hashlib``."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""

    def digest(self) -> bytes:
        """Return the digest of all bytes so far."""

    def copy(self) -> Hasher:
        """Return an independent copy."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A v4 RSA signature. ``head`` is the part of the packet that is hashed with the data.

    ``fingerprint`` ('' if not given) and ``key_id`` name the issuer and prove nothing.
    """

    kind: int
    algorithm: str
    created_at: datetime
    key_id: str
    fingerprint: str
    key_lifetime_s: int
    key_flags: int | None
    head: bytes
    prefix: bytes
    value: int

    def hasher(self) -> Hasher:
        """Return the running digest that the signed bytes go into."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


def read_detached(data: bytes) -> Signature:
    """Return the one signature of a binary detached signature over a document.

    Raises:
        TrustError: not exactly one signature packet, or one that is not understood.
    """
    packets = read_packets(data)
    if len(packets) != 1 or packets[0][0] != TAG_SIGNATURE:
        tags = ", ".join(str(tag) for tag, _ in packets) or "none"
        msg = f"exactly one signature packet expected, found packets {tags}"
        raise TrustError(msg)
    signature = read_signature(packets[0][1])
    if signature.kind != _BINARY_DOCUMENT:
        msg = f"signature of type 0x{signature.kind:02x}, expected 0x00 (binary document)"
        raise TrustError(msg, unsupported=True)
    return signature


def read_signature(body: bytes) -> Signature:
    """Return the signature of one signature packet's body.

    Raises:
        TrustError: not v4 RSA with a known digest, an unknown critical subpacket, or damaged.
    """
    reader = Reader(body)
    version, kind, algorithm, digest = (reader.number(1) for _ in range(4))
    if version != _VERSION or algorithm not in RSA_ALGORITHMS or digest not in _DIGESTS:
        msg = f"signature version {version}, algorithm {algorithm}, digest {digest} unsupported"
        raise TrustError(msg, unsupported=True)
    hashed = reader.take(reader.number(2))
    unhashed = reader.take(reader.number(2))
    prefix, value = reader.take(2), reader.multiprecision()
    reader.end("signature")
    facts, hints = _read_subpackets(hashed), _read_subpackets(unhashed)
    fingerprint, key_id = _read_issuer(facts + hints)
    if _single(facts, _SIGNATURE_LIFETIME, 4):
        msg = "signature with a lifetime of its own"
        raise TrustError(msg, unsupported=True)
    created = _single(facts, _CREATED, 4)
    if created is None:
        msg = "signature without a date"
        raise TrustError(msg)
    return Signature(
        kind=kind,
        algorithm=_DIGESTS[digest],
        created_at=EPOCH + timedelta(seconds=created),
        key_id=key_id,
        fingerprint=fingerprint,
        key_lifetime_s=_single(facts, _KEY_LIFETIME, 4) or 0,
        key_flags=_single(facts, _KEY_FLAGS, None),
        head=body[: 6 + len(hashed)],
        prefix=prefix,
        value=value,
    )


def _read_subpackets(area: bytes) -> tuple[tuple[int, bytes], ...]:
    reader = Reader(area)
    found: list[tuple[int, bytes]] = []
    while reader.left:
        size = read_length(reader, partial_from=255)
        if not size:
            msg = "empty subpacket"
            raise TrustError(msg)
        kind = reader.number(1)
        if kind & 0x80 and kind & 0x7F not in _KNOWN:
            msg = f"unknown critical subpacket {kind & 0x7F}"
            raise TrustError(msg, unsupported=True)
        found.append((kind & 0x7F, reader.take(size - 1)))
    return tuple(found)


def _single(area: tuple[tuple[int, bytes], ...], kind: int, size: int | None) -> int | None:
    """Return the number in the one subpacket of this type; None where there is none."""
    found = [data for number, data in area if number == kind]
    if not found:
        return None
    if len(found) > 1 or (size is not None and len(found[0]) != size):
        msg = f"subpacket {kind} repeated or of a wrong size"
        raise TrustError(msg)
    return int.from_bytes(found[0][:1] if size is None else found[0], "big")


def _read_issuer(area: tuple[tuple[int, bytes], ...]) -> tuple[str, str]:
    prints = {data.hex().upper() for kind, data in area if kind == _ISSUER_FINGERPRINT}
    ids = {data.hex().upper() for kind, data in area if kind == _ISSUER}
    ids |= {text[-16:] for text in prints}
    if len(ids) != 1 or len(prints) > 1:
        msg = f"signature names {len(ids)} issuers"
        raise TrustError(msg)
    # The first byte of an issuer fingerprint is the key's version: RFC 9580 section 5.2.3.35.
    fingerprint = prints.pop() if prints else ""
    key_id = ids.pop()
    if (fingerprint and (len(fingerprint) != 42 or fingerprint[:2] != "04")) or len(key_id) != 16:  # noqa: PLR2004
        msg = "issuer of a wrong size or version"
        raise TrustError(msg)
    return fingerprint[2:], key_id


def verify(signature: Signature, hasher: Hasher, key: PublicKey) -> bool:
    """Tell whether the key made this signature over the bytes that went into the hasher."""
    whole = hasher.copy()
    whole.update(signature.head + b"\x04\xff" + len(signature.head).to_bytes(4, "big"))
    digest = whole.digest()
    if digest[:2] != signature.prefix:
        return False
    return key.verifies(signature.algorithm, digest, signature.value)
