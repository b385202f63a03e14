"""Feed damaged assertions and mount tables to the readers of snaps.

Each mutant must be refused by the reader's own error, or prove exactly what its original proved: an
assertion is accepted only with the content that its key signed, and where gpgv accepts it too.

    python -m tests.fuzz.fuzz_snap COUNT [SEED]
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from nodecheck.model.errors import ProbeError
from nodecheck.model.snap import SnapOutcome
from nodecheck.probes.agent_snap_proof import judge_mount
from nodecheck.trust.openpgp import read_detached
from nodecheck.trust.packets import TrustError
from nodecheck.trust.snap_assertions import read_account_key, read_assertion, verify_assertion
from nodecheck.trust.snap_chain import prove_blob, read_roots
from tests.fuzz.fuzz_trust import Oracle, mutate
from tests.snap_maker import ATTACKER_STORE, ROOT, STORE, declaration, revision, root_text

if TYPE_CHECKING:
    from collections.abc import Callable

BLOB = b"blob" * 1000
SHA3_384 = hashlib.sha3_384(BLOB).hexdigest()
ROOTS = read_roots((root_text(),))
KEY = read_account_key(read_assertion(ROOT.vouch(STORE), "account-key"))
REVISION = read_assertion(revision(BLOB), "snap-revision")
DECLARATION = read_assertion(declaration(), "snap-declaration")
KEYS = {STORE.key_id: read_assertion(ROOT.vouch(STORE), "account-key")}
CHAIN = prove_blob(SHA3_384, len(BLOB), (REVISION, DECLARATION), KEYS, ROOTS)

ASSERTIONS = (
    revision(BLOB),
    revision(BLOB, ATTACKER_STORE),
    revision(BLOB, developer_id="x", revision="3"),
)
ACCOUNT_KEYS = (ROOT.vouch(STORE), root_text().encode(), ROOT.vouch(STORE, until=""))
FOLDER = "/snap/amazon-ssm-agent/7993"
BACKING = "/var/lib/snapd/snaps/amazon-ssm-agent_7993.snap"
MOUNTS = (
    f"22 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw\n"
    f"90 22 7:3 / {FOLDER} ro,nodev shared:48 - squashfs /dev/loop3 ro\n".encode(),
    f"90 22 7:3 / {FOLDER} ro - squashfs /dev/loop3 ro\n"
    f"91 90 254:1 /x {FOLDER} rw - ext4 /dev/vda1 rw\n".encode(),
)
CONTENTS = {read_assertion(data, "snap-revision").content for data in ASSERTIONS}
KEY_CONTENTS = {read_assertion(data, "account-key").content for data in ACCOUNT_KEYS}


def try_assertion(mutant: bytes) -> bool:
    """Tell whether a mutant was accepted; complain where it says something else."""
    try:
        assertion = read_assertion(mutant, "snap-revision")
        chain = prove_blob(SHA3_384, len(BLOB), (assertion, DECLARATION), KEYS, ROOTS)
    except TrustError:
        return False
    assert assertion.content in CONTENTS, mutant
    assert chain == CHAIN, mutant
    return True


def try_account_key(mutant: bytes) -> bool:
    """Tell whether a mutant was accepted as the store's key; complain where it is another."""
    try:
        assertion = read_assertion(mutant, "account-key")
        key = read_account_key(assertion)
        verify_assertion(assertion, ROOTS[ROOT.key_id])
    except TrustError:
        return False
    assert assertion.content in KEY_CONTENTS, mutant
    assert key.key_id in {STORE.key_id, ROOT.key_id}, mutant
    return True


def try_mount(mutant: bytes) -> bool:
    """Tell whether a mutant was accepted; complain where its last mount is no loop device's."""
    text = mutant.decode("utf-8", "replace")
    try:
        mount = judge_mount(text, FOLDER, BACKING, BACKING)
    except ProbeError:
        return False
    if mount.outcome is not SnapOutcome.PROVEN:
        return False
    assert text.endswith("\n"), mutant
    lines = [line.split(" ") for line in text.split("\n")]
    last = [fields for fields in lines if fields[4:5] == [FOLDER]]
    assert last[-1][3] == "/", mutant
    assert "ro" in last[-1][5].split(","), mutant
    assert last[-1][last[-1].index("-") + 1] == "squashfs", mutant
    return True


TARGETS: tuple[tuple[str, tuple[bytes, ...], Callable[[bytes], bool]], ...] = (
    ("assertion", ASSERTIONS, try_assertion),
    ("account-key", ACCOUNT_KEYS, try_account_key),
    ("mount", MOUNTS, try_mount),
)


def run(count: int, seed: int) -> dict[str, int]:
    """Try this many mutants; return how many of each kind were tried and accepted.

    A crash, an acceptance that means something else, or a disagreement with gpgv raises.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        oracle = Oracle(Path(folder), STORE.key.certificate())
        for number in range(count):
            name, corpus, attempt = TARGETS[number % len(TARGETS)]
            original = chance.choice(corpus)
            mutant = mutate(original, chance)
            counts[name] += 1
            if attempt(mutant):
                counts[f"{name} accepted"] += 1
                if name == "assertion" and mutant != original:
                    assert is_confirmed(oracle, mutant), mutant
        counts["oracle asked"] = oracle.asked
    return dict(counts)


def is_confirmed(oracle: Oracle, data: bytes) -> bool:
    """Tell whether gpgv, too, accepts the signature of an assertion by the store's key.

    gpgv finds a key by the issuer in the packet, which nobody signs and snapd does not ask: one
    that names another issuer is nothing that it could be asked about.
    """
    assertion = read_assertion(data, "snap-revision")
    issuer = read_detached(assertion.signature).key_id
    return issuer != STORE.key.public.key_id or oracle.agrees(
        assertion.signature, assertion.content
    )


if __name__ == "__main__":
    result = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    sys.stdout.write(json.dumps(result) + "\n")
