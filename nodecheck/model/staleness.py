"""How many days a version is behind, and how sure that is.

AWS publishes no release dates (facts: neither VERSION nor the manifest nor the release notes hold
one). The day a release became public is taken from the ``Last-Modified`` of its package in the
bucket, and otherwise from the shipped table, which is good to a month. A package that was copied to
a new bucket carries the day of the copy, so a table that is more than its error earlier wins.

    days behind = min(day of the offered - day of the installed, today - day of the first newer)

The first term forgives a node whose Region offered nothing newer for long, the second one that has
had the update for a few days only. The second counts only where the first newer release is known
for certain: from the manifest, or from the part of the table that has no gaps.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from nodecheck.model.offer import Mark
from nodecheck.model.releases import COMPLETE_TO, ESTIMATE_DAYS, RELEASES
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from datetime import date

    from nodecheck.model.offer import ReleaseFacts
    from nodecheck.model.version import AgentVersion

BUCKET: Final = "Last-Modified in the bucket"
TABLE: Final = "shipped release table"


@dataclass(frozen=True, slots=True)
class PublicDay:
    """The day a release became public, and where that is known from."""

    day: date
    source: str


@dataclass(frozen=True, slots=True)
class Behind:
    """A number of days behind; the truth is within ``slack_days`` of it."""

    days: int
    slack_days: int
    source: str

    @property
    def least(self) -> int:
        """Return the least that it can be."""
        return max(0, self.days - self.slack_days)

    @property
    def most(self) -> int:
        """Return the most that it can be."""
        return self.days + self.slack_days


def public_day(version: AgentVersion, release: ReleaseFacts) -> PublicDay | None:
    """Return the day on which a release became public, None where nobody knows."""
    table = RELEASES.get(version)
    stored = next(
        (item.stored_at.date() for item in release.stored if item.version == version), None
    )
    if stored and (table is None or stored - table <= timedelta(days=ESTIMATE_DAYS)):
        return PublicDay(stored, BUCKET)
    return None if table is None else PublicDay(table, TABLE)


def behind(installed: AgentVersion, release: ReleaseFacts, today: date | None) -> Behind | None:
    """Return how far the installed version is behind the offered one, None where unknown."""
    first = public_day(installed, release)
    last = public_day(release.offered, release)
    terms = []
    if first is not None and last is not None:
        terms.append(_distance(first, last))
    newer = _first_newer(installed, release)
    if newer is not None and today is not None:
        terms.append(_distance(newer, PublicDay(today, newer.source)))
    # A negative age is no age: release lines overlap, and clocks may be wrong.
    return min((term for term in terms if term.days >= 0), key=lambda term: term.days, default=None)


def behind_at_least(installed: AgentVersion, today: date | None) -> Behind | None:
    """Return what the shipped table alone proves, None where it proves nothing.

    Either the days for which a newer release has been public, or, where today is not known, the
    days between the installed release and the newest one in the table; both can only be more.
    """
    newer = [day for version, day in RELEASES.items() if version > installed and day is not None]
    if not newer:
        return None
    own = RELEASES.get(installed)
    ends = [(today, min(newer))] if today is not None else []
    if own is not None:
        ends.append((max(newer), own))
    days = max(((end - start).days for end, start in ends), default=0)
    return Behind(days, ESTIMATE_DAYS, TABLE) if days > 0 else None


def _first_newer(installed: AgentVersion, release: ReleaseFacts) -> PublicDay | None:
    """Return the day of the first release after the installed one, if no other can be between."""
    listed = [item.version for item in release.manifest if item.mark is Mark.ACTIVE]
    complete = bool(release.manifest_url) or installed < COMPLETE_TO
    newer = [version for version in (*listed, *RELEASES) if version > installed]
    if not newer or not complete:
        return None
    day = public_day(min(newer), release)
    days = [known for version in newer if (known := public_day(version, release)) is not None]
    return min(days, key=lambda known: known.day) if day is not None else None


def _distance(start: PublicDay, end: PublicDay) -> Behind:
    sources = tuple(dict.fromkeys((start.source, end.source)))
    slack_days = ESTIMATE_DAYS if TABLE in sources else 0
    return Behind((end.day - start.day).days, slack_days, " and ".join(sources))
