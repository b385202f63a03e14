"""Read a header of the rpm database, and prove it by its own signature.

A header of the database is the signed region of the package, byte for byte, and an unsigned tail
that rpm added on installing: signatures, install time, file states. A tag of the tail hides the one
of the region from ``rpm -q`` and ``rpm -V`` (measured, rpm 4.18), so an attacker can append digests
of his own and leave region and signature alone. Here the package is read from the region only, the
signature from the tail only. What was signed is rebuilt as

    8eade801 00000000, number of entries, size of data (32 bits each), entries, data

Sources: https://rpm-software-management.github.io/rpm/manual/format_header.html and
format_v4.html, lib/header.c (regions and dribbles), include/rpm/rpmtag.h (numbers of tags).
"""

from __future__ import annotations

import struct
from typing import Final

from nodecheck.records import dataclass
from nodecheck.trust.packets import TrustError

BLOB_LIMIT_BYTES: Final = 4 * 1024 * 1024
"""The agent's header has about 20 kB; rpm itself stops at 256 MiB."""

_MAGIC: Final = bytes.fromhex("8eade80100000000")
_COUNTS: Final = struct.Struct(">II")
_ENTRY: Final = struct.Struct(">IIiI")
_ENTRIES_LIMIT: Final = 4096
_ITEMS_LIMIT: Final = 65536
_IMMUTABLE: Final = 63
_INT16: Final = 3
_INT32: Final = 4
_STRING: Final = 6
_BINARY: Final = 7
_STRING_ARRAY: Final = 8
_DSA_HEADER: Final = 267
_RSA_HEADER: Final = 268
_OPENPGP: Final = 278
_NUMBERS: Final = {_INT16: "H", _INT32: "I"}


@dataclass(frozen=True, slots=True)
class Tags:
    """Some entries of a header over their data. A tag that is wanted must be there once."""

    entries: tuple[tuple[int, int, int, int], ...]
    data: bytes

    def binary(self, tag: int) -> bytes | None:
        """Return the bytes of a tag, None where it is not there."""
        entry = self._find(tag, (_BINARY,))
        return None if entry is None else self._span(entry[2], entry[3])

    def numbers(self, tag: int) -> tuple[int, ...] | None:
        """Return the unsigned numbers of a tag, None where it is not there."""
        entry = self._find(tag, (_INT16, _INT32))
        if entry is None:
            return None
        layout = struct.Struct(f">{entry[3]}{_NUMBERS[entry[1]]}")
        return layout.unpack(self._span(entry[2], layout.size))

    def strings(self, tag: int) -> tuple[str, ...] | None:
        """Return the strings of a tag, None where it is not there."""
        entry = self._find(tag, (_STRING, _STRING_ARRAY))
        if entry is None:
            return None
        _, kind, offset, count = entry
        if kind == _STRING and count != 1:
            msg = f"tag {tag} holds {count} strings instead of one"
            raise TrustError(msg)
        parts = self.data[offset:].split(b"\0", count)
        if len(parts) <= count:
            msg = f"strings of tag {tag} do not end"
            raise TrustError(msg)
        return tuple(_text(part, tag) for part in parts[:count])

    def has(self, tag: int) -> bool:
        """Tell whether a tag is there, of whatever type."""
        return any(entry[0] == tag for entry in self.entries)

    def _find(self, tag: int, kinds: tuple[int, ...]) -> tuple[int, int, int, int] | None:
        found = [entry for entry in self.entries if entry[0] == tag]
        if not found:
            return None
        _, kind, offset, count = found[0]
        sound = kind in kinds and 0 <= offset <= len(self.data) and 0 < count <= _ITEMS_LIMIT
        if len(found) > 1 or not sound:
            msg = f"tag {tag} repeated, of a wrong type or out of bounds"
            raise TrustError(msg)
        return found[0]

    def _span(self, offset: int, size: int) -> bytes:
        span = self.data[offset : offset + size]
        if len(span) != size:
            msg = "tag reaches beyond the header"
            raise TrustError(msg)
        return span


@dataclass(frozen=True, slots=True)
class RpmHeader:
    """One header: the bytes that were signed, the tags among them, and its signatures.

    ``signature`` is the RSA signature packet, None where there is none. ``other_signature`` says
    that there is one of a kind which is not read here (DSA, EdDSA, or the list of RPM 6).
    """

    signed: bytes
    region: Tags
    signature: bytes | None
    other_signature: bool


def read_header(blob: bytes) -> RpmHeader:
    """Return a header as the database stores it: signed region and unsigned tail.

    Raises:
        TrustError: truncated, oversized, damaged, or without an immutable region.
    """
    entries, data = _read_frame(blob)
    count, size = _measure_region(entries, data)
    head = _MAGIC + _COUNTS.pack(count, size)
    signed = head + blob[8 : 8 + 16 * count] + data[:size]
    region = Tags(entries[1:count], data[: size - _ENTRY.size])
    if any(entry[2] < size for entry in entries[count:]):
        msg = "unsigned tag points into the signed region"
        raise TrustError(msg)
    tail = Tags(entries[count:], data)
    other = tail.has(_DSA_HEADER) or tail.has(_OPENPGP)
    return RpmHeader(signed, region, tail.binary(_RSA_HEADER), other)


def read_parts(region: bytes, signature: bytes | None, *, other_signature: bool) -> RpmHeader:
    """Return a header from its region and its signature as rpm prints them.

    Raises:
        TrustError: truncated, oversized, damaged, or more than a region.
    """
    header = read_header(region)
    if len(header.signed) != len(region) + len(_MAGIC):
        msg = "printed region has an unsigned tail"
        raise TrustError(msg)
    return RpmHeader(header.signed, header.region, signature, other_signature)


def _read_frame(blob: bytes) -> tuple[tuple[tuple[int, int, int, int], ...], bytes]:
    if not _COUNTS.size <= len(blob) <= BLOB_LIMIT_BYTES:
        msg = f"header of {len(blob)} bytes, at most {BLOB_LIMIT_BYTES} are read"
        raise TrustError(msg)
    count, size = _COUNTS.unpack_from(blob)
    if not 0 < count <= _ENTRIES_LIMIT or 8 + _ENTRY.size * count + size != len(blob):
        msg = f"header of {count} entries and {size} bytes of data in {len(blob)} bytes"
        raise TrustError(msg)
    start = 8 + _ENTRY.size * count
    return tuple(_ENTRY.iter_unpack(blob[8:start])), blob[start:]


def _measure_region(entries: tuple[tuple[int, int, int, int], ...], data: bytes) -> tuple[int, int]:
    """Return how many entries and how many bytes of data the immutable region has.

    Its first entry points at a trailer at the end of its data, which holds the number of entries
    as a negative offset.
    """
    tag, kind, offset, count = entries[0]
    if (tag, kind, count) != (_IMMUTABLE, _BINARY, _ENTRY.size):
        msg = f"header starts with tag {tag} instead of an immutable region"
        raise TrustError(msg)
    if not 0 <= offset <= len(data) - _ENTRY.size:
        msg = "immutable region ends beyond the header"
        raise TrustError(msg)
    tag, kind, back, count = _ENTRY.unpack_from(data, offset)
    inside = -back // _ENTRY.size
    if (tag, kind, count) != (_IMMUTABLE, _BINARY, _ENTRY.size) or back != -inside * _ENTRY.size:
        msg = "trailer of the immutable region is damaged"
        raise TrustError(msg)
    if not 1 <= inside <= len(entries):
        msg = f"immutable region of {inside} entries in a header of {len(entries)}"
        raise TrustError(msg)
    return inside, offset + _ENTRY.size


def _text(data: bytes, tag: int) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        msg = f"string of tag {tag} is not UTF-8"
        raise TrustError(msg) from exc
