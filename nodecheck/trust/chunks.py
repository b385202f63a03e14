"""Read by size what arrives in chunks, and unpack it, in bounded memory."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from nodecheck.trust.packets import TrustError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INFLATED_BYTES: Final = 256 * 1024
"""Most that comes out of one step of unpacking, however well it was packed."""

_GZIP: Final = 16 + zlib.MAX_WBITS


class ChunkReader:
    """A file read once from its start to its end. Holds one chunk, and what was asked for."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Read from these chunks, of which none is empty."""
        self._chunks = iter(chunks)
        self._chunk = b""
        self._at = 0

    def some(self, limit: int) -> bytes:
        """Return at least one and at most ``limit`` bytes, none only at the end."""
        if self._at >= len(self._chunk):
            self._chunk = next(self._chunks, b"")
            self._at = 0
        start = self._at
        self._at = min(len(self._chunk), start + limit)
        return self._chunk[start : self._at]

    def take(self, size: int, what: str) -> bytes:
        """Return exactly this many bytes.

        Raises:
            TrustError: there are fewer; names what was to be read.
        """
        return b"".join(self.pieces(size, what))

    def pieces(self, size: int, what: str) -> Iterator[bytes]:
        """Return exactly this many bytes, piece by piece.

        Raises:
            TrustError: there are fewer; names what was to be read.
        """
        while size:
            piece = self.some(size)
            if not piece:
                msg = f"{what}: ends {size} bytes too early"
                raise TrustError(msg)
            size -= len(piece)
            yield piece


def inflate(chunks: Iterable[bytes], limit_bytes: int, what: str) -> Iterator[bytes]:
    """Unpack one gzip member that is all there is.

    Raises:
        TrustError: no gzip, damaged, something behind its end, or more than the limit.
    """
    unpacker = zlib.decompressobj(wbits=_GZIP)
    left = limit_bytes
    for chunk in chunks:
        waiting = chunk
        while waiting and not unpacker.eof:
            piece = _step(unpacker, waiting, what)
            waiting = unpacker.unconsumed_tail
            left -= len(piece)
            if left < 0:
                msg = f"{what}: larger than {limit_bytes} bytes unpacked"
                raise TrustError(msg)
            if piece:
                yield piece
        if unpacker.unused_data or waiting:
            msg = f"{what}: bytes behind the end of its gzip member"
            raise TrustError(msg)
    if not unpacker.eof:
        msg = f"{what}: its gzip member does not end"
        raise TrustError(msg)


def _step(unpacker: zlib._Decompress, packed: bytes, what: str) -> bytes:
    try:
        return unpacker.decompress(packed, INFLATED_BYTES)
    except zlib.error as exc:
        msg = f"{what}: {exc}"
        raise TrustError(msg) from exc
