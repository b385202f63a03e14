"""Versions, the shipped releases, and the days between them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from nodecheck.model.offer import Listed, Mark, ReleaseFacts, Stored
from nodecheck.model.releases import COMPLETE, COMPLETE_TO, LATER, RELEASES, read
from nodecheck.model.staleness import BUCKET, TABLE, behind, behind_at_least, public_day
from nodecheck.model.version import AgentVersion, releases_behind


def v(text: str) -> AgentVersion:
    return AgentVersion.parse(text)


def release(
    offered: str, *, listed: tuple[str, ...] = (), stored: dict[str, str] | None = None
) -> ReleaseFacts:
    days = {v(version): date.fromisoformat(day) for version, day in (stored or {}).items()}
    return ReleaseFacts(
        offered=v(offered),
        offered_url="https://bucket/latest/VERSION",
        manifest=tuple(Listed(v(text), Mark.ACTIVE) for text in listed),
        manifest_url="https://bucket/manifest" if listed else "",
        stored=tuple(
            Stored(version, datetime.combine(day, time(), UTC)) for version, day in days.items()
        ),
        package_url="",
        unread=(),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3.3.1142",
        "3.3.1142.0.0",
        "3.3.1142.0-1",
        "v3.3.1142.0",
        " 3.3.1142.0",
        "3.3.1142.0\n",
        "3.3.-1.0",
        "3.3.1142.x",
        "3,3,1142,0",
        "\u0663.\u0663.1.0",
        "3.3.1." + "9" * 5000,
    ],
)
def test_rejects_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        v(text)


def test_compares_by_number_not_by_text() -> None:
    ordered = ["2.3.9999.0", "3.2.2303.0", "3.3.40.0", "3.3.987.0", "3.3.1142.0", "3.10.0.0"]
    assert sorted(map(v, reversed(ordered))) == [v(text) for text in ordered]
    assert str(v("3.3.1142.0")) == "3.3.1142.0"


def test_counts_only_releases_between() -> None:
    known = [v(text) for text in ("3.3.1.0", "3.3.2.0", "3.3.3.0", "3.3.3.0", "3.3.9.0")]
    assert releases_behind(v("3.3.1.0"), v("3.3.3.0"), known) == 2
    assert releases_behind(v("3.3.1.0"), v("3.3.4.0"), known) == 3
    assert releases_behind(v("3.3.9.0"), v("3.3.3.0"), known) == 0


def test_shipped_table_is_whole() -> None:
    assert len(read(COMPLETE)) == 188
    assert max(read(COMPLETE)) == COMPLETE_TO
    assert min(read(LATER)) > COMPLETE_TO
    assert not read(LATER).keys() & read(COMPLETE).keys()
    assert RELEASES[v("3.3.1142.0")] == date(2024, 10, 21)
    assert RELEASES[v("3.3.1802.0")] is None
    days = [day for day in RELEASES.values() if day]
    assert min(days) > date(2016, 1, 1)
    assert max(days) < date(2027, 1, 1)


def test_age_follows_from_days_not_from_numbers() -> None:
    assert v("3.2.2303.0") < v("3.3.40.0")
    young, old = RELEASES[v("3.2.2303.0")], RELEASES[v("3.3.40.0")]
    assert young is not None
    assert old is not None
    assert young > old


@pytest.mark.parametrize(
    ("stored", "day", "source"),
    [
        ({}, "2024-10-01", TABLE),
        ({"3.3.987.0": "2024-09-20"}, "2024-09-20", BUCKET),
        ({"3.3.987.0": "2024-11-01"}, "2024-11-01", BUCKET),
        ({"3.3.987.0": "2024-11-02"}, "2024-10-01", TABLE),  # copied to a new bucket later
        ({"3.3.859.0": "2024-09-20"}, "2024-10-01", TABLE),  # another version's package
    ],
)
def test_public_day(stored: dict[str, str], day: str, source: str) -> None:
    found = public_day(v("3.3.987.0"), release("3.3.987.0", stored=stored))
    assert found is not None
    assert (found.day.isoformat(), found.source) == (day, source)


def test_public_day_of_an_unknown_version_is_unknown() -> None:
    assert public_day(v("9.9.9.9"), release("9.9.9.9")) is None


FULL = ("4.0.1.0", "4.0.2.0", "4.0.3.0")


@pytest.mark.parametrize(
    ("stored", "listed", "today", "days"),
    [
        # installed .1, offered .3
        ({1: "2030-01-01", 2: "2030-02-01", 3: "2030-03-01"}, FULL, "2030-03-02", 29),
        ({1: "2030-01-01", 2: "2030-01-05", 3: "2030-01-11"}, FULL, "2030-03-02", 10),
        ({1: "2030-01-01", 2: "2030-01-05", 3: "2030-01-11"}, FULL, None, 10),
        # the first newer is not known for certain without the manifest: it must not forgive
        ({1: "2030-01-01", 3: "2030-06-01"}, (), "2030-06-03", 151),
        # nor where the manifest lists one without a day
        ({1: "2030-01-01", 3: "2030-06-01"}, FULL, "2030-06-03", 151),
        # a negative term is no age
        ({1: "2030-06-01", 3: "2030-01-01"}, FULL, None, None),
        ({1: "2030-01-01", 2: "2030-02-01", 3: "2030-03-01"}, FULL, "2029-01-01", 59),
        ({1: "2030-01-01", 3: "2030-01-01"}, FULL, None, 0),
        ({3: "2030-06-01"}, FULL, "2030-06-03", None),
        ({2: "2030-05-01", 3: "2030-06-01"}, FULL, "2030-06-03", 33),
        ({}, FULL, "2030-06-03", None),
    ],
)
def test_days_behind(
    stored: dict[int, str], listed: tuple[str, ...], today: str | None, days: int | None
) -> None:
    facts = release(
        "4.0.3.0", listed=listed, stored={f"4.0.{n}.0": day for n, day in stored.items()}
    )
    found = behind(v("4.0.1.0"), facts, date.fromisoformat(today) if today else None)
    assert (found.days if found else None) == days
    assert found is None or (found.slack_days, found.source) == (0, BUCKET)


def test_nothing_newer_is_known_than_what_is_offered() -> None:
    facts = release("9.0.1.0", listed=FULL)
    assert behind(v("9.0.0.0"), facts, date(2030, 6, 3)) is None


def test_the_part_of_the_table_with_gaps_forgives_nothing() -> None:
    found = behind(COMPLETE_TO, release("3.3.5226.0"), date(2025, 5, 1))
    assert found is not None
    assert found.days == 687


def test_table_days_are_estimates() -> None:
    found = behind(v("3.3.859.0"), release("3.3.1142.0"), None)
    assert found is not None
    assert (found.days, found.least, found.most, found.source) == (51, 20, 82, TABLE)
    mixed = release("4.0.0.0", stored={"4.0.0.0": "2024-12-01"})
    found = behind(v("3.3.859.0"), mixed, None)
    assert found is not None
    assert (found.days, found.slack_days, found.source) == (92, 31, f"{TABLE} and {BUCKET}")


def test_least_is_never_negative() -> None:
    found = behind(v("3.3.987.0"), release("3.3.1142.0"), None)
    assert found is not None
    assert (found.days, found.least) == (20, 0)


@pytest.mark.parametrize(
    ("installed", "today", "days"),
    [
        ("3.3.987.0", "2026-12-01", 771),  # since 3.3.1142.0 is public
        ("3.3.987.0", None, 707),  # no clock is needed: up to 3.3.5226.0
        ("3.3.987.0", "2025-10-21", 707),  # the table itself is younger than that clock
        ("9.9.9.9", "2030-01-01", None),  # newer than the table: nothing is proven
        ("3.3.5226.0", "2030-01-01", None),
        ("3.3.4900.0", "2026-09-18", 10),  # not in the table, but something newer is
        ("3.3.4900.0", "2026-09-08", None),
        ("3.3.4900.0", "2020-01-01", None),  # a clock before the release proves nothing
        ("3.3.4900.0", None, None),
    ],
)
def test_table_proves_a_lower_bound(installed: str, today: str | None, days: int | None) -> None:
    found = behind_at_least(v(installed), date.fromisoformat(today) if today else None)
    assert (found.days if found else None) == days
