"""An NTP server: how an operator writes it, and who runs it."""

from __future__ import annotations

from nodecheck.records import dataclass, field

NTP_PORT = 123
PORT_LIMIT = 65535


@dataclass(frozen=True, slots=True)
class TimeServer:
    """A server to ask. All addresses of one operator have one vote; a pool is many operators.

    ``is_found`` says that the node's own daemon is configured with it, not that anybody named it.
    """

    host: str
    port: int = NTP_PORT
    operator: str = ""
    is_pool: bool = False
    is_found: bool = field(default=False, compare=False)

    @property
    def name(self) -> str:
        """Return the server as an operator would write it.

        >>> TimeServer("fd00:ec2::123").name, TimeServer("::1", 1123).name
        ('fd00:ec2::123', '[::1]:1123')
        """
        if self.port == NTP_PORT:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


AMAZON = "amazon"
AMAZON_ON_EC2 = (
    TimeServer("169.254.169.123", operator=AMAZON),
    TimeServer("fd00:ec2::123", operator=AMAZON),
)
"""One server of the hypervisor behind two addresses (EC2 User Guide, set-time)."""

AMAZON_PUBLIC = TimeServer("time.aws.com", operator=AMAZON)
AMAZON_HOSTS = {server.host for server in (*AMAZON_ON_EC2, AMAZON_PUBLIC)}


def parse_server(text: str) -> TimeServer:
    """Return the server in ``host``, ``host:port``, ``IPv6`` or ``[IPv6]:port``.

    >>> parse_server("[fd00:ec2::123]:1123").port, parse_server("fd00:ec2::123").operator
    (1123, 'amazon')

    Raises:
        ValueError: none of these forms.
    """
    host, port = text.strip(), str(NTP_PORT)
    if host.startswith("["):
        host, closed, rest = host[1:].partition("]")
        host = host if closed else ""
        port = rest.removeprefix(":") if rest else port
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    is_port = port.isascii() and port.isdecimal() and 0 < int(port) <= PORT_LIMIT
    if not host or not is_port or any(ch.isspace() or ch in "/[]@" for ch in host):
        msg = f"not an NTP server: {text!r}; expected host, host:port or [IPv6]:port"
        raise ValueError(msg)
    return server_at(host, int(port))


def server_at(host: str, port: int = NTP_PORT, *, is_pool: bool = False) -> TimeServer:
    """Return a server, its operator known where that is Amazon, and whether it is a pool."""
    is_pool = is_pool or host.endswith("pool.ntp.org")
    return TimeServer(host, port, AMAZON if host in AMAZON_HOSTS else "", is_pool)
