"""Writers of ar, tar and deb of the tests' own: what the strict readers must read, and must not."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTROL: Final = b"""\
Package: amazon-ssm-agent
Version: 3.3.200.0-1
Architecture: amd64
Description: Stand-in
 More: of it
"""
CONFFILES: Final = b"/etc/init/agent.conf\n/etc/not/shipped\n"


def item(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    """Return one entry, a regular file of mode 0755 unless told otherwise."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.uname = len(content), 0o755, "root"
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, content


def make_tar(*items: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.GNU_FORMAT) -> bytes:
    """Return a tar archive, written by the standard library."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=kind) as archive:
        for entry, content in items:
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def make_ar(members: Sequence[tuple[str, bytes]], *, slash: bool = False) -> bytes:
    """Return an ar archive; names end with a slash where binutils is to be imitated."""
    data = b"!<arch>\n"
    for name, content in members:
        label = name + ("/" if slash else "")
        data += f"{label:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        data += content + b"\n" * (len(content) % 2)
    return data


FILES: Final = (
    item("./", type=tarfile.DIRTYPE),
    item("./usr/bin/", type=tarfile.DIRTYPE),
    item("./usr/bin/amazon-ssm-agent", b"agent"),
    item("./usr/bin/link", type=tarfile.SYMTYPE, linkname="amazon-ssm-agent"),
    item("./etc/init/agent.conf", b"conf", mode=0o644),
    item("./usr/share/doc/agent/NOTICE", b"notice", mode=0o644),
)


def deb_members(
    control: bytes = CONTROL,
    files: Sequence[tuple[tarfile.TarInfo, bytes]] = FILES,
    conffiles: bytes = CONFFILES,
) -> list[tuple[str, bytes]]:
    """Return the members of a deb."""
    inner = make_tar(item("./control", control), item("./conffiles", conffiles))
    return [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", gzip.compress(inner)),
        ("data.tar.gz", gzip.compress(make_tar(*files))),
    ]


def make_deb(
    control: bytes = CONTROL, files: Sequence[tuple[tarfile.TarInfo, bytes]] = FILES
) -> bytes:
    """Return a whole deb."""
    return make_ar(deb_members(control, files))


def in_chunks(data: bytes, size: int = 100) -> list[bytes]:
    """Return the data as it might arrive."""
    return [data[at : at + size] for at in range(0, len(data), size)]
