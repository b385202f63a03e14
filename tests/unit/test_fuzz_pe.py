from __future__ import annotations

from tests.fuzz import fuzz_pe


def test_a_few_thousand_mutants() -> None:
    counts = fuzz_pe.run(3000, seed=7)
    assert counts["object"] == counts["program"] == 1500
    assert 0 < counts["object accepted"] < 1500
    assert 0 < counts["program accepted"] < 1500


def test_the_harness_accepts_what_is_right() -> None:
    assert all(fuzz_pe.try_object(data) for data in fuzz_pe.OBJECTS)
    assert [fuzz_pe.try_program(data) for data in fuzz_pe.PROGRAMS] == [True] * 4 + [False]
