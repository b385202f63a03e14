"""The agent in the dpkg database."""

from __future__ import annotations

import pytest

from nodecheck.model.agent import Channel, Installation
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.install import Damage, DebFacts
from nodecheck.probes import agent_deb
from tests.fake_host import FakeFiles

AGENT = """\
Package: amazon-ssm-agent
Status: {status}
Priority: extra
Section: admin
Installed-Size: 110592
Maintainer: Amazon.com, Inc. <ec2-ssm-feedback@amazon.com>
Architecture: amd64
Version: {version}
Description: Amazon SSM Agent
 Package: amazon-ssm-agent
 Version: 9.9.9.9
 .
 Status: install ok not-installed
Homepage: https://github.com/aws/amazon-ssm-agent
"""
OTHERS = """\
Package: amazon-ssm-agent-helper
Status: install ok installed
Architecture: all
Version: 1.2.3.4-1
Depends: amazon-ssm-agent

Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2
"""


def status(agent: str = "", *, before: str = OTHERS, after: str = OTHERS) -> bytes:
    return "\n".join(part for part in (before, agent, after) if part).encode()


def agent(state: str = "install ok installed", version: str = "3.3.1142.0-1") -> str:
    return AGENT.format(status=state, version=version)


def look(content: bytes | ProbeError, **more: bytes) -> DebFacts:
    return agent_deb.look(FakeFiles({agent_deb.STATUS: content, **more}))


def found(version: str = "3.3.1142.0", package: str = "3.3.1142.0-1") -> Installation:
    return Installation(
        Channel.DEB, version, f"amazon-ssm-agent_{package}_amd64", "/usr/bin/amazon-ssm-agent"
    )


@pytest.mark.parametrize(
    "content",
    [
        status(agent()),
        status(agent(), before=""),
        status(agent(), after=""),
        status(agent("hold ok installed")),  # apt-mark hold
        status(agent("deinstall ok installed")),  # to be removed, still there
        status(agent().replace("Package:", "PACKAGE:", 1)),
        status(agent().replace("Package: ", "Package:\t", 1)),
        status(agent()).replace(b"Amazon.com, Inc.", "Überstraße 日本語".encode("utf-16")),
    ],
)
def test_finds_the_installed_agent(content: bytes) -> None:
    assert look(content) == DebFacts((found(),))


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ("3.3.1142.0-1", "3.3.1142.0"),
        ("1:3.3.1142.0-1ubuntu2", "3.3.1142.0"),
        ("3.3.1142.0", "3.3.1142.0"),
        ("3.3.1142.0~rc1", ""),
        ("3.3.1142", ""),
        ("3.3.1142.0.5-1", ""),
        ("neueste", ""),
    ],
)
def test_takes_a_version_only_from_four_numbers(package: str, version: str) -> None:
    assert look(status(agent(version=package))) == DebFacts((found(version, package),))


@pytest.mark.parametrize(
    "content",
    [
        status(),
        b"",
        b"\x00\xff" * 1000,
        OTHERS.replace("Package: bash", " Package: amazon-ssm-agent").encode(),
        status(agent("deinstall ok config-files")),
        status("Package: amazon-ssm-agent\nStatus: purge ok not-installed\n"),
    ],
)
def test_proves_that_there_is_none(content: bytes) -> None:
    facts = look(content)
    assert facts == DebFacts(())
    assert facts.present


def test_a_node_without_dpkg_has_none() -> None:
    assert agent_deb.look(FakeFiles()) == DebFacts((), present=False)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, status()])
def test_a_database_that_lost_the_package_proves_nothing(content: bytes) -> None:
    with pytest.raises(ProbeError, match=r"amazon-ssm-agent"):
        look(content, **{agent_deb.FILE_LIST: b"/."})


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("install ok half-installed", "half-installed"),
        ("install ok half-configured", "half-configured"),
        ("install ok unpacked", "unpacked"),
        ("install ok triggers-awaited", "triggers-awaited"),
        ("install reinstreq half-installed", "half-installed, reinstallation required"),
        ("install reinstreq installed", "installed, reinstallation required"),
    ],
)
def test_tells_an_unfinished_package(state: str, told: str) -> None:
    damage = Damage(Channel.DEB, "amazon-ssm-agent_3.3.1142.0-1_amd64", told)
    assert look(status(agent(state))) == DebFacts((), (damage,))


@pytest.mark.parametrize(
    "content",
    [
        status(agent("installiert")),
        status(agent("install ok")),
        status(agent("install ok installed now")),
        status(agent("install ok Installed")),
        status(agent("install nearly installed")),
        status(agent(""), after=""),
        status(agent(), after="").rstrip(b"\n"),
        status("Package: amazon-ssm-agent\n"),
        status("Package: amazon-ssm-agent\nStatus: install ok installed\nArchitecture: amd64\n"),
        status("Package: amazon-ssm-agent\nStatus: install ok installed\nVersion: 3.3.1.0\n"),
        # stanzas that run into each other must not lend their versions
        status(agent()).replace(b"\n\n", b"\n \n"),
        status(agent()).replace(b"\n", b"\r\n"),
        status(agent()).replace(b"\nVersion: 3", b"\nVersion: 3.3.1.0-1\nVersion: 3"),
    ],
)
def test_refuses_what_it_does_not_understand(content: bytes) -> None:
    with pytest.raises(ProbeError) as caught:
        look(content)
    assert caught.value.reason == "not-understood"


def test_every_truncation_is_told_or_proven() -> None:
    whole = status(agent(), before="")
    for length in range(len(whole)):
        try:
            facts = look(whole[:length])
        except ProbeError:
            continue
        assert not facts.damaged
        assert facts.installations in {(), (found(),)}


def test_finds_two_architectures() -> None:
    facts = look(status(agent(), after=agent().replace("amd64", "i386")))
    assert [item.package.rpartition("_")[2] for item in facts.installations] == ["amd64", "i386"]


@pytest.mark.parametrize("error", [Denied("x"), ProbeError("too large", "too-large")])
def test_does_not_take_an_unread_database_for_an_empty_one(error: ProbeError) -> None:
    with pytest.raises(type(error)):
        look(error)


def test_an_oversized_database_is_not_read() -> None:
    with pytest.raises(ProbeError, match="larger"):
        look(b"\n" * (agent_deb.LIMIT_BYTES + 1))
