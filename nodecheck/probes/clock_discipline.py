"""Join what is known of the clock's discipline: processes, their own words, kernel and files.

Probes do not import one another; the parts come as calls (``Parts``) from where probes are wired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from nodecheck.model.discipline import DisciplineFacts, Running, Silence
from nodecheck.model.errors import ProbeError
from nodecheck.model.time_server import AMAZON_ON_EC2, AMAZON_PUBLIC
from nodecheck.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.door import Files, Host
    from nodecheck.model.clock import Discipline
    from nodecheck.model.discipline import DaemonWord, RunningDaemon, Setup, StepRule
    from nodecheck.model.kernel_clock import ClockBound

    Rules = tuple[tuple[Discipline, StepRule], ...]

Result = TypeVar("Result")
HIDDEN: Final = Running(seen=False)


@dataclass(frozen=True, slots=True)
class Parts:
    """The probes that are joined; ``askers`` ask each kind of daemon what it says of itself."""

    processes: Callable[[Host], Running]
    setup: Callable[[Files], Setup]
    steps: Callable[[Files, tuple[RunningDaemon, ...]], tuple[Rules, tuple[str, ...]]]
    clockbound: Callable[[Files, int], ClockBound | None]
    askers: tuple[tuple[Discipline, Callable[[Host], DaemonWord]], ...]


@dataclass(frozen=True, slots=True)
class _Notes:
    """Keeps why something could not be seen."""

    texts: list[str] = field(default_factory=list)

    def seen(self, call: Callable[[], Result], otherwise: Result) -> Result:
        try:
            return call()
        except ProbeError as exc:
            self.texts.append(str(exc))
            return otherwise


def look(host: Host, parts: Parts, *, is_ec2: bool) -> DisciplineFacts:
    """Return the facts; what could not be seen is in their notes and silences."""
    notes = _Notes()
    processes = notes.seen(lambda: parts.processes(host), HIDDEN)
    kernel = notes.seen(host.steering.kernel_clock, None)
    clockbound = None
    if kernel is not None:
        stamp_ns = kernel.coarse_monotonic_ns
        clockbound = notes.seen(lambda: parts.clockbound(host.files, stamp_ns), None)
    setup = parts.setup(host.files)
    rules, unread = parts.steps(host.files, processes.daemons)
    words, silences = _ask(host, parts)
    return DisciplineFacts(
        processes=processes,
        setup=setup,
        words=words,
        silences=silences,
        rules=rules,
        kernel=kernel,
        clockbound=clockbound,
        wall_ns=host.clock.wall_ns(),
        advised_source=(AMAZON_ON_EC2[0] if is_ec2 else AMAZON_PUBLIC).host,
        notes=(*notes.texts, *setup.notes, *unread),
    )


def _ask(host: Host, parts: Parts) -> tuple[tuple[DaemonWord, ...], tuple[Silence, ...]]:
    words: list[DaemonWord] = []
    silences: list[Silence] = []
    for discipline, ask in parts.askers:
        try:
            words.append(ask(host))
        except ProbeError as exc:
            silences.append(Silence(discipline, exc.reason, str(exc)))
    return tuple(words), tuple(silences)
