"""Read the structure of a signed program of Windows, stricter than Windows does.

The Authenticode digest leaves out the header's checksum, the entry of the certificate table and the
table itself. What lies in the table beside the signature is therefore nobody's word, and Windows
lets it pass unless ``EnableCertPaddingCheck`` is set (CVE-2013-3900). Here the table holds one
signature and nothing else, and it ends the file.

Sources: "PE Format" on learn.microsoft.com (headers, "The Attribute Certificate Table (Image
Only)"); "Windows Authenticode Portable Executable Signature Format", 2008.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final, Protocol

from nodecheck.records import dataclass
from nodecheck.trust.packets import TrustError

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_LIMIT_BYTES: Final = 256 * 1024 * 1024
"""The largest of the agent's programs has 27 MB."""
TABLE_LIMIT_BYTES: Final = 4 * 1024 * 1024
"""Page hashes of the largest file allowed take 2.4 MB."""

_HEAD_LIMIT_BYTES: Final = 64 * 1024
_DOS_HEADER_BYTES: Final = 64
_PIECE_BYTES: Final = 1 << 20
_COFF_BYTES: Final = 24
"""The magic ``PE`` and the COFF header after it."""
_SECTION_BYTES: Final = 40
_SECTIONS_LIMIT: Final = 96
_CHECKSUM_AT: Final = 64
_DIRECTORIES_AT: Final = {0x10B: 96, 0x20B: 112}
"""PE32 and PE32+."""
_SECURITY: Final = 4
_DIRECTORIES: Final = range(_SECURITY + 1, 17)
_ALIGNMENT: Final = 8
_REVISION_2: Final = 0x0200
_PKCS7: Final = 2
_PADDING_BELOW: Final = 16
"""The signer pads to 8 bytes, and so may the entry."""


class StructureError(TrustError):
    """The file cannot carry a signature that means the whole of it. ``reason`` is a finding's."""

    def __init__(self, message: str, reason: str) -> None:
        """Keep the sentence and the reason code."""
        super().__init__(message)
        self.reason = reason


class Source(Protocol):
    """A file that is open, and stays the same one while it is read."""

    @property
    def size(self) -> int:
        """Return its size in bytes."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Return these bytes, fewer only at the end of the file."""


@dataclass(frozen=True, slots=True)
class PeFile:
    """Where a program's signature is, and which bytes it is not about.

    ``signature`` is the PKCS#7 object alone; ``checksum_at`` and ``entry_at`` are the offsets of
    the two header fields left out of the digest, ``table_at`` is where the certificate table is.
    """

    signature: bytes
    checksum_at: int
    entry_at: int
    table_at: int


@dataclass(frozen=True, slots=True)
class _Head:
    """What the headers say."""

    checksum_at: int
    entry_at: int
    end: int
    table_at: int
    table_size: int
    sections: tuple[tuple[int, int], ...]


def read_pe(source: Source) -> PeFile:
    """Return the place of the one signature.

    Raises:
        StructureError: the file is no program, not signed, or holds what no signature covers.
    """
    if source.size > FILE_LIMIT_BYTES:
        text = f"{source.size} bytes, limit {FILE_LIMIT_BYTES}"
        raise StructureError(text, "malformed-program")
    head = _read_head(_take(source, 0, min(source.size, _HEAD_LIMIT_BYTES)))
    for at, size in head.sections:
        if at + size > source.size:
            text = f"a section ends at {at + size} of {source.size}"
            raise StructureError(text, "truncated")
    if not head.table_at and not head.table_size:
        text = "it has no certificate table"
        raise StructureError(text, "unsigned")
    _check_table(head, source.size)
    signature = _read_table(_take(source, head.table_at, head.table_size))
    return PeFile(signature, head.checksum_at, head.entry_at, head.table_at)


def image_digest(source: Source, program: PeFile, algorithm: str) -> bytes:
    """Return the Authenticode digest of a program."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    parts = (
        (0, program.checksum_at),
        (program.checksum_at + 4, program.entry_at),
        (program.entry_at + 8, program.table_at),
    )
    for start, end in parts:
        for piece in pieces(source, start, end):
            digest.update(piece)
    return digest.digest()


def pieces(source: Source, start: int, end: int) -> Iterator[bytes]:
    """Return the bytes between two offsets piece by piece.

    Raises:
        StructureError: the file ends before.
    """
    for at in range(start, end, _PIECE_BYTES):
        yield _take(source, at, min(_PIECE_BYTES, end - at))


def _take(source: Source, offset: int, size: int) -> bytes:
    data = source.read_at(offset, size)
    if len(data) != size:
        text = f"{size} bytes at {offset}, {len(data)} there"
        raise StructureError(text, "truncated")
    return data


def _unpack(layout: str, head: bytes, at: int) -> tuple[int, ...]:
    if at + struct.calcsize(layout) > len(head):
        text = f"its headers go beyond byte {len(head)}"
        raise StructureError(text, "malformed-program")
    return struct.unpack_from(layout, head, at)


def _read_head(head: bytes) -> _Head:
    if head[:2] != b"MZ":
        text = "it is no program (no MZ)"
        raise StructureError(text, "malformed-program")
    (pe,) = _unpack("<I", head, 0x3C)
    if pe < _DOS_HEADER_BYTES or head[pe : pe + 4] != b"PE\0\0":
        text = "it is no program (no PE header)"
        raise StructureError(text, "malformed-program")
    sections, optional_size = _unpack("<H12xH", head, pe + 6)
    optional = pe + _COFF_BYTES
    (magic,) = _unpack("<H", head, optional)
    if magic not in _DIRECTORIES_AT:
        text = f"optional header of kind {magic:#06x}"
        raise StructureError(text, "malformed-program")
    directories = optional + _DIRECTORIES_AT[magic]
    (count,) = _unpack("<I", head, directories - 4)
    end = optional + optional_size
    if count not in _DIRECTORIES or directories + 8 * count > end:
        text = f"{count} data directories"
        raise StructureError(text, "malformed-program")
    if sections > _SECTIONS_LIMIT:
        text = f"{sections} sections"
        raise StructureError(text, "malformed-program")
    entry_at = directories + 8 * _SECURITY
    table_at, table_size = _unpack("<II", head, entry_at)
    return _Head(
        checksum_at=optional + _CHECKSUM_AT,
        entry_at=entry_at,
        end=end + _SECTION_BYTES * sections,
        table_at=table_at,
        table_size=table_size,
        sections=tuple(_section(head, end + _SECTION_BYTES * number) for number in range(sections)),
    )


def _section(head: bytes, at: int) -> tuple[int, int]:
    """Return offset and size of a section's data in the file, 0 and 0 where it has none."""
    size, offset = _unpack("<16xII16x", head, at)
    return (offset, size) if size and offset else (0, 0)


def _check_table(head: _Head, size: int) -> None:
    at, end = head.table_at, head.table_at + head.table_size
    behind = max((head.end, *(offset + length for offset, length in head.sections)))
    if at % _ALIGNMENT or at < behind:
        text = f"certificate table at {at}, sections end at {behind}"
        raise StructureError(text, "malformed-program")
    if end > size:
        text = f"certificate table ends at {end} of {size}"
        raise StructureError(text, "truncated")
    if end < size:
        text = f"{size - end} bytes after the certificate table, which nobody signed"
        raise StructureError(text, "appended-data")
    if head.table_size > TABLE_LIMIT_BYTES:
        text = f"certificate table of {head.table_size} bytes, limit {TABLE_LIMIT_BYTES}"
        raise StructureError(text, "malformed-program")


def _read_table(table: bytes) -> bytes:
    """Return the one PKCS#7 object of a certificate table that holds nothing else."""
    length, revision, kind = _unpack("<IHH", table, 0)
    if (revision, kind) != (_REVISION_2, _PKCS7):
        text = f"certificate entry of revision {revision:#06x}, kind {kind}"
        raise StructureError(text, "malformed-signature")
    rounded = length + -length % _ALIGNMENT
    if rounded > len(table):
        text = f"certificate entry of {length} bytes in a table of {len(table)}"
        raise StructureError(text, "malformed-signature")
    if rounded < len(table):
        text = f"{len(table) - rounded} bytes after the certificate entry, which nobody signed"
        raise StructureError(text, "appended-data")
    content = table[8:length]
    size = _object_size(content)
    rest = table[8 + size :]
    if len(rest) >= _PADDING_BELOW or any(rest):
        text = f"{len(rest)} bytes after the signature, which nobody signed"
        raise StructureError(text, "appended-data")
    return content[:size]


def _object_size(content: bytes) -> int:
    """Return the size of the DER sequence that comes first."""
    first = content[1] if len(content) > 1 else 0
    count = first & 0x7F if first & 0x80 else 0
    value = int.from_bytes(content[2 : 2 + count], "big") if first & 0x80 else first
    size = 2 + count + value
    if content[:1] != b"\x30" or first == 0x80 or count > 4 or size > len(content):  # noqa: PLR2004
        text = "the certificate entry holds no whole PKCS#7"
        raise StructureError(text, "malformed-signature")
    return size
