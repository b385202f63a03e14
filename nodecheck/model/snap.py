"""Facts about the signature of a snap, and about the mount that it runs from."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.node import FileState


class SnapOutcome(Enum):
    """What became of one link of the proof. Only ``proven`` proves anything."""

    PROVEN = "proven"
    REFUSED = "refused"
    UNSIGNED = "unsigned"
    UNSUPPORTED = "unsupported"
    NOT_OBSERVED = "not-observed"


@dataclass(frozen=True, slots=True)
class SnapChain:
    """What a chain of assertions proves about a blob; ``keys`` are ids, the store's first."""

    name: str
    snap_id: str
    publisher_id: str
    revision: int
    signed_at: datetime
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SnapMount:
    """Whether the blob is what is mounted; ``device`` is that of the files in it (0: none)."""

    outcome: SnapOutcome
    detail: str
    device: int = 0


@dataclass(frozen=True, slots=True)
class SnapProof:
    """One installed snap: its blob, the chain that signs it, its mount, and its programs.

    ``label`` is the name and revision under which it is installed, ``blob`` None where its file
    could not be read. ``programs`` are path and SHA-256 of what the mount holds; the path of one
    that lies on another device is in ``foreign``.
    """

    label: str
    path: str
    blob: FileState | None
    sha3_384: str
    outcome: SnapOutcome
    detail: str
    chain: SnapChain | None
    mount: SnapMount
    programs: tuple[tuple[str, str], ...] = ()
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SnapProofs:
    """The proof of every installed snap of the agent."""

    proofs: tuple[SnapProof, ...]


@dataclass(frozen=True, slots=True)
class SnapPin:
    """A snap id and the publisher id that the operator read from a node that he trusts."""

    snap_id: str
    publisher_id: str


@dataclass(frozen=True, slots=True)
class SnapPolicy:
    """Which snaps are believed to be Amazon's; none: nobody has told nodecheck yet."""

    pins: tuple[SnapPin, ...] = ()
