"""Read the signature inside a program of Windows, and verify what needs no trust in anybody.

Its parts must fit one another: the signed content holds the image digest, the attributes hold the
digest of the content, the signer's key made the signature over the attributes, and of certificates
that came along each is signed by the one above it. Whom the chain leads to is for Windows to judge:
its roots, its list of distrusted certificates, and its judgement of the countersignature.

Sources: "Windows Authenticode Portable Executable Signature Format", 2008; RFC 2315 sections 9 and
14 (PKCS #7); RFC 5652 section 5.4 (what is hashed).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from nodecheck.model.authenticode import EmbeddedSignature
from nodecheck.trust.der import OCTETS, SET, Item, read_one
from nodecheck.trust.packets import TrustError
from nodecheck.trust.pe_file import StructureError
from nodecheck.trust.signer import check_links, describe, load_certificates, verify_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.x509 import Certificate

_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_INDIRECT_DATA: Final = "1.3.6.1.4.1.311.2.1.4"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_COUNTERSIGNATURES: Final = frozenset({"1.2.840.113549.1.9.6", "1.3.6.1.4.1.311.3.3.1"})
"""The old kind, and the token of RFC 3161."""
_PSS: Final = "1.2.840.113549.1.1.10"
_DIGESTS: Final = {
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_IMPLICIT_0: Final = 0xA0
_IMPLICIT_1: Final = 0xA1


def read_signature(data: bytes) -> EmbeddedSignature:
    """Return the primary signature of a program.

    Raises:
        StructureError: it cannot be read, is of a kind not known here, or does not fit itself.
    """
    try:
        return _read(data)
    except StructureError:
        raise
    except TrustError as exc:
        text = f"its signature: {exc}"
        reason = "unsupported-signature" if exc.unsupported else "malformed-signature"
        raise StructureError(text, reason) from exc


def _read(data: bytes) -> EmbeddedSignature:
    kind, content = _exactly(read_one(data).items(), 2)
    if kind.object_id() != _SIGNED_DATA:
        msg = "no signed data"
        raise TrustError(msg)
    _, _, inner, *rest = _at_least(read_one(content.expect(_IMPLICIT_0)).items(), 4)
    indirect, algorithm, digest = _read_content(inner)
    bag = next((item.content for item in rest if item.tag == _IMPLICIT_0), b"")
    certificates = load_certificates(bag)
    (signer,) = _exactly(rest[-1].items(SET), 1)
    parts = _at_least(signer.items(), 5)
    leaf = _find_leaf(parts[1], certificates)
    if _algorithm(parts[2]) != algorithm:
        msg = "signer and content use different digests"
        raise TrustError(msg)
    _verify(parts, indirect, algorithm, leaf)
    check_links(leaf, certificates)
    return EmbeddedSignature(algorithm, digest.hex(), describe(leaf), _is_timestamped(parts))


def _exactly(items: tuple[Item, ...], count: int) -> tuple[Item, ...]:
    if len(items) != count:
        msg = f"{len(items)} values, expected {count}"
        raise TrustError(msg)
    return items


def _at_least(items: tuple[Item, ...], count: int) -> tuple[Item, ...]:
    if len(items) < count:
        msg = f"{len(items)} values, expected {count} or more"
        raise TrustError(msg)
    return items


def _algorithm(item: Item) -> str:
    name = _at_least(item.items(), 1)[0].object_id()
    if name not in _DIGESTS:
        msg = f"digest {name} is not known here"
        raise TrustError(msg, unsupported=True)
    return _DIGESTS[name]


def _read_content(inner: Item) -> tuple[bytes, str, bytes]:
    """Return the signed content as it is hashed, and the image digest in it with its algorithm."""
    kind, wrapped = _exactly(inner.items(), 2)
    if kind.object_id() != _INDIRECT_DATA:
        msg = "it signs something else than a program"
        raise TrustError(msg)
    content = read_one(wrapped.expect(_IMPLICIT_0))
    _, message = _exactly(content.items(), 2)
    algorithm, digest = _exactly(message.items(), 2)
    return content.content, _algorithm(algorithm), digest.expect(OCTETS)


def _find_leaf(identity: Item, certificates: tuple[Certificate, ...]) -> Certificate:
    """Return the certificate that a signer names by issuer and serial number."""
    issuer, serial = _exactly(identity.items(), 2)
    for certificate in certificates:
        fields = _at_least(read_one(certificate.tbs_certificate_bytes).items(), 6)
        fields = fields[1:] if fields[0].tag == _IMPLICIT_0 else fields
        if (fields[0].encoded, fields[2].encoded) == (serial.encoded, issuer.encoded):
            return certificate
    msg = "the signer's certificate did not come along"
    raise TrustError(msg)


def _verify(parts: tuple[Item, ...], content: bytes, algorithm: str, leaf: Certificate) -> None:
    attributes = _attributes(parts[3], _IMPLICIT_0)
    if attributes.get(_CONTENT_TYPE, b"") != _OBJECT_INDIRECT:
        msg = "its attributes name no content type of a program"
        raise TrustError(msg)
    computed = hashlib.new(algorithm, content, usedforsecurity=False).digest()
    stated = read_one(attributes.get(_MESSAGE_DIGEST, b"")).expect(OCTETS)
    if stated != computed:
        text = "the signed content is not what its attributes say"
        raise StructureError(text, "bad-signature")
    if _at_least(parts[4].items(), 1)[0].object_id() == _PSS:
        msg = "signature by RSASSA-PSS is not known here"
        raise TrustError(msg, unsupported=True)
    signed = bytes((SET,)) + parts[3].encoded[1:]
    value = _at_least(parts, 6)[5].expect(OCTETS)
    if not verify_value(leaf, signed, value, algorithm):
        text = "its signature is not by the key of its certificate"
        raise StructureError(text, "bad-signature")


def _attributes(item: Item, tag: int) -> Mapping[str, bytes]:
    """Return the one value of each attribute, encoded.

    Raises:
        TrustError: an attribute is there twice, or has no value or several.
    """
    found: dict[str, bytes] = {}
    for attribute in item.items(tag):
        kind, values = _exactly(attribute.items(), 2)
        name = kind.object_id()
        if name in found:
            msg = f"attribute {name} is there twice"
            raise TrustError(msg)
        (value,) = _exactly(values.items(SET), 1)
        found[name] = value.encoded
    return found


def _is_timestamped(parts: tuple[Item, ...]) -> bool:
    names = (
        _at_least(attribute.items(), 1)[0].object_id()
        for item in parts[6:]
        for attribute in item.items(_IMPLICIT_1)
    )
    return any(name in _COUNTERSIGNATURES for name in names)


_OBJECT_INDIRECT: Final = bytes.fromhex("060a2b060104018237020104")
"""The object identifier of SPC_INDIRECT_DATA, encoded."""
