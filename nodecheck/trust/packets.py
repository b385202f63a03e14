"""Read OpenPGP packets strictly: definite lengths of at most 64 KiB, and nothing beyond the end.

Sources: RFC 4880 sections 3.2 (integers), 4.2 (packets), 5.2.3.1 (lengths of subpackets).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from nodecheck.model.moment import EPOCH

if TYPE_CHECKING:
    from datetime import datetime

TAG_SIGNATURE: Final = 2
TAG_PUBLIC_KEY: Final = 6

_PACKET_LIMIT_BYTES: Final = 64 * 1024
_PACKETS_LIMIT: Final = 1000


class TrustError(Exception):
    """The bytes are no acceptable proof. ``unsupported``: well formed, but not understood here."""

    def __init__(self, message: str, *, unsupported: bool = False) -> None:
        """Keep the sentence, and whether the bytes are merely beyond this reader."""
        super().__init__(message)
        self.unsupported = unsupported


class Reader:
    """Reads bytes from front to back, and never beyond their end."""

    def __init__(self, data: bytes) -> None:
        """Start at the first byte."""
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Return how many bytes have not been read."""
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """Return the next bytes, all of them or a ``TrustError``."""
        if size > self.left:
            msg = f"{size} bytes announced, {self.left} there"
            raise TrustError(msg)
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        """Return the next unsigned number, most significant byte first."""
        return int.from_bytes(self.take(size), "big")

    def multiprecision(self) -> int:
        """Return the next multiprecision integer (RFC 4880 section 3.2), in its one spelling."""
        bits = self.number(2)
        value = int.from_bytes(self.take((bits + 7) // 8), "big")
        if value.bit_length() != bits:
            msg = f"integer of {value.bit_length()} bits announced as {bits}"
            raise TrustError(msg)
        return value

    def instant(self) -> datetime:
        """Return the next four bytes as a time (RFC 4880 section 3.5)."""
        return EPOCH + timedelta(seconds=self.number(4))

    def end(self, what: str) -> None:
        """Refuse bytes after the last field."""
        if self.left:
            msg = f"{self.left} bytes after the {what}"
            raise TrustError(msg)


def read_packets(data: bytes) -> tuple[tuple[int, bytes], ...]:
    """Return tag and body of each packet.

    Raises:
        TrustError: a length is partial, indeterminate, too large, or beyond the end.
    """
    reader = Reader(data)
    packets: list[tuple[int, bytes]] = []
    while reader.left:
        if len(packets) == _PACKETS_LIMIT:
            msg = f"more than {_PACKETS_LIMIT} packets"
            raise TrustError(msg)
        packets.append(_read_packet(reader))
    return tuple(packets)


def _read_packet(reader: Reader) -> tuple[int, bytes]:
    first = reader.number(1)
    if not first & 0x80:
        msg = "not an OpenPGP packet"
        raise TrustError(msg)
    if first & 0x40:
        tag, length = first & 0x3F, read_length(reader)
    else:
        tag, length = first >> 2 & 0x0F, _old_length(reader, first & 3)
    if length > _PACKET_LIMIT_BYTES:
        msg = f"packet of {length} bytes, limit {_PACKET_LIMIT_BYTES}"
        raise TrustError(msg)
    return tag, reader.take(length)


def _old_length(reader: Reader, kind: int) -> int:
    if kind == 3:  # noqa: PLR2004 - RFC 4880 section 4.2.1
        msg = "packet of indeterminate length"
        raise TrustError(msg)
    return reader.number(1 << kind)


def read_length(reader: Reader, partial_from: int = 224) -> int:
    """Return a length of RFC 4880 section 4.2.2, or of a subpacket (5.2.3.1) without partial."""
    first = reader.number(1)
    if first < 192:  # noqa: PLR2004 - RFC 4880 section 4.2.2.1
        return first
    if first == 255:  # noqa: PLR2004 - section 4.2.2.3
        return reader.number(4)
    if first >= partial_from:
        msg = "packet of partial length"
        raise TrustError(msg)
    return (first - 192 << 8) + reader.number(1) + 192
