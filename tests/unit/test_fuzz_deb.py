from __future__ import annotations

from tests.fuzz import fuzz_deb


def test_a_few_thousand_mutants() -> None:
    counts = fuzz_deb.run(5000, seed=7)
    assert counts["package"] == counts["data"] == counts["manifest"] == 1000


def test_the_harness_accepts_what_is_right() -> None:
    assert all(attempt(original) for _, original, attempt in fuzz_deb.TARGETS)
    assert not fuzz_deb.try_package(fuzz_deb.DEB[:-1])
