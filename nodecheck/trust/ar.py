"""Read the members of an ar archive, one after the other.

Both spellings of short names are read: padded with spaces (dpkg-deb) and ended by a slash (the ar
of binutils, with which Amazon builds). Long names and symbol tables have no place in a package.

Source: deb(5); ar.h of binutils.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.trust.packets import TrustError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.trust.chunks import ChunkReader

_MAGIC: Final = b"!<arch>\n"
_HEADER_BYTES: Final = 60
_SIZE: Final = re.compile(rb"([0-9]{1,10}) *")
_NAME: Final = re.compile(r"[a-z0-9_][a-z0-9._-]*")


def read_archive(reader: ChunkReader) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Return name and content of each member; each is to be read to its end before the next.

    Raises:
        TrustError: truncated, damaged, or not an ar archive.
    """
    if reader.take(len(_MAGIC), "archive") != _MAGIC:
        msg = "not an ar archive"
        raise TrustError(msg)
    while first := reader.some(_HEADER_BYTES):
        rest = reader.take(_HEADER_BYTES - len(first), "archive member")
        name, size = _read_header(first + rest)
        content = reader.pieces(size, name)
        yield name, content
        if size % 2 and reader.take(1, name) != b"\n":
            msg = f"{name}: is not padded as ar does"
            raise TrustError(msg)


def _read_header(header: bytes) -> tuple[str, int]:
    name = header[:16].decode("ascii", "replace").rstrip(" ").removesuffix("/")
    size = _SIZE.fullmatch(header[48:58])
    if size is None or not _NAME.fullmatch(name) or header[58:] != b"`\n":
        msg = f"damaged header of an archive member: {header[:16]!r}"
        raise TrustError(msg)
    return name, int(size[1])
