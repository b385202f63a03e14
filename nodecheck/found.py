"""What other probes already found, as far as a probe can do without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.model.clock import (
    ClockFacts,
)
from nodecheck.model.node import NodeFacts

if TYPE_CHECKING:
    from nodecheck.model.moment import CorrectedTime
    from nodecheck.plan import Look


def region(look: Look) -> str:
    """Return the node's Region, '' where it is not known."""
    node = look.outcomes.outcome(NodeFacts)
    return node.region if isinstance(node, NodeFacts) else ""


def corrected(look: Look) -> CorrectedTime | None:
    """Return corrected time, None where the clock was not measured."""
    clock = look.outcomes.outcome(ClockFacts)
    return clock.corrected if isinstance(clock, ClockFacts) else None
