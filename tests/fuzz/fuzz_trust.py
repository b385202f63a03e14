"""Feed damaged signatures, rpm headers and key files to the readers of the trust room.

Each mutant must be refused by the reader's own error or fact, or mean exactly what its original
meant. Accepted signatures are shown to gpgv too, as far as the oracle's budget goes. Key files are
not: gpgv refuses a whole key ring for damage in a stranger's signature, which proves nothing here.

    python -m tests.fuzz.fuzz_trust COUNT [SEED]
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from nodecheck.model.trust import SignatureOutcome
from nodecheck.trust.certificate import read_certificates
from nodecheck.trust.claim import Claim
from nodecheck.trust.openpgp import read_detached
from nodecheck.trust.packets import TrustError
from nodecheck.trust.rpm_header import read_header
from nodecheck.trust.rpm_package import prove_package
from tests.trust_maker import (
    make_blob,
    make_key,
    packet,
    signed_blob,
    split_blob,
    strings,
    subpacket,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = b"what was signed"
KEY = make_key()
STRANGER = make_key(1)
RING = KEY.ring()
ORACLE_LIMIT = 300
WORDS = (0, 1, 2, 15, 16, 63, 255, 256, 268, 1035, 65535, 2**31 - 1, 2**31, 2**32 - 16, 2**32 - 1)

HINTS = subpacket(16, bytes.fromhex(KEY.public.key_id)) + subpacket(20, b"n" * 150) * 3
"""An unsigned area large enough to be hit: what is changed there is accepted."""

SIGNATURES = (
    KEY.detached(DATA, unhashed=HINTS),
    KEY.detached(DATA, algorithm="sha1"),
    KEY.detached(DATA, algorithm="sha512"),
    packet(2, KEY.signature(DATA), old=False),
    STRANGER.detached(DATA),
    KEY.detached(b"other data"),
)
_REGION, _TAIL = split_blob(signed_blob(KEY))
HEADERS = (
    signed_blob(KEY),
    make_blob(_REGION, []),
    make_blob(_REGION, [*_TAIL, strings(1035, "e" * 64, "e" * 64, "e" * 64, "e" * 64)]),
    signed_blob(STRANGER),
)
CERTIFICATES = (
    KEY.certificate(),
    KEY.certificate(lifetime=86400, algorithm="sha256"),
    KEY.certificate() + STRANGER.certificate(),
    KEY.certificate() + packet(2, STRANGER.signature(KEY.certified(), kind=0x10)),
)

MEANT = {
    (signature.head, signature.value, signature.algorithm)
    for signature in map(read_detached, SIGNATURES[:4])
}
PACKAGE = prove_package(read_header(HEADERS[0]), RING, "")
KNOWN = {
    (item.key.body, item.owner, item.expires_at)
    for data in CERTIFICATES
    for item in read_certificates(data)
}


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Return the data with one to four things done to it."""
    mutant = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
        at = chance.randrange(len(mutant) + 1)
        chance.choice(DAMAGES)(mutant, at, chance)
    return bytes(mutant)


def _flip(mutant: bytearray, at: int, chance: random.Random) -> None:
    mutant[at : at + 1] = bytes(byte ^ 1 << chance.randrange(8) for byte in mutant[at : at + 1])


def _set(mutant: bytearray, at: int, chance: random.Random) -> None:
    mutant[at : at + 1] = chance.randbytes(1)


def _delete(mutant: bytearray, at: int, chance: random.Random) -> None:
    del mutant[at : at + chance.randint(1, 32)]


def _insert(mutant: bytearray, at: int, chance: random.Random) -> None:
    mutant[at:at] = chance.randbytes(chance.randint(1, 16))


def _repeat(mutant: bytearray, at: int, chance: random.Random) -> None:
    mutant[at:at] = mutant[at : at + chance.randint(1, 64)]


def _set_word(mutant: bytearray, at: int, chance: random.Random) -> None:
    mutant[at & ~3 : (at & ~3) + 4] = chance.choice(WORDS).to_bytes(4, "big")


def _move(mutant: bytearray, at: int, chance: random.Random) -> None:
    other = chance.randrange(len(mutant) + 1)
    mutant[at : at + 8] = mutant[other : other + 8]


def _truncate(mutant: bytearray, at: int, chance: random.Random) -> None:
    del mutant[at:]


DAMAGES = (_flip, _set, _delete, _insert, _repeat, _set_word, _move, _truncate)


def try_signature(mutant: bytes) -> bool:
    """Tell whether a mutant was accepted; complain where it means something else."""
    claim = Claim(mutant, RING)
    claim.update(DATA)
    if claim.fact().outcome is not SignatureOutcome.GOOD:
        return False
    signature = read_detached(mutant)
    assert (signature.head, signature.value, signature.algorithm) in MEANT, mutant.hex()
    return True


def try_header(mutant: bytes) -> bool:
    """Tell whether a mutant was accepted; complain where it promises other files."""
    try:
        package = prove_package(read_header(mutant), RING, "")
    except TrustError:
        return False
    if not package.proven:
        return False
    assert package == PACKAGE, mutant.hex()
    return True


def try_certificate(mutant: bytes) -> bool:
    """Tell whether a mutant was accepted; complain where it holds another key or expiry."""
    try:
        found = read_certificates(mutant)
    except TrustError:
        return False
    assert {(item.key.body, item.owner, item.expires_at) for item in found} <= KNOWN, mutant.hex()
    return True


class Oracle:
    """Asks gpgv about what was accepted; counts how often, and whether it agreed."""

    def __init__(self, folder: Path, certificate: bytes) -> None:
        self.folder = folder
        self.tool = shutil.which("gpgv")
        self.asked = 0
        (folder / "key").write_bytes(certificate)

    def agrees(self, signature: bytes, data: bytes) -> bool:
        if self.tool is None or self.asked >= ORACLE_LIMIT:
            return True
        self.asked += 1
        (self.folder / "signature").write_bytes(signature)
        (self.folder / "data").write_bytes(data)
        words = [self.tool, "--homedir", ".", "--keyring", "./key", "signature", "data"]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, check=False)
        return done.returncode == 0


TARGETS: tuple[tuple[str, tuple[bytes, ...], Callable[[bytes], bool]], ...] = (
    ("signature", SIGNATURES, try_signature),
    ("header", HEADERS, try_header),
    ("certificate", CERTIFICATES, try_certificate),
)


def run(count: int, seed: int) -> dict[str, int]:
    """Try this many mutants; return how many of each kind were tried, accepted, and shown to gpgv.

    A crash, an acceptance that means something else, or a disagreement with gpgv raises.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        oracle = Oracle(Path(folder), KEY.certificate())
        for number in range(count):
            name, corpus, attempt = TARGETS[number % len(TARGETS)]
            original = chance.choice(corpus)
            mutant = mutate(original, chance)
            counts[name] += 1
            if attempt(mutant):
                counts[f"{name} accepted"] += 1
                if name == "signature" and mutant != original:
                    assert oracle.agrees(mutant, DATA), mutant.hex()
        counts["oracle asked"] = oracle.asked
    return dict(counts)


if __name__ == "__main__":
    result = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    sys.stdout.write(json.dumps(result) + "\n")
