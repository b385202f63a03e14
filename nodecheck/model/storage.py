"""Facts about the room in which the agent works, and what has piled up there."""

from __future__ import annotations

from enum import Enum

from nodecheck.records import dataclass


@dataclass(frozen=True, slots=True)
class FileSystem:
    """The room in one file system. ``total_inodes`` 0: it makes them as they are needed."""

    total_bytes: int
    free_bytes: int
    total_inodes: int
    free_inodes: int
    read_only: bool


class Role(Enum):
    """What the agent keeps in a folder."""

    DATA = "data"
    LOGS = "logs"


@dataclass(frozen=True, slots=True)
class Room:
    """One folder of the agent. ``at``: itself, or the next above that is there, on ``device``.

    ``system`` is None where ``unobserved`` says why the file system did not tell.
    """

    role: Role
    folder: str
    at: str
    device: int
    system: FileSystem | None
    unobserved: str = ""


@dataclass(frozen=True, slots=True)
class Entries:
    """What is kept of commands, associations and sessions: a folder each.

    ``complete`` False: counting ended at a limit, and there are more. ``oldest_ns`` is when the
    oldest that was seen was made or last changed, by the node's clock; None where none was seen.
    """

    count: int = 0
    complete: bool = True
    oldest_ns: int | None = None

    @property
    def words(self) -> str:
        """Return their number, and whether there are more."""
        return f"{self.count:,}" if self.complete else f"more than {self.count:,}"


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """Both folders, the entries, and the size of the logs (None: could not be told)."""

    rooms: tuple[Room, ...]
    entries: Entries | None
    log_bytes: int | None
    largest_log: str = ""
    unobserved: tuple[str, ...] = ()
