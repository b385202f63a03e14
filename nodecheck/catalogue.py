"""Every check of this build, and what explains what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck import policies
from nodecheck.checks import (
    agent_files,
    agent_installed,
    agent_running,
    agent_signature,
    agent_signing_key,
    agent_version,
    clock_offset,
)
from nodecheck.model.clock import ClockFacts
from nodecheck.model.install import InstallSurvey, RunningFacts
from nodecheck.model.offer import ReleaseFacts
from nodecheck.model.trust import FileFacts, RpmFacts
from nodecheck.plan import Cause, Check
from nodecheck.trust.key_ring import KeyRing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.model.verdict import Verdict
    from nodecheck.plan import Bench


def _judge_version(bench: Bench) -> Verdict:
    offline = bench.settings.switch("run.offline")
    return agent_version.judge(
        bench.outcomes.get(InstallSurvey),
        None if offline else bench.outcomes.outcome(ReleaseFacts),
        policies.version(bench.settings),
        bench.now,
    )


def _judge_signature(bench: Bench) -> Verdict:
    return agent_signature.judge(
        bench.outcomes.get(InstallSurvey),
        bench.outcomes.get(RpmFacts),
        bench.outcomes.get(KeyRing).facts,
        policies.trust(bench.settings),
        bench.now,
    )


def _judge_files(bench: Bench) -> Verdict:
    found = bench.outcomes
    found.get(KeyRing)  # without it nothing is proven
    return agent_files.judge(found.get(InstallSurvey), found.get(RpmFacts), found.get(FileFacts))


def _judge_running(bench: Bench) -> Verdict:
    found = bench.outcomes
    rpm = found.outcome(RpmFacts)
    signed = _signed_digests(rpm) if isinstance(rpm, RpmFacts) else None
    return agent_running.judge(found.get(InstallSurvey), found.get(RunningFacts), signed)


def _signed_digests(rpm: RpmFacts) -> Mapping[str, str] | None:
    """Return the SHA-256 of each signed file, if the signature of every package is proven."""
    if not rpm.packages or not all(package.proven for package in rpm.packages):
        return None
    return {
        file.path: file.digest
        for package in rpm.packages
        for file in package.files
        if file.algorithm == "sha256" and file.digest
    }


def _judge_key(bench: Bench) -> Verdict:
    return agent_signing_key.judge(
        bench.outcomes.get(InstallSurvey),
        bench.outcomes.get(KeyRing).facts,
        policies.trust(bench.settings),
        bench.now,
    )


CHECKS: Final = (
    Check(
        "clock.offset",
        clock_offset.QUESTION,
        "AWS refuses every signed request of a node whose clock is further off than its tolerance.",
        clock_offset.EXPLANATION,
        (ClockFacts,),
        lambda bench: clock_offset.judge(
            bench.outcomes.get(ClockFacts), policies.clock(bench.settings)
        ),
        only_online=True,
    ),
    Check(
        "agent.installed",
        agent_installed.QUESTION,
        "Without exactly one SSM Agent this node cannot be managed, or two of them fight over it.",
        agent_installed.EXPLANATION,
        (InstallSurvey,),
        lambda bench: agent_installed.judge(bench.outcomes.get(InstallSurvey)),
    ),
    Check(
        "agent.version",
        agent_version.QUESTION,
        "An old agent lacks fixes and features; AWS asks for an update at least every month.",
        agent_version.EXPLANATION,
        (InstallSurvey, ReleaseFacts, ClockFacts),
        _judge_version,
    ),
    Check(
        "agent.signature",
        agent_signature.QUESTION,
        "What Amazon did not sign is not proven to be Amazon's, and it runs as root.",
        agent_signature.EXPLANATION,
        (InstallSurvey, RpmFacts, KeyRing, ClockFacts),
        _judge_signature,
    ),
    Check(
        "agent.files",
        agent_files.QUESTION,
        "A file that is not the signed one, or that others can replace, runs as root.",
        agent_files.EXPLANATION,
        (InstallSurvey, RpmFacts, FileFacts, KeyRing),
        _judge_files,
    ),
    Check(
        "agent.running",
        agent_running.QUESTION,
        "Good files prove nothing about a process that was started from others.",
        agent_running.EXPLANATION,
        (InstallSurvey, RpmFacts, RunningFacts),
        _judge_running,
    ),
    Check(
        "agent.signing-key",
        agent_signing_key.QUESTION,
        "After the newest key has expired, new releases are signed by a key not known here.",
        agent_signing_key.EXPLANATION,
        (InstallSurvey, KeyRing, ClockFacts),
        _judge_key,
        only_online=True,
    ),
)

BY_ID: Final = {check.check_id: check for check in CHECKS}

SELECTORS: Final = (*BY_ID, *dict.fromkeys(check.group for check in CHECKS))
"""Everything that ``--only`` and ``--skip`` may name: checks and groups."""

CAUSES: Final = (
    Cause(
        "agent.signature",
        (
            "bad-signature",
            "unsigned",
            "malformed-signature",
            "unsupported-signature",
            "key-not-pinned",
            "key-ring-due",
            "key-distrusted",
            "wrong-package",
        ),
        ("agent.files", "agent.running"),
    ),
    Cause("clock.offset", ("no-source", "sources-disagree", "timeout"), ("agent.signing-key",)),
)
