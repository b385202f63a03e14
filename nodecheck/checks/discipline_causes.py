"""Name what is wrong with what steers the clock, and what mends it; rules: ``clock_discipline``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks import clock_fix, w32time_causes
from nodecheck.checks.clock_stepping import will_not_step
from nodecheck.checks.clock_words import human, side
from nodecheck.model.clock import Discipline
from nodecheck.model.discipline import NAMES
from nodecheck.model.kernel_clock import KERNEL_GROWTH, MAX_KERNEL_ERROR_S
from nodecheck.model.verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.model.clock import ClockFacts, ClockPolicy
    from nodecheck.model.discipline import DaemonWord, DisciplineFacts
    from nodecheck.model.verdict import Fix

    Trouble = tuple[Finding, tuple[Fix, ...]]

DATE_DOUBT_S: Final = 2.0
"""An HTTP ``Date`` alone may be stale by a second or more; below this it contradicts nobody."""

NAMES_SHOWN: Final = 3
FORGOTTEN_S: Final = MAX_KERNEL_ERROR_S / KERNEL_GROWTH
"""Beyond this age, 8.9 h, the kernel no longer knows when the clock was last steered."""


def contradiction(word: DaemonWord, clock: ClockFacts | None) -> str:
    """Return how the independent measure contradicts a daemon, '' where it does not."""
    estimate = clock.estimate if clock else None
    if estimate is None or not word.synchronised:
        return ""
    gap_s = abs(estimate.offset_s - word.offset_s)
    if gap_s <= estimate.bound_s + word.bound_s:
        return ""
    if gap_s < DATE_DOUBT_S and _rests_on_date(clock):
        return ""
    measured = f"{human(abs(estimate.offset_s))} {side(estimate.offset_s)}"
    claimed = f"{human(abs(word.offset_s))} {side(word.offset_s)} ± {human(word.bound_s)}"
    return (
        f"{NAMES[word.discipline]} says it is synchronised ({claimed}), but the clock is "
        f"{measured} ± {human(estimate.bound_s)}"
    )


def _rests_on_date(clock: ClockFacts | None) -> bool:
    """Tell whether the endpoint's ``Date`` is all that the measure rests on."""
    if clock is None or clock.estimate is None or clock.date is None:
        return False
    return clock.estimate.sources == (clock.date.name,)


def unseen(facts: DisciplineFacts) -> Finding | None:
    """Return why nothing can be said: proof is missing in both directions."""
    if facts.word is not None:
        return None
    if not facts.processes.seen and not facts.steering:
        text = "processes are hidden, and no time daemon answers: run as root to see them"
        return Finding("not-observed", text)
    if facts.steering and facts.kernel is None:
        name = NAMES[facts.main]
        return Finding("not-observed", f"{name} runs, but {silence(facts)}; no kernel record")
    return None


def troubles(
    facts: DisciplineFacts, clock: ClockFacts | None, policy: ClockPolicy
) -> Iterator[Trouble]:
    """Yield each thing that is wrong with its fixes, the one that explains most first."""
    if len(facts.steering) > 1:
        yield _rivals(facts)
    word = facts.word
    if word is None and not facts.steering:
        yield _nobody(facts)
    elif word is None:
        yield from _silent_and_idle(facts)
    else:
        yield from _unsynchronised(facts, word)
        yield from will_not_step(facts, word, clock, policy)
        text = contradiction(word, clock)
        if text:
            fixes = (clock_fix.look_fix(facts), *clock_fix.clock_fixes(facts))
            yield Finding("contradicted", text), fixes
    yield from w32time_causes.seeded_wrong(facts, clock)


def _rivals(facts: DisciplineFacts) -> Trouble:
    who = " and ".join(f"{NAMES[item.discipline]} ({item.pid})" for item in facts.steering)
    text = f"{who} steer the clock at the same time"
    return Finding("two-daemons", text), clock_fix.rival_fixes(facts)


def _nobody(facts: DisciplineFacts) -> Trouble:
    fixes = clock_fix.start_fixes(facts)
    if facts.running:
        name = NAMES[facts.running[0].discipline]
        text = f"{name} runs, but may not or was told not to steer the clock{_elsewhere(facts)}"
        return Finding("not-steering", text), fixes
    if facts.w32time is not None:
        return w32time_causes.nobody(facts.w32time), fixes
    text = "no time daemon runs"
    if facts.installed:
        units = (
            f"{item.unit.removesuffix('.service')} is {item.state}" for item in facts.installed
        )
        text += ": " + ", ".join(units)
    return Finding("no-daemon", text + _elsewhere(facts)), fixes


def _elsewhere(facts: DisciplineFacts) -> str:
    """Say who else may steer: a container has the clock of its host."""
    place = (
        f"; in a {facts.setup.container} container the host may" if facts.setup.container else ""
    )
    kernel = facts.kernel
    if kernel is None:
        return place
    if not kernel.synchronised:
        return f"{place}; the kernel's record: nobody has for {human(FORGOTTEN_S)} or more"
    return f"{place}; the kernel's record: somebody did within {human(kernel.steered_within_s)}"


def _silent_and_idle(facts: DisciplineFacts) -> Iterator[Trouble]:
    if facts.kernel is not None and facts.kernel.synchronised:
        return
    name = NAMES[facts.main]
    text = f"{name} runs, but has not steered the clock for {human(FORGOTTEN_S)} or more"
    yield Finding("source-unreachable", f"{text}; {silence(facts)}"), (clock_fix.look_fix(facts),)


def silence(facts: DisciplineFacts) -> str:
    """Return why the daemon could not be asked."""
    said = [item.message for item in facts.silences if item.discipline is facts.main]
    return said[0] if said else "it cannot be asked"


def _unsynchronised(facts: DisciplineFacts, word: DaemonWord) -> Iterator[Trouble]:
    name = NAMES[word.discipline]
    if word.discipline is Discipline.W32TIME:
        yield from w32time_causes.unsynchronised(facts, word, _last_update(facts, word))
    elif word.lists_sources and not word.sources:
        text = f"{name} has no source of time"
        yield Finding("no-source-configured", text), clock_fix.source_fixes(facts)
    elif word.is_cut_off or (not word.lists_sources and not word.synchronised) or facts.is_stale:
        who = ", ".join(source.name for source in word.sources[:NAMES_SHOWN]) or "no server"
        text = f"none of the sources of {name} answers ({who}), {_last_update(facts, word)}"
        if not word.lists_sources:
            text = f"{name} reaches no server, {_last_update(facts, word)}"
        fixes = (clock_fix.look_fix(facts), *clock_fix.source_fixes(facts))
        yield Finding("source-unreachable", text), fixes
    elif not word.synchronised:
        states = ", ".join(f"{source.name} {source.state}" for source in word.sources[:NAMES_SHOWN])
        text = f"{name} believes none of its sources ({states})"
        yield Finding("no-source-selected", text), (clock_fix.look_fix(facts),)


def _last_update(facts: DisciplineFacts, word: DaemonWord) -> str:
    if word.updated_ns <= 0:
        return "never since it started"
    age_s = age_of(facts, word)
    return f"last {human(age_s)} ago" if age_s >= 0 else "last at a time that is yet to come"


def age_of(facts: DisciplineFacts, word: DaemonWord) -> float:
    """Return how long ago the daemon updated the clock; negative where the clock was stepped."""
    return (facts.wall_ns - word.updated_ns) / 1e9 + word.offset_s
