from __future__ import annotations

import pytest

from nodecheck.aws import endpoints

TABLE = [
    ("us-east-1", "aws", "amazonaws.com"),
    ("ap-southeast-4", "aws", "amazonaws.com"),
    ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
    ("cn-northwest-1", "aws-cn", "amazonaws.com.cn"),
    ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
    ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
    ("us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"),
    ("eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"),
    ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
]


@pytest.mark.parametrize(("region", "partition", "domain"), TABLE)
def test_each_partition_has_its_domain(region: str, partition: str, domain: str) -> None:
    assert endpoints.is_region(region)
    assert endpoints.partition(region) == partition
    assert endpoints.ssm_endpoint(region) == f"https://ssm.{region}.{domain}"
    assert endpoints.release_url(region) == f"https://s3.{region}.{domain}/amazon-ssm-{region}/"


@pytest.mark.parametrize(
    "name", ["", "us-east", "US-EAST-1", "us-east-1\n", "us-east-1.evil.example", "x/../us-east-1"]
)
def test_what_is_no_region_never_becomes_a_host_name(name: str) -> None:
    assert not endpoints.is_region(name)
    with pytest.raises(ValueError, match="not the name of a Region"):
        endpoints.release_url(name)


def test_the_partitions_agree_with_botocore() -> None:
    import botocore.session

    session = botocore.session.Session()
    for region, partition, _ in TABLE:
        assert session.get_partition_for_region(region) == partition
