"""The commands that set the clock right and keep it so, for the daemon that is there.

Each list ends in a restart of the SSM Agent: while it hibernates it may not notice for an hour that
its signatures are accepted again. nodecheck runs none of them.
Sources: chronyc(1), systemctl(1), timesyncd.conf(5), ntpd(8) -g; the line for Amazon Time Sync:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configure-ec2-ntp.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.checks import w32time_fix
from nodecheck.model.clock import Discipline
from nodecheck.model.verdict import Fix

if TYPE_CHECKING:
    from nodecheck.model.discipline import DisciplineFacts, InstalledDaemon

INSTALLS: Final = {
    "apt-get": "apt-get install -y chrony",
    "dnf": "dnf install -y chrony && systemctl enable --now chronyd",
    "yum": "yum install -y chrony && systemctl enable --now chronyd",
    "zypper": "zypper --non-interactive install chrony && systemctl enable --now chronyd",
    "apk": "apk add chrony && rc-update add chronyd && rc-service chronyd start",
}
"""Installing on Debian and Ubuntu also enables and starts the service; elsewhere it does not."""

AGENT_UNIT: Final = "amazon-ssm-agent"
USUAL_UNITS: Final = {
    Discipline.CHRONY: "chronyd",
    Discipline.TIMESYNCD: "systemd-timesyncd",
    Discipline.NTPD: "ntpd",
}

UNITS: Final = {"chrony", "chronyd", "systemd-timesyncd", "ntpsec", "ntp", "ntpd"}
"""What a service of the clock is called; other names of units do not get into a command."""

PLAIN_PATH: Final = re.compile(r"/[\w./-]+")


def clock_fixes(facts: DisciplineFacts, offset_s: float = 0.0) -> tuple[Fix, ...]:
    """Return what sets a clock right that is off by ``offset_s``, and then wakes the agent."""
    if facts.w32time is not None:
        return (*w32time_fix.set_right(facts, offset_s), w32time_fix.RESTART_AGENT)
    return (*_set_right(facts), restart_agent(facts))


def restart_agent(facts: DisciplineFacts) -> Fix:
    """Return the command that starts the agent anew, by the unit that it has on this node."""
    if facts.w32time is not None:
        return w32time_fix.RESTART_AGENT
    unit = facts.setup.agent_unit.removesuffix(".service") or AGENT_UNIT
    return Fix(f"systemctl restart {unit}", disruptive=True)


def _set_right(facts: DisciplineFacts) -> tuple[Fix, ...]:
    main = facts.main
    if not facts.steering and facts.word is None:
        return start_fixes(facts)
    if main is Discipline.CHRONY:
        if facts.keeper:
            return (Fix("chronyc makestep"),)
        return (restart_daemon(facts, main), Fix("chronyc waitsync 10 && chronyc makestep"))
    return (restart_daemon(facts, main),)


def restart_daemon(facts: DisciplineFacts, discipline: Discipline) -> Fix:
    """Return the command that starts a daemon anew, by the name that this distribution gives it."""
    return Fix(f"systemctl restart {unit_of(facts, discipline)}")


def unit_of(facts: DisciplineFacts, discipline: Discipline) -> str:
    """Return the unit of a daemon without its suffix: that of its process, or the usual one."""
    unit = facts.unit(discipline).removesuffix(".service")
    return unit if unit in UNITS else USUAL_UNITS.get(discipline, "chronyd")


def start_fixes(facts: DisciplineFacts) -> tuple[Fix, ...]:
    """Return what makes a daemon run on a node on which none steers the clock."""
    if facts.w32time is not None:
        return w32time_fix.start(facts)
    best = _best_installed(facts)
    if best is None:
        return (Fix(INSTALLS.get(facts.setup.package_tool, INSTALLS["dnf"])),)
    name = best.unit.removesuffix(".service")
    unmask = f"systemctl unmask {name} && " if best.masked else ""
    return (Fix(f"{unmask}systemctl enable --now {name}"),)


def _best_installed(facts: DisciplineFacts) -> InstalledDaemon | None:
    """Return the installed daemon that takes the least to start."""
    ranked = sorted(facts.installed, key=lambda item: (item.masked, not item.enabled))
    return ranked[0] if ranked else None


def source_fixes(facts: DisciplineFacts) -> tuple[Fix, ...]:
    """Return what gives the daemon the source that AWS advises for this node."""
    if facts.w32time is not None:
        return w32time_fix.source(facts)
    name = unit_of(facts, facts.main)
    source = facts.advised_source
    if facts.main is Discipline.TIMESYNCD:
        file = "/etc/systemd/timesyncd.conf.d/aws.conf"
        text = f"mkdir -p {file.rpartition('/')[0]} && printf '[Time]\\nNTP={source}\\n' > {file}"
        return (Fix(f"{text} && systemctl restart {name}"),)
    is_name = source[-1].isalpha()
    options = "iburst" if is_name else "prefer iburst minpoll 4 maxpoll 4"
    line = f"{'pool' if is_name else 'server'} {source} {options}"
    path = _configuration(facts)
    return (Fix(f"echo '{line}' >> {path} && systemctl restart {name}"),)


def _configuration(facts: DisciplineFacts) -> str:
    """Return the configuration that the step rule was read from: it is the one in use."""
    rule = facts.rule(facts.main)
    usual = "/etc/ntp.conf" if facts.main is Discipline.NTPD else "/etc/chrony.conf"
    path = rule.source.partition(":")[0] if rule is not None else usual
    return path if PLAIN_PATH.fullmatch(path) else usual


def look_fix(facts: DisciplineFacts) -> Fix:
    """Return the command that shows what the daemon makes of its sources."""
    if facts.w32time is not None:
        return w32time_fix.look(facts)
    commands = {Discipline.CHRONY: "chronyc -n sources -v", Discipline.NTPD: "ntpq -pn"}
    return Fix(commands.get(facts.main, "timedatectl timesync-status"))


def rival_fixes(facts: DisciplineFacts) -> tuple[Fix, ...]:
    """Return what stops every daemon but the one that is synchronised."""
    if facts.w32time is not None:
        return w32time_fix.rivals(facts)
    kept = facts.main
    others = {item.discipline for item in facts.steering if item.discipline is not kept}
    names = sorted(unit_of(facts, discipline) for discipline in others)
    return tuple(Fix(f"systemctl disable --now {name}") for name in names)
