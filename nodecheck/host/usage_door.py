"""What may be asked of one running process, on systems that have no /proc to read it from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Protocol

from nodecheck.model.errors import Absent
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.sockets import TcpSocket


@dataclass(frozen=True, slots=True)
class ProcessSight:
    """One process: its parent, when it began by the wall clock of then, and what it uses."""

    parent_pid: int
    began_ns: int
    rss_bytes: int
    cpu_s: float
    suspended: bool = False


class Usage(Protocol):
    """Running processes, one by one; one that has ended is ``Absent``."""

    def of(self, pid: int) -> ProcessSight:
        """Return what a process uses."""

    def established(self, pid: int) -> tuple[TcpSocket, ...]:
        """Return the peers of its established TCP connections."""


class NoUsage:
    """A system that tells all of it in files."""

    def of(self, pid: int) -> ProcessSight:
        """Say so."""
        _refuse(pid)

    def established(self, pid: int) -> tuple[TcpSocket, ...]:
        """Say so."""
        _refuse(pid)


def _refuse(pid: int) -> NoReturn:
    msg = f"process {pid}: only Windows is asked this way"
    raise Absent(msg)
