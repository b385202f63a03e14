"""Every check of this build."""

from __future__ import annotations

from typing import Final

from nodecheck.agent_judges import AGENT_CHECKS
from nodecheck.clock_judges import CLOCK_CHECKS
from nodecheck.health_judges import HEALTH_CHECKS
from nodecheck.hygiene_judges import HYGIENE_CHECKS
from nodecheck.node_judges import NODE_CHECKS

CHECKS: Final = (*CLOCK_CHECKS, *AGENT_CHECKS, *HEALTH_CHECKS, *NODE_CHECKS, *HYGIENE_CHECKS)

BY_ID: Final = {check.check_id: check for check in CHECKS}

SELECTORS: Final = (*BY_ID, *dict.fromkeys(check.group for check in CHECKS))
"""Everything that ``--only`` and ``--skip`` may name: checks and groups."""
