"""A Windows node made of values: services by name, and a registry whose values have their types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import Platform
from nodecheck.model.windows_service import ServicePhase, StartType, WindowsService
from nodecheck.records import replace
from tests.fake_host import fake_host

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.host.usage_door import ProcessSight
    from nodecheck.host.windows_door import Bits
    from nodecheck.model.sockets import TcpSocket

WINDOWS = Platform("windows", "Windows Server 2022 Datacenter 10.0.20348", "AMD64")
AGENT = r'"C:\Program Files\Amazon\SSM\amazon-ssm-agent.exe"'

Value = str | int | bytes | tuple[str, ...] | ProbeError


def service(name: str = "AmazonSSMAgent", **changes: object) -> WindowsService:
    """Return a service that runs as SYSTEM, with changes."""
    values: dict[str, object] = {
        "name": name,
        "phase": ServicePhase.RUNNING,
        "start": StartType.AUTOMATIC,
        "command": AGENT,
        "account": "LocalSystem",
        "pid": 1234,
        "exit_code": 0,
    }
    return WindowsService(**(values | changes))  # type: ignore[arg-type]


@dataclass
class NamedServices:
    """Services by name; an error in the table is raised."""

    services: dict[str, WindowsService | ProbeError] = field(default_factory=dict)

    def query(self, name: str) -> WindowsService:
        found = self.services.get(name, Absent(f"service {name}: not there"))
        if isinstance(found, ProbeError):
            raise found
        return found

    def names_by_pid(self) -> dict[int, str]:
        found = [item for item in self.services.values() if isinstance(item, WindowsService)]
        return {item.pid: item.name for item in found if item.pid}


@dataclass
class TypedRegistry:
    r"""Values by ``HKLM\KEY\NAME``; one of another type than asked for is an error."""

    values: dict[str, Value] = field(default_factory=dict)

    def text(self, key: str, name: str, bits: Bits = 64) -> str:
        found = self._value(key, name)
        if not isinstance(found, str):
            raise _wrong(key, name)
        return found

    def texts(self, key: str, name: str, bits: Bits = 64) -> tuple[str, ...]:
        found = self._value(key, name)
        if not isinstance(found, tuple):
            raise _wrong(key, name)
        return found

    def number(self, key: str, name: str, bits: Bits = 64) -> int:
        found = self._value(key, name)
        if not isinstance(found, int):
            raise _wrong(key, name)
        return found

    def data(self, key: str, name: str, bits: Bits = 64) -> bytes:
        found = self._value(key, name)
        if not isinstance(found, bytes):
            raise _wrong(key, name)
        return found

    def subkeys(self, key: str, limit: int, bits: Bits = 64) -> tuple[str, ...]:
        below = [path[len(key) + 1 :] for path in self.values if path.startswith(f"{key}\\")]
        if not below:
            msg = f"{key}: not there"
            raise Absent(msg)
        return tuple(sorted({path.split("\\")[0] for path in below if "\\" in path}))

    def _value(self, key: str, name: str) -> str | int | bytes | tuple[str, ...]:
        found = self.values.get(f"{key}\\{name}", Absent(f"{key}\\{name}: not there"))
        if isinstance(found, ProbeError):
            raise found
        return found


def _wrong(key: str, name: str) -> ProbeError:
    return ProbeError(f"{key}\\{name}: is of another type", "wrong-type")


@dataclass
class FakeUsage:
    """Processes by id, and their connections; an error in a table is raised."""

    sights: dict[int, ProcessSight | ProbeError] = field(default_factory=dict)
    sockets: dict[int, tuple[TcpSocket, ...] | ProbeError] = field(default_factory=dict)

    def of(self, pid: int) -> ProcessSight:
        found = self.sights.get(pid, Absent(f"process {pid}: not there"))
        if isinstance(found, ProbeError):
            raise found
        return found

    def established(self, pid: int) -> tuple[TcpSocket, ...]:
        found = self.sockets.get(pid, ())
        if isinstance(found, ProbeError):
            raise found
        return found


def windows_node(
    host: Host | None = None,
    services: dict[str, WindowsService | ProbeError] | None = None,
    registry: dict[str, Value] | None = None,
    usage: FakeUsage | None = None,
) -> Host:
    """Return a Windows node on which nothing is there but what was given."""
    return replace(
        host or fake_host(),
        platform=WINDOWS,
        services=NamedServices(services or {}),
        registry=TypedRegistry(registry or {}),
        usage=usage or FakeUsage(),
    )
