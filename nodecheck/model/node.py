"""Facts about the node itself: platform, identity, files and processes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FileKind(Enum):
    """What is at a path."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Platform:
    """The system nodecheck runs on: ``linux`` or ``windows``, its name, and the architecture."""

    system: str
    os_name: str
    arch: str


@dataclass(frozen=True, slots=True)
class FileState:
    """Identity, owner and mode of one path. ``mode`` holds the 12 permission bits only."""

    path: str
    kind: FileKind
    device: int
    inode: int
    mode: int
    uid: int
    gid: int
    size: int
    links: int
    mtime_ns: int
    ctime_ns: int
    target: str = ""
    has_capabilities: bool = False


@dataclass(frozen=True, slots=True)
class FileDigest:
    """A regular file's digest (lower-case hex) and the state it had while it was read."""

    state: FileState
    algorithm: str
    hex: str


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process. ``image`` is the target of its executable link, '' where it was denied.

    ``image_deleted`` says that the file it was started from is no longer at that path. ``unit`` is
    the service unit whose control group holds it, '' where there is none.
    """

    pid: int
    parent_pid: int
    name: str
    uid: int
    image: str
    image_deleted: bool
    unit: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Who this node is. An empty string means: this node has none, as far as could be seen."""

    node_id: str
    kind: str
    region: str
    region_source: str
    account: str
    is_ec2: bool
