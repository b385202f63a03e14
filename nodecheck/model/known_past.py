"""The newest instant that is proven to have passed: true time cannot be before it.

What a trusted party signed was there when it was signed. A clock that is earlier is wrong, even
where no source of time can be reached.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nodecheck.model.ntp import EARLIEST_S
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.trust import SignedPackage


@dataclass(frozen=True, slots=True)
class KnownPast:
    """An instant that has passed, and what proves it."""

    at: datetime
    what: str

    def __post_init__(self) -> None:
        """Refuse an instant without a time zone: it could be half a day off."""
        if self.at.tzinfo is None or not self.what:
            msg = f"not an instant of a known thing: {self.at} {self.what!r}"
            raise ValueError(msg)


def newest(known: tuple[KnownPast, ...]) -> KnownPast | None:
    """Return the latest of them, None where nothing is known."""
    return max(known, key=lambda item: item.at, default=None)


def built(at_s: int) -> KnownPast:
    """Return that nodecheck has been built, or, where it runs from source, that it exists."""
    if at_s <= EARLIEST_S:
        return KnownPast(datetime.fromtimestamp(EARLIEST_S, UTC), "nodecheck was first written")
    return KnownPast(datetime.fromtimestamp(at_s, UTC), "nodecheck was built")


def signed(packages: tuple[SignedPackage, ...]) -> tuple[KnownPast, ...]:
    """Return that each proven package has been signed."""
    return tuple(
        KnownPast(package.signature.created_at, f"{package.label} was signed")
        for package in packages
        if package.proven and package.signature.created_at is not None
    )
