"""Name the AWS endpoints of a Region: partition, domain, and the URLs the SSM Agent uses.

The domains are those of the agent itself (amazon-ssm-agent, common/identity/endpoint/endpoint.go,
lines 26-41); the partitions are the second field of an ARN (AWS General Reference). China is the
only public partition with a domain of its own; GovCloud shares ``amazonaws.com``.
"""

from __future__ import annotations

import re
from typing import Final

_DOMAINS: Final = (
    ("cn-", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com"),
    ("us-iso-", "aws-iso", "c2s.ic.gov"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk"),
    ("eusc-de-", "aws-eusc", "amazonaws.eu"),
)
"""Prefix of a Region's name, its partition, its domain; any other Region is in ``aws``."""

_REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")


def is_region(name: str) -> bool:
    """Tell whether a text has the form of a Region's name; unknown Regions pass.

    >>> [is_region(name) for name in ("eu-central-1", "us-gov-west-1", "mars", "eu-west-1.evil")]
    [True, True, False, False]
    """
    return _REGION.fullmatch(name) is not None


def partition(region: str) -> str:
    """Return the partition of a Region, as ARNs spell it.

    >>> partition("cn-north-1"), partition("us-gov-west-1"), partition("us-east-1")
    ('aws-cn', 'aws-us-gov', 'aws')
    """
    return _row(region)[0]


def domain(region: str) -> str:
    """Return the DNS suffix of a Region's endpoints.

    >>> domain("cn-north-1"), domain("eu-isoe-west-1"), domain("eu-west-1")
    ('amazonaws.com.cn', 'cloud.adc-e.uk', 'amazonaws.com')
    """
    return _row(region)[1]


def ssm_endpoint(region: str) -> str:
    """Return the URL of the Region's Systems Manager endpoint.

    >>> ssm_endpoint("cn-north-1")
    'https://ssm.cn-north-1.amazonaws.com.cn'
    """
    return f"https://ssm.{region}.{domain(region)}"


def release_url(region: str) -> str:
    """Return the base, with a slash at its end, of the agent's releases in a Region.

    >>> release_url("eu-west-1")
    'https://s3.eu-west-1.amazonaws.com/amazon-ssm-eu-west-1/'
    """
    return f"https://s3.{region}.{domain(region)}/amazon-ssm-{region}/"


def _row(region: str) -> tuple[str, str]:
    """Return partition and domain.

    Raises:
        ValueError: not the name of a Region, so no host name may be built from it.
    """
    if not is_region(region):
        msg = f"not the name of a Region: {region!r}"
        raise ValueError(msg)
    for prefix, name, suffix in _DOMAINS:
        if region.startswith(prefix):
            return name, suffix
    return "aws", "amazonaws.com"
