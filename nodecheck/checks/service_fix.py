"""The commands that mend the agent's service, for each service manager and install channel.

Sources: systemctl(1), snap(8), initctl(8), update-rc.d(8), chkconfig(8); Set-Service,
Restart-Service, Get-WinEvent of learn.microsoft.com.
"""

from __future__ import annotations

from typing import Final

from nodecheck.model.authenticode import SERVICE
from nodecheck.model.service import UNITS, Manager
from nodecheck.model.verdict import Fix

SNAP_UNIT: Final = UNITS[1]
AGENT: Final = "amazon-ssm-agent"
SHELL: Final = "powershell"


def start_fix(unit: str, manager: Manager = Manager.SYSTEMD) -> Fix | None:
    """Return the command that starts the agent now and at each boot."""
    if manager is Manager.UPSTART:
        return Fix(f"rm -f /etc/init/{AGENT}.override; initctl start {AGENT}")
    if manager is Manager.SYSV:
        at_boot = f"update-rc.d {AGENT} defaults || chkconfig {AGENT} on"
        return Fix(f"{at_boot}; /etc/init.d/{AGENT} start")
    if manager is Manager.WINDOWS:
        automatic = f"Set-Service {SERVICE} -StartupType Automatic"
        return Fix(f"{automatic}; Start-Service {SERVICE}", SHELL)
    if manager is Manager.NONE:
        return None
    if unit == SNAP_UNIT:
        return Fix(f"snap start --enable {AGENT}")
    return Fix(f"systemctl enable --now {AGENT}")


def unmask_fix(unit: str) -> Fix:
    """Return the command that takes a mask away and starts the agent."""
    return Fix(f"systemctl unmask {unit} && systemctl enable --now {unit}")


def reset_fix(unit: str) -> Fix:
    """Return the command that starts a unit that systemd has given up."""
    return Fix(f"systemctl reset-failed {unit} && systemctl start {unit}")


def log_fix(unit: str) -> Fix:
    """Return the command that shows why the agent ends."""
    return Fix(f"journalctl --unit {unit} --lines 50 --no-pager")


def restart_fix(unit: str, manager: Manager) -> Fix | None:
    """Return the command that starts the agent anew."""
    if manager is Manager.UPSTART:
        return Fix(f"initctl restart {AGENT}", disruptive=True)
    if manager is Manager.SYSV:
        return Fix(f"/etc/init.d/{AGENT} restart", disruptive=True)
    if manager is Manager.WINDOWS:
        return Fix(f"Restart-Service {SERVICE}", SHELL, disruptive=True)
    if manager is Manager.NONE:
        return None
    if unit == SNAP_UNIT:
        return Fix(f"snap restart {AGENT}", disruptive=True)
    return Fix(f"systemctl restart {AGENT}", disruptive=True)


def stop_other_fix(unit: str) -> Fix:
    """Return the command that takes the unit of another installation out of service."""
    if unit == SNAP_UNIT:
        return Fix(f"snap stop --disable {AGENT}", disruptive=True)
    return Fix(f"systemctl disable --now {unit}", disruptive=True)


def kill_fix(pid: int, manager: Manager = Manager.SYSTEMD) -> Fix:
    """Return the command that ends one process."""
    if manager is Manager.WINDOWS:
        return Fix(f"Stop-Process -Id {pid} -Force", SHELL, disruptive=True)
    return Fix(f"kill {pid}", disruptive=True)


def resume_fix(pid: int, unit: str, manager: Manager) -> Fix | None:
    """Return the command that lets a suspended process go on; Windows has none of its own."""
    if manager is Manager.WINDOWS:
        return restart_fix(unit, manager)
    return Fix(f"kill -CONT {pid}")


def events_fix() -> Fix:
    """Return the command that shows what Windows wrote when the service ended."""
    log = "@{LogName='System'; ProviderName='Service Control Manager'}"
    return Fix(
        f"Get-WinEvent -FilterHashtable {log} -MaxEvents 500"
        " | Where-Object Message -Match 'Amazon SSM Agent' | Format-List TimeCreated, Id, Message",
        SHELL,
    )
