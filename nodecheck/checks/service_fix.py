"""The commands that mend the agent's service, for each service manager and install channel.

Sources: systemctl(1), snap(8), initctl(8), update-rc.d(8), chkconfig(8).
"""

from __future__ import annotations

from typing import Final

from nodecheck.model.service import UNITS, Manager
from nodecheck.model.verdict import Fix

SNAP_UNIT: Final = UNITS[1]
AGENT: Final = "amazon-ssm-agent"


def start_fix(unit: str, manager: Manager = Manager.SYSTEMD) -> Fix | None:
    """Return the command that starts the agent now and at each boot."""
    if manager is Manager.UPSTART:
        return Fix(f"rm -f /etc/init/{AGENT}.override; initctl start {AGENT}")
    if manager is Manager.SYSV:
        at_boot = f"update-rc.d {AGENT} defaults || chkconfig {AGENT} on"
        return Fix(f"{at_boot}; /etc/init.d/{AGENT} start")
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


def kill_fix(pid: int) -> Fix:
    """Return the command that ends one process."""
    return Fix(f"kill {pid}", disruptive=True)
