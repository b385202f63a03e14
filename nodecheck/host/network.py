"""The network beneath HTTP libraries: names, connected UDP sockets and HEAD requests.

Every wait is a relative timeout of a socket, every deadline is on the monotonic clock.
"""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from nodecheck.host.door import Address, Received
from nodecheck.host.local_clock import SystemClock
from nodecheck.host.mailbox import Mailbox
from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from nodecheck.host.door import Datagrams, Heads, LocalClock, Metadata
    from nodecheck.model.endpoints import Reach, Target

RESOLVE_LIMIT_S = 2.0
"""libc waits up to 2 x 5 s for each name server, longer than a run may take."""

DATAGRAM_LIMIT = 2048
SO_TIMESTAMPNS = 35
"""asm-generic/socket.h; the socket module has no name for it. A 64-bit timespec comes with it."""

SO_TIMESTAMPING = 37
ON_SENDING = 1 << 1 | 1 << 4 | 1 << 11
"""linux/net_tstamp.h: TX_SOFTWARE, SOFTWARE, OPT_TSONLY. Three timespecs come with it."""

ERROR_LIMIT = 64
"""A sock_extended_err and an address come beside the stamp (linux/errqueue.h)."""

TIMESPEC = struct.Struct("@qq")
SECOND_NS = 1_000_000_000


class SocketNetwork:
    """``Network`` of this machine, on every platform."""

    def __init__(self, environment: Mapping[str, str], clock: LocalClock | None = None) -> None:
        """Take the environment with proxies and CA bundle, and the clock that stamps arrivals."""
        self._environment = environment
        self._clock = clock or SystemClock()

    def resolve(self, name: str, port: int) -> tuple[Address, ...]:
        """Return the addresses of a name, in the system's order of preference.

        Raises:
            ProbeError: no such name, or no answer within 2 s.
        """
        return _resolve(name, port, RESOLVE_LIMIT_S)

    def datagrams(self, address: Address) -> Datagrams:
        """Open a connected UDP socket on a random port.

        Raises:
            ProbeError: there is no way to this address.
        """
        return _UdpSocket(address, self._clock)

    def is_own(self, address: Address) -> bool:
        """Tell whether an address is one of this node's own: only such can be bound to."""
        family = socket.AF_INET if address.family == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.bind((address.ip, 0))
        except OSError:
            return False
        return True

    def metadata(self, path: str) -> bytes:
        """Return what the EC2 instance metadata service has at this path (IMDSv2).

        Raises:
            ProbeError: there is no such service, or it does not answer in time.
        """
        return self.metadata_session().ask(path)

    def metadata_session(self) -> Metadata:
        """Return a session with the EC2 instance metadata service, for several questions."""
        from nodecheck.host.metadata import MetadataSession  # http.client costs 44 ms

        return MetadataSession(self._environment, self._clock)

    def heads(
        self, url: str, timeout_s: float, environment: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Heads]:
        """Connect, to send HEAD requests until the timeout has passed.

        Raises:
            ProbeError: not an http or https URL. On entering and asking: no connection, no trust,
                no reply in time, or not HTTP.
        """
        from nodecheck.host.http_head import HeadConnection  # with ssl: 66 ms

        variables = self._environment if environment is None else environment
        return HeadConnection(url, variables, self._clock, timeout_s, _resolve)

    def reach(
        self, targets: tuple[Target, ...], ca_file: str, timeout_s: float
    ) -> tuple[Reach, ...]:
        """Ask all targets side by side, and return how far each came.

        Raises:
            ProbeError: the bundle cannot be used.
        """
        from nodecheck.host.reaching import Reaching  # with ssl: 66 ms

        return Reaching(self._clock, _resolve, ca_file, timeout_s).all(targets)


def _resolve(name: str, port: int, timeout_s: float) -> tuple[Address, ...]:
    numeric = _look_up(name, port, socket.AI_NUMERICHOST)
    if isinstance(numeric, tuple):
        return numeric
    with Mailbox() as box:
        box.start(f"resolve {name}", lambda: _look_up(name, port, 0))
        arrived = box.wait(min(timeout_s, RESOLVE_LIMIT_S))
    if not arrived:
        msg = f"{name}: name not resolved within {min(timeout_s, RESOLVE_LIMIT_S):.1f} s"
        raise ProbeError(msg, "name-timeout")
    found = arrived[0][1]
    if not isinstance(found, tuple):
        msg = f"{name}: {found}"
        raise ProbeError(msg, "name-not-found")
    return found


def _look_up(name: str, port: int, flags: int) -> tuple[Address, ...] | str:
    """Return addresses, or why there are none: this runs in a thread and must not raise."""
    try:
        rows = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as exc:
        return getattr(exc, "strerror", None) or str(exc)
    families = {socket.AF_INET: 4, socket.AF_INET6: 6}
    found = [Address(str(row[4][0]), port, families[row[0]]) for row in rows if row[0] in families]
    return tuple(dict.fromkeys(found))


class _UdpSocket:
    """A connected socket; the kernel drops what other addresses and ports send."""

    def __init__(self, address: Address, clock: LocalClock) -> None:
        family = socket.AF_INET if address.family == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
        self._clock = clock
        self._address = address
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if sys.platform == "linux":
                with suppress(OSError):  # a sandbox without stamps: our own stamp must do
                    self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                    self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, ON_SENDING)
            self._socket.connect((address.ip, address.port))
        except OSError as exc:
            self._socket.close()
            raise _unreachable(address, exc) from exc

    def send(self, data: bytes) -> int | None:
        """Send one datagram; return when the kernel handed it to the device, on the wall clock."""
        try:
            self._socket.send(data)
        except OSError as exc:
            raise _unreachable(self._address, exc) from exc
        return self._departure()

    def receive(self, timeout_s: float) -> Received | None:
        """Return the next datagram, or None when the timeout has passed."""
        self._socket.settimeout(max(timeout_s, 1e-6))
        try:
            data, kernel_ns = self._next()
        except TimeoutError:
            return None
        except OSError as exc:
            raise _unreachable(self._address, exc) from exc
        # The wall clock first: an interruption in between then only widens the error bound.
        wall_ns = self._clock.wall_ns()
        return Received(data, wall_ns, self._clock.monotonic_ns(), kernel_ns)

    if sys.platform == "win32":

        def _next(self) -> tuple[bytes, int | None]:
            return self._socket.recv(DATAGRAM_LIMIT), None

        def _departure(self) -> int | None:
            return None

    else:

        def _next(self) -> tuple[bytes, int | None]:
            data, ancillary, _, _ = self._socket.recvmsg(
                DATAGRAM_LIMIT, socket.CMSG_SPACE(TIMESPEC.size)
            )
            return data, _stamp(ancillary, SO_TIMESTAMPNS, TIMESPEC.size)

        def _departure(self) -> int | None:
            """Take the stamp from the socket's error queue: left there it would wake the reader."""
            room = socket.CMSG_SPACE(3 * TIMESPEC.size) + socket.CMSG_SPACE(ERROR_LIMIT)
            flags = socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT
            self._socket.settimeout(0)
            try:
                _, ancillary, _, _ = self._socket.recvmsg(DATAGRAM_LIMIT, room, flags)
            except OSError:  # none yet, or none at all
                return None
            return _stamp(ancillary, SO_TIMESTAMPING, 3 * TIMESPEC.size)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _stamp(ancillary: Iterable[tuple[int, int, bytes]], kind: int, size: int) -> int | None:
    """Return the first stamp of a kind, in nanoseconds since 1970; 32-bit machines have others."""
    for level, found, value in ancillary:
        if (level, found, len(value)) == (socket.SOL_SOCKET, kind, size):
            seconds, nanoseconds = TIMESPEC.unpack_from(value)
            return int(seconds * SECOND_NS + nanoseconds)
    return None


def _unreachable(address: Address, exc: OSError) -> ProbeError:
    is_refused = isinstance(exc, (ConnectionRefusedError, ConnectionResetError))
    reason = "connection-refused" if is_refused else "unreachable"
    text = "nothing listens on" if is_refused else f"{exc.strerror or exc}:"
    return ProbeError(f"{text} UDP port {address.port}", reason)
