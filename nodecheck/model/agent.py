"""Facts about the installed SSM Agent: where it came from, which version, which files."""

from __future__ import annotations

from enum import Enum

from nodecheck.records import dataclass


class Channel(Enum):
    """How the agent came onto the node."""

    RPM = "rpm"
    DEB = "deb"
    SNAP = "snap"
    WINDOWS = "windows"
    BY_HAND = "by-hand"


@dataclass(frozen=True, slots=True)
class Installation:
    """One installed agent. ``version`` has four numbers, ``package`` is the channel's own name."""

    channel: Channel
    version: str
    package: str
    executable: str


@dataclass(frozen=True, slots=True)
class InstallFacts:
    """Every agent found on the node, and every place that could not be looked at."""

    installations: tuple[Installation, ...]
    unobserved: tuple[str, ...]
