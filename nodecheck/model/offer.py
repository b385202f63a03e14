"""What a Region offers: the newest release, the manifest, and how they are fetched."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from nodecheck.model.version import AgentVersion


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply. Header names are compared without regard to case by whoever reads them."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Fetch(Protocol):
    """An HTTP client that is handed to a probe."""

    def __call__(self, method: str, url: str, limit_bytes: int) -> Reply:
        """Return the reply to ``GET`` or ``HEAD``; none, or one too large, is a ProbeError."""


class Mark(Enum):
    """AWS's own word on one release in the manifest; an empty word there means active."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    DEPRECATED = "deprecated"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Listed:
    """One release in the manifest."""

    version: AgentVersion
    mark: Mark


@dataclass(frozen=True, slots=True)
class Stored:
    """When the package of one release was put into the bucket (UTC)."""

    version: AgentVersion
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """The newest release offered, and what else the bucket tells about releases.

    ``manifest_url`` is '' where the manifest could not be read; ``unread`` says what could not be
    read and why. ``package_url`` is the offered package for this node.
    """

    offered: AgentVersion
    offered_url: str
    manifest: tuple[Listed, ...]
    manifest_url: str
    stored: tuple[Stored, ...]
    package_url: str
    unread: tuple[str, ...]

    def mark(self, version: AgentVersion) -> Mark | None:
        """Return what the manifest says of a release, None where it does not list it."""
        return next((item.mark for item in self.manifest if item.version == version), None)
