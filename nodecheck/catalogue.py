"""Every check of this build, and what explains what."""

from __future__ import annotations

from typing import Final

from nodecheck import agent_judges, clock_judges
from nodecheck.checks import (
    agent_files,
    agent_installed,
    agent_running,
    agent_signature,
    agent_signing_key,
    agent_snap_signature,
    agent_version,
    clock_discipline,
    clock_forecast,
    clock_offset,
)
from nodecheck.model.clock import ClockFacts
from nodecheck.model.clock_history import HistoryFacts
from nodecheck.model.discipline import DisciplineFacts
from nodecheck.model.history import History
from nodecheck.model.install import InstallSurvey, RunningFacts
from nodecheck.model.offer import ReleaseFacts
from nodecheck.model.package import PackageFacts
from nodecheck.model.skew import SkewFacts
from nodecheck.model.snap import SnapProofs
from nodecheck.model.trust import FileFacts
from nodecheck.model.update_window import UpdateWindow
from nodecheck.plan import Cause, Check
from nodecheck.trust.key_ring import KeyRing

CHECKS: Final = (
    Check(
        "clock.offset",
        clock_offset.QUESTION,
        "AWS refuses every signed request of a node whose clock is further off than its tolerance.",
        clock_offset.EXPLANATION,
        (ClockFacts, SkewFacts, DisciplineFacts),
        clock_judges.judge_offset,
        only_online=True,
    ),
    Check(
        "clock.discipline",
        clock_discipline.QUESTION,
        "A clock that nothing steers, or that follows nobody, leaves the tolerance one day.",
        clock_discipline.EXPLANATION,
        (DisciplineFacts, ClockFacts, SkewFacts),
        clock_judges.judge_discipline,
    ),
    Check(
        "clock.forecast",
        clock_forecast.QUESTION,
        "On that day AWS refuses what this node signs, and nothing reports it any more.",
        clock_forecast.EXPLANATION,
        (ClockFacts, DisciplineFacts, HistoryFacts, SkewFacts),
        clock_judges.judge_forecast,
        only_online=True,
    ),
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
        (InstallSurvey, ReleaseFacts, ClockFacts),
        agent_judges.judge_version,
    ),
    Check(
        "agent.signature",
        agent_signature.QUESTION,
        "What Amazon did not sign is not proven to be Amazon's, and it runs as root.",
        agent_signature.EXPLANATION + "\n" + agent_snap_signature.EXPLANATION,
        (InstallSurvey, PackageFacts, SnapProofs, KeyRing, ClockFacts, UpdateWindow),
        agent_judges.tempered(agent_judges.judge_signature),
    ),
    Check(
        "agent.files",
        agent_files.QUESTION,
        "A file that is not the signed one, or that others can replace, runs as root.",
        agent_files.EXPLANATION,
        (InstallSurvey, PackageFacts, FileFacts, KeyRing, ClockFacts, UpdateWindow),
        agent_judges.tempered(agent_judges.judge_files),
    ),
    Check(
        "agent.running",
        agent_running.QUESTION,
        "Only what runs answers to Systems Manager, and good files prove nothing about it.",
        agent_running.EXPLANATION,
        (InstallSurvey, PackageFacts, SnapProofs, RunningFacts, ClockFacts, History, UpdateWindow),
        agent_judges.tempered(agent_judges.judge_running),
    ),
    Check(
        "agent.signing-key",
        agent_signing_key.QUESTION,
        "After the newest key has expired, new releases are signed by a key not known here.",
        agent_signing_key.EXPLANATION,
        (InstallSurvey, KeyRing, ClockFacts),
        agent_judges.judge_key,
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
            "no-package",
            "timeout",
        ),
        ("agent.files", "agent.running"),
        ("unproven-digests", "unproven", "no-package", "timeout"),
    ),
    Cause(
        "clock.offset",
        ("no-source", "sources-disagree", "timeout", "before-known-past"),
        ("agent.signing-key",),
        ("time-not-known",),
    ),
    Cause(
        "clock.offset",
        ("no-source", "sources-disagree", "before-known-past", "beyond-tolerance"),
        ("clock.forecast",),
    ),
    Cause("clock.discipline", ("will-not-step", "contradicted"), ("clock.offset",)),
    Cause(
        "clock.discipline",
        (
            "no-daemon",
            "not-steering",
            "no-source-configured",
            "source-unreachable",
            "no-source-selected",
        ),
        ("clock.forecast",),
    ),
)
