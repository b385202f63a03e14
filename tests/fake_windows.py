"""A Windows node made of values: services, registry, access lists and what WinVerifyTrust says."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nodecheck.model.access import AccessFacts
from nodecheck.model.authenticode import TrustAnswer
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import Platform
from nodecheck.model.windows_service import ServicePhase, StartType, WindowsService
from nodecheck.records import replace
from tests.fake_host import FakeFiles, FakeProcesses, fake_host
from tests.pe_maker import Bytes, Identity, amazon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.host.door import Host
    from nodecheck.host.windows_door import Bits

FOLDER = "C:/Program Files/Amazon/SSM"
CORE = f"{FOLDER}/amazon-ssm-agent.exe"
COMMAND = '"C:\\Program Files\\Amazon\\SSM\\amazon-ssm-agent.exe"'
SAFE = AccessFacts("S-1-5-18", (), ("S-1-5-18", "S-1-5-32-544"), ("S-1-5-18",), inherited=True)


def good(signer: Identity | None = None) -> TrustAnswer:
    """Return the answer of a Windows that trusts this signer."""
    return TrustAnswer(0, signer_sha256=(signer or amazon()).sha256, chain_errors=0)


def service(command: str = COMMAND, pid: int = 700, **changes: object) -> WindowsService:
    values: dict[str, object] = {
        "name": "AmazonSSMAgent",
        "phase": ServicePhase.RUNNING,
        "start": StartType.AUTOMATIC,
        "command": command,
        "account": "LocalSystem",
        "pid": pid,
        "exit_code": 0,
    }
    return WindowsService(**(values | changes))  # type: ignore[arg-type]


@dataclass(frozen=True)
class FakeProgram(Bytes):
    """An open file, and what Windows says of it."""

    answer: TrustAnswer | ProbeError = field(default_factory=good)

    def ask(self) -> TrustAnswer:
        if isinstance(self.answer, ProbeError):
            raise self.answer
        return self.answer


@dataclass
class FakePrograms:
    """The files of a node; each answer that is not in the table is good."""

    files: FakeFiles
    answers: dict[str, TrustAnswer | ProbeError] = field(default_factory=dict)

    @contextmanager
    def open(self, path: str) -> Iterator[FakeProgram]:
        data = self.files.read(path, 1 << 30)
        yield FakeProgram(data, self.answers.get(path, good()))


@dataclass
class FakeServices:
    """Services by name; an exception is raised."""

    services: dict[str, WindowsService | ProbeError] = field(default_factory=dict)

    def query(self, name: str) -> WindowsService:
        found = self.services.get(name, Absent(f"service {name}: not there"))
        if isinstance(found, ProbeError):
            raise found
        return found

    def names_by_pid(self) -> dict[int, str]:
        found = (item for item in self.services.values() if isinstance(item, WindowsService))
        return {item.pid: item.name for item in found if item.pid}


@dataclass
class FakeRegistry:
    """Texts by key, name and view; an exception is raised."""

    values: dict[tuple[str, str, int], str | ProbeError] = field(default_factory=dict)

    def text(self, key: str, name: str, bits: Bits = 64) -> str:
        found = self.values.get((key, name, bits), Absent(f"{key}\\{name}: not there"))
        if isinstance(found, ProbeError):
            raise found
        return found

    def texts(self, key: str, name: str, bits: Bits = 64) -> tuple[str, ...]:
        return (self.text(key, name, bits),)

    def number(self, key: str, name: str, bits: Bits = 64) -> int:
        return int(self.text(key, name, bits))

    def data(self, key: str, name: str, bits: Bits = 64) -> bytes:
        return self.text(key, name, bits).encode()

    def subkeys(self, key: str, limit: int, bits: Bits = 64) -> tuple[str, ...]:
        start = key + "\\"
        found = {
            name.removeprefix(start).partition("\\")[0]
            for name, _, view in self.values
            if view == bits and name.startswith(start)
        }
        if not found:
            msg = f"{key}: not there"
            raise Absent(msg)
        return tuple(sorted(found))


@dataclass
class FakeAccess:
    """Access lists by path; the others are safe."""

    lists: dict[str, AccessFacts | ProbeError] = field(default_factory=dict)

    def of(self, path: str) -> AccessFacts:
        found = self.lists.get(path, SAFE)
        if isinstance(found, ProbeError):
            raise found
        return found


@dataclass
class WindowsNode:
    """The parts of a node, for a test to change before it looks."""

    files: FakeFiles = field(default_factory=FakeFiles)
    answers: dict[str, TrustAnswer | ProbeError] = field(default_factory=dict)
    services: FakeServices = field(default_factory=FakeServices)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    access: FakeAccess = field(default_factory=FakeAccess)
    processes: FakeProcesses = field(default_factory=FakeProcesses)

    @property
    def host(self) -> Host:
        return replace(
            fake_host(self.files, processes=self.processes),
            platform=Platform("windows", "Windows Server 2022", "x86_64"),
            services=self.services,
            registry=self.registry,
            access=self.access,
            programs=FakePrograms(self.files, self.answers),
        )
