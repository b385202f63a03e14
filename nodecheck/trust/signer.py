"""Read the certificates that came with a signature, and verify by their keys.

A certificate proves nothing by having come along. What can be told without trusting anybody is that
one is not signed by the one above it, or that one above it may not sign others.
"""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING, Final

from nodecheck.model.authenticode import SignerCertificate
from nodecheck.trust.der import SEQUENCE, read_items
from nodecheck.trust.packets import TrustError
from nodecheck.trust.pe_file import StructureError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name

_CERTIFICATES_LIMIT: Final = 30
_TEXT_LIMIT: Final = 200
"""Most characters of a name that are kept; X.520 allows 64."""


def load_certificates(bag: bytes) -> tuple[Certificate, ...]:
    """Return the certificates of a signature.

    Raises:
        TrustError: one cannot be read, or there are too many.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    items = [item for item in read_items(bag) if item.tag == SEQUENCE]
    if len(items) > _CERTIFICATES_LIMIT:
        msg = f"{len(items)} certificates, limit {_CERTIFICATES_LIMIT}"
        raise TrustError(msg)
    damages = (
        *(ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion),
        *(x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
    )
    try:
        with warnings.catch_warnings():  # of what it will refuse one day
            warnings.simplefilter("ignore")
            found = tuple(x509.load_der_x509_certificate(item.encoded) for item in items)
            for certificate in found:  # parsed late, where they would raise elsewhere
                _ = certificate.issuer, certificate.subject, certificate.extensions
                _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except damages as exc:
        msg = f"a certificate cannot be read ({type(exc).__name__})"
        raise TrustError(msg) from exc
    return found


def describe(certificate: Certificate) -> SignerCertificate:
    """Return what a certificate says of its holder."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        usages = tuple(item.dotted_string for item in usage)
    except x509.ExtensionNotFound:
        usages = ()
    return SignerCertificate(
        organizations=_texts(certificate.subject, NameOID.ORGANIZATION_NAME.dotted_string),
        common_names=_texts(certificate.subject, NameOID.COMMON_NAME.dotted_string),
        issuer=certificate.issuer.rfc4514_string()[:_TEXT_LIMIT],
        sha256=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
        valid_from=certificate.not_valid_before_utc,
        valid_until=certificate.not_valid_after_utc,
        usages=usages,
        self_issued=certificate.issuer == certificate.subject,
    )


def _texts(name: Name, kind: str) -> tuple[str, ...]:
    """Return the attributes of this kind; one cut short must not equal an allowed name."""
    values = (str(item.value) for item in name if item.oid.dotted_string == kind)
    return tuple(
        value if len(value) <= _TEXT_LIMIT else f"{value[:_TEXT_LIMIT]}..." for value in values
    )


def verify_value(certificate: Certificate, data: bytes, value: bytes, algorithm: str) -> bool:
    """Tell whether the key of this certificate made this signature value.

    Raises:
        TrustError: the key is of a kind that is not known here.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    kinds: dict[str, hashes.HashAlgorithm] = {
        "md5": hashes.MD5(),  # noqa: S303 - the check refuses it, and should say why
        "sha1": hashes.SHA1(),  # noqa: S303 - as above
        "sha256": hashes.SHA256(),
        "sha384": hashes.SHA384(),
        "sha512": hashes.SHA512(),
    }
    try:
        key = certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(value, data, padding.PKCS1v15(), kinds[algorithm])
            return True
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(value, data, ec.ECDSA(kinds[algorithm]))
            return True
    except InvalidSignature:
        return False
    except (ValueError, UnsupportedAlgorithm) as exc:
        msg = f"its key cannot be used ({type(exc).__name__})"
        raise TrustError(msg, unsupported=True) from exc
    msg = "a key that is neither RSA nor ECDSA"
    raise TrustError(msg, unsupported=True)


def check_links(leaf: Certificate, certificates: tuple[Certificate, ...]) -> None:
    """Refuse a leaf that a certificate which came along should have signed, and did not.

    Raises:
        StructureError: a link of the chain is broken, as far as the chain came along.
        TrustError: a link cannot be judged here.
    """
    below, steps = leaf, 0
    while below.issuer != below.subject and steps <= len(certificates):
        above = [item for item in certificates if item.subject == below.issuer]
        if not above:
            return
        found = next((item for item in above if _issued(item, below)), None)
        if found is None:
            text = "a certificate of its chain is not signed by the one above it"
            raise StructureError(text, "bad-signature")
        below, steps = found, steps + 1


def _issued(above: Certificate, below: Certificate) -> bool:
    """Tell whether one certificate signed another, and may sign any.

    Raises:
        TrustError: by an algorithm that is not known here.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        limits = above.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not limits.ca:
            return False
    except x509.ExtensionNotFound:
        pass  # roots of version 1 have none
    try:
        below.verify_directly_issued_by(above)
    except (InvalidSignature, ValueError, TypeError):
        return False
    except UnsupportedAlgorithm as exc:
        msg = "a certificate of its chain is signed by an algorithm that is not known here"
        raise TrustError(msg, unsupported=True) from exc
    return True
