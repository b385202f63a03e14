"""Read the kernel's table of TCP connections, ``/proc/PID/net/tcp`` and ``tcp6``.

Addresses stand there as 32-bit words in the byte order of the machine, which is little-endian on
every machine that the agent is built for. Source: proc_pid_net(5), net/ipv4/tcp_ipv4.c of Linux.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from nodecheck.records import dataclass

ESTABLISHED: Final = "01"

_ROW: Final = re.compile(
    r"^ *\d+: [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) ([0-9A-F]{2}) "
    r"[0-9A-F]{8}:[0-9A-F]{8} [0-9A-F]{2}:[0-9A-F]{8} ([0-9A-F]{8}) +\d+ +\d+ +(\d{1,20})\b",
    re.MULTILINE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class TcpSocket:
    """An established connection: its peer, how often a packet was sent again, its inode."""

    ip: str
    port: int
    retransmits: int
    inode: int


def read_established(table: str) -> tuple[TcpSocket, ...]:
    """Return the established connections of a table.

    >>> row = "   0: 0100007F:D431 0A0200C0:01BB 01 00000000:00000000 00:00000000 00000000     0"
    >>> read_established(row + "        0 4711 1 0 20 4 30 10 -1")
    (TcpSocket(ip='192.0.2.10', port=443, retransmits=0, inode=4711),)
    """
    return tuple(
        TcpSocket(_address(peer), int(port, 16), int(retransmits, 16), int(inode))
        for peer, port, state, retransmits, inode in _ROW.findall(table)
        if state == ESTABLISHED
    )


def _address(digits: str) -> str:
    words = (digits[at : at + 8] for at in range(0, len(digits), 8))
    packed = b"".join(bytes.fromhex(word)[::-1] for word in words)
    return normal(str(IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)))  # noqa: PLR2004 - bytes of IPv4


def normal(ip: str) -> str:
    """Return one spelling of an address; IPv4 within IPv6 is IPv4. No address stays as it is.

    >>> normal("::ffff:192.0.2.1"), normal("2001:DB8::0"), normal("x")
    ('192.0.2.1', '2001:db8::', 'x')
    """
    try:
        address = IPv6Address(ip) if ":" in ip else IPv4Address(ip)
    except ValueError:
        return ip
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(inner or address)
