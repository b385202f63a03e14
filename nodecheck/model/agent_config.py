"""The agent's own configuration, as far as it decides where and as whom it works.

Source: agent/appconfig/contracts.go and constants.go of https://github.com/aws/amazon-ssm-agent
(3.3.1142.0): an empty value means the agent's default.
"""

from __future__ import annotations

from typing import Final

from nodecheck.records import dataclass

DEFAULT_ORDER: Final = ("OnPrem", "EC2", "CustomIdentity")
"""Identity.ConsumptionOrder where the file says nothing: the first that fits wins."""


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """What ``amazon-ssm-agent.json`` says; ``path`` '' where no such file is there.

    ``problems`` are sentences about what the agent would ignore or misread in it. ``refused`` says
    why it does not start with this file, '' where it does; it still runs if it started earlier.
    """

    path: str = ""
    region: str = ""
    service_domain: str = ""
    ssm_endpoint: str = ""
    mds_endpoint: str = ""
    mgs_endpoint: str = ""
    mgs_region: str = ""
    s3_endpoint: str = ""
    kms_endpoint: str = ""
    share_credentials: bool = True
    share_profile: str = ""
    self_update: bool = False
    order: tuple[str, ...] = DEFAULT_ORDER
    problems: tuple[str, ...] = ()
    refused: str = ""
