"""Turn Amazon's signed archive of bare binaries into the files that it promises.

``amazon-ssm-agent-binaries.tar.gz`` holds the executables that the packages hold, without unit
file and configuration. It does not say which version it is: only its address does.

Source: scripts of aws/amazon-ecs-ami, which install the agent from it.
"""

from __future__ import annotations

import posixpath
from functools import partial
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel
from nodecheck.model.node import FileKind
from nodecheck.model.trust import AGENT_PACKAGE, SignedFile
from nodecheck.trust.archive import (
    UNPACKED_LIMIT_BYTES,
    Content,
    Proof,
    hash_pieces,
    prove_file,
)
from nodecheck.trust.chunks import inflate
from nodecheck.trust.packets import TrustError
from nodecheck.trust.tar import read_tar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nodecheck.trust.chunks import ChunkReader
    from nodecheck.trust.key_ring import KeyRing

_EXECUTE: Final = 0o111


def prove_binaries(
    signature: bytes, chunks: Iterable[bytes], ring: KeyRing, source: str, executable: str
) -> Proof:
    """Return the binaries as files beside an installed executable, with what is proven about them.

    Raises:
        TrustError: too large, or signed by a pinned key and yet not understood.
    """
    read = partial(read_binaries, folder=posixpath.dirname(executable), source=source)
    return prove_file(Channel.BY_HAND, (signature, chunks), read, ring, source)


def read_binaries(reader: ChunkReader, folder: str, source: str) -> Content:
    """Return the executables of the archive as they lie in a folder of the node.

    Only the agent itself must be there: who installs by hand may leave the others out.

    Raises:
        TrustError: truncated, damaged, or not the agent's.
    """
    files: dict[str, SignedFile] = {}
    unpacked = inflate(iter(lambda: reader.some(1 << 20), b""), UNPACKED_LIMIT_BYTES, "archive")
    for path, mode, digest in _programs(unpacked):
        name = posixpath.basename(path)
        if name in files:
            msg = f"archive holds two programs {name}"
            raise TrustError(msg)
        files[name] = SignedFile(
            path=posixpath.join(folder, name),
            kind=FileKind.FILE,
            mode=mode,
            digest=digest,
            algorithm="sha256",
            target="",
            owner="root",
            config=False,
            ghost=False,
            optional=name != AGENT_PACKAGE,
        )
    if AGENT_PACKAGE not in files:
        msg = f"archive without {AGENT_PACKAGE}"
        raise TrustError(msg)
    return Content(AGENT_PACKAGE, "", source, "", tuple(files.values()))


def _programs(unpacked: Iterator[bytes]) -> Iterator[tuple[str, int, str]]:
    for entry, content in read_tar(unpacked, "archive"):
        if entry.kind is FileKind.FILE and entry.mode & _EXECUTE:
            yield entry.path, entry.mode, hash_pieces(content)
