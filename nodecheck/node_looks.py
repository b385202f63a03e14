"""The probes of the node: who it is, by which credentials, and which endpoints it reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.acting import act
from nodecheck.model.agent_config import AgentConfig
from nodecheck.model.agent_proxy import AgentProxy
from nodecheck.model.credentials import CredentialFacts
from nodecheck.model.endpoints import EndpointFacts
from nodecheck.model.errors import ProbeError
from nodecheck.model.identity import EC2, MetadataFacts, RegistrationFacts
from nodecheck.model.image import ImageFacts
from nodecheck.model.node import NodeFacts
from nodecheck.plan import Probe
from nodecheck.probes import (
    node_credentials,
    node_endpoints,
    node_image,
    node_metadata,
    node_registration,
)

if TYPE_CHECKING:
    from nodecheck.plan import Look


def _look_for_leftovers(look: Look) -> ImageFacts:
    """Look only where an image is being built: a node has all of it by right."""
    is_image = look.settings.text("run.stage") == "image"
    return node_image.look(look.host) if is_image else ImageFacts((), ())


def _reach_endpoints(look: Look) -> EndpointFacts:
    found = look.outcomes
    config, proxy = found.get(AgentConfig), found.outcome(AgentProxy)
    return node_endpoints.look(look.host, config, proxy, region_of_agent(look))


def region_of_agent(look: Look) -> tuple[str, str]:
    """Return where the agent works, with the source: a shell's AWS_REGION does not move it.

    Before registration, and in an image, it is where the node is going to work.
    """
    node = look.outcomes.outcome(NodeFacts)
    registration = look.outcomes.outcome(RegistrationFacts)
    if look.settings.text("run.stage") == "node" and isinstance(registration, RegistrationFacts):
        acting = act(registration, look.outcomes.outcome(MetadataFacts))
        if acting.region:
            return acting.region, f"identity of the agent ({acting.source})"
    return (node.region, node.region_source) if isinstance(node, NodeFacts) else ("", "")


def _ask_metadata(look: Look) -> MetadataFacts:
    """Ask where an answer matters: on EC2, and where the agent would look for itself there."""
    registration = look.outcomes.get(RegistrationFacts)
    if registration.firmware.is_other and act(registration, None).kind not in {"", EC2}:
        msg = "not asked: no EC2 instance, and the agent does not act as one"
        raise ProbeError(msg, "not-asked")
    return node_metadata.look(look.host, registration.firmware)


NODE_PROBES: Final[tuple[Probe, ...]] = (
    Probe(RegistrationFacts, lambda look: node_registration.look(look.host), limit_s=2),
    Probe(MetadataFacts, _ask_metadata, (RegistrationFacts,), uses_network=True, limit_s=3),
    Probe(
        CredentialFacts,
        lambda look: node_credentials.look(look.host, look.outcomes.get(RegistrationFacts)),
        (RegistrationFacts,),
        limit_s=2,
    ),
    Probe(ImageFacts, _look_for_leftovers, limit_s=2),
    Probe(
        EndpointFacts,
        _reach_endpoints,
        (NodeFacts, AgentConfig, AgentProxy, RegistrationFacts, MetadataFacts),
        uses_network=True,
        limit_s=3,
    ),
)
