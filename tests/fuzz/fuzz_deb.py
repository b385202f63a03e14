"""Feed damaged debs, signatures of debs, archives inside them and kept manifests to their readers.

A mutant of a package or its signature must be refused or mean what its original meant, and what is
accepted is shown to gpgv too. Archives inside are mutated below their compression, as only a signer
could: what is read there must be what the standard library's tar reads.

    python -m tests.fuzz.fuzz_deb COUNT [SEED]
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import sys
import tarfile
import tempfile
import zlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from nodecheck.trust.chunks import ChunkReader
from nodecheck.trust.deb_package import prove_deb, read_deb
from nodecheck.trust.manifest import dump, keep, parse
from nodecheck.trust.packets import TrustError
from tests.archive_maker import (
    CONFFILES,
    CONTROL,
    FILES,
    in_chunks,
    item,
    make_ar,
    make_deb,
    make_tar,
)
from tests.fuzz.fuzz_trust import HINTS, Oracle, mutate
from tests.trust_maker import make_key

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = make_key()
RING = KEY.ring()
DEB = make_deb()
SIGNATURE = KEY.detached(DEB, unhashed=HINTS)
PROOF = prove_deb(SIGNATURE, [DEB], RING, "")
MANIFEST = dump((keep(PROOF.package, PROOF.sha256, SIGNATURE),))
INNER = make_tar(item("./control", CONTROL), item("./conffiles", CONFFILES))
DATA = make_tar(*FILES, item("./" + "long/" * 30 + "name", b"content of a long name"))


def packed(mutant: bytes) -> str:
    """Return a mutant in a form that fits a screen."""
    return zlib.compress(mutant, 9).hex()


def try_package(mutant: bytes) -> bool:
    """Tell whether a changed package was accepted under the signature of the original."""
    package = prove_deb(SIGNATURE, in_chunks(mutant, 4096), RING, "").package
    assert package.proven is (mutant == DEB), packed(mutant)
    assert package.proven or not package.files
    return package.proven


def try_signature(mutant: bytes) -> bool:
    """Tell whether a changed signature was accepted over the original package."""
    try:
        package = prove_deb(mutant, [DEB], RING, "").package
    except TrustError:
        return False
    if not package.proven:
        assert not package.files
        return False
    assert package.files == PROOF.package.files, packed(mutant)
    return True


def try_data(mutant: bytes) -> bool:
    """Tell whether changed files were accepted; complain where another tar reads other files."""
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", gzip.compress(INNER, 1)),
        ("data.tar.gz", gzip.compress(mutant, 1)),
    ]
    try:
        content = read_deb(ChunkReader(in_chunks(make_ar(members), 4096)))
    except TrustError:
        return False
    found = {file.path: file.digest for file in content.files if file.digest}
    assert found == read_by_the_standard_library(mutant), packed(mutant)
    return True


def read_by_the_standard_library(data: bytes) -> dict[str, str]:
    """Return the digests of all regular files, where nodecheck says that they lie."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for entry in archive:
            if entry.isreg():
                stream = archive.extractfile(entry)
                assert stream is not None
                path = "/" + entry.name.removeprefix("./").lstrip("/")
                found[path] = hashlib.sha256(stream.read()).hexdigest()
    return found


def try_control(mutant: bytes) -> bool:
    """Tell whether a changed control archive was accepted; names must be harmless all the same."""
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", gzip.compress(mutant, 1)),
        ("data.tar.gz", gzip.compress(DATA, 1)),
    ]
    try:
        content = read_deb(ChunkReader(in_chunks(make_ar(members), 4096)))
    except TrustError:
        return False
    assert content.label.isascii(), packed(mutant)
    assert not {" ", "/", "\n", "\0"} & set(content.label), packed(mutant)
    return True


def try_manifest(mutant: bytes) -> bool:
    """Tell whether a changed manifest was read; its key decides, whatever it says."""
    try:
        kept = parse(mutant)
    except TrustError:
        return False
    for one in kept:
        package = one.package(RING)
        assert package is None or package.signature.key == RING.entries[0].pinned, packed(mutant)
    return True


TARGETS: tuple[tuple[str, bytes, Callable[[bytes], bool]], ...] = (
    ("package", DEB, try_package),
    ("signature", SIGNATURE, try_signature),
    ("data", DATA, try_data),
    ("control", INNER, try_control),
    ("manifest", MANIFEST, try_manifest),
)


def seal(data: bytes, chance: random.Random) -> bytes:
    """Make the checksums of tar headers right again, or else no mutant gets beyond them."""
    if chance.random() < 0.1:
        return data
    sealed = bytearray(data)
    for at in range(0, len(sealed) - 511, 512):
        if sealed[at + 257 : at + 262] == b"ustar":
            sealed[at + 148 : at + 156] = b" " * 8
            sealed[at + 148 : at + 156] = f"{sum(sealed[at : at + 512]):06o}\0 ".encode()
    return bytes(sealed)


def run(count: int, seed: int) -> dict[str, int]:
    """Try this many mutants; return how many of each kind were tried, accepted, and shown to gpgv.

    A crash, an acceptance that means something else, or a disagreement with an oracle raises.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        oracle = Oracle(Path(folder), KEY.certificate())
        for number in range(count):
            name, original, attempt = TARGETS[number % len(TARGETS)]
            mutant = mutate(original, chance)
            if name in {"data", "control"}:
                mutant = seal(mutant, chance)
            counts[name] += 1
            if attempt(mutant):
                counts[f"{name} accepted"] += 1
                if name == "signature" and mutant != original:
                    assert oracle.agrees(mutant, DEB), packed(mutant)
        counts["oracle asked"] = oracle.asked
    return dict(counts)


if __name__ == "__main__":
    result = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    sys.stdout.write(json.dumps(result) + "\n")
