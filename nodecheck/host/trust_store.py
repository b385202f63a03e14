"""Make the TLS settings of a measurement: chain and host name verified, dates left to the caller.

Dates are judged at corrected time: a node whose clock is wrong must still be able to measure it,
and a slow clock must not hide an expired certificate.
"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h; the ssl module has no name for it."""

ISSUERS_LIMIT = 5
NAME_LIMIT = 120
"""Who intercepts writes what he likes into his names."""

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Amazon Linux, RHEL, Fedora
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",
)


def tls_context(environment: Mapping[str, str]) -> ssl.SSLContext:
    """Return a client context that trusts what this node's AWS tools trust.

    Raises:
        ProbeError: the bundle that the operator named cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= NO_CHECK_TIME
    for name in ("AWS_CA_BUNDLE", "SSL_CERT_FILE"):
        if path := environment.get(name):
            _load(context, path, name)
            return context
    if sys.platform == "win32":
        context.load_default_certs()
    else:
        _load(context, _system_bundle(), "CA bundle")
    return context


def _system_bundle() -> str:
    """Return the distribution's bundle: a frozen program's OpenSSL looks where it was built.

    certifi's is the last resort, on a node that has none of its own.
    """
    for path in BUNDLES:
        if Path(path).is_file():
            return path
    import certifi

    return certifi.where()


def _load(context: ssl.SSLContext, path: str, name: str) -> None:
    try:
        if Path(path).is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as exc:  # SSLError is an OSError
        msg = f"{name} {path} cannot be used: {exc}"
        raise ProbeError(msg, "bad-ca-bundle") from exc


def verified_chain(connection: ssl.SSLSocket) -> tuple[tuple[int, int, str], ...]:
    """Return (not before, not after, subject) of each certificate of the verified path.

    The trust anchor is not part of the path (RFC 5280 section 6.1): who put it into the bundle
    trusts it, and a bundle may hold an expired root before its renewed twin of the same key.

    ``get_verified_chain`` is public only from Python 3.13 on, and gives bytes without dates there;
    the object beneath has it from 3.10 on, with dates.
    """
    certificates = connection._sslobj.get_verified_chain()  # type: ignore[attr-defined]  # noqa: SLF001
    found = [certificate.get_info() for certificate in certificates]
    found = found[:-1] or found  # a server may be its own anchor: then its dates do count
    return tuple(
        (
            int(ssl.cert_time_to_seconds(item["notBefore"])),
            int(ssl.cert_time_to_seconds(item["notAfter"])),
            _subject(item),
        )
        for item in found
    )


def _subject(described: Mapping[str, object]) -> str:
    """Return the common name, or the whole subject, of a certificate as the ssl module tells it."""
    pairs = _pairs(described, "subject")
    names = [value for key, value in pairs if key == "commonName"]
    return names[0] if names else ", ".join(f"{key}={value}" for key, value in pairs)


def _pairs(described: Mapping[str, object], name: str) -> list[tuple[str, str]]:
    found = described.get(name)
    return [pair for group in found for pair in group] if isinstance(found, tuple) else []


def issuers(connection: ssl.SSLSocket, *, verified: bool = True) -> tuple[str, ...]:
    """Return who signed each certificate of the path, ``NAME (ORGANISATION)``, the leaf's first.

    Those of an unverified path are what the server claims: names for people, and no proof.
    """
    tls = connection._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - as above
    path = tls.get_verified_chain() if verified else tls.get_unverified_chain()
    found = [_issuer(certificate.get_info()) for certificate in path or ()]
    return tuple(dict.fromkeys(found))[:ISSUERS_LIMIT]


def _issuer(described: Mapping[str, object]) -> str:
    pairs = dict(_pairs(described, "issuer"))
    owner = pairs.get("organizationName", "")
    name = pairs.get("commonName", "") or pairs.get("organizationalUnitName", "") or "no name"
    name = name.replace("(", "[").replace(")", "]")  # what is in parentheses is the organisation
    text = f"{name} ({owner})" if owner else name
    return "".join(char if char.isprintable() else "?" for char in text[:NAME_LIMIT])
