"""A node made of values: every answer is in a table, everything else is absent."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nodecheck.host.door import (
    Address,
    Datagrams,
    Heads,
    Host,
    HttpsReply,
    LoopStatus,
    Metadata,
    ToolOutput,
)
from nodecheck.model.endpoints import Reach, Target
from nodecheck.model.errors import Absent, Busy, ProbeError
from nodecheck.model.node import FileDigest, FileKind, FileState, Platform, ProcessState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from nodecheck.model.hardware_clock import HardwareStamp
    from nodecheck.model.kernel_clock import KernelClock
    from nodecheck.model.storage import FileSystem

LINUX = Platform("linux", "Debian GNU/Linux 12", "x86_64")

Row = tuple[object, ...]


def file_state(path: str, **changes: object) -> FileState:
    """Return the state of a root-owned 0755 file, with changes."""
    values: dict[str, object] = {
        "path": path,
        "kind": FileKind.FILE,
        "device": 1,
        "inode": abs(hash(path)) % 10**6,
        "mode": 0o755,
        "uid": 0,
        "gid": 0,
        "size": 0,
        "links": 1,
        "mtime_ns": 0,
        "ctime_ns": 0,
    }
    return FileState(**(values | changes))  # type: ignore[arg-type]


@dataclass
class FakeFiles:
    """Contents, states and database rows by path; an exception in a table is raised."""

    contents: dict[str, bytes | ProbeError] = field(default_factory=dict)
    states: dict[str, FileState | ProbeError] = field(default_factory=dict)
    rows: dict[str, tuple[Row, ...] | ProbeError] = field(default_factory=dict)
    loops: dict[str, LoopStatus | ProbeError] = field(default_factory=dict)
    spaces: dict[str, FileSystem | ProbeError] = field(default_factory=dict)

    def read(self, path: str, limit_bytes: int, *, follow: bool = False) -> bytes:
        content = self.contents.get(path, Absent(f"{path}: not there"))
        if isinstance(content, ProbeError):
            raise content
        if len(content) > limit_bytes:
            msg = f"{path}: larger than {limit_bytes} bytes"
            raise ProbeError(msg, "too-large")
        return content

    def chunks(self, path: str, limit_bytes: int, *, follow: bool = False) -> Iterator[bytes]:
        content = self.read(path, limit_bytes)
        yield from (content[at : at + 1000] for at in range(0, len(content), 1000))

    def tail(self, path: str, limit_bytes: int) -> bytes:
        return self.read(path, 1 << 30)[-limit_bytes:]

    def state(self, path: str) -> FileState:
        state = self.states.get(path)
        if isinstance(state, ProbeError):
            raise state
        if state is not None:
            return state
        if path in self.contents:
            return file_state(path, size=len(self.read(path, 1 << 30)))
        if any(
            name.startswith(path.rstrip("/") + "/") for name in {**self.contents, **self.states}
        ):
            return file_state(path, kind=FileKind.FOLDER)
        msg = f"{path}: not there"
        raise Absent(msg)

    def resolve(self, path: str) -> str:
        return self.state(path).target or path

    def digest(self, path: str, algorithm: str, *, follow: bool = False) -> FileDigest:
        content = self.read(path, 1 << 30)
        return FileDigest(self.state(path), algorithm, hashlib.new(algorithm, content).hexdigest())

    def listing(self, path: str, limit: int) -> tuple[str, ...]:
        start = path.rstrip("/") + "/"
        names = {
            name.removeprefix(start).split("/")[0]
            for name in {**self.contents, **self.states}
            if name.startswith(start)
        }
        if not names:
            msg = f"{path}: not there"
            raise Absent(msg)
        if len(names) > limit:
            msg = f"{path}: more than {limit} entries"
            raise ProbeError(msg, "too-large")
        return tuple(sorted(names))

    def space(self, path: str) -> FileSystem:
        space = self.spaces.get(path, Absent(f"{path}: not there"))
        if isinstance(space, ProbeError):
            raise space
        return space

    def loop_status(self, device_path: str) -> LoopStatus:
        status = self.loops.get(device_path, Absent(f"{device_path}: not there"))
        if isinstance(status, ProbeError):
            raise status
        return status

    def query_sqlite(
        self, path: str, query: str, parameters: tuple[str | int, ...], limit_bytes: int
    ) -> tuple[Row, ...]:
        rows = self.rows.get(path, Absent(f"{path}: not there"))
        if isinstance(rows, ProbeError):
            raise rows
        return rows


@dataclass
class FakeClock:
    """Two clocks that move only when the test moves them, or pauses."""

    wall: int = 1_700_000_000_000_000_000
    monotonic: int = 1_000_000_000

    def wall_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.monotonic

    def pause(self, duration_s: float) -> None:
        self.wall += int(duration_s * 1e9)
        self.monotonic += int(duration_s * 1e9)


@dataclass
class FakeMetadata:
    """The instance metadata service: texts by path, or what it fails with."""

    answers: dict[str, bytes | ProbeError] = field(default_factory=dict)
    otherwise: ProbeError = field(
        default_factory=lambda: ProbeError("network is unreachable", "metadata-unreachable")
    )
    server: str = "EC2ws"
    asked: list[str] = field(default_factory=list)

    def ask(self, path: str) -> bytes:
        self.asked.append(path)
        answer = self.answers.get(path, self.otherwise)
        if isinstance(answer, ProbeError):
            raise answer
        return answer


@dataclass
class FakeNetwork:
    """Names, and replies by URL; no datagram is ever answered."""

    names: dict[str, tuple[Address, ...]] = field(default_factory=dict)
    replies: dict[str, HttpsReply | ProbeError] = field(default_factory=dict)
    asked: list[Mapping[str, str] | None] = field(default_factory=list)
    imds: FakeMetadata = field(default_factory=FakeMetadata)
    reaches: dict[str, Reach] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)

    def resolve(self, name: str, port: int) -> tuple[Address, ...]:
        if name not in self.names:
            msg = f"{name}: unknown name"
            raise ProbeError(msg)
        return self.names[name]

    def datagrams(self, address: Address) -> Datagrams:
        msg = f"{address.ip}: network is unreachable"
        raise ProbeError(msg)

    def is_own(self, address: Address) -> bool:
        return address.ip.startswith("127.") or address.ip == "::1"

    def metadata(self, path: str) -> bytes:
        return self.metadata_session().ask(path)

    def metadata_session(self) -> Metadata:
        return self.imds

    def heads(
        self, url: str, timeout_s: float, environment: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Heads]:
        self.asked.append(environment)
        return nullcontext(FakeHeads(self.replies.get(url)))

    def reach(
        self, targets: tuple[Target, ...], ca_file: str, timeout_s: float
    ) -> tuple[Reach, ...]:
        self.targets.extend(targets)
        absent = Reach("dns-failed", "unknown name")
        return tuple(self.reaches.get(target.url, absent) for target in targets)


@dataclass
class FakeHeads:
    """The same reply again and again."""

    reply: HttpsReply | ProbeError | None

    def ask(self) -> HttpsReply:
        if isinstance(self.reply, HttpsReply):
            return self.reply
        raise self.reply or ProbeError("network is unreachable")


@dataclass
class FakeSteering:
    """The kernel's record of its clock, and sockets of daemons by path."""

    kernel: KernelClock | ProbeError = field(default_factory=lambda: Absent("no kernel record"))
    sockets: dict[str, Datagrams] = field(default_factory=dict)
    stamps: dict[str, HardwareStamp | ProbeError] = field(default_factory=dict)

    def kernel_clock(self) -> KernelClock:
        if isinstance(self.kernel, ProbeError):
            raise self.kernel
        return self.kernel

    def daemon_socket(self, path: str) -> Datagrams:
        if path not in self.sockets:
            msg = f"{path}: not there"
            raise Absent(msg)
        return self.sockets[path]

    def hardware_clock(self, path: str) -> HardwareStamp:
        stamp = self.stamps.get(path, Absent(f"{path}: not there"))
        if isinstance(stamp, ProbeError):
            raise stamp
        return stamp


@dataclass
class FakeProcesses:
    """Processes in a table, and the output of tools by their arguments."""

    processes: tuple[ProcessState, ...] = ()
    outputs: dict[tuple[str, ...], ToolOutput] = field(default_factory=dict)

    def all(self) -> tuple[ProcessState, ...]:
        return self.processes

    def run(self, argv: tuple[str, ...], timeout_s: float, limit_bytes: int) -> ToolOutput:
        if argv not in self.outputs:
            msg = f"{argv[0]}: not there"
            raise Absent(msg)
        return self.outputs[argv]


@dataclass
class FakeState:
    """Contents by folder and name, the locks held; with a problem nothing can be written."""

    contents: dict[str, bytes | ProbeError] = field(default_factory=dict)
    locks: set[str] = field(default_factory=set)
    problem: str = ""

    def default_folder(self) -> str:
        return "/state"

    def read(self, folder: str, name: str, limit_bytes: int) -> bytes:
        return FakeFiles(self.contents).read(f"{folder}/{name}", limit_bytes)

    def write(self, folder: str, name: str, content: bytes) -> None:
        self._check()
        self.contents[f"{folder}/{name}"] = content

    def set_aside(self, folder: str, name: str) -> str:
        self.contents[f"{folder}/{name}.damaged"] = self.contents.pop(f"{folder}/{name}")
        return f"{folder}/{name}.damaged"

    def append(self, folder: str, name: str, content: bytes) -> None:
        self._check()
        before = self.contents.get(f"{folder}/{name}", b"")
        assert isinstance(before, bytes)
        self.contents[f"{folder}/{name}"] = before + content

    def erase(
        self, folder: str, name: str, spans: tuple[tuple[int, int], ...], size_bytes: int
    ) -> None:
        self._check()
        content = bytearray(self.read(folder, name, 1 << 30))
        for start, length in spans:
            content[start : start + length] = b" " * length
        self.contents[f"{folder}/{name}"] = bytes(content[:size_bytes])

    @contextmanager
    def lock(self, folder: str, name: str) -> Iterator[None]:
        if name in self.locks:
            msg = f"another run (process 7) holds {folder}/{name}"
            raise Busy(msg)
        self.locks.add(name)
        try:
            yield
        finally:
            self.locks.remove(name)

    def _check(self) -> None:
        if self.problem:
            raise ProbeError(self.problem, "no-state")

    def run_lock(self, folder: str, note: Callable[[str], None]) -> AbstractContextManager[None]:
        return nullcontext()


def fake_host(  # noqa: PLR0913 - one argument for each part of the door
    files: FakeFiles | None = None,
    clock: FakeClock | None = None,
    network: FakeNetwork | None = None,
    processes: FakeProcesses | None = None,
    environment: dict[str, str] | None = None,
    *,
    state: FakeState | None = None,
    steering: FakeSteering | None = None,
    privileged: bool = True,
) -> Host:
    """Return a Linux node on which nothing is there but what was given."""
    return Host(
        files=files or FakeFiles(),
        clock=clock or FakeClock(),
        network=network or FakeNetwork(),
        processes=processes or FakeProcesses(),
        state=state or FakeState(),
        environment=environment or {},
        platform=LINUX,
        privileged=privileged,
        steering=steering or FakeSteering(),
    )
