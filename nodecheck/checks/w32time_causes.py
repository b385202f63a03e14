"""Name what is wrong with W32Time, as its service, its settings and its own word prove it.

Off a domain Windows starts W32Time on events and may stop it again: that it does not run now is a
finding only because nothing else steers the clock then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks import clock_fix, w32time_fix
from nodecheck.checks.clock_stepping import will_not_step
from nodecheck.checks.clock_words import human
from nodecheck.model.verdict import Finding
from nodecheck.model.windows_service import StartType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.model.clock import ClockFacts, ClockPolicy
    from nodecheck.model.discipline import DaemonWord, DisciplineFacts
    from nodecheck.model.verdict import Fix
    from nodecheck.model.w32time import W32Facts

    Trouble = tuple[Finding, tuple[Fix, ...]]

NAMES_SHOWN: Final = 3
START_WORDS: Final = {
    StartType.AUTOMATIC: "automatic",
    StartType.MANUAL: "manual",
    StartType.DISABLED: "disabled",
}


def nobody(facts: W32Facts) -> Finding:
    """Return that no service steers the clock."""
    service = facts.service
    if service is None:
        return Finding("no-daemon", "no time service runs: W32Time is not registered")
    start = START_WORDS.get(service.start, service.start.name.lower())
    trigger = ", and by an event" if facts.has_trigger else ""
    text = f"no time service runs: W32Time is {service.phase.name.lower()}, its start is {start}"
    return Finding("no-daemon", text + trigger)


def unsynchronised(facts: DisciplineFacts, word: DaemonWord, last: str) -> Iterator[Trouble]:
    """Yield why W32Time follows nobody, or that it missed its polls; ``last`` tells of the last."""
    no_source = list(without_source(facts)) if not word.synchronised else []
    who = ", ".join(source.name for source in word.sources[:NAMES_SHOWN])
    if no_source:
        yield from no_source
    elif not word.synchronised:
        told = f" (told to follow {who})" if who else _told(facts)
        text = f"W32Time follows no source{told}: none answers, or none is believed; {last}"
        fixes = (w32time_fix.LOOK, *clock_fix.source_fixes(facts))
        yield Finding("no-source-selected", text), fixes
    elif facts.is_stale:
        text = f"W32Time follows {word.source or who}, {last}, allowed are {human(word.overdue_s)}"
        yield Finding("source-unreachable", text), (w32time_fix.LOOK, w32time_fix.RESYNC)


def without_source(facts: DisciplineFacts) -> Iterator[Trouble]:
    """Yield that the settings leave W32Time nobody to follow."""
    why = facts.w32time.settings.follows_nobody if facts.w32time else ""
    if why:
        text = f"W32Time is told to follow nobody: {why}"
        yield Finding("no-source-configured", text), clock_fix.source_fixes(facts)


def by_settings(
    facts: DisciplineFacts, clock: ClockFacts | None, policy: ClockPolicy
) -> Iterator[Trouble]:
    """Yield what service and settings prove of a W32Time that runs and cannot be asked."""
    if facts.w32time is not None and facts.steering:
        yield from without_source(facts)
        yield from will_not_step(facts, None, clock, policy)


def seeded_wrong(facts: DisciplineFacts, clock: ClockFacts | None) -> Iterator[Trouble]:
    """Yield that the time which Windows took from TLS is wrong, and may be set any moment.

    It was taken before now. That its lower limit lies after now therefore proves it wrong; that its
    upper one has passed proves nothing, because nobody tells when it was written.
    """
    w32time, estimate = facts.w32time, clock.estimate if clock else None
    seeded = w32time.secure_time if w32time else None
    if w32time is None or seeded is None or estimate is None or not w32time.settings.seeding:
        return
    ahead_s = seeded.low_s - (facts.wall_ns / 1e9 + estimate.offset_s)
    if ahead_s <= max(estimate.bound_s, 1.0):
        return
    text = (
        f"Secure Time Seeding holds a time that is at least {human(ahead_s)} after the true one,"
        " and W32Time may set the clock to it"
    )
    yield Finding("secure-time-wrong", text), (w32time_fix.NO_SEEDING, w32time_fix.RESYNC)


def _told(facts: DisciplineFacts) -> str:
    kind = facts.w32time.settings.kind if facts.w32time else ""
    return " (told to follow its domain)" if kind == "nt5ds" else ""
