"""What a machine image carries over from the node on which it was built."""

from __future__ import annotations

from enum import Enum

from nodecheck.records import dataclass


class Baked(Enum):
    """What kind of thing it is. Names are the reason codes of ``node.image``."""

    REGISTRATION = "registration-baked-in"
    CREDENTIALS = "credentials-baked-in"
    LOGS = "logs-baked-in"
    DATA = "node-data-baked-in"


@dataclass(frozen=True, slots=True)
class Leftover:
    """One file or folder of the building node; its content was not read."""

    kind: Baked
    path: str


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Everything found, where it was looked, and what could not be looked at."""

    leftovers: tuple[Leftover, ...]
    looked_at: tuple[str, ...]
    unread: tuple[str, ...] = ()
