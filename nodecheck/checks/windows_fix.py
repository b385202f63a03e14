"""The commands that mend what surrounds the agent on Windows; nodecheck runs none of them.

Sources: about_Quoting_Rules, Get-ChildItem, Set-Disk, icacls of learn.microsoft.com; the places are
those of agent/appconfig/constants_windows.go of https://github.com/aws/amazon-ssm-agent.
"""

from __future__ import annotations

from typing import Final

from nodecheck.model.agent_place import WINDOWS
from nodecheck.model.authenticode import SERVICE, SERVICE_KEY
from nodecheck.model.verdict import Fix

SHELL: Final = "powershell"


def quoted(path: str) -> str:
    r"""Return a path as PowerShell reads it literally.

    >>> quoted("C:/ProgramData/O'Neill")
    "'C:\\ProgramData\\O''Neill'"
    """
    return "'" + path.replace("/", "\\").replace("'", "''") + "'"


CLEAN: Final = Fix(
    f"Get-ChildItem {quoted(WINDOWS.instances + '/*/document/orchestration/*')} -Directory"
    " | Where-Object LastWriteTime -lt (Get-Date).AddDays(-14) | Remove-Item -Recurse -Force",
    SHELL,
)
LOGS: Final = Fix(
    f"Get-ChildItem {quoted(WINDOWS.logs)} | Sort-Object Length -Descending;"
    f" Select-String minlevel {quoted(WINDOWS.programs + '/seelog.xml')}",
    SHELL,
)
UPDATE_LOG: Final = Fix(f"Get-Content -Tail 50 {quoted(WINDOWS.update_log)}", SHELL)
UNLOCK: Final = Fix(
    "if (-not (Get-Process updater -ErrorAction SilentlyContinue))"
    f" {{ Remove-Item {quoted(WINDOWS.data + '/update.lock')} }}",
    SHELL,
)
_KEY: Final = SERVICE_KEY.replace("HKLM\\", "HKLM:\\")
PROXY: Final = (
    Fix(f"(Get-ItemProperty {quoted(_KEY)}).Environment", SHELL),
    Fix(
        f"Set-ItemProperty {quoted(_KEY)} Environment -Type MultiString"
        " -Value 'https_proxy=http://HOST:PORT','no_proxy=169.254.169.254'",
        SHELL,
    ),
    Fix(f"Restart-Service {SERVICE}", SHELL, disruptive=True),
)


def largest(at: str) -> Fix:
    """Return the command that lists what takes the most room on the volume of a path."""
    return Fix(
        f"Get-ChildItem {quoted(_root(at))} -Force -Recurse -File -ErrorAction SilentlyContinue"
        " | Sort-Object Length -Descending | Select-Object -First 20 Length, FullName",
        SHELL,
    )


def writable(at: str) -> tuple[Fix, ...]:
    """Return the commands that show the disk of a path, and let it be written to again."""
    disk = f"Get-Partition -DriveLetter {at[:1]} | Get-Disk"
    return (
        Fix(f"{disk} | Format-List Number, IsReadOnly, OperationalStatus", SHELL),
        Fix(f"{disk} | Set-Disk -IsReadOnly $false", SHELL, disruptive=True),
    )


def close(path: str) -> Fix:
    """Return the command that leaves a file to SYSTEM and administrators, named by their SIDs."""
    name = quoted(path)
    allowed = "'*S-1-5-18:F' '*S-1-5-32-544:F'"
    return Fix(
        f"icacls {name} /setowner '*S-1-5-32-544'; icacls {name} /inheritance:r /grant:r {allowed}",
        SHELL,
    )


def remove(paths: tuple[str, ...]) -> Fix:
    """Return the command that takes the agent's data off an image."""
    names = ", ".join(quoted(path) for path in paths)
    command = f"Stop-Service {SERVICE}; Remove-Item -Recurse -Force {names}"
    return Fix(command, SHELL, disruptive=True)


def _root(at: str) -> str:
    return f"{at[:2]}/"
