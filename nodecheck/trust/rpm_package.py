"""Turn a signed rpm header into the package and the files it promises.

Sources: include/rpm/rpmtag.h and rpmfiles.h of rpm (tags and flags), lib/rpmfi.c (a missing digest
algorithm means MD5), RFC 4880 section 9.4 (its numbers).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from nodecheck.model.agent import Channel
from nodecheck.model.node import FileKind
from nodecheck.model.trust import (
    SignatureFact,
    SignatureOutcome,
    SignedFile,
    SignedPackage,
)
from nodecheck.trust.claim import Claim
from nodecheck.trust.packets import TrustError

if TYPE_CHECKING:
    from nodecheck.trust.key_ring import KeyRing
    from nodecheck.trust.rpm_header import RpmHeader, Tags

_NAME: Final = 1000
_VERSION: Final = 1001
_RELEASE: Final = 1002
_ARCH: Final = 1022
_OLD_FILE_NAMES: Final = 1027
_FILE_MODES: Final = 1030
_FILE_DIGESTS: Final = 1035
_FILE_LINKS: Final = 1036
_FILE_FLAGS: Final = 1037
_FILE_OWNERS: Final = 1039
_FOLDER_INDEXES: Final = 1116
_BASE_NAMES: Final = 1117
_FOLDER_NAMES: Final = 1118
_FILE_DIGEST_ALGORITHM: Final = 5011

_CONFIG: Final = 1 << 0
_GHOST: Final = 1 << 6
_OPTIONAL: Final = 1 << 1 | 1 << 3 | 1 << 7 | 1 << 8
"""Documentation, missing-ok, licence, readme."""
_ALGORITHMS: Final = {
    1: ("md5", 32),
    2: ("sha1", 40),
    8: ("sha256", 64),
    9: ("sha384", 96),
    10: ("sha512", 128),
}
_KINDS: Final = {0o100000: FileKind.FILE, 0o040000: FileKind.FOLDER, 0o120000: FileKind.LINK}
_HEX: Final = re.compile(r"[0-9a-f]*")

_Item = TypeVar("_Item", int, str)


def prove_package(header: RpmHeader, ring: KeyRing, source: str) -> SignedPackage:
    """Return the package of a header, with what its signature proves about it.

    Raises:
        TrustError: a field is missing or damaged.
    """
    region = header.region
    name, version, arch = (_word(region, tag) for tag in (_NAME, _VERSION, _ARCH))
    return SignedPackage(
        channel=Channel.RPM,
        name=name,
        version=version,
        label=f"{name}-{version}-{_word(region, _RELEASE)}.{arch}",
        arch=arch,
        files=_read_files(region),
        signature=_prove(header, ring),
        source=source,
    )


def _prove(header: RpmHeader, ring: KeyRing) -> SignatureFact:
    if header.signature is None and header.other_signature:
        detail = "signed, but by no RSA header signature (DSA, EdDSA, or RPM 6)"
        return SignatureFact(SignatureOutcome.UNSUPPORTED, detail)
    if header.signature is None:
        return SignatureFact(SignatureOutcome.UNSIGNED, "header carries no signature")
    claim = Claim(header.signature, ring)
    claim.update(header.signed)
    return claim.fact()


def _word(region: Tags, tag: int) -> str:
    found = region.strings(tag)
    if not found or not found[0]:
        msg = f"header without tag {tag}"
        raise TrustError(msg)
    return found[0]


def _read_files(region: Tags) -> tuple[SignedFile, ...]:
    paths = _read_paths(region)
    if not paths:
        return ()
    algorithm, size = _read_algorithm(region)
    rows = zip(
        paths,
        _numbers(region, _FILE_MODES, len(paths)),
        _numbers(region, _FILE_FLAGS, len(paths)),
        _strings(region, _FILE_DIGESTS, len(paths)),
        _strings(region, _FILE_LINKS, len(paths)),
        _strings(region, _FILE_OWNERS, len(paths)),
        strict=True,
    )
    files = tuple(
        SignedFile(
            path=path,
            kind=_KINDS.get(mode & 0o170000, FileKind.OTHER),
            mode=mode & 0o7777,
            digest=digest,
            algorithm=algorithm,
            target=target,
            owner=owner,
            config=bool(flags & _CONFIG),
            ghost=bool(flags & _GHOST),
            optional=bool(flags & _OPTIONAL),
        )
        for path, mode, flags, digest, target, owner in rows
    )
    for file in files:
        _check_digest(file, size)
    return files


def _check_digest(file: SignedFile, size: int) -> None:
    """Refuse a digest that is not one; only a regular file that is shipped must have it."""
    shipped = file.kind is FileKind.FILE and not file.ghost
    if len(file.digest) not in ({size} if shipped else {0, size}):
        msg = f"{file.path}: digest of {len(file.digest)} characters, expected {size}"
        raise TrustError(msg)
    if not _HEX.fullmatch(file.digest):
        msg = f"{file.path}: digest is not hexadecimal"
        raise TrustError(msg)


def _read_algorithm(region: Tags) -> tuple[str, int]:
    number = (region.numbers(_FILE_DIGEST_ALGORITHM) or (1,))[0]
    if number not in _ALGORITHMS:
        msg = f"file digests of algorithm {number}"
        raise TrustError(msg, unsupported=True)
    return _ALGORITHMS[number]


def _read_paths(region: Tags) -> tuple[str, ...]:
    if region.has(_OLD_FILE_NAMES):
        msg = "file names of rpm 3"
        raise TrustError(msg, unsupported=True)
    names = region.strings(_BASE_NAMES) or ()
    folders = region.strings(_FOLDER_NAMES) or ()
    indexes = _numbers(region, _FOLDER_INDEXES, len(names)) if names else ()
    if any(index >= len(folders) for index in indexes):
        msg = "file in a folder that the header does not name"
        raise TrustError(msg)
    paths = tuple(folders[index] + name for index, name in zip(indexes, names, strict=True))
    for path in paths:
        if not path.startswith("/") or {"", ".", ".."} & set(path.split("/")[1:]):
            msg = f"path {path!r} is not absolute and plain"
            raise TrustError(msg)
    if len(set(paths)) != len(paths):
        msg = "header names a file twice"
        raise TrustError(msg)
    return paths


def _numbers(region: Tags, tag: int, count: int) -> tuple[int, ...]:
    return _complete(region.numbers(tag), tag, count)


def _strings(region: Tags, tag: int, count: int) -> tuple[str, ...]:
    return _complete(region.strings(tag), tag, count)


def _complete(items: tuple[_Item, ...] | None, tag: int, count: int) -> tuple[_Item, ...]:
    if items is None or len(items) != count:
        msg = f"tag {tag} holds {len(items or ())} items for {count} files"
        raise TrustError(msg)
    return items
