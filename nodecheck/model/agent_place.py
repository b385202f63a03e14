"""Where the agent keeps what it knows, on each platform.

Source: agent/appconfig/constants_unix.go and constants_windows.go of
https://github.com/aws/amazon-ssm-agent (3.3.1142.0).
"""

from __future__ import annotations

from typing import Final

from nodecheck.records import dataclass


@dataclass(frozen=True, slots=True)
class AgentPlace:
    """Folders of one platform: the agent's data, its logs, and the files of its configuration.

    ``configs`` are tried in this order; where none is there, the agent runs on its defaults.
    ``instances`` holds a folder for each node id that the agent had, ``credentials`` is the file
    that the agent writes where AWS manages the host by default (DHMC). ``home`` is that of the user
    as whom it runs, ``programs`` the folder of its programs.
    """

    data: str
    logs: str
    configs: tuple[str, ...]
    instances: str
    credentials: str
    home: str
    programs: str

    @property
    def log(self) -> str:
        """Return the main log, in local time without a zone."""
        return f"{self.logs}/amazon-ssm-agent.log"

    @property
    def error_log(self) -> str:
        """Return the log of errors alone."""
        return f"{self.logs}/errors.log"

    @property
    def hibernate_log(self) -> str:
        """Return the log that is written while the agent hibernates; it stays afterwards."""
        return f"{self.logs}/hibernate.log"

    @property
    def update_log(self) -> str:
        """Return the log of the updater."""
        return f"{self.logs}/AmazonSSMAgent-update.txt"

    @property
    def audits(self) -> str:
        """Return the folder of the audit files."""
        return f"{self.logs}/audits"

    @property
    def identity_config(self) -> str:
        """Return the file that says as whom the agent acts; it holds no key."""
        return f"{self.data}/runtimeconfig/identity_config.json"

    @property
    def registration(self) -> str:
        """Return the file of a hybrid registration; it holds no key."""
        return f"{self.instances}/registration"

    @property
    def vault(self) -> str:
        """Return the folder of the keys."""
        return f"{self.instances}/Vault"

    def custom_inventory(self, node_id: str) -> str:
        """Return the folder from which the agent takes custom inventory, unless it is told one."""
        return f"{self.instances}/{node_id}/inventory/custom"


LINUX: Final = AgentPlace(
    "/var/lib/amazon/ssm",
    "/var/log/amazon/ssm",
    (
        "/usr/bin/configuration/amazon-ssm-agent.json",
        "/etc/amazon/ssm/amazon-ssm-agent.json",
    ),
    "/var/lib/amazon/ssm",
    "/var/lib/amazon/ssm/credentials",
    "/root",
    "/usr/bin",
)
WINDOWS: Final = AgentPlace(
    "C:/ProgramData/Amazon/SSM",
    "C:/ProgramData/Amazon/SSM/Logs",
    (
        "C:/Program Files/Amazon/SSM/configuration/amazon-ssm-agent.json",
        "C:/Program Files/Amazon/SSM/amazon-ssm-agent.json",
    ),
    "C:/ProgramData/Amazon/SSM/InstanceData",
    "C:/Program Files/Amazon/SSM/credentials",
    "C:/Windows/System32/config/systemprofile",
    "C:/Program Files/Amazon/SSM",
)


def is_windows(path: str) -> bool:
    """Tell whether a path is one of Windows: it begins with a drive.

    >>> is_windows("C:/ProgramData"), is_windows("/var")
    (True, False)
    """
    return path[1:2] == ":"


def place_of(system: str) -> AgentPlace:
    """Return the place of a platform, as ``Platform.system`` names it."""
    return WINDOWS if system == "windows" else LINUX
