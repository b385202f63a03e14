"""Read snap assertions strictly, and verify who signed them.

An assertion is a text: headers, an empty line and a body where ``body-length`` announces one, an
empty line, and the signature of everything before that line. Signatures are base64 of one byte
0x01 and a v4 RSA signature packet over SHA-512; the body of an account-key is base64 of 0x01 and a
v4 RSA public key packet, and the SHA3-384 of these bytes is the key's id.

Sources: https://documentation.ubuntu.com/core/reference/assertions; asserts/asserts.go,
asserts/headers.go and asserts/crypto.go of snapcore/snapd.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass
from nodecheck.trust.openpgp import read_detached, verify
from nodecheck.trust.packets import TAG_PUBLIC_KEY, TrustError, read_packets
from nodecheck.trust.public_key import read_public_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.trust.public_key import PublicKey

ASSERTION_LIMIT_BYTES: Final = 512 * 1024

_FORMAT: Final = b"\x01"
_DIGEST: Final = "sha512"
_HEADER: Final = re.compile(r"([a-z][a-z0-9]*(?:-[a-z0-9]+)*):(?: (\S.*))?")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True, slots=True)
class Assertion:
    """One assertion: its scalar headers, its body, and what the signature is over.

    Nothing in it is true before ``verify_assertion`` has said so.
    """

    headers: Mapping[str, str]
    body: bytes
    content: bytes
    signature: bytes

    def text(self, name: str) -> str:
        """Return a header.

        Raises:
            TrustError: it is not there, or is no single line.
        """
        if name not in self.headers:
            msg = f"assertion without {name}"
            raise TrustError(msg)
        return self.headers[name]

    def number(self, name: str) -> int:
        """Return a header that is a whole number, or raise ``TrustError``."""
        text = self.text(name)
        if not _NUMBER.fullmatch(text):
            msg = f"{name} is no number: {text[:40]!r}"
            raise TrustError(msg)
        return int(text)

    def instant(self, name: str) -> datetime:
        """Return a header that is a time of RFC 3339 as UTC, or raise ``TrustError``."""
        match = _INSTANT.fullmatch(self.text(name))
        try:
            if match:
                zone = match[2].replace("Z", "+00:00")
                return datetime.fromisoformat(match[1] + zone).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        msg = f"{name} is no time: {self.text(name)[:40]!r}"
        raise TrustError(msg)


@dataclass(frozen=True, slots=True)
class AccountKey:
    """A key of an account: who may sign with it, and from when until when."""

    key_id: str
    account_id: str
    since: datetime
    until: datetime | None
    public: PublicKey


def read_assertion(data: bytes, kind: str) -> Assertion:
    """Return the one assertion in a text, which must be of this type.

    Raises:
        TrustError: it is not exactly one whole assertion of that type.
    """
    if len(data) > ASSERTION_LIMIT_BYTES:
        msg = f"assertion of more than {ASSERTION_LIMIT_BYTES} bytes"
        raise TrustError(msg)
    content, gap, signature = data.rstrip(b"\n").rpartition(b"\n\n")
    head, _, body = content.partition(b"\n\n")
    headers = _read_headers(head)
    assertion = Assertion(headers, body, content, _decode(signature, "signature"))
    length = assertion.number("body-length") if "body-length" in headers else 0
    if not gap or length != len(body):
        msg = f"assertion of {len(body)} bytes body, announced {length}"
        raise TrustError(msg)
    if assertion.text("type") != kind:
        msg = f"assertion of type {assertion.text('type')[:40]!r}, expected {kind}"
        raise TrustError(msg)
    return assertion


def read_account_key(assertion: Assertion) -> AccountKey:
    """Return the key in an account-key assertion.

    Raises:
        TrustError: it is not the key whose id it gives, or is for some assertions only.
    """
    if "constraints" in assertion.headers:
        msg = "key with constraints on what it may sign"
        raise TrustError(msg, unsupported=True)
    packed = _decode(assertion.body, "key")
    key_id = base64.urlsafe_b64encode(hashlib.sha3_384(_FORMAT + packed).digest()).decode()
    if key_id != assertion.text("public-key-sha3-384"):
        msg = f"key is not {assertion.text('public-key-sha3-384')[:64]!r}, as it says"
        raise TrustError(msg)
    packets = read_packets(packed)
    if len(packets) != 1 or packets[0][0] != TAG_PUBLIC_KEY:
        msg = "exactly one public key packet expected"
        raise TrustError(msg)
    return AccountKey(
        key_id=key_id,
        account_id=assertion.text("account-id"),
        since=assertion.instant("since"),
        until=assertion.instant("until") if "until" in assertion.headers else None,
        public=read_public_key(packets[0][1]),
    )


def verify_assertion(assertion: Assertion, key: AccountKey) -> None:
    """Return if this key made the assertion's signature, in the name of its own account.

    Raises:
        TrustError: it did not.
    """
    kind = assertion.text("type")
    if assertion.text("sign-key-sha3-384") != key.key_id:
        msg = f"{kind} names another signing key than {key.key_id}"
        raise TrustError(msg)
    if assertion.text("authority-id") != key.account_id:
        msg = f"{kind} is of {assertion.text('authority-id')[:40]!r}, its key of {key.account_id!r}"
        raise TrustError(msg)
    signature = read_detached(assertion.signature)
    if signature.algorithm != _DIGEST:
        msg = f"{kind} is signed over {signature.algorithm}, expected {_DIGEST}"
        raise TrustError(msg, unsupported=True)
    hasher = signature.hasher()
    hasher.update(assertion.content)
    # The issuer inside the packet is not compared: snapd gives every key the same date of creation,
    # so the OpenPGP id that the root's own signature carries is not that of its public key packet.
    if not verify(signature, hasher, key.public):
        msg = f"{kind} was not signed by the key that it names"
        raise TrustError(msg)


def _read_headers(head: bytes) -> Mapping[str, str]:
    """Return the headers of one line; those of several are kept as their name with no text."""
    try:
        lines = head.decode("utf-8").split("\n")
    except UnicodeDecodeError as exc:
        msg = "headers are not UTF-8"
        raise TrustError(msg) from exc
    headers: dict[str, str] = {}
    nested = False
    for line in lines:
        if nested and line.startswith("  "):
            continue
        match = _HEADER.fullmatch(line)
        if not match or match[1] in headers:
            msg = f"not a header, or one given twice: {line[:60]!r}"
            raise TrustError(msg)
        nested = match[2] is None
        headers[match[1]] = match[2] or ""
    return headers


def _decode(text: bytes, what: str) -> bytes:
    """Return what follows the format byte in the base64 of a signature or key."""
    try:
        data = base64.b64decode(text.replace(b"\n", b""), validate=True)
    except binascii.Error as exc:
        msg = f"{what} is not base64"
        raise TrustError(msg) from exc
    if data[:1] != _FORMAT:
        msg = f"{what} of an unknown format"
        raise TrustError(msg, unsupported=True)
    return data[1:]
