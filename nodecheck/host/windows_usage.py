"""What a process of a Windows node uses, and whom it is connected to."""

# ruff: noqa: E402 - the type checker must know the platform before the imports

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is

from nodecheck.host.usage_door import ProcessSight
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.sockets import TcpSocket, normal

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS_LIMIT: Final = 10_000


class WindowsUsage:
    """``Usage`` by psutil."""

    def of(self, pid: int) -> ProcessSight:
        """Return what a process uses.

        Raises:
            ProbeError: it has ended, or may not be looked at.
        """
        import psutil

        with _told(pid):
            process = psutil.Process(pid)
            times = process.cpu_times()
            return ProcessSight(
                parent_pid=process.ppid(),
                began_ns=round(process.create_time() * 1e9),
                rss_bytes=process.memory_info().rss,
                cpu_s=times.user + times.system,
                suspended=process.status() == psutil.STATUS_STOPPED,
            )

    def established(self, pid: int) -> tuple[TcpSocket, ...]:
        """Return the peers of its established TCP connections.

        Windows does not tell what is not acknowledged: it gives such a connection up within half a
        minute by itself (TcpMaxDataRetransmissions).

        Raises:
            ProbeError: it has ended, or Windows does not tell.
        """
        import psutil

        with _told(pid):
            psutil.Process(pid)
            rows = psutil.net_connections("tcp")
        found = [
            (item.pid, TcpSocket(normal(item.raddr.ip), item.raddr.port, retransmits=0, inode=0))
            for item in rows
            if item.raddr and item.status == psutil.CONN_ESTABLISHED
        ]
        own = [peer for owner, peer in found if owner == pid]
        if not own and any(not owner for owner, _ in found):
            msg = f"process {pid}: whose the connections are is not told"
            raise ProbeError(msg)
        return tuple(own[:CONNECTIONS_LIMIT])


@contextmanager
def _told(pid: int) -> Iterator[None]:
    import psutil

    try:
        yield
    except psutil.NoSuchProcess as exc:
        msg = f"process {pid}: not there"
        raise Absent(msg) from exc
    except psutil.AccessDenied as exc:
        msg = f"process {pid}: access denied"
        raise Denied(msg) from exc
    except (psutil.Error, OSError) as exc:
        msg = f"process {pid}: {exc}"
        raise ProbeError(msg) from exc
