"""Read OpenPGP public key files, armored or binary, as an operator exports them.

A file proves nothing by itself: the operator's word does, who named it in ``trust.keys``. What is
checked is that it holds what he means: a primary RSA key with a valid signature of its own over a
user id. From the newest such signature come the key's expiry and whether it may sign data at all.
SHA-1 is accepted there, as all five Amazon keys carry it. A revoked key is refused.

Sources: RFC 4880 sections 5.2.1 (types of signatures), 5.2.4 (what is hashed), 6.2 (armor), 11.1
(order of packets).
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass, field
from nodecheck.trust.openpgp import Signature, read_signature, verify
from nodecheck.trust.packets import TAG_PUBLIC_KEY, TAG_SIGNATURE, TrustError, read_packets
from nodecheck.trust.public_key import PublicKey, key_frame, read_public_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

FILE_LIMIT_BYTES: Final = 1024 * 1024

_SECRET_KEYS: Final = frozenset({5, 7})
_TAG_USER_ID: Final = 13
_TAG_SUBKEY: Final = 14
_SKIPPED: Final = frozenset({10, 12, 17})
"""Marker, trust and user attribute packets."""
_CERTIFICATIONS: Final = frozenset({0x10, 0x11, 0x12, 0x13})
_DIRECT_KEY: Final = 0x1F
_KEY_REVOCATION: Final = 0x20
_CERTIFICATION_REVOCATION: Final = 0x30
_MAY_SIGN_DATA: Final = 0x02
_CRC24_START: Final = 0xB704CE
_CRC24_POLYNOMIAL: Final = 0x1864CFB
_ARMOR: Final = re.compile(
    rb"-----BEGIN PGP (PUBLIC KEY BLOCK|SIGNATURE)-----[ \t]*\r?\n"
    rb"((?:[!-9;-~]+: ?[^\r\n]*\r?\n)*)[ \t]*\r?\n"
    rb"([A-Za-z0-9+/=\s]*?)\r?\n(?:=([A-Za-z0-9+/]{4})[ \t]*\r?\n)?"
    rb"-----END PGP \1-----"
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A primary key with what it says about itself; ``expires_at`` is None where it never does."""

    key: PublicKey
    owner: str
    expires_at: datetime | None


@dataclass(slots=True)
class _Draft:
    """The packets of one certificate before they are judged."""

    key: PublicKey
    user_ids: list[tuple[bytes, list[bytes]]] = field(default_factory=list)
    direct: list[bytes] = field(default_factory=list)
    in_subkeys: bool = False


def unarmored(data: bytes) -> bytes:
    """Return the packets inside ASCII armor; binary data comes back as it is.

    Raises:
        TrustError: the armor is damaged, or its checksum is wrong.
    """
    if data[:1] and data[0] & 0x80:
        return data
    blocks = [_decode(match) for match in _ARMOR.finditer(data)]
    if not blocks or len(blocks) != data.count(b"-----BEGIN PGP "):
        msg = "neither OpenPGP packets nor whole ASCII armor"
        raise TrustError(msg)
    return b"".join(blocks)


def _decode(match: re.Match[bytes]) -> bytes:
    try:
        block = base64.b64decode(b"".join(match[3].split()), validate=True)
    except binascii.Error as exc:
        msg = "armor is not base64"
        raise TrustError(msg) from exc
    if match[4] and int.from_bytes(base64.b64decode(match[4]), "big") != _crc24(block):
        msg = "checksum of the armor is wrong"
        raise TrustError(msg)
    return block


def _crc24(data: bytes) -> int:
    crc = _CRC24_START
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= _CRC24_POLYNOMIAL
    return crc


def read_certificates(data: bytes) -> tuple[Certificate, ...]:
    """Return every primary key of a public key file.

    Raises:
        TrustError: too large, damaged, no RSA key, revoked, not self-signed, or not for signing.
    """
    if len(data) > FILE_LIMIT_BYTES:
        msg = f"key file of more than {FILE_LIMIT_BYTES} bytes"
        raise TrustError(msg)
    drafts: list[_Draft] = []
    for tag, body in read_packets(unarmored(data)):
        if tag == TAG_PUBLIC_KEY:
            drafts.append(_Draft(read_public_key(body)))
        elif tag in _SECRET_KEYS:
            msg = "holds a secret key; export the public key only"
            raise TrustError(msg)
        elif not drafts:
            msg = f"packet {tag} before any public key"
            raise TrustError(msg)
        else:
            _add(drafts[-1], tag, body)
    if not drafts:
        msg = "holds no public key"
        raise TrustError(msg)
    return tuple(_judge(draft) for draft in drafts)


def _add(draft: _Draft, tag: int, body: bytes) -> None:
    if tag == _TAG_SUBKEY:
        draft.in_subkeys = True
    elif tag == _TAG_USER_ID:
        draft.user_ids.append((body, []))
    elif tag == TAG_SIGNATURE:
        if _kind(body) == _KEY_REVOCATION:
            msg = f"key {draft.key.fingerprint} is revoked"
            raise TrustError(msg)
        if not draft.in_subkeys:
            (draft.user_ids[-1][1] if draft.user_ids else draft.direct).append(body)
    elif tag not in _SKIPPED:
        msg = f"unexpected packet {tag} in a key file"
        raise TrustError(msg)


def _kind(body: bytes) -> int:
    """Return the type of a signature of any version: byte 1 since v4, byte 2 in v3."""
    index = 2 if body[:1] == b"\x03" else 1
    return body[index] if len(body) > index else -1


def _judge(draft: _Draft) -> Certificate:
    key = draft.key
    frame = key_frame(key.body)
    own = [
        signature for signature in _own(key, draft.direct, frame) if signature.kind == _DIRECT_KEY
    ]
    owner = ""
    for user_id, bodies in draft.user_ids:
        framed = frame + b"\xb4" + len(user_id).to_bytes(4, "big") + user_id
        signatures = tuple(_own(key, bodies, framed))
        kinds = {signature.kind for signature in signatures}
        if _CERTIFICATION_REVOCATION in kinds or not kinds & _CERTIFICATIONS:
            continue
        owner = owner or user_id.decode("utf-8", "replace")
        own += [signature for signature in signatures if signature.kind in _CERTIFICATIONS]
    if not owner:
        msg = f"key {key.fingerprint} has no valid self-signature over a user id"
        raise TrustError(msg)
    return _certify(key, owner, own)


def _own(key: PublicKey, bodies: Iterable[bytes], framed: bytes) -> Iterable[Signature]:
    """Return the signatures that this key made itself; those of others prove nothing here."""
    for body in bodies:
        try:
            signature = read_signature(body)
        except TrustError:
            continue
        hasher = signature.hasher()
        hasher.update(framed)
        if signature.key_id == key.key_id and verify(signature, hasher, key):
            yield signature


def _certify(key: PublicKey, owner: str, own: list[Signature]) -> Certificate:
    newest = max(own, key=lambda signature: signature.created_at)
    if newest.key_flags is not None and not newest.key_flags & _MAY_SIGN_DATA:
        msg = f"key {key.fingerprint} may not sign data; signatures of subkeys are not supported"
        raise TrustError(msg, unsupported=True)
    if not newest.key_lifetime_s:
        return Certificate(key, owner, None)
    return Certificate(key, owner, key.created_at + timedelta(seconds=newest.key_lifetime_s))
