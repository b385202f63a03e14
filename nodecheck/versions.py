"""What this nodecheck is made of, as far as possible in the words of the parts themselves.

A built program has no package metadata. What does not tell its version is told by the build
(``BUILT_WITH``). The names are those of the release's bill of materials, with which
``scripts/verify-release`` compares them.
"""

from __future__ import annotations

from nodecheck.commit import BUILT_AT, BUILT_WITH, COMMIT
from nodecheck.model.moment import instant


def origin() -> dict[str, str]:
    """Return which commit this is, and of when."""
    when = f"{instant(BUILT_AT * 10**9):%Y-%m-%d %H:%M:%S} UTC" if BUILT_AT else "not built"
    return {"commit": COMMIT, "built": when}


def parts() -> dict[str, str]:
    """Return the versions of the interpreter, the libraries in it, and all dependencies."""
    told = dict(part.split(" ") for part in BUILT_WITH.split(", ") if part)
    found = _interpreter() | _dependencies() | _of_databases() | _of_certificates()
    return dict(sorted((found | told).items()))


def _interpreter() -> dict[str, str]:
    import decimal
    import platform
    import pyexpat
    import ssl
    import zlib

    return {
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION.split(" ")[1],
        # That of the build: PyInstaller's bootloader loads the host's, which then serves both.
        "zlib": zlib.ZLIB_VERSION,
        "expat": pyexpat.EXPAT_VERSION.removeprefix("expat_"),
        "mpdecimal": getattr(decimal, "__libmpdec_version__", "none"),
    }


def _dependencies() -> dict[str, str]:
    import botocore
    import certifi
    import dateutil
    import idna
    import jmespath
    import psutil
    import requests
    import six
    import urllib3

    found = {
        "botocore": botocore,
        "certifi": certifi,
        "idna": idna,
        "jmespath": jmespath,
        "psutil": psutil,
        "python-dateutil": dateutil,
        "requests": requests,
        "six": six,
        "urllib3": urllib3,
    }
    return {name: str(module.__version__) for name, module in found.items()}


def _of_databases() -> dict[str, str]:
    """Return what the executable for Linux has besides."""
    try:
        import sqlite3
    except ImportError:
        return {}
    return {"sqlite": sqlite3.sqlite_version}


def _of_certificates() -> dict[str, str]:
    """Return what the executable for Windows has besides."""
    try:
        import _cffi_backend
        import cryptography
        from cryptography.hazmat.backends.openssl import backend
    except ImportError:
        return {}
    return {
        "cffi": str(_cffi_backend.__version__),
        "cryptography": cryptography.__version__,
        "openssl-of-cryptography": backend.openssl_version_text().split(" ")[1],
    }
