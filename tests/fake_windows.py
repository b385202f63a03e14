"""A Windows node made of values: services, registry and access lists beside what FakeHost has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nodecheck.model.access import ADMINISTRATORS, SYSTEM, AccessFacts
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import Platform
from nodecheck.model.windows_service import ServicePhase, StartType, WindowsService
from tests.fake_host import fake_host

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.host.windows_door import Bits

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


def access_of(*strangers: str, owner: str = SYSTEM, replace_too: bool = True) -> AccessFacts:
    """Return the access of SYSTEM and Administrators, and of strangers, who may write."""
    own = {SYSTEM, ADMINISTRATORS}
    writers = tuple(sorted(own | set(strangers)))
    return AccessFacts(
        owner, writers, writers, writers if replace_too else tuple(sorted(own)), inherited=False
    )


@dataclass
class FakeServices:
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
class FakeRegistry:
    r"""Values by ``HKLM\KEY\NAME``, those of the 32-bit view in a table of their own."""

    values: dict[str, Value] = field(default_factory=dict)
    values_32: dict[str, Value] = field(default_factory=dict)

    def text(self, key: str, name: str, bits: Bits = 64) -> str:
        found = self._value(key, name, bits)
        if not isinstance(found, str):
            raise _wrong(key, name)
        return found

    def texts(self, key: str, name: str, bits: Bits = 64) -> tuple[str, ...]:
        found = self._value(key, name, bits)
        if not isinstance(found, tuple):
            raise _wrong(key, name)
        return found

    def number(self, key: str, name: str, bits: Bits = 64) -> int:
        found = self._value(key, name, bits)
        if not isinstance(found, int):
            raise _wrong(key, name)
        return found

    def data(self, key: str, name: str, bits: Bits = 64) -> bytes:
        found = self._value(key, name, bits)
        if not isinstance(found, bytes):
            raise _wrong(key, name)
        return found

    def subkeys(self, key: str, limit: int, bits: Bits = 64) -> tuple[str, ...]:
        start = f"{key}\\".lower()
        names = {
            path[len(start) :].split("\\")[0]
            for path in self._table(bits)
            if path.lower().startswith(start) and "\\" in path[len(start) :]
        }
        if not any(path.lower().startswith(start) for path in self._table(bits)):
            msg = f"{key} ({bits} bit): not there"
            raise Absent(msg)
        if len(names) > limit:
            msg = f"{key}: more than {limit} keys"
            raise ProbeError(msg, "too-large")
        return tuple(sorted(names))

    def _table(self, bits: Bits) -> dict[str, Value]:
        return self.values if bits == 64 else self.values_32

    def _value(self, key: str, name: str, bits: Bits) -> Value:
        path = f"{key}\\{name}".lower()
        table = {known.lower(): value for known, value in self._table(bits).items()}
        found = table.get(path, Absent(f"{key}\\{name} ({bits} bit): not there"))
        if isinstance(found, ProbeError):
            raise found
        return found


def _wrong(key: str, name: str) -> ProbeError:
    return ProbeError(f"{key}\\{name}: is of another type", "wrong-type")


@dataclass
class FakeAccess:
    """Access by path; an error in the table is raised."""

    facts: dict[str, AccessFacts | ProbeError] = field(default_factory=dict)

    def of(self, path: str) -> AccessFacts:
        found = self.facts.get(path, Absent(f"{path}: not there"))
        if isinstance(found, ProbeError):
            raise found
        return found


def windows_host(
    host: Host | None = None,
    services: FakeServices | None = None,
    registry: FakeRegistry | None = None,
    access: FakeAccess | None = None,
) -> Host:
    """Return a Windows node on which nothing is there but what was given."""
    return replace(
        host or fake_host(),
        platform=WINDOWS,
        services=services or FakeServices(),
        registry=registry or FakeRegistry(),
        access=access or FakeAccess(),
        settings_file="C:/ProgramData/nodecheck/config.toml",
    )
