"""Facts about the signed packages of all install channels together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.agent import Installation
    from nodecheck.model.trust import SignedPackage


@dataclass(frozen=True, slots=True)
class Unproven:
    """An installed agent without signed metadata to compare it with: reason code and sentence."""

    installation: Installation
    reason: str
    message: str


class Signed(Protocol):
    """Signed packages of one channel, and what of it could not be looked at."""

    @property
    def packages(self) -> tuple[SignedPackage, ...]:
        """Return every package, with what its signature proves."""

    @property
    def unobserved(self) -> tuple[str, ...]:
        """Return what could not be looked at."""

    @property
    def source(self) -> str:
        """Return where it was looked."""


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """The signed packages of the installed agents, whatever the channel.

    ``refused`` tells of packages that were offered as the installed one and are not what a pinned
    key signed, although another offer was; ``notes`` of what else happened on the way.
    """

    packages: tuple[SignedPackage, ...]
    unobserved: tuple[str, ...]
    source: str
    unproven: tuple[Unproven, ...] = ()
    refused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArchiveFacts(PackageFacts):
    """The packages of agents whose signed metadata is not kept on the node: deb and by hand."""


def gather(*parts: Signed) -> PackageFacts:
    """Return the packages of all channels together."""
    whole = [part for part in parts if isinstance(part, PackageFacts)]
    return PackageFacts(
        packages=tuple(package for part in parts for package in part.packages),
        unobserved=tuple(note for part in parts for note in part.unobserved),
        source=", ".join(part.source for part in parts if part.source),
        unproven=tuple(item for part in whole for item in part.unproven),
        refused=tuple(item for part in whole for item in part.refused),
        notes=tuple(item for part in whole for item in part.notes),
    )
