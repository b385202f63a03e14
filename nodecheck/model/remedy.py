"""The commands that mend an installation, one for each install channel. nodecheck runs none.

Addresses: https://docs.aws.amazon.com/systems-manager/latest/userguide/manually-install-ssm-agent-linux.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel
from nodecheck.model.verdict import Fix

if TYPE_CHECKING:
    from nodecheck.model.agent import Installation

GLOBAL_BUCKET: Final = "https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent/latest"
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
