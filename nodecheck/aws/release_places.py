"""Name the buckets in which this node's agent finds its releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.aws.endpoints import is_region, release_url
from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from nodecheck.model.agent_config import AgentConfig


def places(setting: str, region: str, config: AgentConfig) -> tuple[str, ...]:
    """Return the base URLs at which to ask, in order: what the operator says, else as the agent.

    The agent's own S3 endpoint may be one that serves only the logs that the agent uploads, so the
    Region's bucket is asked after it.

    >>> from nodecheck.model.agent_config import AgentConfig
    >>> places("", "eu-west-1", AgentConfig(s3_endpoint="s3.vpce.example"))[0]
    'https://s3.vpce.example/amazon-ssm-eu-west-1/'

    Raises:
        ProbeError: neither a base nor a Region is known.
    """
    if setting:
        return (setting,)
    region = config.region or region
    if not is_region(region):
        msg = "the Region is not known: set node.region or AWS_REGION"
        raise ProbeError(msg, "no-region")
    bucket = f"/amazon-ssm-{region}/"
    found = []
    if config.s3_endpoint:
        address = config.s3_endpoint.rstrip("/")
        found.append((address if "://" in address else f"https://{address}") + bucket)
    if config.service_domain:
        found.append(f"https://s3.{region}.{config.service_domain}{bucket}")
    return (*found, release_url(region))
