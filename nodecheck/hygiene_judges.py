"""The checks of good practice: updates each month, one patch scan, no secrets in plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks import hygiene_agent_update, hygiene_patch_scan, hygiene_secrets
from nodecheck.model.agent_config import AgentConfig
from nodecheck.model.clock import ClockFacts
from nodecheck.model.hygiene import AssociationFacts, RunFolders, SecretFacts
from nodecheck.model.install import InstallSurvey
from nodecheck.model.node import NodeFacts
from nodecheck.model.update import UpdateFacts
from nodecheck.plan import Check

if TYPE_CHECKING:
    from nodecheck.model.verdict import Verdict
    from nodecheck.plan import Bench


def judge_agent_update(bench: Bench) -> Verdict:
    """Judge the schedule of updates; the agent's own settings and records are only told."""
    found = bench.outcomes
    install, node = found.get(InstallSurvey), found.outcome(NodeFacts)
    update, config = found.outcome(UpdateFacts), found.outcome(AgentConfig)
    return hygiene_agent_update.judge(
        install,
        found.get(AssociationFacts),
        found.get(RunFolders),
        update if isinstance(update, UpdateFacts) else None,
        config if isinstance(config, AgentConfig) else None,
        node if isinstance(node, NodeFacts) else None,
        bench.now,
    )


def judge_patch_scan(bench: Bench) -> Verdict:
    """Judge how many methods scan for patches."""
    found = bench.outcomes
    install, node = found.get(InstallSurvey), found.outcome(NodeFacts)
    return hygiene_patch_scan.judge(
        install,
        found.get(AssociationFacts),
        found.get(RunFolders),
        node if isinstance(node, NodeFacts) else None,
        bench.now,
    )


def judge_secrets(bench: Bench) -> Verdict:
    """Judge what a search found, where it was asked for."""
    return hygiene_secrets.judge(bench.outcomes.get(SecretFacts))


HYGIENE_CHECKS: Final[tuple[Check, ...]] = (
    Check(
        hygiene_agent_update.ID,
        hygiene_agent_update.QUESTION,
        "An agent that nothing updates misses the fixes of Systems Manager, month by month.",
        hygiene_agent_update.EXPLANATION,
        (
            *(InstallSurvey, AssociationFacts, RunFolders, UpdateFacts, AgentConfig),
            *(NodeFacts, ClockFacts),
        ),
        judge_agent_update,
    ),
    Check(
        hygiene_patch_scan.ID,
        hygiene_patch_scan.QUESTION,
        "Where two methods scan, patch compliance is that of whichever ran last.",
        hygiene_patch_scan.EXPLANATION,
        (InstallSurvey, AssociationFacts, RunFolders, NodeFacts, ClockFacts),
        judge_patch_scan,
    ),
    Check(
        hygiene_secrets.ID,
        hygiene_secrets.QUESTION,
        "Who reads the agent's files, a backup or a log has the secret.",
        hygiene_secrets.EXPLANATION,
        (SecretFacts,),
        judge_secrets,
    ),
)
