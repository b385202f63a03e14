"""Prove a package file by its detached signature in one pass, whatever it contains.

Each byte goes into the signature's hash and through the reader of the content at the same time, so
nothing is kept and nothing is read twice. What was read is released only after the signature
verified over every byte: until then it is a stranger's claim.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from nodecheck.model.trust import SignatureFact, SignedFile, SignedPackage
from nodecheck.records import dataclass
from nodecheck.trust.chunks import ChunkReader
from nodecheck.trust.claim import Claim
from nodecheck.trust.packets import TrustError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from nodecheck.model.agent import Channel
    from nodecheck.trust.key_ring import KeyRing

SIGNATURE_LIMIT_BYTES: Final = 64 * 1024
PACKAGE_LIMIT_BYTES: Final = 256 * 1024 * 1024
"""Amazon's packages have about 26 to 50 MB."""

UNPACKED_LIMIT_BYTES: Final = 1024 * 1024 * 1024
"""The installed agent has about 108 MB."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a package file says about itself."""

    name: str
    version: str
    label: str
    arch: str
    files: tuple[SignedFile, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """A package with what its signature proves, and the SHA-256 of the whole file."""

    package: SignedPackage
    sha256: str


class _Tap:
    """Chunks that feed two digests while they pass."""

    def __init__(self, chunks: Iterable[bytes], claim: Claim) -> None:
        self._chunks = iter(chunks)
        self._claim = claim
        self._left = PACKAGE_LIMIT_BYTES
        self.digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.overflown:
            msg = f"package is larger than {PACKAGE_LIMIT_BYTES} bytes"
            raise TrustError(msg)
        chunk = next(self._chunks)
        self._left -= len(chunk)
        self._claim.update(chunk)
        self.digest.update(chunk)
        return chunk

    @property
    def overflown(self) -> bool:
        """Tell whether more has passed than any package has."""
        return self._left < 0


def prove_file(
    channel: Channel,
    parts: tuple[bytes, Iterable[bytes]],
    read: Callable[[ChunkReader], Content],
    ring: KeyRing,
    source: str,
) -> Proof:
    """Return what a signature and the chunks of a package file prove.

    Content is read to its end and then the file is, whatever is wrong with the content: a damaged
    file has a bad signature first of all.

    Raises:
        TrustError: larger than any package, or signed by a pinned key and yet not understood.
    """
    signature, chunks = parts
    claim = Claim(signature, ring)
    tap = _Tap(chunks, claim)
    content, problem = _read(tap, read)
    for _ in tap:
        pass
    fact = claim.fact()
    if problem is not None and fact.believed:
        raise problem
    package = _release(channel, content, fact, source)
    return Proof(package, tap.digest.hexdigest())


def _read(
    tap: _Tap, read: Callable[[ChunkReader], Content]
) -> tuple[Content | None, TrustError | None]:
    try:
        return read(ChunkReader(tap)), None
    except TrustError as exc:
        return None, exc


def _release(
    channel: Channel, content: Content | None, fact: SignatureFact, source: str
) -> SignedPackage:
    """Return the package; of one that is not believed only where it lies and what signed it."""
    shown = content if content is not None and fact.believed else Content("", "", source, "", ())
    return SignedPackage(
        channel=channel,
        name=shown.name,
        version=shown.version,
        label=shown.label,
        arch=shown.arch,
        files=shown.files,
        signature=fact,
        source=source,
    )


def hash_pieces(pieces: Iterator[bytes]) -> str:
    """Return the SHA-256 of what passes."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
