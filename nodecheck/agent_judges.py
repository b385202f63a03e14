"""The checks of the installed agent, and what each gets to judge out of all that was found."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from nodecheck import policies
from nodecheck.checks import (
    agent_authenticode,
    agent_files,
    agent_installed,
    agent_running,
    agent_signature,
    agent_signing_key,
    agent_snap_files,
    agent_snap_signature,
    agent_version,
    agent_windows_files,
    agent_windows_running,
)
from nodecheck.checks.running_version import running_versions
from nodecheck.checks.update_window import temper
from nodecheck.model.agent import Channel
from nodecheck.model.authenticode import WindowsInstall, WindowsPrograms
from nodecheck.model.clock import ClockFacts
from nodecheck.model.history import History
from nodecheck.model.install import InstallSurvey, RunningFacts
from nodecheck.model.offer import ReleaseFacts
from nodecheck.model.package import PackageFacts
from nodecheck.model.snap import SnapProofs
from nodecheck.model.trust import FileFacts
from nodecheck.model.update_window import UpdateWindow
from nodecheck.plan import Check
from nodecheck.records import replace
from nodecheck.trust.key_ring import KeyRing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nodecheck.model.verdict import Verdict
    from nodecheck.model.version import AgentVersion
    from nodecheck.plan import Bench


def judge_version(bench: Bench) -> Verdict:
    """Return the verdict of this check on what the probes found."""
    offline = bench.settings.switch("run.offline")
    install = _with_reported(bench.outcomes.get(InstallSurvey), bench)
    running, history = bench.outcomes.outcome(RunningFacts), bench.outcomes.outcome(History)
    runs: tuple[AgentVersion, ...] = ()
    if isinstance(running, RunningFacts):
        known = history if isinstance(history, History) else History()
        runs = running_versions(install, running, known)
    return agent_version.judge(
        install,
        None if offline else bench.outcomes.outcome(ReleaseFacts),
        policies.version(bench.settings),
        bench.now,
        runs,
    )


def judge_signature(bench: Bench) -> Verdict:
    """Return the verdict of this check on what the probes found."""
    install = bench.outcomes.get(InstallSurvey)
    if _is_windows(install):
        return agent_authenticode.judge(
            bench.outcomes.get(WindowsPrograms), policies.publishers(bench.settings), _timing(bench)
        )
    if install.installations and not install.unobserved and _is_snap(install):
        snaps = bench.outcomes.get(SnapProofs)
        return agent_snap_signature.judge(snaps, policies.snaps(bench.settings), bench.now)
    return agent_signature.judge(
        bench.outcomes.get(InstallSurvey),
        bench.outcomes.get(PackageFacts),
        bench.outcomes.get(KeyRing).facts,
        policies.trust(bench.settings),
        bench.now,
    )


def judge_files(bench: Bench) -> Verdict:
    """Return the verdict of this check on what the probes found."""
    found = bench.outcomes
    install = found.get(InstallSurvey)
    if _is_windows(install):
        return agent_windows_files.judge(
            found.get(WindowsInstall),
            found.get(WindowsPrograms),
            policies.publishers(bench.settings),
            _timing(bench),
        )
    if install.installations and not install.unobserved and _is_snap(install):
        policy = policies.snaps(bench.settings)
        return agent_snap_files.judge(found.get(SnapProofs), policy, found.get(FileFacts))
    found.get(KeyRing)  # without it nothing is proven
    return agent_files.judge(install, found.get(PackageFacts), found.get(FileFacts))


def judge_running(bench: Bench) -> Verdict:
    """Return the verdict of this check on what the probes found."""
    found = bench.outcomes
    install, snaps = found.get(InstallSurvey), found.outcome(SnapProofs)
    if _is_windows(install):
        proven = agent_authenticode.proven_programs(
            found.get(WindowsPrograms), policies.publishers(bench.settings), _timing(bench)
        )
        setup = found.get(WindowsInstall)
        return agent_windows_running.judge(setup, found.get(RunningFacts), proven)
    facts = found.outcome(PackageFacts)
    signed = _signed_digests(facts) if isinstance(facts, PackageFacts) else None
    if _is_snap(install) and isinstance(snaps, SnapProofs):
        signed = agent_snap_signature.signed_programs(snaps, policies.snaps(bench.settings))
    history = found.outcome(History)
    return agent_running.judge(
        install,
        found.get(RunningFacts),
        signed,
        history if isinstance(history, History) else History(),
    )


def _is_windows(install: InstallSurvey) -> bool:
    """Tell whether this node's agents come by the Windows installer."""
    return install.native is Channel.WINDOWS


def _timing(bench: Bench) -> agent_authenticode.Timing:
    """Return the true time, and whether the node's own clock is right enough to judge by."""
    clock = bench.outcomes.outcome(ClockFacts)
    estimate = clock.estimate if isinstance(clock, ClockFacts) else None
    most_s = abs(estimate.offset_s) + estimate.bound_s if estimate else math.inf
    is_right = most_s <= policies.clock(bench.settings).tolerance_s
    return agent_authenticode.Timing(bench.now, is_right)


def _with_reported(install: InstallSurvey, bench: Bench) -> InstallSurvey:
    """Return the installation with the version that the proven agent of Windows said itself."""
    programs = bench.outcomes.outcome(WindowsPrograms)
    if not isinstance(programs, WindowsPrograms) or not programs.reported:
        return install
    said = tuple(replace(item, version=programs.reported) for item in install.installations)
    return replace(install, installations=said)


def _is_snap(install: InstallSurvey) -> bool:
    """Tell whether every installed agent is a snap."""
    return all(item.channel is Channel.SNAP for item in install.installations)


def _signed_digests(facts: PackageFacts) -> Mapping[str, str] | None:
    """Return the SHA-256 of each signed file, if the signature of every package is proven."""
    if not facts.packages or not all(package.proven for package in facts.packages):
        return None
    return {
        file.path: file.digest
        for package in facts.packages
        for file in package.files
        if file.algorithm == "sha256" and file.digest
    }


def tempered(judge: Callable[[Bench], Verdict]) -> Callable[[Bench], Verdict]:
    """Return a judgement that keeps back what is bad while the agent is being updated."""

    def judge_with_care(bench: Bench) -> Verdict:
        window = bench.outcomes.outcome(UpdateWindow)
        verdict = judge(bench)
        return temper(verdict, window) if isinstance(window, UpdateWindow) else verdict

    return judge_with_care


def judge_key(bench: Bench) -> Verdict:
    """Return the verdict of this check on what the probes found."""
    return agent_signing_key.judge(
        bench.outcomes.get(InstallSurvey),
        bench.outcomes.get(KeyRing).facts,
        policies.trust(bench.settings),
        bench.now,
    )


PROOFS: Final = (InstallSurvey, PackageFacts, SnapProofs, WindowsPrograms)
"""What is installed, and what proves it on each platform."""

AGENT_CHECKS: Final = (
    Check(
        "agent.installed",
        agent_installed.QUESTION,
        "Without an SSM Agent a node cannot be managed, and two of them fight over it.",
        agent_installed.EXPLANATION,
        (InstallSurvey,),
        lambda bench: agent_installed.judge(bench.outcomes.get(InstallSurvey)),
    ),
    Check(
        "agent.version",
        agent_version.QUESTION,
        "An old agent lacks fixes and features; AWS asks for an update at least every month.",
        agent_version.EXPLANATION,
        (InstallSurvey, WindowsPrograms, ReleaseFacts, ClockFacts, RunningFacts),
        judge_version,
    ),
    Check(
        "agent.signature",
        agent_signature.QUESTION,
        "What Amazon did not sign is not proven to be Amazon's, and it runs as root.",
        f"{agent_signature.EXPLANATION}\n{agent_snap_signature.EXPLANATION}\n"
        f"{agent_authenticode.EXPLANATION}",
        (*PROOFS, KeyRing, ClockFacts, UpdateWindow),
        tempered(judge_signature),
    ),
    Check(
        "agent.files",
        agent_files.QUESTION,
        "A file that is not the signed one, or that others can replace, runs as root.",
        f"{agent_files.EXPLANATION}\n{agent_snap_files.EXPLANATION}\n"
        f"{agent_windows_files.EXPLANATION}",
        (*PROOFS, FileFacts, KeyRing, ClockFacts, UpdateWindow),
        tempered(judge_files),
    ),
    Check(
        "agent.running",
        agent_running.QUESTION,
        "Only what runs answers to Systems Manager, and good files prove nothing about it.",
        agent_running.EXPLANATION + "\n" + agent_windows_running.EXPLANATION,
        (*PROOFS, RunningFacts, ClockFacts, History, UpdateWindow),
        tempered(judge_running),
    ),
    Check(
        "agent.signing-key",
        agent_signing_key.QUESTION,
        "After the newest key has expired, new releases are signed by a key not known here.",
        agent_signing_key.EXPLANATION,
        (InstallSurvey, KeyRing, ClockFacts),
        judge_key,
        only_online=True,
        systems=("linux",),
    ),
)
