"""Make small programs of Windows and sign them, without any tool."""

from __future__ import annotations

import functools
import hashlib
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

from nodecheck.records import replace

NOW: Final = datetime(2026, 11, 23, tzinfo=UTC)
AMAZON: Final = "Amazon.com Services LLC"
LIFETIME: Final = x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.13")

PE: Final = 64
OPTIONAL: Final = PE + 24
CHECKSUM: Final = OPTIONAL + 64
ENTRY: Final = OPTIONAL + 112 + 32
SECTION: Final = OPTIONAL + 240
SIZE: Final = 1024

HASHES: Final[dict[str, tuple[str, hashes.HashAlgorithm]]] = {
    "md5": ("1.2.840.113549.2.5", hashes.MD5()),  # noqa: S303 - what is refused
    "sha1": ("1.3.14.3.2.26", hashes.SHA1()),  # noqa: S303 - as above
    "sha256": ("2.16.840.1.101.3.4.2.1", hashes.SHA256()),
    "sha384": ("2.16.840.1.101.3.4.2.2", hashes.SHA384()),
    "sha512": ("2.16.840.1.101.3.4.2.3", hashes.SHA512()),
}


@dataclass(frozen=True)
class Identity:
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.der).hexdigest()


def name(common: str, organization: str = AMAZON) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def make_identity(  # noqa: PLR0913 - what certificates differ in
    subject: x509.Name,
    issuer: Identity | None = None,
    *,
    usages: tuple[x509.ObjectIdentifier, ...] = (Usage.CODE_SIGNING,),
    authority: bool = False,
    days: tuple[int, int] = (-400, 400),
    with_rsa: bool = False,
) -> Identity:
    key = rsa.generate_private_key(65537, 2048) if with_rsa else _curve_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return Identity(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))


def _curve_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def root() -> Identity:
    return make_identity(name("Root", "Test"), authority=True, usages=(), days=(-4000, 4000))


@functools.cache
def amazon() -> Identity:
    return make_identity(name(AMAZON), root())


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = bytearray()
    for number in (40 * first + second, *rest):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(number & 0x7F | 0x80)
        content += bytes(reversed(groups))
    return tlv(0x06, bytes(content))


def algorithm_id(dotted: str) -> bytes:
    return tlv(0x30, oid(dotted), tlv(0x05))


def program(content: bytes = b"code", sections: int = 1) -> bytes:
    """Return an unsigned PE32+ file of 1024 bytes with one section."""
    data = bytearray(SIZE)
    data[:2] = b"MZ"
    struct.pack_into("<I", data, 0x3C, PE)
    data[PE : PE + 4] = b"PE\0\0"
    struct.pack_into("<HH12xHH", data, PE + 4, 0x8664, sections, 240, 0x22)
    struct.pack_into("<H", data, OPTIONAL, 0x20B)
    struct.pack_into("<I", data, OPTIONAL + 108, 16)
    struct.pack_into("<8sIIII", data, SECTION, b".text", 512, 4096, 512, 512)
    data[512 : 512 + len(content)] = content
    return bytes(data)


def image_digest(data: bytes, algorithm: str, end: int = SIZE) -> bytes:
    parts = data[:CHECKSUM] + data[CHECKSUM + 4 : ENTRY] + data[ENTRY + 8 : end]
    return hashlib.new(algorithm, parts).digest()


@dataclass(frozen=True)
class Signing:
    """How a program is signed; each field is something that a case gets wrong."""

    signer: Identity = field(default_factory=amazon)
    algorithm: str = "sha256"
    content_algorithm: str = ""
    bag: tuple[Identity, ...] | None = None
    timestamped: bool = False
    digest: bytes | None = None
    stated: bytes | None = None
    content_type: str = "1.3.6.1.4.1.311.2.1.4"
    signature_oid: str = "1.2.840.10045.4.3.2"
    signers: int = 1

    def with_signer(self, signer: Identity) -> Signing:
        return replace(self, signer=signer)


def pkcs7(data: bytes, how: Signing) -> bytes:
    """Return the PKCS#7 object that signs a program."""
    kind = how.content_algorithm or how.algorithm
    digest = image_digest(data, kind) if how.digest is None else how.digest
    pe_data = tlv(0x30, oid("1.3.6.1.4.1.311.2.1.15"), tlv(0x30, tlv(0x03, b"\0")))
    message = tlv(0x30, algorithm_id(HASHES[kind][0]), tlv(0x04, digest))
    indirect = tlv(0x30, pe_data, message)
    bag = (how.signer, root()) if how.bag is None else how.bag
    signed_data = tlv(
        0x30,
        tlv(0x02, b"\1"),
        tlv(0x31, algorithm_id(HASHES[how.algorithm][0])),
        tlv(0x30, oid("1.3.6.1.4.1.311.2.1.4"), tlv(0xA0, indirect)),
        tlv(0xA0, *(item.der for item in bag)),
        tlv(0x31, *([_signer_info(pe_data + message, how)] * how.signers)),
    )
    return tlv(0x30, oid("1.2.840.113549.1.7.2"), tlv(0xA0, signed_data))


def _signer_info(content: bytes, how: Signing) -> bytes:
    stated = hashlib.new(how.algorithm, content).digest() if how.stated is None else how.stated
    attributes = _attribute("1.2.840.113549.1.9.3", oid(how.content_type))
    attributes += _attribute("1.2.840.113549.1.9.4", tlv(0x04, stated))
    certificate = how.signer.certificate
    serial = certificate.serial_number
    return tlv(
        0x30,
        tlv(0x02, b"\1"),
        tlv(
            0x30,
            certificate.issuer.public_bytes(),
            tlv(0x02, serial.to_bytes(serial.bit_length() // 8 + 1, "big")),
        ),
        algorithm_id(HASHES[how.algorithm][0]),
        tlv(0xA0, attributes),
        algorithm_id(how.signature_oid),
        tlv(0x04, _sign(how.signer, tlv(0x31, attributes), how.algorithm)),
        *(
            (tlv(0xA1, _attribute("1.3.6.1.4.1.311.3.3.1", tlv(0x30, b"\5\0"))),)
            if how.timestamped
            else ()
        ),
    )


def _attribute(kind: str, value: bytes) -> bytes:
    return tlv(0x30, oid(kind), tlv(0x31, value))


def _sign(signer: Identity, data: bytes, algorithm: str) -> bytes:
    kind = HASHES[algorithm][1]
    if isinstance(signer.key, rsa.RSAPrivateKey):
        return signer.key.sign(data, padding.PKCS1v15(), kind)
    return signer.key.sign(data, ec.ECDSA(kind))


def with_table(data: bytes, table: bytes) -> bytes:
    """Return a program with a certificate table, whatever that is."""
    start = bytearray(data[:SIZE])
    struct.pack_into("<II", start, ENTRY, SIZE, len(table))
    return bytes(start) + table


def entry(content: bytes, *, revision: int = 0x0200, kind: int = 2, length: int = 0) -> bytes:
    """Return a WIN_CERTIFICATE, padded to 8 bytes; ``length`` is what it claims."""
    size = 8 + len(content)
    padded = content + b"\0" * (-size % 8)
    return struct.pack("<IHH", length or 8 + len(padded), revision, kind) + padded


def signed(data: bytes = b"", how: Signing | None = None) -> bytes:
    """Return a signed program."""
    data = data or program()
    return with_table(data, entry(pkcs7(data, how or Signing())))


@dataclass(frozen=True)
class Bytes:
    """A file in memory, as the reader takes it."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]
