"""The proxy through which the SSM Agent reaches AWS, as its service is configured."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

PROXY_VARIABLES = frozenset({"https_proxy", "no_proxy"})


@dataclass(frozen=True, slots=True)
class AgentProxy:
    """The variables of the agent's service; ``source`` is the file that names the proxy.

    ``https_proxy`` may hold a password: it is not for evidence. It is '' where there is no proxy.
    ``unread`` says which files of the service could not be read. ``ca_file`` is its
    ``SSL_CERT_FILE``, which Go trusts in place of the system's bundle.
    """

    https_proxy: str = ""
    no_proxy: str = ""
    source: str = ""
    unread: tuple[str, ...] = ()
    ca_file: str = ""

    def environment(self, own: Mapping[str, str]) -> Mapping[str, str]:
        """Return the environment by which to reach AWS: our own, or with the agent's proxy.

        >>> agent = AgentProxy("http://squid:3128", "169.254.169.254")
        >>> agent.environment({"PATH": "/bin", "NO_PROXY": "*"})["https_proxy"]
        'http://squid:3128'
        >>> agent.environment({"HTTPS_PROXY": "http://mine"})
        {'HTTPS_PROXY': 'http://mine'}
        """
        has_own = any(name.lower() == "https_proxy" and value for name, value in own.items())
        if has_own or not self.https_proxy:
            return own
        others = {name: own[name] for name in own if name.lower() not in PROXY_VARIABLES}
        return others | {"https_proxy": self.https_proxy, "no_proxy": self.no_proxy}

    def proxy_of(self, host: str, port: int) -> str:
        """Return the proxy by which the agent reaches ``https://host:port``, '' for none.

        >>> agent = AgentProxy("http://squid:3128", ".eu-west-1.amazonaws.com")
        >>> agent.proxy_of("ssm.eu-west-1.amazonaws.com", 443), agent.proxy_of("example.com", 443)
        ('', 'http://squid:3128')
        """
        return "" if is_direct(self.no_proxy, host, port) else self.https_proxy


def is_direct(no_proxy: str, host: str, port: int) -> bool:
    """Tell whether Go reaches a host without its proxy, as golang.org/x/net/http/httpproxy does.

    Entries are parted by commas alone; ``.a.com`` and ``*.a.com`` are what is below a.com,
    ``a.com`` is that and itself; an address or a prefix matches addresses only, never a name that
    resolves to one. This node itself is always reached directly.

    >>> [is_direct(text, "x.a.com", 443) for text in ("a.com", ".a.com", "b.com a.com", "a.com:80")]
    [True, True, False, False]
    >>> [is_direct("10.0.0.0/8", host, 443) for host in ("10.1.2.3", "ten.a.com", "localhost")]
    [True, False, True]
    """
    name = host.strip().lower()
    address = _address(name)
    if name == "localhost" or (address is not None and address.is_loopback):
        return True
    entries = [entry.strip().lower() for entry in no_proxy.split(",")]
    if "*" in entries:
        return True
    return any(_matches(entry, name, address, str(port)) for entry in entries if entry)


def _matches(entry: str, name: str, address: IpAddress | None, port: str) -> bool:
    prefix = _prefix(entry)
    if prefix is not None:
        return address is not None and address in prefix
    entry_name, entry_port = _split_port(entry)
    entry_address = _address(entry_name)
    if not entry_name or entry_port not in {"", port}:
        return False
    if entry_address is not None or address is not None:
        return entry_address == address
    suffix = entry_name.removeprefix("*") if entry_name.startswith("*.") else entry_name
    if suffix.startswith("."):
        return name.endswith(suffix)
    return name == suffix or name.endswith(f".{suffix}")


def _split_port(entry: str) -> tuple[str, str]:
    """Return host and port as Go's net.SplitHostPort does; what it refuses has no port."""
    if entry.startswith("["):
        host, bracket, rest = entry[1:].partition("]")
        return (host, rest[1:]) if bracket and rest.startswith(":") else (entry, "")
    host, colon, port = entry.partition(":")
    return (host, port) if colon and ":" not in port else (entry, "")


def _address(text: str) -> IpAddress | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _prefix(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if not text.partition("/")[2].isdecimal():
        return None  # Python would take a netmask, or a lone address, for a prefix
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
