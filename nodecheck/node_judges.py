"""The checks of the node: who it is, by which credentials, and which endpoints it reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck import policies
from nodecheck.checks import node_credentials, node_endpoints, node_identity, node_image
from nodecheck.model.agent_config import AgentConfig
from nodecheck.model.clock import ClockFacts
from nodecheck.model.credential_sight import Sight
from nodecheck.model.credentials import CredentialFacts
from nodecheck.model.endpoints import EndpointFacts
from nodecheck.model.identity import MetadataFacts, RegistrationFacts
from nodecheck.model.image import ImageFacts
from nodecheck.model.install import InstallSurvey
from nodecheck.plan import Check

if TYPE_CHECKING:
    from nodecheck.model.errors import ProbeError
    from nodecheck.model.verdict import Verdict
    from nodecheck.plan import Bench


def judge_image(bench: Bench) -> Verdict:
    """Return the verdict of this check on what the probes found."""
    is_image = bench.settings.text("run.stage") == "image"
    return node_image.judge(bench.outcomes.get(ImageFacts), is_image=is_image)


def judge_identity(bench: Bench) -> Verdict:
    """Return the verdict of this check on what the probes found."""
    found = bench.outcomes
    return node_identity.judge(
        found.get(RegistrationFacts),
        _metadata(bench),
        found.outcome(AgentConfig),
        found.outcome(InstallSurvey),
        policies.identity(bench.settings),
    )


def judge_credentials(bench: Bench) -> Verdict:
    """Return the verdict of this check on what the probes found."""
    found = bench.outcomes
    sight = Sight(
        found.get(RegistrationFacts),
        found.get(CredentialFacts),
        _metadata(bench),
        found.outcome(AgentConfig),
        bench.now,
    )
    return node_credentials.judge(sight, found.outcome(InstallSurvey))


def _metadata(bench: Bench) -> MetadataFacts | ProbeError | None:
    offline = bench.settings.switch("run.offline")
    return None if offline else bench.outcomes.outcome(MetadataFacts)


NODE_CHECKS: Final[tuple[Check, ...]] = (
    Check(
        "node.identity",
        node_identity.QUESTION,
        node_identity.WHY,
        node_identity.EXPLANATION,
        (RegistrationFacts, MetadataFacts, AgentConfig, InstallSurvey),
        judge_identity,
    ),
    Check(
        "node.credentials",
        node_credentials.QUESTION,
        node_credentials.WHY,
        node_credentials.EXPLANATION,
        (
            RegistrationFacts,
            CredentialFacts,
            MetadataFacts,
            AgentConfig,
            InstallSurvey,
            ClockFacts,
        ),
        judge_credentials,
        only_online=True,
    ),
    Check(
        "node.image",
        node_image.QUESTION,
        "Every clone of an image acts with what was baked into it.",
        node_image.EXPLANATION,
        (ImageFacts,),
        judge_image,
    ),
    Check(
        "node.endpoints",
        node_endpoints.QUESTION,
        "A node that does not reach these endpoints is not managed, whatever runs on it.",
        node_endpoints.EXPLANATION,
        (EndpointFacts, ClockFacts),
        lambda bench: node_endpoints.judge(bench.outcomes.get(EndpointFacts), bench.now),
        only_online=True,
    ),
)
