"""Every probe of this build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.agent_looks import AGENT_PROBES
from nodecheck.clock_looks import CLOCK_PROBES
from nodecheck.health_looks import HEALTH_PROBES
from nodecheck.hygiene_looks import HYGIENE_PROBES
from nodecheck.model.node import NodeFacts
from nodecheck.node_looks import NODE_PROBES
from nodecheck.plan import Probe
from nodecheck.probes import (
    node_identity,
)

if TYPE_CHECKING:
    from nodecheck.plan import Look


def _identify(look: Look) -> NodeFacts:
    offline = look.settings.switch("run.offline")
    metadata = None if offline else look.host.network.metadata
    return node_identity.look(look.host, look.settings.text("node.region"), metadata)


PROBES: Final = (
    Probe(NodeFacts, _identify, limit_s=2),
    *CLOCK_PROBES,
    *AGENT_PROBES,
    *HEALTH_PROBES,
    *NODE_PROBES,
    *HYGIENE_PROBES,
)
