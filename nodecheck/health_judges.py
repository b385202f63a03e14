"""The checks of the agent as a service: whether it runs, talks to AWS, has room and updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nodecheck.plan import Check

HEALTH_CHECKS: Final[tuple[Check, ...]] = ()
