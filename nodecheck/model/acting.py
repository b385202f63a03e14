"""As whom the agent acts, put together from all that was seen of its identity.

The agent takes the first identity of ``Identity.ConsumptionOrder`` that fits, and a stored hybrid
registration fits everywhere (common/identity/identity_selector.go of
https://github.com/aws/amazon-ssm-agent).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.model.identity import EC2, ON_PREM, MetadataFacts
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.errors import ProbeError
    from nodecheck.model.identity import RegistrationFacts


@dataclass(frozen=True, slots=True)
class IdentityPolicy:
    """The only account and Region that the operator allows, '' for any, and ``node.region``."""

    account: str = ""
    region: str = ""
    configured_region: str = ""


@dataclass(frozen=True, slots=True)
class Acting:
    """An identity: its kind as the agent spells it, and '' for what is not known of it.

    ``is_written`` tells that the agent itself wrote down that it acts so.
    """

    kind: str = ""
    node_id: str = ""
    region: str = ""
    account: str = ""
    source: str = ""
    is_written: bool = False


def believed(metadata: MetadataFacts | ProbeError | None) -> MetadataFacts | None:
    """Return what the instance metadata service said, if it is the service of this instance."""
    return metadata if isinstance(metadata, MetadataFacts) and not metadata.doubt else None


def act(facts: RegistrationFacts, metadata: MetadataFacts | ProbeError | None) -> Acting:
    """Return as whom the agent acts, or would act when it starts; no kind where nobody knows.

    The account of the instance is not that of a hybrid registration: whoever holds an activation
    can register a node of somebody else.
    """
    if facts.runtime is not None:
        kind, node_id = facts.runtime.kind, facts.runtime.node_id
        return _complete(Acting(kind, node_id, source="identity_config.json"), facts, metadata)
    if facts.is_hybrid:
        stored = facts.registration.node_id if facts.registration else ""
        return _complete(Acting(ON_PREM, stored, source="stored registration"), facts, metadata)
    service = believed(metadata)
    node_id = service.node_id if service else facts.firmware.board_id
    if facts.firmware.is_ec2 and node_id:
        source = "instance metadata" if service else "asset tag of the board"
        return _complete(Acting(EC2, node_id, source=source), facts, metadata)
    return Acting(EC2) if facts.firmware.is_ec2 else Acting()


def _complete(
    acting: Acting, facts: RegistrationFacts, metadata: MetadataFacts | ProbeError | None
) -> Acting:
    """Add Region and account from the source that speaks of the same node."""
    region, account = "", ""
    service, stored = believed(metadata), facts.registration
    if acting.kind == EC2 and service and service.node_id == acting.node_id:
        region, account = service.region, service.account
    if acting.kind == ON_PREM and stored and stored.node_id == acting.node_id:
        region = stored.region
    is_written = facts.runtime is not None
    return Acting(acting.kind, acting.node_id, region, account, acting.source, is_written)
