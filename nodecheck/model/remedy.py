"""The commands that mend an installation, one for each install channel. nodecheck runs none.

Addresses: https://docs.aws.amazon.com/systems-manager/latest/userguide/manually-install-ssm-agent-linux.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel
from nodecheck.model.verdict import Fix

if TYPE_CHECKING:
    from nodecheck.model.agent import Installation
    from nodecheck.model.node import NodeFacts

GLOBAL_BUCKET: Final = "https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent/latest"
_NODE: Final = re.compile(r"m?i-[0-9a-f]{8,17}")
_REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")
_RPM_ARCH: Final = "$(uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')"
_RPM_URL: Final = f"{GLOBAL_BUCKET}/linux_{_RPM_ARCH}/amazon-ssm-agent.rpm"
_DEB_URL: Final = f"{GLOBAL_BUCKET}/debian_$(dpkg --print-architecture)/amazon-ssm-agent.deb"
_WINDOWS_URL: Final = f"{GLOBAL_BUCKET}/windows_amd64/AmazonSSMAgentSetup.exe"


def install_fix(channel: Channel, package_url: str = "") -> Fix:
    """Return the command that installs or updates the agent; '' means the newest package."""
    if channel is Channel.DEB:
        url = package_url or _DEB_URL
        return Fix(f'curl -fsSLO "{url}" && dpkg -i amazon-ssm-agent.deb', disruptive=True)
    if channel is Channel.SNAP:
        return Fix(
            "snap refresh amazon-ssm-agent || snap install amazon-ssm-agent --classic",
            disruptive=True,
        )
    if channel is Channel.WINDOWS:
        command = (
            f"Invoke-WebRequest {package_url or _WINDOWS_URL} -OutFile $env:TEMP\\ssm.exe; "
            "Start-Process -Wait $env:TEMP\\ssm.exe -ArgumentList /S"
        )
        return Fix(command, "powershell", disruptive=True)
    return Fix(f'rpm -U "{package_url or _RPM_URL}"', disruptive=True)


def update_fix(installation: Installation, package_url: str = "") -> Fix:
    """Return the command that updates an installed agent from where it came."""
    if is_of_amazon_linux(installation):  # yum is dnf on Amazon Linux 2023
        return Fix("yum update -y amazon-ssm-agent", disruptive=True)
    return install_fix(installation.channel, package_url)


def send_update_fix(node: NodeFacts | None) -> tuple[Fix, ...]:
    """Return the command that has Systems Manager update this node, where the node is known."""
    if node is None or not _NODE.fullmatch(node.node_id) or not _REGION.fullmatch(node.region):
        return ()  # what a file of the node says is no part of a command, unless it has the form
    command = (
        "aws ssm send-command --document-name AWS-UpdateSSMAgent"
        f" --instance-ids {node.node_id} --region {node.region}"
    )
    return (Fix(command, disruptive=True),)


def is_of_amazon_linux(installation: Installation) -> bool:
    """Tell whether the package is that of Amazon Linux itself, by its release."""
    return installation.channel is Channel.RPM and ".amzn" in installation.package


def remove_fix(installation: Installation) -> Fix:
    """Return the command that takes one installation off the node."""
    commands = {
        Channel.RPM: "rpm -e amazon-ssm-agent",
        Channel.DEB: "dpkg --purge amazon-ssm-agent",
        Channel.SNAP: "snap remove amazon-ssm-agent",
        Channel.BY_HAND: f"rm '{installation.executable}'",
        Channel.WINDOWS: "Get-Package 'Amazon SSM Agent' | Uninstall-Package",
    }
    shell = "powershell" if installation.channel is Channel.WINDOWS else "sh"
    return Fix(commands[installation.channel], shell, disruptive=True)


def restart_fix(channel: Channel) -> Fix:
    """Return the command that starts the installed agent anew."""
    if channel is Channel.SNAP:
        return Fix("snap restart amazon-ssm-agent", disruptive=True)
    if channel is Channel.WINDOWS:
        return Fix("Restart-Service AmazonSSMAgent", "powershell", disruptive=True)
    return Fix("systemctl restart amazon-ssm-agent", disruptive=True)
