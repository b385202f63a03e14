from __future__ import annotations

import random

import pytest

from nodecheck.aws import client
from scripts import fleet_simulation as fleet


def lost(nodes: int, rate: float, splay_s: float, attempts: int = fleet.ATTEMPTS) -> float:
    chance = random.Random(1)  # noqa: S311
    return fleet.simulate(nodes, rate, splay_s, chance, attempts).lost_percent


def test_it_retries_as_the_program_does() -> None:
    assert (fleet.ATTEMPTS, fleet.BACKOFF_CAP_S) == (client.ATTEMPTS, client.BACKOFF_CAP_S)


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = fleet.Bucket(10)
    assert [bucket.take(0.0) for _ in range(11)] == [True] * 10 + [False]
    assert [bucket.take(0.1) for _ in range(2)] == [True, False]
    assert sum(bucket.take(100.0) for _ in range(50)) == 10


def test_without_splay_a_fleet_is_turned_away_and_with_it_is_not() -> None:
    assert lost(10_000, 500, 0) == pytest.approx(60, abs=10)
    assert lost(10_000, 500, 40) == 0
    assert lost(10_000, 40, 900) == 0
    assert lost(1_000, 500, 0) == 0
    assert lost(1_000, 40, 0) > 50


def test_every_node_is_served_or_lost_and_calls_are_bounded() -> None:
    made = fleet.simulate(1_000, 1e-9, 0, random.Random(1))  # noqa: S311
    assert made.lost == 1_000
    assert made.throttled == 1_000 * fleet.ATTEMPTS
    assert made.lasted_s < fleet.TOTAL_CAP_S


def test_the_table_is_the_same_for_the_same_seed() -> None:
    assert fleet.table(500, 1) == fleet.table(500, 1) != fleet.table(500, 2)
    assert fleet.main(["--nodes", "100"]) == 0
