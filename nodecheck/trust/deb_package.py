"""Turn a signed deb into the package and the files it promises.

A deb is an ar archive of ``debian-binary``, ``control.tar.gz`` and ``data.tar.gz``. Amazon's carry
no digests of their own files and no embedded signature, so that the detached signature over the
whole file is all there is, and the digests are those of the members of the data archive.

Sources: deb(5), deb-control(5), deb-conffiles(5); Tools/src/create_deb.sh of amazon-ssm-agent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel
from nodecheck.model.node import FileKind
from nodecheck.model.trust import SignedFile
from nodecheck.trust.ar import read_archive
from nodecheck.trust.archive import (
    UNPACKED_LIMIT_BYTES,
    Content,
    Proof,
    hash_pieces,
    prove_file,
)
from nodecheck.trust.chunks import ChunkReader, inflate
from nodecheck.trust.packets import TrustError
from nodecheck.trust.tar import read_tar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nodecheck.trust.key_ring import KeyRing
    from nodecheck.trust.tar import Entry

CONTROL_LIMIT_BYTES: Final = 1024 * 1024
"""Amazon's control archive has about 10 kB, maintainer scripts included."""

_FORMAT: Final = b"2.0\n"
_MEMBERS: Final = ("debian-binary", "control.tar.gz", "data.tar.gz")
_FIELD: Final = re.compile(r"([!-9;-~]+):[ \t]*(.*?)[ \t\r]*")
_WORDS: Final = {
    "package": re.compile(r"[a-z0-9][a-z0-9.+-]*"),
    "version": re.compile(r"[A-Za-z0-9.+~:-]+"),
    "architecture": re.compile(r"[a-z0-9-]+"),
}
_NUMBERS: Final = re.compile(r"(?:\d+:)?(\d+\.\d+\.\d+\.\d+)(?:-[A-Za-z0-9.+~]+)?", re.ASCII)
_OPTIONAL: Final = tuple(
    f"/usr/share/{folder}/" for folder in ("doc", "info", "lintian", "locale", "man")
)
"""What administrators leave out by path-exclude (dpkg(1), excludes of Debian's images)."""


def prove_deb(signature: bytes, chunks: Iterable[bytes], ring: KeyRing, source: str) -> Proof:
    """Return the package of a deb, with what its detached signature proves about it.

    Raises:
        TrustError: too large, or signed by a pinned key and yet not understood.
    """
    return prove_file(Channel.DEB, (signature, chunks), read_deb, ring, source)


def read_deb(reader: ChunkReader) -> Content:
    """Return what a deb says about itself, and the digests of its files.

    Raises:
        TrustError: truncated, damaged, or with members of another kind or order.
    """
    names: list[str] = []
    control: dict[str, bytes] = {}
    files: tuple[tuple[Entry, str], ...] = ()
    for name, content in read_archive(reader):
        _expect(name, len(names))
        names.append(name)
        if name == _MEMBERS[0]:
            _expect_format(content)
        elif name == _MEMBERS[1]:
            control = _read_control(inflate(content, CONTROL_LIMIT_BYTES, name))
        else:
            files = _read_data(inflate(content, UNPACKED_LIMIT_BYTES, name))
    if len(names) != len(_MEMBERS):
        msg = f"deb without {_MEMBERS[len(names)]}"
        raise TrustError(msg)
    return _describe(control, files)


def _expect(name: str, number: int) -> None:
    if number < len(_MEMBERS) and name == _MEMBERS[number]:
        return
    wanted = _MEMBERS[number] if number < len(_MEMBERS) else "its end"
    msg = f"deb holds {name} where {wanted} is expected"
    raise TrustError(msg, unsupported=name.startswith(("control.tar", "data.tar", "_")))


def _expect_format(content: Iterator[bytes]) -> None:
    """Refuse another format without holding more than a line of it."""
    version = b""
    for piece in content:
        version = (version + piece)[:16]
    if version != _FORMAT:
        msg = f"deb of format {version!r}, only 2.0 is read"
        raise TrustError(msg, unsupported=True)


def _read_control(unpacked: Iterator[bytes]) -> dict[str, bytes]:
    """Return the two files of the control archive that say what is installed."""
    found: dict[str, bytes] = {}
    for entry, content in read_tar(unpacked, "control archive"):
        if entry.path in {"/control", "/conffiles"} and entry.kind is FileKind.FILE:
            found[entry.path] = b"".join(content)
    return found


def _read_data(unpacked: Iterator[bytes]) -> tuple[tuple[Entry, str], ...]:
    """Return each file and link of the data archive with its digest ('' of a link).

    Folders are left out: most are shared with other packages, and dpkg keeps what is there.
    """
    return tuple(
        (entry, hash_pieces(content) if entry.kind is FileKind.FILE else "")
        for entry, content in read_tar(unpacked, "data archive")
        if entry.kind is not FileKind.FOLDER
    )


def _describe(control: dict[str, bytes], files: tuple[tuple[Entry, str], ...]) -> Content:
    fields = read_fields(control.get("/control", b""))
    name, version, arch = (fields[word] for word in _WORDS)
    numbers = _NUMBERS.fullmatch(version)
    configuration = read_conffiles(control.get("/conffiles", b""))
    return Content(
        name=name,
        version=numbers[1] if numbers else "",
        label=f"{name}_{version}_{arch}",
        arch=arch,
        files=tuple(
            SignedFile(
                path=entry.path,
                kind=entry.kind,
                mode=entry.mode,
                digest=digest,
                algorithm="sha256",
                target=entry.target,
                owner=entry.owner,
                config=entry.path in configuration,
                ghost=False,
                optional=entry.path.startswith(_OPTIONAL),
            )
            for entry, digest in files
        ),
    )


def read_fields(control: bytes) -> dict[str, str]:
    """Return name, version and architecture of a control file.

    Raises:
        TrustError: one is missing, repeated or not what it can be, or there are two stanzas.
    """
    lines = _decode(control).strip("\n").split("\n")
    found: dict[str, str] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None and not line.startswith((" ", "\t")):
            msg = f"control file: {line[:40]!r} is no field"
            raise TrustError(msg)
        word = match[1].lower() if match else ""
        if match is None or word not in _WORDS:
            continue
        if word in found or not _WORDS[word].fullmatch(match[2]):
            msg = f"control file: {word} repeated or not understood: {match[2][:40]!r}"
            raise TrustError(msg)
        found[word] = match[2]
    missing = [word for word in _WORDS if word not in found]
    if missing:
        msg = f"control file without {', '.join(missing)}"
        raise TrustError(msg)
    return found


def read_conffiles(content: bytes) -> frozenset[str]:
    """Return the paths that an administrator may edit; those that are not shipped do no harm."""
    lines = (line.strip() for line in _decode(content).split("\n"))
    return frozenset(line for line in lines if line.startswith("/"))


def _decode(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as exc:
        msg = "control file is not UTF-8"
        raise TrustError(msg) from exc
