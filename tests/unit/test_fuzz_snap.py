from __future__ import annotations

from tests.fuzz import fuzz_snap


def test_a_few_thousand_mutants() -> None:
    counts = fuzz_snap.run(3000, seed=7)
    assert counts["assertion"] == counts["account-key"] == counts["mount"] == 1000


def test_the_harness_accepts_what_is_right() -> None:
    accepted = [fuzz_snap.try_assertion(data) for data in fuzz_snap.ASSERTIONS]
    assert accepted == [True, False, True]
    assert all(fuzz_snap.try_account_key(data) for data in fuzz_snap.ACCOUNT_KEYS)
    assert [fuzz_snap.try_mount(data) for data in fuzz_snap.MOUNTS] == [True, False]
