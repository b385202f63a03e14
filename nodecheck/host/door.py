"""What the rest of nodecheck may ask of the operating system, and nothing else.

Every method raises ``ProbeError`` (``Absent`` where absence is proven, ``Denied`` where this user
may not look). Paths are absolute. Contents are hostile: each read names its limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from nodecheck.host.program_door import NoPrograms
from nodecheck.host.usage_door import NoUsage
from nodecheck.host.windows_door import NoAccess, NoRegistry, NoServices
from nodecheck.model.errors import Absent
from nodecheck.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from nodecheck.host.program_door import Programs
    from nodecheck.host.usage_door import Usage
    from nodecheck.host.windows_door import Access, Registry, Services
    from nodecheck.model.endpoints import Reach, Target
    from nodecheck.model.hardware_clock import HardwareStamp
    from nodecheck.model.kernel_clock import KernelClock
    from nodecheck.model.node import FileDigest, FileState, Platform, ProcessState
    from nodecheck.model.storage import FileSystem

SETTINGS_FILE: Final = "/etc/nodecheck/config.toml"
"""Where the settings are on POSIX systems."""


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a child process wrote, and its exit code."""

    code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class Address:
    """A numeric IP address and port; ``family`` is 4 or 6."""

    ip: str
    port: int
    family: int


@dataclass(frozen=True, slots=True)
class Received:
    """One datagram with the instants at which it arrived.

    ``kernel_wall_ns`` is the kernel's receive stamp on the wall clock, where it gives one.
    """

    data: bytes
    wall_ns: int
    monotonic_ns: int
    kernel_wall_ns: int | None


@dataclass(frozen=True, slots=True)
class HttpsReply:
    """The head of one HTTP reply, with the instants around it and the validity of the chain.

    ``chain`` holds (not before, not after, subject) of each certificate of the verified chain,
    in seconds since 1970; it is empty for plain HTTP. ``via`` names the proxy, '' without one.
    """

    status: int
    headers: Mapping[str, str]
    sent_wall_ns: int
    sent_monotonic_ns: int
    received_wall_ns: int
    received_monotonic_ns: int
    chain: tuple[tuple[int, int, str], ...]
    via: str = ""


@dataclass(frozen=True, slots=True)
class LoopStatus:
    """What the kernel says of a loop device: the file behind it, and which part of that file."""

    device: int
    inode: int
    offset: int
    size_limit: int
    read_only: bool


class Files(Protocol):
    """Files of the node. Symbolic links in the last component are not followed."""

    def read(self, path: str, limit_bytes: int, *, follow: bool = False) -> bytes:
        """Return the content of a regular file; more than the limit is a ProbeError."""

    def chunks(self, path: str, limit_bytes: int, *, follow: bool = False) -> Iterator[bytes]:
        """Return the content of a regular file piece by piece, and raise as ``read`` does."""

    def tail(self, path: str, limit_bytes: int) -> bytes:
        """Return the last bytes of a regular file, all of it where it is smaller."""

    def state(self, path: str) -> FileState:
        """Return owner, mode, kind and identity of whatever is at this path."""

    def resolve(self, path: str) -> str:
        """Return the path with every symbolic link in it followed."""

    def digest(self, path: str, algorithm: str, *, follow: bool = False) -> FileDigest:
        """Return the digest of a regular file, read once; a file that changes meanwhile raises."""

    def listing(self, path: str, limit: int) -> tuple[str, ...]:
        """Return the sorted names in a folder; more than the limit is a ProbeError."""

    def space(self, path: str) -> FileSystem:
        """Return the room in the file system that holds this path, links followed."""

    def loop_status(self, device_path: str) -> LoopStatus:
        """Return what is behind a loop device such as ``/dev/loop3``; nothing is set."""

    def query_sqlite(
        self, path: str, query: str, parameters: tuple[str | int, ...], limit_bytes: int
    ) -> tuple[tuple[object, ...], ...]:
        """Return the rows of a query on a database opened read-only."""


class LocalClock(Protocol):
    """The clock under test, and the monotonic one that measures."""

    def wall_ns(self) -> int:
        """Return the local wall clock, nanoseconds since 1970."""

    def monotonic_ns(self) -> int:
        """Return the monotonic clock, nanoseconds."""

    def pause(self, duration_s: float) -> None:
        """Sleep; independent of the wall clock."""


class Datagrams(Protocol):
    """A UDP socket connected to one address: the kernel drops other senders."""

    def send(self, data: bytes) -> int | None:
        """Send one datagram; return the kernel's stamp of it on the wall clock, if it gives one."""

    def receive(self, timeout_s: float) -> Received | None:
        """Return the next datagram, or None when the timeout has passed."""

    def close(self) -> None:
        """Close the socket."""


class Heads(Protocol):
    """One connection on which HEAD requests are sent, one after the other."""

    def ask(self) -> HttpsReply:
        """Send one request (``Cache-Control: no-cache``) and return the head of the reply."""


class Steering(Protocol):
    """What steers the clock under test, as far as the operating system tells."""

    def kernel_clock(self) -> KernelClock:
        """Return the kernel's record of the clock; nothing is set."""

    def daemon_socket(self, path: str) -> Datagrams:
        """Connect to the local datagram socket of a daemon."""

    def hardware_clock(self, path: str) -> HardwareStamp:
        """Read a PTP hardware clock, such as ``/dev/ptp0``, between two monotonic stamps."""


class NoSteering:
    """A platform that has none of these."""

    def kernel_clock(self) -> KernelClock:
        """Say so."""
        msg = "this platform's kernel keeps no record of its clock"
        raise Absent(msg)

    def daemon_socket(self, path: str) -> Datagrams:
        """Say so."""
        msg = f"{path}: not there"
        raise Absent(msg)

    def hardware_clock(self, path: str) -> HardwareStamp:
        """Say so."""
        msg = f"{path}: not there"
        raise Absent(msg)


class Metadata(Protocol):
    """One session with the EC2 instance metadata service, by IMDSv2 and never through a proxy."""

    @property
    def server(self) -> str:
        """Return how the service names itself, '' before it answered."""

    def ask(self, path: str) -> bytes:
        """Return the text at this path; no answer is a ProbeError whose reason says why."""


class Network(Protocol):
    """The network, as far as probes need it below HTTP libraries."""

    def resolve(self, name: str, port: int) -> tuple[Address, ...]:
        """Return the addresses of a name."""

    def datagrams(self, address: Address) -> Datagrams:
        """Open a connected UDP socket."""

    def is_own(self, address: Address) -> bool:
        """Tell whether an address is one of this node's own."""

    def metadata(self, path: str) -> bytes:
        """Return what the EC2 instance metadata service has at this path (IMDSv2)."""

    def metadata_session(self) -> Metadata:
        """Return a session with that service, for several questions within 2 s."""

    def heads(
        self, url: str, timeout_s: float, environment: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Heads]:
        """Connect, to ask there as often as the timeout and the server allow.

        TLS is verified (chain, host name) except for the dates, which the caller judges at
        corrected time from ``HttpsReply.chain``. ``HTTPS_PROXY``, ``NO_PROXY`` and
        ``AWS_CA_BUNDLE`` of the environment are honoured; without one, of this program's own.
        """

    def reach(
        self, targets: tuple[Target, ...], ca_file: str, timeout_s: float
    ) -> tuple[Reach, ...]:
        """Ask all targets side by side with one HEAD each, and return how far each came.

        TLS as for ``heads``, against this bundle or, without one, this system's; nothing of the
        environment counts.
        """


class Processes(Protocol):
    """Running processes, and children of our own."""

    def all(self) -> tuple[ProcessState, ...]:
        """Return every process that can be seen."""

    def run(self, argv: tuple[str, ...], timeout_s: float, limit_bytes: int) -> ToolOutput:
        """Run a tool: absolute path, no shell, stdin closed, fixed environment, bounded output."""


class State(Protocol):
    """Where nodecheck keeps what must outlive a run."""

    def default_folder(self) -> str:
        """Return where this user keeps state, '' where there is no such place."""

    def run_lock(self, folder: str, note: Callable[[str], None]) -> AbstractContextManager[None]:
        """Hold the lock of a run, or raise Busy; where there can be none, note why."""

    def read(self, folder: str, name: str, limit_bytes: int) -> bytes:
        """Return what was kept under this name; what others could write is a ProbeError."""

    def write(self, folder: str, name: str, content: bytes) -> None:
        """Keep this content: a reader, or a run after a crash, sees the old or the new, whole."""

    def lock(self, folder: str, name: str) -> AbstractContextManager[None]:
        """Hold a lock of this name, or raise Busy; where there can be none, ProbeError."""

    def append(self, folder: str, name: str, content: bytes) -> None:
        """Add to what is kept, all of it or nothing; a crash may leave the front of it."""

    def erase(
        self, folder: str, name: str, spans: tuple[tuple[int, int], ...], size_bytes: int
    ) -> None:
        """Cut the content to a size and put blanks over spans of it, without needing room."""

    def set_aside(self, folder: str, name: str) -> str:
        """Move a damaged file out of the way and return where it is now."""


@dataclass(frozen=True, slots=True)
class Host:
    """The one door to the operating system."""

    files: Files
    clock: LocalClock
    network: Network
    processes: Processes
    state: State
    environment: Mapping[str, str]
    platform: Platform
    privileged: bool
    steering: Steering = field(default_factory=NoSteering)
    services: Services = field(default_factory=NoServices)
    registry: Registry = field(default_factory=NoRegistry)
    access: Access = field(default_factory=NoAccess)
    programs: Programs = field(default_factory=NoPrograms)
    usage: Usage = field(default_factory=NoUsage)
    settings_file: str = SETTINGS_FILE
