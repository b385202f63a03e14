from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.trust.snap_assertions import read_assertion
from tests.fuzz import fuzz_snap
from tests.fuzz.fuzz_trust import Oracle
from tests.snap_maker import STORE

if TYPE_CHECKING:
    from pathlib import Path


def test_a_few_thousand_mutants() -> None:
    counts = fuzz_snap.run(3000, seed=7)
    assert counts["assertion"] == counts["account-key"] == counts["mount"] == 1000


def test_the_harness_accepts_what_is_right() -> None:
    accepted = [fuzz_snap.try_assertion(data) for data in fuzz_snap.ASSERTIONS]
    assert accepted == [True, False, True]
    assert all(fuzz_snap.try_account_key(data) for data in fuzz_snap.ACCOUNT_KEYS)
    assert [fuzz_snap.try_mount(data) for data in fuzz_snap.MOUNTS] == [True, False]


def test_gpgv_reads_the_signatures_of_assertions(tmp_path: Path) -> None:
    oracle = Oracle(tmp_path, STORE.key.certificate())
    genuine, attackers, _ = fuzz_snap.ASSERTIONS
    assert fuzz_snap.is_confirmed(oracle, genuine)
    forged = read_assertion(attackers, "snap-revision")
    assert oracle.tool is None or not oracle.agrees(forged.signature, forged.content)
