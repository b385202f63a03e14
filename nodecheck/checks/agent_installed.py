"""Judge whether exactly one SSM Agent is installed, and by which channel.

Every channel is looked at on its own (rpm, deb, snap, executables put there by hand). A file that a
package owns is that package's; a file nobody owns is an installation by hand, but only where every
package database could be read. ``ok`` needs one installation and no place left unobserved, and
absence needs every place looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel
from nodecheck.model.errors import ProbeError
from nodecheck.model.install import InstallSurvey
from nodecheck.model.remedy import install_fix, remove_fix
from nodecheck.model.verdict import Evidence, Finding, Fix, Status, Verdict
from nodecheck.records import replace

if TYPE_CHECKING:
    from nodecheck.model.agent import Installation
    from nodecheck.model.install import ByHandFacts, DebFacts, Found, SnapFacts

ID: Final = "agent.installed"
QUESTION: Final = "is exactly one SSM Agent installed, and by which channel?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  Every way in which an agent comes onto a node is looked at: the rpm database, the dpkg database,
  the mounted snaps, and executables named amazon-ssm-agent in /usr/bin, /usr/sbin, /usr/local and
  /opt/aws/ssm. Nothing is executed. On Windows: the service AmazonSSMAgent with the version in its
  registry key, amazon-ssm-agent.exe in Program Files\\Amazon\\SSM, and as a hint the uninstall keys
  of both registry views, which an update by script leaves as they were.

LIMITS
  ok       exactly one installation, and every place could be looked at
  warn     several-installations: they share one registration and one data folder and get in each
           other's way; the update of one does not update the other
  unknown  not-observed: a place could not be looked at, so neither absence nor "exactly one" is
           proven
  crit     not-installed; half-installed: the package manager began and did not finish, or a snap is
           disabled; on Windows the service is there without the executable, or the other way
           round, while no update is under way
  Whether the installed files are genuine is the question of agent.signature and agent.files. A
  package that is held back (apt-mark hold) is installed. A package that was removed with its
  configuration left behind is not.

HOW TO MEND
  rpm      rpm -U URL of amazon-ssm-agent.rpm, or dnf install amazon-ssm-agent on Amazon Linux
  deb      dpkg -i amazon-ssm-agent.deb; after an interrupted installation dpkg --configure -a
  snap     snap install amazon-ssm-agent --classic; a disabled one: snap enable amazon-ssm-agent
  Windows  AmazonSSMAgentSetup.exe /S
  several  keep the one that your patching updates, remove the others

SOURCES
  https://docs.aws.amazon.com/systems-manager/latest/userguide/manually-install-ssm-agent-linux.html
  dpkg(1), package states; deb-control(5)
"""


def survey(
    rpm: Found | ProbeError,
    deb: DebFacts | ProbeError,
    snap: SnapFacts | ProbeError,
    by_hand: ByHandFacts | ProbeError,
) -> InstallSurvey:
    """Return all channels together: what was found, and what could not be looked at."""
    packages = {"rpm database": rpm, "dpkg database": deb, "snaps": snap}
    unobserved = [
        f"{place}: {found}" for place, found in packages.items() if isinstance(found, ProbeError)
    ]
    if not isinstance(rpm, ProbeError):
        unobserved += rpm.unobserved
    owned = [
        installation
        for found in packages.values()
        if not isinstance(found, ProbeError)
        for installation in found.installations
    ]
    damaged = [
        damage
        for found in (deb, snap)
        if not isinstance(found, ProbeError)
        for damage in found.damaged
    ]
    if isinstance(by_hand, ProbeError):
        unobserved.append(f"executables: {by_hand}")
        loose: list[Installation] = []
    else:
        paths = {installation.executable for installation in owned}
        loose = [item for item in by_hand.installations if item.executable not in paths]
    if loose and (unobserved or damaged):
        # Whose file it is cannot be told while a database is unread or a package is unfinished.
        unobserved += [f"owner of {item.executable}" for item in loose]
        loose = []
    native = Channel.RPM if isinstance(deb, ProbeError) or not deb.present else Channel.DEB
    return InstallSurvey((*owned, *loose), tuple(unobserved), tuple(damaged), native)


def judge(facts: InstallSurvey) -> Verdict:
    """Return the verdict on everything that was found."""
    evidence = _evidence(facts)
    if facts.damaged:
        return _problem(Status.CRIT, _half_installed(facts), evidence, _fix_damage(facts))
    if len(facts.installations) > 1:
        return _problem(Status.WARN, _several(facts), evidence, _fix_several(facts))
    if facts.unobserved:
        return _problem(Status.UNKNOWN, _unobserved(facts), evidence, ())
    if not facts.installations:
        finding = Finding("not-installed", "no SSM Agent is installed on this node")
        fix = replace(install_fix(facts.native), disruptive=False)  # nothing runs yet
        return _problem(Status.CRIT, finding, evidence, (fix,))
    return Verdict.ok(ID, f"{describe(facts.installations[0])} is installed", evidence)


def describe(installation: Installation) -> str:
    """Return one installation in words."""
    version = installation.version or "of unknown version"
    how = installation.channel.value
    return f"SSM Agent {version} ({how}, {installation.executable})"


def _problem(
    status: Status, finding: Finding, evidence: tuple[Evidence, ...], fixes: tuple[Fix, ...]
) -> Verdict:
    return Verdict.of(
        ID, status, (finding,), evidence=evidence, limit="exactly one installation", fixes=fixes
    )


def _evidence(facts: InstallSurvey) -> tuple[Evidence, ...]:
    found = facts.installations
    parts = [Evidence("installations", len(found))]
    if found:
        parts += [
            Evidence("channel", tuple(item.channel.value for item in found)),
            Evidence("version", tuple(item.version or "unknown" for item in found)),
            Evidence("package", tuple(item.package for item in found)),
            Evidence("executable", tuple(item.executable for item in found)),
        ]
    if facts.unobserved:
        parts.append(Evidence("unobserved", facts.unobserved))
    if facts.damaged:
        state = tuple(f"{item.package}: {item.state}" for item in facts.damaged)
        parts.append(Evidence("package_state", state))
    return tuple(parts)


def _half_installed(facts: InstallSurvey) -> Finding:
    damage = facts.damaged[0]
    text = f"the {damage.channel.value} package {damage.package} is {damage.state}, not installed"
    return Finding("half-installed", text)


def _several(facts: InstallSurvey) -> Finding:
    names = ", ".join(describe(item) for item in facts.installations)
    text = f"{len(facts.installations)} agents are installed, 1 is allowed: {names}"
    return Finding("several-installations", text)


def _unobserved(facts: InstallSurvey) -> Finding:
    found = [describe(item) for item in facts.installations]
    start = f"found {found[0]}, but" if found else "found no SSM Agent, but"
    return Finding("not-observed", f"{start} could not look at {'; '.join(facts.unobserved)}")


def _fix_damage(facts: InstallSurvey) -> tuple[Fix, ...]:
    commands = {Channel.DEB: "dpkg --configure -a", Channel.SNAP: "snap enable amazon-ssm-agent"}
    damage = facts.damaged[0]
    if damage.channel is Channel.WINDOWS:
        return (install_fix(damage.channel),)
    return (Fix(commands[damage.channel], disruptive=True), install_fix(damage.channel))


def _fix_several(facts: InstallSurvey) -> tuple[Fix, ...]:
    """Remove all but the one that came by a package manager, and of these the native one."""
    keep = min(
        facts.installations,
        key=lambda item: (item.channel is Channel.BY_HAND, item.channel is not facts.native),
    )
    return tuple(remove_fix(item) for item in facts.installations if item is not keep)
