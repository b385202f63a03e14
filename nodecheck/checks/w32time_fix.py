"""The commands that set the clock of a Windows node right and keep it so; nodecheck runs none.

Sources: w32tm /?, https://learn.microsoft.com/windows-server/networking/windows-time-service;
Set-Date, Set-Service of Microsoft.PowerShell.Management; for Amazon Time Sync
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configure-ec2-ntp.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.clock import Discipline
from nodecheck.model.verdict import Fix
from nodecheck.model.w32time import BY_DOMAIN, SERVICE

if TYPE_CHECKING:
    from nodecheck.model.discipline import DisciplineFacts

SHELL: Final = "powershell"
RESTART_AGENT: Final = Fix("Restart-Service AmazonSSMAgent", SHELL, disruptive=True)
RESYNC: Final = Fix("w32tm /resync /rediscover", SHELL)
LOOK: Final = Fix("w32tm /query /peers /verbose", SHELL)
NO_SEEDING: Final = Fix(
    r"reg add HKLM\SYSTEM\CurrentControlSet\Services\W32Time\Config"
    " /v UtilizeSslTimeData /t REG_DWORD /d 0 /f; Restart-Service W32Time",
    SHELL,
)
NTPD_SERVICE: Final = "NTP"


def set_right(facts: DisciplineFacts, offset_s: float) -> tuple[Fix, ...]:
    """Return what sets a clock right that is wrong now.

    What W32Time does not correct is set by hand, as far as it was measured; then it takes over.
    """
    if not facts.steering:
        return start(facts)
    if facts.main is Discipline.NTPD:
        return (Fix(f"Restart-Service {NTPD_SERVICE}", SHELL),)
    rule = facts.rule(Discipline.W32TIME)
    if rule is not None and abs(offset_s) > rule.limit_s(offset_s):
        span = f"Set-Date -Adjust ([TimeSpan]::FromSeconds({offset_s:.1f}))"
        return (Fix(f"{span}; {RESYNC.command}", SHELL, disruptive=True),)
    return (RESYNC,)


def look(facts: DisciplineFacts) -> Fix:
    """Return the command that shows what the daemon makes of its sources."""
    return Fix("ntpq -pn", SHELL) if facts.main is Discipline.NTPD else LOOK


def start(facts: DisciplineFacts) -> tuple[Fix, ...]:
    """Return what makes W32Time run, now and at each start of the node."""
    if facts.w32time is None or facts.w32time.service is None:
        return (Fix(f"w32tm /register; Start-Service {SERVICE}; {RESYNC.command}", SHELL),)
    enable = f"Set-Service {SERVICE} -StartupType Automatic"
    return (Fix(f"{enable}; Start-Service {SERVICE}; {RESYNC.command}", SHELL),)


def source(facts: DisciplineFacts) -> tuple[Fix, ...]:
    """Return what gives W32Time a source: its domain where it is of one, else Amazon's."""
    kind = facts.w32time.settings.kind if facts.w32time else ""
    flags = "/syncfromflags:domhier"
    if kind not in BY_DOMAIN:
        flags = f'/syncfromflags:manual /manualpeerlist:"{facts.advised_source},0x9"'
    enable = (
        r"reg add HKLM\SYSTEM\CurrentControlSet\Services\W32Time\TimeProviders\NtpClient"
        " /v Enabled /t REG_DWORD /d 1 /f; "
    )
    is_off = facts.w32time is not None and facts.w32time.settings.ntp_client is False
    command = f"w32tm /config {flags} /update; {RESYNC.command}"
    return (Fix(f"{enable if is_off else ''}{command}", SHELL),)


def rivals(facts: DisciplineFacts) -> tuple[Fix, ...]:
    """Return what stops the daemon that is not kept."""
    name = SERVICE if facts.main is Discipline.NTPD else NTPD_SERVICE
    return (Fix(f"Stop-Service {name}; Set-Service {name} -StartupType Disabled", SHELL),)
