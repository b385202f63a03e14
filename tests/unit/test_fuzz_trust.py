from __future__ import annotations

from tests.fuzz import fuzz_trust


def test_a_few_thousand_mutants() -> None:
    counts = fuzz_trust.run(3000, seed=7)
    assert counts["signature"] == counts["header"] == counts["certificate"] == 1000


def test_the_harness_accepts_what_is_right() -> None:
    assert [fuzz_trust.try_signature(data) for data in fuzz_trust.SIGNATURES] == [True] * 4 + [
        False
    ] * 2
    accepted = [fuzz_trust.try_header(data) for data in fuzz_trust.HEADERS]
    assert accepted == [True, False, True, False]
    assert all(fuzz_trust.try_certificate(data) for data in fuzz_trust.CERTIFICATES)
