"""The agent among the snaps."""

from __future__ import annotations

import pytest

from nodecheck.model.agent import Channel, Installation
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.install import Damage, SnapFacts
from nodecheck.model.node import FileKind
from nodecheck.probes import agent_snap
from tests.fake_host import FakeFiles, file_state

YAML = b"""\
name: amazon-ssm-agent
version: 3.3.1142.0
summary: Agent to enable remote management of your Amazon EC2 instance configuration
description: |
  name: another
  version: 9.9.9.9
architectures:
- amd64
base: core22
confinement: classic
"""


def node(
    yaml: bytes | ProbeError | None, revision: str = "7993", mount: str = "/snap"
) -> FakeFiles:
    current = f"{mount}/amazon-ssm-agent/current"
    files = FakeFiles(states={current: file_state(current, kind=FileKind.LINK, target=revision)})
    if yaml is not None:
        files.contents[f"{mount}/amazon-ssm-agent/{revision}/meta/snap.yaml"] = yaml
    return files


def found(version: str = "3.3.1142.0", mount: str = "/snap") -> Installation:
    executable = f"{mount}/amazon-ssm-agent/7993/amazon-ssm-agent"
    return Installation(Channel.SNAP, version, "amazon-ssm-agent_7993", executable)


@pytest.mark.parametrize("mount", ["/snap", "/var/lib/snapd/snap"])
def test_finds_the_mounted_snap(mount: str) -> None:
    assert agent_snap.look(node(YAML, mount=mount)) == SnapFacts((found(mount=mount),))


@pytest.mark.parametrize(
    ("line", "version"),
    [
        (b"version: '3.3.1142.0'", "3.3.1142.0"),
        (b'version: "3.3.1142.0"  # edge', "3.3.1142.0"),
        (b"version: 3.3.1142.0-git", ""),
        (b"version: neueste", ""),
        (b"version: 3.3.1142", ""),
    ],
)
def test_takes_a_version_only_from_four_numbers(line: bytes, version: str) -> None:
    yaml = YAML.replace(b"version: 3.3.1142.0", line)
    assert agent_snap.look(node(yaml)) == SnapFacts((found(version),))


@pytest.mark.parametrize(
    "yaml",
    [
        b"",
        b"\xff\x00" * 100,
        YAML[:30],  # cut before the version
        YAML[:40].replace(b"version", b"Version"),
        YAML.replace(b"name: amazon-ssm-agent", b"name: amazon-cloudwatch-agent"),
        YAML.replace(b"name: amazon-ssm-agent", b"Name: amazon-ssm-agent"),
        YAML + b"version: 9.9.9.9\n",
        b" " * 100_000,
        Denied("x"),
    ],
)
def test_refuses_what_it_does_not_understand(yaml: bytes | ProbeError) -> None:
    with pytest.raises(ProbeError):
        agent_snap.look(node(yaml))


@pytest.mark.parametrize("target", ["", "../../etc", "7993/..", "current", "79a3"])
def test_refuses_a_link_that_leads_elsewhere(target: str) -> None:
    with pytest.raises(ProbeError, match="revision"):
        agent_snap.look(node(YAML, revision=target))


def test_locally_built_revision() -> None:
    facts = agent_snap.look(node(YAML, revision="x1"))
    assert facts.installations[0].package == "amazon-ssm-agent_x1"


def test_tells_a_snap_that_is_not_mounted() -> None:
    damage = Damage(Channel.SNAP, "amazon-ssm-agent_7993", "not mounted")
    assert agent_snap.look(node(None)) == SnapFacts((), (damage,))
    blobs = FakeFiles(
        {
            "/var/lib/snapd/snaps/amazon-ssm-agent_7993.snap": b"",
            "/var/lib/snapd/snaps/amazon-ssm-agent-helper_1.snap": b"",
            "/var/lib/snapd/snaps/core22_1.snap": b"",
        }
    )
    assert agent_snap.look(blobs) == SnapFacts((), (damage,))


def test_proves_that_there_is_none() -> None:
    assert agent_snap.look(FakeFiles()) == SnapFacts(())
    other = FakeFiles({"/var/lib/snapd/snaps/core22_1.snap": b""})
    assert agent_snap.look(other) == SnapFacts(())


def test_does_not_take_an_unread_folder_for_an_empty_one() -> None:
    denied = FakeFiles(states={"/snap/amazon-ssm-agent/current": Denied("x")})
    with pytest.raises(Denied):
        agent_snap.look(denied)
