"""Make the certificates of the signed PE cases, as files for osslsigncode.

Two hierarchies, one to be trusted (root) and one not (evilroot); code-signing leaves of every
shape; two timestamp authorities; revocation lists. For each NAME: NAME.key, NAME.pem, NAME.der.
Days are relative to now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

PEM: Final = serialization.Encoding.PEM
DER: Final = serialization.Encoding.DER
LIFETIME_SIGNING: Final = x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.13")
CODE: Final = (Usage.CODE_SIGNING,)
STAMPING: Final = (Usage.TIME_STAMPING,)


@dataclass(frozen=True)
class Holder:
    key: Key
    certificate: x509.Certificate


def named(common: str, organization: str = "Nodecheck Test") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


AMAZON: Final = named("Amazon.com Services LLC", "Amazon.com Services LLC")


class Authority:
    """Writes certificates into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime.now(UTC)

    def day(self, offset: int) -> datetime:
        return self.now + timedelta(days=offset)

    def make(  # noqa: PLR0913 - what certificates differ in
        self,
        name: str,
        subject: x509.Name,
        issuer: Holder | None = None,
        *,
        authority: bool = False,
        usage: tuple[x509.ObjectIdentifier, ...] = (),
        days: tuple[int, int] = (-400, 3650),
        key: Key | None = None,
    ) -> Holder:
        key = key or rsa.generate_private_key(65537, 2048)
        signer = issuer.key if issuer else key
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.day(days[0]))
            .not_valid_after(self.day(days[1]))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(own, critical=False)
            .add_extension(above, critical=False)
            .add_extension(_key_usage(authority), critical=True)
        )
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usage), usage == STAMPING)
        holder = Holder(key, builder.sign(signer, hashes.SHA256()))
        self._write(name, holder)
        return holder

    def _write(self, name: str, holder: Holder) -> None:
        plain = holder.key.private_bytes(
            PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.folder / f"{name}.key").write_bytes(plain)
        (self.folder / f"{name}.pem").write_bytes(holder.certificate.public_bytes(PEM))
        (self.folder / f"{name}.der").write_bytes(holder.certificate.public_bytes(DER))

    def revoke(self, name: str, issuer: Holder, revoked: tuple[Holder, ...]) -> None:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(self.day(-1))
            .next_update(self.day(300))
        )
        for holder in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(holder.certificate.serial_number)
                .revocation_date(self.day(-20))
                .build()
            )
        crl = builder.sign(issuer.key, hashes.SHA256())
        (self.folder / f"{name}.crl.pem").write_bytes(crl.public_bytes(PEM))

    def join(self, name: str, *parts: str) -> None:
        content = b"".join((self.folder / part).read_bytes() for part in parts)
        (self.folder / name).write_bytes(content)


def _key_usage(authority: bool) -> x509.KeyUsage:  # noqa: FBT001
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def make_pki(folder: Path) -> None:
    folder.mkdir(parents=True)
    make = Authority(folder).make
    old, older = (-2000, 3650), (-4000, 3650)
    root = make("root", named("Nodecheck Test Root"), authority=True, days=older)
    issuing = named("Nodecheck Test Code Signing CA")
    inter = make("inter", issuing, root, authority=True, days=old)
    evil = make("evilroot", named("Evil Root"), authority=True, days=old)
    evilinter = make("evilinter", named("Evil CA"), evil, authority=True, days=old)

    make("good", AMAZON, inter, usage=CODE)
    make("ecdsa", AMAZON, inter, usage=CODE, key=ec.generate_private_key(ec.SECP256R1()))
    make("expired", AMAZON, inter, usage=CODE, days=(-400, -30))
    make("notyet", AMAZON, inter, usage=CODE, days=(30, 400))
    make("lifetime", AMAZON, inter, usage=(*CODE, LIFETIME_SIGNING), days=(-400, -30))
    make("wrongeku", AMAZON, inter, usage=(Usage.SERVER_AUTH,))
    make("noeku", AMAZON, inter)
    make("otherpub", named("Acme Ltd", "Acme Ltd"), inter, usage=CODE)
    make("confus", named("Amazon.com Services LLC", "Totally Not Amazon"), inter, usage=CODE)
    make("untrusted", AMAZON, evilinter, usage=CODE)
    make("selfsigned", AMAZON, usage=CODE, days=(-10, 3650))
    revoked = make("revoked", AMAZON, inter, usage=CODE)
    leafissuer = make("leafissuer", AMAZON, inter, usage=CODE)
    make("underleaf", AMAZON, leafissuer, usage=CODE)

    tsaca = make("tsaca", named("Nodecheck Test TSA CA"), root, authority=True, days=(-3000, 3650))
    make("tsa", named("Nodecheck Test TSA"), tsaca, usage=STAMPING, days=(-2900, 3650))
    make("eviltsa", named("Evil TSA"), evil, usage=STAMPING, days=(-1900, 3650))
    write = Authority(folder)
    write.revoke("inter", inter, (revoked,))
    write.revoke("root", root, ())
    write.revoke("tsaca", tsaca, ())
    write.join("tsachain.pem", "tsa.pem", "tsaca.pem")
    write.join("leafchain.pem", "leafissuer.pem", "inter.pem")
    write.join("all.crl.pem", "inter.crl.pem", "root.crl.pem", "tsaca.crl.pem")
