"""Feed damaged programs of Windows to the readers of their structure and of their signature.

Each mutant must be refused by the readers' own error, or mean exactly what its original meant: the
same image digest and algorithm, and by the same certificate wherever its issuer came along. Damage
to what a signature does not cover (order of certificates, timestamp, header's checksum) may pass.

    python -m tests.fuzz.fuzz_pe COUNT [SEED]
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from typing import TYPE_CHECKING

from nodecheck.trust.authenticode import read_signature
from nodecheck.trust.pe_file import StructureError, image_digest, read_pe
from tests.fuzz.fuzz_trust import mutate
from tests.pe_maker import (
    AMAZON,
    Bytes,
    Signing,
    amazon,
    entry,
    make_identity,
    name,
    pkcs7,
    program,
    root,
    signed,
    with_table,
)

if TYPE_CHECKING:
    from nodecheck.model.authenticode import SignerCertificate

RSA = make_identity(name(AMAZON), root(), with_rsa=True)
WAYS = (
    Signing(),
    Signing(timestamped=True),
    Signing(RSA, signature_oid="1.2.840.113549.1.1.1"),
    Signing(algorithm="sha384"),
)
PROGRAMS = (
    *(signed(how=how) for how in WAYS),
    with_table(program(), entry(pkcs7(program(), WAYS[0])) + entry(b"junk")),
)
OBJECTS = tuple(pkcs7(program(), how) for how in WAYS)
ROOT_NAME = root().certificate.subject.rfc4514_string()
SIGNERS = {amazon().sha256, RSA.sha256}
DIGESTS = {item.digest: item.digest_algorithm for item in map(read_signature, OBJECTS)}


def is_vouched_for(certificate: SignerCertificate, mutant: bytes) -> bool:
    """Tell whether a certificate is an original, or nothing that came along could have told.

    A damaged leaf whose root is gone, or that names another issuer, is for Windows to judge.
    """
    could_tell = root().der in mutant and certificate.issuer == ROOT_NAME
    return certificate.sha256 in SIGNERS or not could_tell


def try_object(mutant: bytes) -> bool:
    """Tell whether a mutant was read as a signature; complain where it says something else."""
    try:
        found = read_signature(mutant)
    except StructureError:
        return False
    assert is_vouched_for(found.certificate, mutant), mutant.hex()
    assert DIGESTS.get(found.digest) == found.digest_algorithm, mutant.hex()
    return True


def try_program(mutant: bytes) -> bool:
    """Tell whether a mutant was accepted; complain where its signed bytes are not the original."""
    source = Bytes(mutant)
    try:
        structure = read_pe(source)
        found = read_signature(structure.signature)
        digest = image_digest(source, structure, found.digest_algorithm).hex()
    except StructureError:
        return False
    assert is_vouched_for(found.certificate, mutant), mutant.hex()
    return digest == found.digest


TARGETS = (("object", OBJECTS, try_object), ("program", PROGRAMS, try_program))


def run(count: int, seed: int) -> dict[str, int]:
    """Try this many mutants; return how many of each kind were tried and accepted.

    A crash, or an acceptance that means something else, raises.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    counts: Counter[str] = Counter()
    for number in range(count):
        kind, corpus, attempt = TARGETS[number % len(TARGETS)]
        original = chance.choice(corpus)
        mutant = mutate(original, chance)
        counts[kind] += 1
        if attempt(mutant):
            counts[f"{kind} accepted"] += 1
    return dict(counts)


if __name__ == "__main__":
    result = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    sys.stdout.write(json.dumps(result) + "\n")
