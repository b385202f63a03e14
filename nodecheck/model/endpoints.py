"""The endpoints that the agent uses, and how far each of them was reached."""

from __future__ import annotations

import ipaddress
from enum import Enum
from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S: Final = 1.7
"""Longer than the second after which TCP sends a lost SYN again (RFC 6298 section 2)."""

AWS_AUTHORITIES: Final = ("Amazon", "Starfield Technologies", "DigiCert")
"""Organisations that sign for AWS: its own roots, Starfield's that cross-signs them, and DigiCert.

https://www.amazontrust.com/repository/ and, for China,
https://docs.amazonaws.cn/en_us/aws/latest/userguide/endpoints-Beijing.html
"""

PUBLIC_DOMAINS: Final = ("amazonaws.com", "amazonaws.com.cn")
"""Of these names it is known who signs; the isolated and sovereign partitions have CAs apart."""

INTERSTITIALS: Final = frozenset({401, 403, 407, 500, 502, 503, 504, 511})
"""Statuses with which filters, captive portals and proxies show a page of their own."""


class Need(Enum):
    """What the agent needs an endpoint for."""

    CORE = "core"
    CHANNEL = "channel"
    UPDATES = "updates"
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint; ``origin`` names the key of the agent's configuration that overrides it."""

    service: str
    url: str
    need: Need
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What to connect to, and the proxy to use, '' for none; it may hold a password."""

    url: str
    proxy: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far one endpoint was reached. ``failure`` is a reason code, '' where it answered.

    ``addresses`` are the DNS answers, of the proxy where there is one (``via``). ``chain`` is the
    verified path without its anchor: begin and end in seconds since 1970, and subject. ``issuers``,
    ``NAME (ORGANISATION)``, are of the verified path, of the presented one where that is not
    trusted.
    """

    failure: str = ""
    message: str = ""
    addresses: tuple[str, ...] = ()
    via: str = ""
    tls: str = ""
    chain: tuple[tuple[int, int, str], ...] = ()
    issuers: tuple[str, ...] = ()
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_signed_for_aws(self) -> bool:
        """Tell whether the verified path is of an authority that signs for AWS."""
        owners = [issuer.partition("(")[2] for issuer in self.issuers]
        return bool(self.chain) and any(owner.startswith(AWS_AUTHORITIES) for owner in owners)

    @property
    def is_foreign(self) -> bool:
        """Tell whether somebody else than the service answered: a portal, a filter, a web server.

        AWS puts a request id (``x-amzn-requestid``, ``x-amz-request-id``) into its answers; where
        one lacks it, a certificate of AWS's own tells. What refuses like an API, with neither, may
        be a stand-in in a lab.
        """
        if any(name.startswith(("x-amzn-", "x-amz-")) for name in self.headers):
            return False
        if self.is_signed_for_aws or not self.status:
            return False
        is_page = "text/html" in self.headers.get("content-type", "").lower()
        is_content = self.status < 400  # noqa: PLR2004 - no API of AWS answers HEAD / with content
        return is_content or (is_page and self.status in INTERSTITIALS)

    @property
    def network(self) -> str:
        """Return where the addresses are: ``private``, ``public``, ``mixed`` or '' without any."""
        kinds = {_kind(address) for address in self.addresses}
        return kinds.pop() if len(kinds) == 1 else "mixed" if kinds else ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One endpoint and how far it was reached."""

    endpoint: Endpoint
    reach: Reach

    @property
    def is_reached(self) -> bool:
        """Tell whether the service answered. Dates of certificates are not looked at."""
        return not self.reach.failure and not self.reach.is_foreign


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """Every endpoint of the agent, seen from this node.

    ``proxy_source`` is the file that names the agent's proxy. ``unread`` are files that may name
    another one, ``problems`` what is wrong with the agent's configuration, ``refused`` why the
    agent does not start with it.
    """

    region: str
    region_source: str
    sightings: tuple[Sighting, ...]
    proxy_source: str = ""
    unread: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    refused: str = ""

    @property
    def reachable(self) -> bool | None:
        """Return whether the agent can reach what it needs now; None where that is not certain."""
        core = [item.is_reached for item in self.of(Need.CORE)]
        channel = [item.is_reached for item in self.of(Need.CHANNEL)]
        if not core or not channel:
            return None
        if all(core) and any(channel):
            return True
        return None if self.unread or self._is_unclear() else False

    def _is_unclear(self) -> bool:
        needed = (*self.of(Need.CORE), *self.of(Need.CHANNEL))
        return any(item.reach.failure in UNCLEAR for item in needed)

    def of(self, need: Need) -> tuple[Sighting, ...]:
        """Return the endpoints of one need."""
        return tuple(item for item in self.sightings if item.endpoint.need is need)


UNCLEAR: Final = frozenset({"proxy-not-understood", "not-observed"})
"""Failures to look, which say nothing about the agent."""


def _kind(address: str) -> str:
    """Return where an address is; of an IPv6 address the zone is not part.

    >>> _kind("10.0.1.5"), _kind("fd00::5%eth0"), _kind("52.94.1.2")
    ('private', 'private', 'public')
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "public"
    return "public" if found.is_global else "private"


def is_public_name(url: str) -> bool:
    """Tell whether a URL names a host of AWS whose signers are known.

    >>> is_public_name("https://ssm.eu-west-1.amazonaws.com/"), is_public_name("https://[::1]:1")
    (True, False)
    """
    host = url.partition("://")[2].partition("/")[0].partition(":")[0].lower()
    return url.startswith("https://") and host.endswith(tuple(f".{it}" for it in PUBLIC_DOMAINS))
