"""Keep what a verified package file promises, so that it need not be had at every run.

A kept package holds the signature but not the bytes under it, so the signature cannot be checked
again: what is kept is worth what the folder is that only root can write. Its key and its date are
judged anew each time, so that a key which has left the ring or is distrusted proves nothing any
more. Packages signed over SHA-1 stay ``weak``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel
from nodecheck.model.node import FileKind
from nodecheck.model.trust import SignatureFact, SignatureOutcome, SignedFile, SignedPackage
from nodecheck.records import dataclass
from nodecheck.trust.openpgp import read_detached
from nodecheck.trust.packets import TrustError

if TYPE_CHECKING:
    from nodecheck.trust.key_ring import KeyRing

NAME: Final = "manifests.json"
LIMIT_BYTES: Final = 1024 * 1024
VERSIONS_LIMIT: Final = 3
SCHEMA: Final = "nodecheck-manifests/1"

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_FILE: Final[dict[str, type]] = {
    "path": str,
    "kind": str,
    "mode": int,
    "digest": str,
    "target": str,
    "owner": str,
    "config": bool,
    "optional": bool,
}
_PACKAGE: Final[dict[str, type]] = {
    "label": str,
    "name": str,
    "version": str,
    "arch": str,
    "sha256": str,
    "key": str,
    "signature": str,
    "source": str,
    "files": list,
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A deb that was verified: the SHA-256 of the file, its signature, and what it promises."""

    label: str
    name: str
    version: str
    arch: str
    sha256: str
    key: str
    signature: bytes
    source: str
    files: tuple[SignedFile, ...]

    def package(self, ring: KeyRing) -> SignedPackage | None:
        """Return the package as far as this ring still believes its key, None where it does not."""
        signature = read_detached(self.signature)
        entry = ring.find(signature)
        if entry is None or entry.pinned.fingerprint != self.key:
            return None
        fact = SignatureFact(
            SignatureOutcome.GOOD,
            "made by a pinned key; verified by an earlier run",
            key_id=self.key,
            algorithm=signature.algorithm,
            created_at=signature.created_at,
            key=entry.pinned,
        )
        source = f"{NAME}, verified from {self.source}"
        package = SignedPackage(
            Channel.DEB,
            self.name,
            self.version,
            self.label,
            self.arch,
            self.files,
            fact,
            source,
        )
        return package if package.proven else None


def keep(package: SignedPackage, sha256: str, signature: bytes) -> Kept:
    """Return what is kept of a proven package."""
    if not package.proven or package.signature.key is None:
        msg = f"{package.label}: only what is proven is kept"
        raise ValueError(msg)
    return Kept(
        package.label,
        package.name,
        package.version,
        package.arch,
        sha256,
        package.signature.key.fingerprint,
        signature,
        package.source,
        package.files,
    )


def add(known: tuple[Kept, ...], new: Kept) -> tuple[Kept, ...]:
    """Return the packages verified last, newest first, each once."""
    others = tuple(item for item in known if item.label != new.label)
    return (new, *others)[:VERSIONS_LIMIT]


def dump(kept: tuple[Kept, ...]) -> bytes:
    """Return the text of the file."""
    entries = []
    for item in kept:
        files = [
            {name: getattr(file, name) for name in _FILE} | {"kind": file.kind.value}
            for file in item.files
        ]
        signature = base64.b64encode(item.signature).decode()
        kept_as_is = {name: getattr(item, name) for name in _PACKAGE}
        entries.append(kept_as_is | {"files": files, "signature": signature})
    return json.dumps({"schema": SCHEMA, "packages": entries}, indent=1).encode() + b"\n"


def parse(content: bytes) -> tuple[Kept, ...]:
    """Return the packages in the text of such a file.

    Raises:
        TrustError: it is not exactly what ``dump`` writes.
    """
    try:
        document = json.loads(content.decode("ascii"))
    except (ValueError, RecursionError) as exc:
        msg = f"not JSON: {exc}"
        raise TrustError(msg) from exc
    fields = _fields(document, {"schema": str, "packages": list})
    packages = _items(fields, "packages")
    if fields["schema"] != SCHEMA or len(packages) > VERSIONS_LIMIT:
        msg = f"not of schema {SCHEMA}, or more than {VERSIONS_LIMIT} packages"
        raise TrustError(msg)
    return tuple(_read_kept(item) for item in packages)


def _read_kept(item: object) -> Kept:
    fields = _fields(item, _PACKAGE)
    words = {name: str(fields[name]) for name in _PACKAGE if name not in {"files", "signature"}}
    try:
        signature = base64.b64decode(str(fields["signature"]), validate=True)
    except (binascii.Error, ValueError) as exc:
        msg = f"signature is not base64: {exc}"
        raise TrustError(msg) from exc
    read_detached(signature)
    if not _SHA256.fullmatch(words["sha256"]):
        msg = "sha256 of a package is none"
        raise TrustError(msg)
    files = tuple(_read_file(file) for file in _items(fields, "files"))
    return Kept(**words, signature=signature, files=files)


def _read_file(item: object) -> SignedFile:
    fields = _fields(item, _FILE)
    path, digest, mode = str(fields["path"]), str(fields["digest"]), fields["mode"]
    kinds = {kind.value: kind for kind in (FileKind.FILE, FileKind.LINK)}
    kind = kinds.get(str(fields["kind"]))
    sound = bool(_SHA256.fullmatch(digest)) if kind is FileKind.FILE else not digest
    plain = path.startswith("/") and not {"", ".", ".."} & set(path.split("/")[1:])
    if kind is None or not sound or not plain or not isinstance(mode, int) or mode & ~0o7777:
        msg = f"{path!r}: kind, digest, path or mode that cannot be"
        raise TrustError(msg)
    return SignedFile(
        path=path,
        kind=kind,
        mode=mode,
        digest=digest,
        algorithm="sha256",
        target=str(fields["target"]),
        owner=str(fields["owner"]),
        config=fields["config"] is True,
        ghost=False,
        optional=fields["optional"] is True,
    )


def _fields(item: object, kinds: dict[str, type]) -> dict[str, object]:
    """Return an object that has exactly these members, of exactly these kinds."""
    if not isinstance(item, dict) or item.keys() != kinds.keys():
        msg = f"an object with {', '.join(kinds)} expected"
        raise TrustError(msg)
    wrong = [name for name, kind in kinds.items() if type(item[name]) is not kind]
    if wrong:
        msg = f"{', '.join(wrong)}: of a wrong kind"
        raise TrustError(msg)
    return item


def _items(fields: dict[str, object], name: str) -> list[object]:
    found = fields[name]
    return found if isinstance(found, list) else []
