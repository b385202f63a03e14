"""The checks of the clock, and what each gets to judge out of all that the probes found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck import policies
from nodecheck.checks import (
    clock_discipline,
    clock_fix,
    clock_forecast,
    clock_offset,
)
from nodecheck.commit import BUILT_AT
from nodecheck.model import known_past
from nodecheck.model.clock import ClockFacts
from nodecheck.model.clock_history import HistoryFacts
from nodecheck.model.discipline import DisciplineFacts
from nodecheck.model.package import PackageFacts
from nodecheck.model.skew import SkewFacts
from nodecheck.plan import Check
from nodecheck.records import replace

if TYPE_CHECKING:
    from nodecheck.model.clock import ClockPolicy
    from nodecheck.model.verdict import Verdict
    from nodecheck.plan import Bench


def judge_offset(bench: Bench) -> Verdict:
    """Judge the clock; what other checks looked at may prove the least that the time can be."""
    found = bench.outcomes
    packages, log = found.outcome(PackageFacts), found.outcome(SkewFacts)
    known = [known_past.built(BUILT_AT)]
    if isinstance(packages, PackageFacts):
        known += known_past.signed(packages.packages)
    seen = log if isinstance(log, SkewFacts) else SkewFacts()
    policy = policies.clock(bench.settings, seen)
    past = known_past.newest(tuple(known))
    verdict = clock_offset.judge(found.get(ClockFacts), policy, past, seen)
    discipline = found.outcome(DisciplineFacts)
    if verdict.fixes and isinstance(discipline, DisciplineFacts):
        estimate = found.get(ClockFacts).estimate
        offset_s = estimate.offset_s if estimate else 0.0
        return replace(verdict, fixes=clock_fix.clock_fixes(discipline, offset_s))
    return verdict


def _clock_policy(bench: Bench) -> ClockPolicy:
    log = bench.outcomes.outcome(SkewFacts)
    return policies.clock(bench.settings, log if isinstance(log, SkewFacts) else None)


def judge_discipline(bench: Bench) -> Verdict:
    """Return the verdict of this check on what the probes found."""
    clock, log = bench.outcomes.outcome(ClockFacts), bench.outcomes.outcome(SkewFacts)
    return clock_discipline.judge(
        bench.outcomes.get(DisciplineFacts),
        clock if isinstance(clock, ClockFacts) else None,
        _clock_policy(bench),
        log.refusal if isinstance(log, SkewFacts) else None,
    )


def judge_forecast(bench: Bench) -> Verdict:
    """Return the verdict of this check on what the probes found."""
    found = bench.outcomes
    history = found.outcome(HistoryFacts)
    return clock_forecast.judge(
        found.get(ClockFacts),
        found.get(DisciplineFacts),
        history if isinstance(history, HistoryFacts) else None,
        _clock_policy(bench),
        bench.now,
    )


CLOCK_CHECKS: Final = (
    Check(
        "clock.offset",
        clock_offset.QUESTION,
        "AWS refuses every signed request of a node whose clock is further off than its tolerance.",
        clock_offset.EXPLANATION,
        (ClockFacts, SkewFacts, DisciplineFacts),
        judge_offset,
        only_online=True,
    ),
    Check(
        "clock.discipline",
        clock_discipline.QUESTION,
        "A clock that nothing steers, or that follows nobody, leaves the tolerance one day.",
        clock_discipline.EXPLANATION,
        (DisciplineFacts, ClockFacts, SkewFacts),
        judge_discipline,
    ),
    Check(
        "clock.forecast",
        clock_forecast.QUESTION,
        "On that day AWS refuses what this node signs, and nothing reports it any more.",
        clock_forecast.EXPLANATION,
        (ClockFacts, DisciplineFacts, HistoryFacts, SkewFacts),
        judge_forecast,
        only_online=True,
    ),
)
