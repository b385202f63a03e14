"""Facts about the node itself: platform, identity, files and processes."""

from __future__ import annotations

from enum import Enum

from nodecheck.model.errors import ProbeError
from nodecheck.records import dataclass


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


def device_number(major: int, minor: int) -> int:
    """Return a device as ``FileState.device`` spells it (makedev(3) of Linux).

    >>> device_number(7, 3), device_number(259, 300)
    (1795, 1114924)
    """
    high = (minor & ~0xFF) << 12 | (major & ~0xFFF) << 32
    return high | (major & 0xFFF) << 8 | minor & 0xFF


def start_ticks(stat: str) -> int:
    """Return when a process began, in clock ticks since boot, from its ``/proc/PID/stat``.

    The name may hold anything, also parentheses and blanks; the fields after it are numbers.

    >>> start_ticks("7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0")
    4711

    Raises:
        ProbeError: the text is not that of such a file.
    """
    fields = stat.rpartition(")")[2].split()
    index = 19  # proc_pid_stat(5): starttime is field 22, the state is field 3
    if len(fields) <= index or not fields[index].isdecimal():
        msg = "/proc/PID/stat is not understood"
        raise ProbeError(msg, "not-understood")
    return int(fields[index])


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Who this node is. An empty string means: this node has none, as far as could be seen."""

    node_id: str
    kind: str
    region: str
    region_source: str
    account: str
    is_ec2: bool
