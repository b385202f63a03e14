"""One service of Windows, in the numbers of its service control manager: no word is translated.

Source: winsvc.h; QueryServiceConfigW and QueryServiceStatusEx of learn.microsoft.com.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from nodecheck.records import dataclass

LOCAL_SYSTEM: Final = frozenset({"localsystem", "nt authority\\system", ".\\localsystem"})
"""How the account of a service names SYSTEM, in small letters; it is the same in every language."""


class StartType(Enum):
    """When a service is started."""

    BOOT = 0
    SYSTEM = 1
    AUTOMATIC = 2
    MANUAL = 3
    DISABLED = 4


class ServicePhase(Enum):
    """What a service is doing."""

    STOPPED = 1
    STARTING = 2
    STOPPING = 3
    RUNNING = 4
    CONTINUING = 5
    PAUSING = 6
    PAUSED = 7


@dataclass(frozen=True, slots=True)
class WindowsService:
    """One service. ``command`` is its ImagePath with variables expanded, quoted or not.

    ``exit_code`` is how it ended last, a Win32 error: 0 for well, 1077 for never started since
    boot, 1066 for ``own_exit_code``, a number of its own. ``pid`` is 0 where it does not run.
    """

    name: str
    phase: ServicePhase
    start: StartType
    command: str
    account: str
    pid: int
    exit_code: int
    own_exit_code: int = 0

    @property
    def is_system(self) -> bool:
        """Tell whether it runs as SYSTEM."""
        return self.account.lower() in LOCAL_SYSTEM


def image_of(command: str) -> str:
    r"""Return the program in a service's command, '' where that cannot be told.

    Without quotes the name ends after the first ``.exe`` that a blank or the end follows; Windows
    itself tries each blank as the end, which is why such a command with a blank is a weakness.

    >>> image_of('"C:\\Program Files\\Amazon\\SSM\\amazon-ssm-agent.exe" -x')
    'C:\\Program Files\\Amazon\\SSM\\amazon-ssm-agent.exe'
    >>> image_of("C:\\Program Files\\Amazon\\SSM\\amazon-ssm-agent.exe")
    'C:\\Program Files\\Amazon\\SSM\\amazon-ssm-agent.exe'
    """
    command = command.strip()
    if command.startswith('"'):
        return command[1:].partition('"')[0]
    found = re.match(r".*?\.exe(?=\s|$)", command, re.IGNORECASE)
    return found[0] if found else command.partition(" ")[0]


def is_ambiguous(command: str) -> bool:
    r"""Tell whether Windows may start another program: blanks in a name without quotes.

    >>> is_ambiguous("C:\\Program Files\\a.exe"), is_ambiguous("C:\\a.exe -x")
    (True, False)
    """
    command = command.strip()
    return not command.startswith('"') and " " in image_of(command)
