r"""What may be asked of Windows alone. On other systems all of it is absent.

Service names and registry keys are spelled as in Microsoft's documentation, a key with its root:
``HKLM\SOFTWARE\Amazon``. As everywhere, a method raises ``ProbeError``: ``Absent`` where absence
is proven, ``Denied`` where this user may not look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NoReturn, Protocol

from nodecheck.model.errors import Absent

if TYPE_CHECKING:
    from nodecheck.model.access import AccessFacts
    from nodecheck.model.windows_service import WindowsService

Bits = Literal[32, 64]
"""Which view of the registry: what 32-bit programs write lies apart (``WOW6432Node``)."""


class Services(Protocol):
    """The service control manager; nothing is started, stopped or changed."""

    def query(self, name: str) -> WindowsService:
        """Return the state and configuration of a service."""

    def names_by_pid(self) -> dict[int, str]:
        """Return the name of the running service by its process, of the first where it has more."""


class Registry(Protocol):
    """Values of the registry, each of the type that was asked for, at most 64 KiB."""

    def text(self, key: str, name: str, bits: Bits = 64) -> str:
        """Return a REG_SZ, or a REG_EXPAND_SZ with its variables expanded."""

    def texts(self, key: str, name: str, bits: Bits = 64) -> tuple[str, ...]:
        """Return a REG_MULTI_SZ."""

    def number(self, key: str, name: str, bits: Bits = 64) -> int:
        """Return a REG_DWORD or REG_QWORD."""

    def data(self, key: str, name: str, bits: Bits = 64) -> bytes:
        """Return a REG_BINARY."""

    def subkeys(self, key: str, limit: int, bits: Bits = 64) -> tuple[str, ...]:
        """Return the sorted names of the keys below; more than the limit is a ProbeError."""


class Access(Protocol):
    """Access lists of files and folders; a link is looked at itself, not what it leads to."""

    def of(self, path: str) -> AccessFacts:
        """Return who owns a path, and who may read, change or replace it."""


class NoServices:
    """A system without a service control manager."""

    def query(self, name: str) -> WindowsService:
        """Say so."""
        _refuse(f"service {name}")

    def names_by_pid(self) -> dict[int, str]:
        """Say so."""
        _refuse("services")


class NoRegistry:
    """A system without a registry."""

    def text(self, key: str, name: str, bits: Bits = 64) -> str:
        """Say so."""
        _refuse(_where(key, name, bits))

    def texts(self, key: str, name: str, bits: Bits = 64) -> tuple[str, ...]:
        """Say so."""
        _refuse(_where(key, name, bits))

    def number(self, key: str, name: str, bits: Bits = 64) -> int:
        """Say so."""
        _refuse(_where(key, name, bits))

    def data(self, key: str, name: str, bits: Bits = 64) -> bytes:
        """Say so."""
        _refuse(_where(key, name, bits))

    def subkeys(self, key: str, limit: int, bits: Bits = 64) -> tuple[str, ...]:
        """Say so."""
        _refuse(f"{key} ({bits} bit, {limit})")


class NoAccess:
    """A system whose files have modes."""

    def of(self, path: str) -> AccessFacts:
        """Say so."""
        _refuse(f"{path}: access list")


def _where(key: str, name: str, bits: Bits) -> str:
    return f"{key}\\{name} ({bits} bit)"


def _refuse(what: str) -> NoReturn:
    msg = f"{what}: only Windows has such"
    raise Absent(msg)
