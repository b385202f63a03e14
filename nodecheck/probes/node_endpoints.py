"""Reach for every endpoint that this node's agent uses, by the agent's own settings.

Names, overrides and proxy are the agent's: ``<service>.<region>.<domain>`` with the domain of the
partition or ``Agent.ServiceDomain`` (common/identity/endpoint/endpoint.go of
https://github.com/aws/amazon-ssm-agent), overrides from amazon-ssm-agent.json, proxy and trust from
the environment of its service. nodecheck's own environment does not count: what it could reach is
not the question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from nodecheck.aws.endpoints import domain, is_region
from nodecheck.model.agent_config_parse import mgs_host
from nodecheck.model.agent_proxy import AgentProxy
from nodecheck.model.endpoints import (
    TIMEOUT_S,
    Endpoint,
    EndpointFacts,
    Need,
    Sighting,
    Target,
)
from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.host.door import Host
    from nodecheck.model.agent_config import AgentConfig

HTTPS_PORT: Final = 443


def look(
    host: Host, config: AgentConfig, proxy: AgentProxy | ProbeError, region: tuple[str, str]
) -> EndpointFacts:
    """Return how far each endpoint was reached; ``region`` is the node's, with its source.

    Raises:
        ProbeError: the Region is needed and not known (``no-region``), or the agent's bundle of
            certificates cannot be used.
    """
    name, source = region
    if config.region:
        name, source = config.region, f"Agent.Region in {config.path}"
    endpoints = used(config, name)
    known = proxy if isinstance(proxy, AgentProxy) else AgentProxy(unread=(str(proxy),))
    targets = tuple(Target(item.url, _proxy(known, item.url)) for item in endpoints)
    reaches = host.network.reach(targets, known.ca_file, TIMEOUT_S)
    return EndpointFacts(
        region=name,
        region_source=source,
        sightings=tuple(Sighting(*pair) for pair in zip(endpoints, reaches, strict=True)),
        proxy_source=known.source if known.https_proxy else "",
        unread=known.unread,
        problems=config.problems,
        refused=config.refused,
    )


def used(config: AgentConfig, region: str) -> tuple[Endpoint, ...]:
    """Return the endpoints that the agent uses with this configuration in this Region.

    Raises:
        ProbeError: not all that it needs can be named without a Region (``no-region``).
    """
    found = tuple(item for item in _named(config, region) if item.url)
    needs = {item.need for item in found}
    if not {Need.CORE, Need.CHANNEL} <= needs:
        origin = f"Agent.Region {config.region!r} is no Region's name" if config.region else ""
        text = origin or "give --region, or set node.region or AWS_REGION"
        msg = f"the Region of the agent's endpoints is not known: {text}"
        raise ProbeError(msg, "no-region")
    return found


def _named(config: AgentConfig, region: str) -> Iterator[Endpoint]:
    """Yield every endpoint; one that needs an unknown Region has no URL."""
    default = _Namer(config, region)
    mgs = mgs_host(config.mgs_endpoint) if config.mgs_endpoint else None
    ssm, mds = _with_scheme(config.ssm_endpoint), _with_scheme(config.mds_endpoint)
    yield default.pick("ssm", Need.CORE, ssm, "Ssm.Endpoint")
    mgs_default = _Namer(config, config.mgs_region or region)
    mgs_url = f"https://{mgs}" if mgs else ""
    yield mgs_default.pick("ssmmessages", Need.CHANNEL, mgs_url, "Mgs.Endpoint")
    yield default.pick("ec2messages", Need.CHANNEL, mds, "Mds.Endpoint")
    bucket = f"/amazon-ssm-{region}/latest/VERSION"
    yield default.pick("s3", Need.UPDATES, path=bucket)
    if config.s3_endpoint:
        url = _with_scheme(config.s3_endpoint)
        yield Endpoint("s3-output", url, Need.OPTIONAL, "S3.Endpoint")
    yield default.pick("kms", Need.OPTIONAL, _with_scheme(config.kms_endpoint), "Kms.Endpoint")
    yield default.pick("logs", Need.OPTIONAL)
    yield default.pick("monitoring", Need.OPTIONAL)


class _Namer:
    """Names the endpoints of a Region where nothing overrides them."""

    def __init__(self, config: AgentConfig, region: str) -> None:
        self._region = region if is_region(region) else ""
        self._domain = config.service_domain or (domain(region) if self._region else "")
        self._origin = "Agent.ServiceDomain" if config.service_domain else ""

    def pick(
        self, service: str, need: Need, override: str = "", key: str = "", path: str = "/"
    ) -> Endpoint:
        if override:
            return Endpoint(service, override, need, key)
        if not self._region:
            return Endpoint(service, "", need)
        return Endpoint(
            service, f"https://{service}.{self._region}.{self._domain}{path}", need, self._origin
        )


def _with_scheme(endpoint: str) -> str:
    """Return an override as the AWS SDK takes it: TLS where it names no scheme.

    >>> _with_scheme("127.0.0.1:8443"), _with_scheme("http://127.0.0.1:8443"), _with_scheme("")
    ('https://127.0.0.1:8443', 'http://127.0.0.1:8443', '')
    """
    return endpoint if "://" in endpoint or not endpoint else f"https://{endpoint}"


def _proxy(proxy: AgentProxy, url: str) -> str:
    """Return the proxy by which the agent reaches a URL; plain HTTP is for labs, without one."""
    try:
        parts = urlsplit(url)
        port = parts.port or HTTPS_PORT
    except ValueError:
        return ""  # the connection will say what is wrong with the URL
    if parts.scheme != "https":
        return ""
    return proxy.proxy_of(parts.hostname or "", port)
