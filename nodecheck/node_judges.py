"""The checks of the node: who it is, by which credentials, and which endpoints it reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nodecheck.plan import Check

NODE_CHECKS: Final[tuple[Check, ...]] = ()
