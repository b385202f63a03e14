"""The probes of the agent: what each needs to know, and how long it may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck import policies
from nodecheck.checks.agent_authenticode import Timing, judge_program
from nodecheck.checks.agent_installed import survey
from nodecheck.checks.agent_snap_signature import signed_programs
from nodecheck.checks.agent_windows_installed import survey_windows
from nodecheck.checks.verified import verified_snap, verified_version
from nodecheck.found import corrected, region
from nodecheck.model.agent import Channel
from nodecheck.model.agent_config import AgentConfig
from nodecheck.model.agent_proxy import AgentProxy
from nodecheck.model.authenticode import WindowsInstall, WindowsPrograms
from nodecheck.model.clock import (
    ClockFacts,
)
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.history import History, VerifiedVersion
from nodecheck.model.install import (
    ByHandFacts,
    DebFacts,
    InstallSurvey,
    RunningFacts,
    SnapFacts,
    oldest,
)
from nodecheck.model.node import NodeFacts
from nodecheck.model.offer import ReleaseFacts
from nodecheck.model.package import ArchiveFacts, PackageFacts, gather
from nodecheck.model.snap import SnapProofs
from nodecheck.model.trust import FileFacts, RpmFacts
from nodecheck.model.update_window import UpdateStart, UpdateWindow
from nodecheck.plan import JOIN_S, Probe
from nodecheck.probes import (
    agent_by_hand,
    agent_deb,
    agent_files,
    agent_package,
    agent_process,
    agent_programs,
    agent_release,
    agent_rpm,
    agent_snap,
    agent_snap_proof,
    agent_update_window,
    agent_windows,
    agent_windows_processes,
    key_ring,
    verified_history,
)
from nodecheck.records import replace
from nodecheck.trust.key_ring import KeyRing

if TYPE_CHECKING:
    from nodecheck.model.moment import CorrectedTime
    from nodecheck.plan import Look


CLOCK_PATIENCE_S: Final = 6.0
"""How long a download waits for corrected time, which may be slow where much is unreachable."""

FILES_RESERVE_S: Final = 1.5
"""Kept of the run for the digests of the installed files, which wait for their package."""


def _look_for_rpm(look: Look) -> RpmFacts:
    """Look even without a key ring: what is installed does not hang on a key file."""
    ring = look.outcomes.outcome(KeyRing)
    return agent_rpm.look(look.host, ring if isinstance(ring, KeyRing) else KeyRing(()))


def _look_for_packages(look: Look) -> ArchiveFacts:
    """Look for the packages of debs and of copies made by hand, in time for their files."""
    ring = look.outcomes.outcome(KeyRing)
    shelves = agent_package.Shelves(
        package_dir=look.settings.text("trust.package_dir"),
        release_url=look.settings.text("agent.release_url"),
        region=lambda: _await_region(look),
        state_folder=look.state_folder,
        offline=look.settings.switch("run.offline"),
        limit_s=max(look.limit_s - FILES_RESERVE_S, look.limit_s / 2),
        corrected=lambda: _await_corrected(look),
    )
    return agent_package.look(
        look.host,
        ring if isinstance(ring, KeyRing) else KeyRing(()),
        look.outcomes.get(InstallSurvey).installations,
        shelves,
    )


def _await_region(look: Look) -> str:
    _await(look, NodeFacts)
    return region(look)


def _await_corrected(look: Look) -> CorrectedTime | None:
    _await(look, ClockFacts)
    return corrected(look)


def _await(look: Look, facts: type) -> None:
    """Wait for facts that only a download needs: what is on the node does not wait for them."""
    patience_s = min(CLOCK_PATIENCE_S, look.limit_s / 2)
    ends_ns = look.host.clock.monotonic_ns() + int(patience_s * 1e9)
    while not look.outcomes.known(facts) and look.host.clock.monotonic_ns() < ends_ns:
        look.host.clock.pause(0.02)


def _gather_packages(look: Look) -> PackageFacts:
    return gather(look.outcomes.get(RpmFacts), look.outcomes.get(ArchiveFacts))


def _is_windows(look: Look) -> bool:
    return look.host.platform.system == "windows"


def _look_at_windows(look: Look) -> WindowsInstall:
    if not _is_windows(look):
        msg = "this node is not a Windows node"
        raise Absent(msg)
    return agent_windows.look(look.host)


def _look_at_programs(look: Look) -> WindowsPrograms:
    """Look at the executables; what is to be run for its version must be proven without a clock."""
    policy, timing = policies.publishers(look.settings), Timing(None, is_clock_right=False)
    return agent_programs.look(
        look.host,
        look.outcomes.get(WindowsInstall),
        lambda fact: judge_program(fact, policy, timing) is None,
    )


def _survey(look: Look) -> InstallSurvey:
    found = look.outcomes
    if _is_windows(look):
        return survey_windows(found.outcome(WindowsInstall))
    return survey(
        found.outcome(RpmFacts),
        found.outcome(DebFacts),
        found.outcome(SnapFacts),
        found.outcome(ByHandFacts),
    )


def _look_at_files(look: Look) -> FileFacts:
    install = look.outcomes.get(InstallSurvey)
    channels = {item.channel for item in install.installations}
    if channels == {Channel.SNAP}:
        return agent_files.look_around_snap(look.host)
    return agent_files.look(look.host, look.outcomes.get(PackageFacts))


def _ask_region(look: Look) -> ReleaseFacts:
    installations = look.outcomes.get(InstallSurvey).installations
    if not installations:
        msg = "no agent is installed"
        raise ProbeError(msg)
    config, proxy = look.outcomes.outcome(AgentConfig), look.outcomes.outcome(AgentProxy)
    host = look.host
    if isinstance(proxy, AgentProxy):  # by the way that the agent takes to its updates
        host = replace(host, environment=proxy.environment(host.environment))
    return agent_release.ask(
        host,
        oldest(installations),
        corrected(look),
        setting=look.settings.text("agent.release_url"),
        region=region(look),
        config=config if isinstance(config, AgentConfig) else AgentConfig(),
    )


def _look_for_processes(look: Look) -> RunningFacts:
    if _is_windows(look):
        found = look.outcomes
        return agent_windows_processes.look(
            look.host, found.get(WindowsInstall), found.get(WindowsPrograms)
        )
    installations = look.outcomes.get(InstallSurvey).installations
    return agent_process.look(look.host, tuple(item.executable for item in installations))


def _remember(look: Look) -> History:
    """Keep what this run has proven, where it has, for runs after the next update."""
    packages = look.outcomes.outcome(PackageFacts)
    files = look.outcomes.outcome(FileFacts)
    proven = _proven_snap(look)
    if isinstance(packages, PackageFacts) and isinstance(files, FileFacts) and packages.packages:
        proven = verified_version(packages.packages, files)
    return verified_history.look(look.host.state, look.state_folder, proven)


def _proven_snap(look: Look) -> VerifiedVersion | None:
    snaps, proofs = look.outcomes.outcome(SnapFacts), look.outcomes.outcome(SnapProofs)
    if not isinstance(snaps, SnapFacts) or not isinstance(proofs, SnapProofs):
        return None
    signed = signed_programs(proofs, policies.snaps(look.settings))
    return verified_snap(snaps.installations, signed)


def _look_for_updates(look: Look) -> UpdateWindow:
    if _is_windows(look):
        return agent_windows.look_for_update(look.host)
    found = look.outcomes
    running, files = found.outcome(RunningFacts), found.outcome(FileFacts)
    updaters = running.updaters if isinstance(running, RunningFacts) else ()
    seen = files.files if isinstance(files, FileFacts) else ()
    states = tuple(file.state for file in seen if file.state)
    return agent_update_window.look(look.host, found.get(UpdateStart), updaters, states)


AGENT_PROBES: Final = (
    Probe(KeyRing, lambda look: key_ring.look(look.host, policies.trust(look.settings))),
    Probe(UpdateStart, lambda look: agent_update_window.wait(look.host, look.limit_s)),
    Probe(RpmFacts, _look_for_rpm, (KeyRing, UpdateStart)),
    Probe(DebFacts, lambda look: agent_deb.look(look.host.files), (UpdateStart,)),
    Probe(SnapFacts, lambda look: agent_snap.look(look.host.files), (UpdateStart,)),
    Probe(
        SnapProofs,
        lambda look: agent_snap_proof.look(look.host.files, look.outcomes.get(SnapFacts)),
        (SnapFacts,),
    ),
    Probe(ByHandFacts, lambda look: agent_by_hand.look(look.host.files)),
    Probe(WindowsInstall, _look_at_windows, limit_s=4),
    Probe(WindowsPrograms, _look_at_programs, (WindowsInstall,)),
    Probe(
        InstallSurvey,
        _survey,
        (RpmFacts, DebFacts, SnapFacts, ByHandFacts, WindowsInstall),
        limit_s=JOIN_S,
        joins=True,
    ),
    Probe(ArchiveFacts, _look_for_packages, (KeyRing, InstallSurvey), limit_s=3600),
    Probe(PackageFacts, _gather_packages, (RpmFacts, ArchiveFacts), limit_s=JOIN_S, joins=True),
    Probe(
        FileFacts,
        _look_at_files,
        (InstallSurvey, PackageFacts),
    ),
    Probe(
        ReleaseFacts,
        _ask_region,
        (NodeFacts, ClockFacts, InstallSurvey, AgentConfig, AgentProxy),
        uses_network=True,
    ),
    Probe(RunningFacts, _look_for_processes, (InstallSurvey, WindowsPrograms)),
    Probe(History, _remember, (PackageFacts, FileFacts, SnapProofs), limit_s=2),
    Probe(UpdateWindow, _look_for_updates, (UpdateStart, FileFacts, RunningFacts), limit_s=2),
)
