"""Read a tar archive as packages contain it, one entry after the other.

Regular files, folders and symbolic links, in the ustar and GNU formats with GNU's long names.
Hard links, devices, sparse files and pax headers are refused: dpkg knows no pax headers, and none
of the others is in a package of the agent.

Sources: POSIX.1-1988 ustar; tar.h of GNU tar; deb(5).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.node import FileKind
from nodecheck.records import dataclass
from nodecheck.trust.chunks import ChunkReader
from nodecheck.trust.packets import TrustError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ENTRIES_LIMIT: Final = 4096
_BLOCK: Final = 512
_LONG_LIMIT_BYTES: Final = 4096
_OCTAL: Final = re.compile(rb" *([0-7]+)[ \0]*")
_MAGICS: Final = (b"ustar\x0000", b"ustar  \0")
_OTHER_NUMBERS: Final = ((100, 108), (108, 116), (116, 124), (136, 148), (329, 337), (337, 345))
"""Mode, user, group, time, device: other readers stop where one of them is damaged."""

_POSIX: Final = _MAGICS[0]
_KINDS: Final = {
    b"0": FileKind.FILE,
    b"\0": FileKind.FILE,
    b"2": FileKind.LINK,
    b"5": FileKind.FOLDER,
}
_LONG_TARGET: Final = b"K"
_LONG_NAME: Final = b"L"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; ``path`` is absolute and plain, ``mode`` holds the 12 permission bits only."""

    path: str
    kind: FileKind
    mode: int
    size: int
    target: str
    owner: str


def read_tar(chunks: Iterable[bytes], what: str) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    """Return each entry with its content; what is left unread of one is skipped.

    Raises:
        TrustError: truncated, damaged, of a kind not understood, or with a path twice.
    """
    reader = ChunkReader(chunks)
    longs: dict[bytes, str] = {}
    seen: set[str] = set()
    while any(header := reader.take(_BLOCK, what)):
        _check(header, what)
        size, kind = _number(header[124:136], what), header[156:157]
        if kind in {_LONG_NAME, _LONG_TARGET}:
            if kind in longs or size > _LONG_LIMIT_BYTES:
                msg = f"{what}: long name repeated or of {size} bytes"
                raise TrustError(msg)
            longs[kind] = _read_long(reader, size, what)
            continue
        entry = _read_entry(header, size, longs, what)
        longs = {}
        if entry.path in seen or len(seen) >= ENTRIES_LIMIT:
            msg = f"{what}: {entry.path} is there twice, or too many entries"
            raise TrustError(msg)
        seen.add(entry.path)
        content = reader.pieces(size, entry.path)
        yield entry, content
        for _ in content:
            pass
        reader.take(-size % _BLOCK, what)
    _finish(reader, longs, what)


def _read_long(reader: ChunkReader, size: int, what: str) -> str:
    """Return a long name; it ends within its size, or readers would not agree on its end."""
    name, padding = reader.take(size, what), reader.take(-size % _BLOCK, what)
    if not name.endswith(b"\0") or any(padding):
        msg = f"{what}: long name without an end"
        raise TrustError(msg)
    return _text(name, what)


def _finish(reader: ChunkReader, longs: dict[bytes, str], what: str) -> None:
    """Refuse what another reader might take for further entries."""
    while rest := reader.some(_BLOCK):
        if any(rest):
            msg = f"{what}: bytes behind its end"
            raise TrustError(msg)
    if longs:
        msg = f"{what}: ends after a long name"
        raise TrustError(msg)


def _check(header: bytes, what: str) -> None:
    total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    numbers = [header[at:end].strip(b" \0") or b"0" for at, end in _OTHER_NUMBERS]
    sound = all(_OCTAL.fullmatch(number) for number in numbers)
    # Some readers take for a prefix what GNU tar uses otherwise.
    sound &= header[257:265] == _POSIX or not any(header[345:])
    if not sound or total != _number(header[148:156], what) or header[257:265] not in _MAGICS:
        msg = f"{what}: damaged tar header"
        raise TrustError(msg)


def _read_entry(header: bytes, size: int, longs: dict[bytes, str], what: str) -> Entry:
    kind = _KINDS.get(header[156:157])
    if kind is None:
        msg = f"{what}: tar entry of type {header[156:157]!r}"
        raise TrustError(msg, unsupported=True)
    name = _text(header[:100], what)
    prefix = _text(header[345:500], what) if header[257:265] == _POSIX else ""
    name = longs.get(_LONG_NAME, f"{prefix}/{name}" if prefix else name)
    target = longs.get(_LONG_TARGET, _text(header[157:257], what))
    sound = bool(target) if kind is FileKind.LINK else not target
    if not sound or (size and kind is not FileKind.FILE):
        msg = f"{what}: {name!r} has a target or a content that it cannot have"
        raise TrustError(msg)
    return Entry(
        path=absolute(name, kind, what),
        kind=kind,
        mode=_number(header[100:108], what) & 0o7777,
        size=size,
        target=target,
        owner=_text(header[265:297], what),
    )


def absolute(name: str, kind: FileKind, what: str) -> str:
    """Return where an entry lies on the node.

    >>> absolute("./usr/bin/", FileKind.FOLDER, "data"), absolute("./", FileKind.FOLDER, "data")
    ('/usr/bin', '/')

    Raises:
        TrustError: it would lie elsewhere than its name says.
    """
    path = name.removeprefix(".").removeprefix("/") if name.startswith(("./", "/")) else name
    if kind is FileKind.FOLDER:
        path = path.removesuffix("/")
    root = kind is FileKind.FOLDER and not path.strip(".")
    plain = path.isprintable() and not {"", ".", ".."} & set(path.split("/"))
    if not (plain or (root and name in {"./", ".", "/"})):
        msg = f"{what}: path {name!r} is not plain"
        raise TrustError(msg)
    return "/" if root else f"/{path}"


def _number(field: bytes, what: str) -> int:
    match = _OCTAL.fullmatch(field)
    if match is None:
        msg = f"{what}: {field!r} is no octal number"
        raise TrustError(msg)
    return int(match[1], 8)


def _text(field: bytes, what: str) -> str:
    value, _, rest = field.partition(b"\0")
    try:
        text = value.decode()
    except UnicodeDecodeError as exc:
        msg = f"{what}: name that is not UTF-8"
        raise TrustError(msg) from exc
    if any(rest):
        msg = f"{what}: bytes behind the end of a name"
        raise TrustError(msg)
    return text
