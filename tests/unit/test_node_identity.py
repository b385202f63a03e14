"""Who this node is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from nodecheck.model.agent_place import LINUX
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.node import NodeFacts
from nodecheck.probes import node_identity
from tests.fake_host import FakeFiles, fake_host

CONFIG = LINUX.identity_config
REGISTRATION = LINUX.registration
VENDOR = "/sys/class/dmi/id/sys_vendor"
TAG = "/sys/class/dmi/id/board_asset_tag"
HYBRID = "mi-0123456789abcdef0"
EC2 = "i-0123456789abcdef0"


def text(**members: object) -> bytes:
    return json.dumps(members).encode()


@dataclass
class Metadata:
    """An instance metadata service that counts its questions."""

    answer: bytes | ProbeError
    asked: list[str] = field(default_factory=list)

    def __call__(self, path: str) -> bytes:
        self.asked.append(path)
        if isinstance(self.answer, ProbeError):
            raise self.answer
        return self.answer


DOCUMENT = text(region="eu-north-1", instanceId=EC2, accountId="123456789012", version="2017-09-30")


def look(
    contents: dict[str, bytes | ProbeError],
    region: str = "",
    metadata: Metadata | None = None,
    **environment: str,
) -> NodeFacts:
    host = fake_host(files=FakeFiles(contents), environment=environment)
    return node_identity.look(host, region, metadata)


def test_a_node_that_tells_nothing_is_nobody() -> None:
    assert look({}) == NodeFacts("", "", "", "", "", is_ec2=False)


def test_order_of_the_regions() -> None:
    everything: dict[str, bytes | ProbeError] = {
        REGISTRATION: text(ManagedInstanceID=HYBRID, Region="eu-west-3"),
        VENDOR: b"Amazon EC2\n",
    }
    service = Metadata(DOCUMENT)
    variables = {"AWS_REGION": "us-east-1", "AWS_SSM_REGION_NAME": "us-east-2"}
    found = [
        look(everything, "eu-central-1", service, **variables),
        look(everything, "", service, **variables),
        look(everything, "", service, AWS_SSM_REGION_NAME="us-east-2"),
        look(everything, "", service),
        look({VENDOR: b"Amazon EC2"}, "", service),
    ]
    assert [(facts.region, facts.region_source) for facts in found] == [
        ("eu-central-1", "setting node.region"),
        ("us-east-1", "AWS_REGION"),
        ("us-east-2", "AWS_SSM_REGION_NAME"),
        ("eu-west-3", REGISTRATION),
        ("eu-north-1", "instance metadata"),
    ]


@pytest.mark.parametrize(
    "region",
    [
        "evil.example/",
        "us-east-1.evil.example",
        "US-EAST-1",
        "us-east",
        "@evil",
        "us east-1",
        "../",
    ],
)
def test_a_region_that_is_none_never_becomes_a_host_name(region: str) -> None:
    registration: dict[str, bytes | ProbeError] = {REGISTRATION: text(Region=region)}
    assert look(registration, region, AWS_REGION=region).region == ""


@pytest.mark.parametrize(
    "region", ["us-gov-west-1", "cn-north-1", "eusc-de-east-1", "us-isob-east-1"]
)
def test_regions_of_other_partitions(region: str) -> None:
    assert look({}, AWS_REGION=region).region == region


def test_order_of_the_node_ids() -> None:
    ids = [f"i-{n:017x}" for n in range(5)]
    config: dict[str, bytes | ProbeError] = {CONFIG: text(InstanceId=ids[0], IdentityType="EC2")}
    registration: dict[str, bytes | ProbeError] = {REGISTRATION: text(ManagedInstanceID=ids[1])}
    board: dict[str, bytes | ProbeError] = {VENDOR: b"Amazon EC2\n", TAG: ids[4].encode() + b"\n"}
    service = Metadata(text(instanceId=ids[3]))
    found = [
        look(config | registration | board, "", service, AWS_SSM_INSTANCE_ID=ids[2]),
        look(registration | board, "", service, AWS_SSM_INSTANCE_ID=ids[2]),
        look(board, "", service, AWS_SSM_INSTANCE_ID=ids[2]),
        look(board, "", service),
        look(board),
    ]
    assert [facts.node_id for facts in found] == ids


@pytest.mark.parametrize(
    ("config", "node_id", "kind"),
    [
        (text(InstanceId=HYBRID, IdentityType="OnPrem"), HYBRID, "hybrid"),
        (text(InstanceId=EC2, IdentityType="EC2"), EC2, "ec2"),
        (text(InstanceId=EC2, IdentityType="CustomIdentity"), EC2, "custom"),
        (text(InstanceId=HYBRID), HYBRID, "hybrid"),
        (text(InstanceId="i-1a2b3c4d"), "i-1a2b3c4d", "ec2"),
        (text(InstanceId="i-XYZ; rm -rf /"), "", ""),
        (text(InstanceId=7), "", ""),
        (text(InstanceId=[EC2]), "", ""),
        (text(IdentityType="Neu"), "", ""),
        (b"", "", ""),
        (b'{"InstanceId": "i-0123456789abcdef0"', "", ""),
        (b"[" * 50_000, "", ""),
        (b"[]", "", ""),
        (b"\xff\x00", "", ""),
        (b" " * 100_000, "", ""),
        (Denied("x"), "", ""),
    ],
)
def test_identity_config(config: bytes | ProbeError, node_id: str, kind: str) -> None:
    facts = look({CONFIG: config})
    assert (facts.node_id, facts.kind) == (node_id, kind)


@pytest.mark.parametrize(
    ("contents", "is_ec2"),
    [
        ({VENDOR: b"Amazon EC2\n"}, True),
        ({VENDOR: b"Xen\n", "/sys/hypervisor/uuid": b"ec2e1916-9099\n"}, True),
        ({VENDOR: b"Xen\n", "/sys/class/dmi/id/product_uuid": b"EC2E1916-9099\n"}, True),
        ({VENDOR: b"Amazon EC2 lookalike\n"}, False),
        ({VENDOR: b"QEMU\n", "/sys/class/dmi/id/product_uuid": Denied("x")}, False),
        ({VENDOR: b"Xen\n", "/sys/hypervisor/uuid": b"00ec2000-9099\n"}, False),
    ],
)
def test_is_ec2_only_by_the_firmware(
    contents: dict[str, bytes | ProbeError],
    is_ec2: bool,  # noqa: FBT001 - a table
) -> None:
    service = Metadata(DOCUMENT)
    facts = look(contents, "", service)
    assert facts.is_ec2 is is_ec2
    assert bool(service.asked) is is_ec2  # nobody else's service is asked
    assert facts.account == ("123456789012" if is_ec2 else "")


def test_the_board_of_another_maker_names_no_node() -> None:
    assert look({VENDOR: b"ACME\n", TAG: EC2.encode()}).node_id == ""


def test_metadata_that_does_not_answer_is_no_error() -> None:
    board: dict[str, bytes | ProbeError] = {VENDOR: b"Amazon EC2\n", TAG: EC2.encode()}
    for answer in (ProbeError("no route"), b"<html>", b"[]"):
        facts = look(board, "", Metadata(answer))
        assert (facts.node_id, facts.region, facts.account) == (EC2, "", "")


def test_never_reads_the_vault() -> None:
    asked: list[str] = []

    class Watched(FakeFiles):
        def read(self, path: str, limit_bytes: int, *, follow: bool = False) -> bytes:
            asked.append(path)
            return super().read(path, limit_bytes, follow=follow)

    node_identity.look(fake_host(files=Watched()), "")
    assert asked
    assert not [path for path in asked if "vault" in path.lower() or "credentials" in path]
