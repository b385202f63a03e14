"""Judge whether a daemon will ever correct an error as large as this one."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from nodecheck.checks import clock_fix
from nodecheck.checks.clock_words import human, side
from nodecheck.model.discipline import NAMES
from nodecheck.model.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.model.clock import ClockFacts, ClockPolicy
    from nodecheck.model.discipline import DaemonWord, DisciplineFacts
    from nodecheck.model.verdict import Fix

MILLION: Final = 1e6


def will_not_step(
    facts: DisciplineFacts, word: DaemonWord | None, clock: ClockFacts | None, policy: ClockPolicy
) -> Iterator[tuple[Finding, tuple[Fix, ...]]]:
    """Yield that the error is beyond what the daemon corrects; ``word`` is None where it is silent.

    Both count: what was measured, less its bound, and what a synchronised daemon says.
    """
    discipline = word.discipline if word else facts.main
    rule = facts.rule(discipline)
    estimate = clock.estimate if clock else None
    if rule is None:
        return
    claimed_s = word.offset_s if word and word.synchronised else 0.0
    known_s = abs(claimed_s)
    measured_s = abs(estimate.offset_s) - estimate.bound_s if estimate else 0.0
    error_s = max(known_s, measured_s)
    offset_s = estimate.offset_s if estimate and measured_s >= known_s else claimed_s
    error = f"{human(error_s)} {side(offset_s)}"
    name = NAMES[discipline]
    if error_s <= policy.warn_s:
        return
    if error_s > rule.limit_s(offset_s):
        text = f"{name} gives up on a clock that is {error}, more than it corrects ({rule.source})"
    elif rule.threshold_s == inf or (known_s > max(rule.threshold_s, policy.warn_s)):
        least_s = error_s / rule.slew_ppm * MILLION
        text = (
            f"{name} will not step a clock that is {error} ({rule.source}); "
            f"slewing takes {human(least_s)}"
        )
    else:
        return
    yield Finding("will-not-step", text), clock_fix.clock_fixes(facts, offset_s)
