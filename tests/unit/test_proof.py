"""The commands that the checks on signed files print: what they do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nodecheck.checks.proof import reinstall_fix, survey_problems
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.package import PackageFacts, Unproven
from nodecheck.model.trust import (
    PinnedKey,
    SignatureFact,
    SignatureOutcome,
    SignedPackage,
    Trust,
)
from nodecheck.records import replace

DAY = datetime(2025, 1, 1, tzinfo=UTC)
KEY = PinnedKey("A" * 40, Trust.SSM_AGENT, "Amazon", DAY, None)
GOOD = SignatureFact(SignatureOutcome.GOOD, "", "A" * 16, "sha256", DAY, KEY)
LABEL = "amazon-ssm-agent_3.3.200.0-1_arm64"
PACKAGE = SignedPackage(
    Channel.DEB, "amazon-ssm-agent", "3.3.200.0", LABEL, "arm64", (), GOOD, "x.deb"
)
INSTALLED = Installation(Channel.DEB, "3.3.200.0", LABEL, "/usr/bin/amazon-ssm-agent")
UNKNOWN_VERSION = "${VERSION:?is to be set to the version of this copy}/linux_$(uname -m"


def offered(channel: Channel, reason: str = "no-package") -> str:
    item = Unproven(replace(INSTALLED, channel=channel), reason, "x")
    problems = survey_problems(InstallFacts((), ()), PackageFacts((), (), "", (item,)))
    return problems[0].fix.command if problems[0].fix else ""


def other(channel: Channel) -> tuple[str, str]:
    """Return sentence and command for an agent of a channel that nothing was found about."""
    install = InstallFacts((replace(INSTALLED, channel=channel),), ())
    (found,) = survey_problems(install, PackageFacts((), (), ""))
    assert found.finding.reason == "channel-not-verified"
    return found.finding.message, found.fix.command if found.fix else ""


COMMANDS = [
    *(reinstall_fix(replace(PACKAGE, channel=item)).command for item in Channel),
    *(offered(item) for item in (Channel.DEB, Channel.BY_HAND)),
    *(other(item)[1] for item in (Channel.DEB, Channel.BY_HAND, Channel.SNAP)),
]


def test_a_deb_is_installed_only_after_amazons_key_was_imported_and_has_signed_it() -> None:
    steps = reinstall_fix(PACKAGE).command.split(" && ")
    url = (
        "https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent/3.3.200.0/debian_arm64"
        "/amazon-ssm-agent.deb"
    )
    assert steps == [
        "gpg --import amazon-ssm-agent.gpg",
        "mkdir -p /var/cache/nodecheck",
        "cd /var/cache/nodecheck",
        f'curl -fsSO "{url}" -fsSO "{url}.sig"',
        "gpg --verify amazon-ssm-agent.deb.sig amazon-ssm-agent.deb",
        "dpkg -i amazon-ssm-agent.deb",
    ]


def test_a_copy_by_hand_is_not_mended_by_a_package() -> None:
    by_hand = replace(PACKAGE, channel=Channel.BY_HAND)
    for package, version in (
        (by_hand, "3.3.200.0/linux_$(uname -m"),
        (replace(by_hand, version=""), UNKNOWN_VERSION),
    ):
        command = reinstall_fix(package).command
        assert command.startswith("gpg --import amazon-ssm-agent.gpg && ")
        assert command.endswith(
            "gpg --verify amazon-ssm-agent-binaries.tar.gz.sig amazon-ssm-agent-binaries.tar.gz"
            " && tar -xzf amazon-ssm-agent-binaries.tar.gz"
        )
        assert version in command
        assert "rpm" not in command
    assert UNKNOWN_VERSION in offered(Channel.BY_HAND)


def test_what_an_unproven_package_claims_is_no_command() -> None:
    sly = replace(PACKAGE, version='1"; reboot; "', label='x_"$(reboot)"')
    for command in (
        reinstall_fix(sly).command,
        reinstall_fix(replace(sly, channel=Channel.BY_HAND)).command,
    ):
        assert "reboot" not in command
    assert "/latest/debian_$(dpkg --print-architecture)/" in reinstall_fix(sly).command


def test_offers() -> None:
    assert offered(Channel.DEB, "timeout") == "nodecheck --deadline 120"
    assert offered(Channel.SNAP) == ""
    assert offered(Channel.DEB).endswith(
        " && NODECHECK_TRUST_PACKAGE_DIR=/var/cache/nodecheck nodecheck"
    )


@pytest.mark.parametrize(
    ("channel", "said", "command"),
    [
        (Channel.BY_HAND, "an agent installed by hand is verified only", "trust".upper()),
        (Channel.DEB, "an agent installed by dpkg is verified only", "debian_arm64"),
        (Channel.SNAP, "agent.signature judges the signed image", "--only agent.signature"),
    ],
)
def test_other_channels_say_what_to_do(channel: Channel, said: str, command: str) -> None:
    message, fix = other(channel)
    assert said in message
    assert command in fix


def test_an_rpm_whose_database_could_not_be_read_is_told_once() -> None:
    install = InstallFacts((replace(INSTALLED, channel=Channel.RPM),), ())
    found = survey_problems(install, PackageFacts((), ("rpmdb.sqlite: damaged",), ""))
    assert [item.finding.message for item in found] == ["rpmdb.sqlite: damaged"]
