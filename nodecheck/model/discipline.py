"""What steers the clock: daemons, what each says of itself, the kernel's record, and what follows.

Nothing here is an independent measure of the clock: a daemon's word is its own. Offsets are true
time minus local clock in seconds (positive: the clock is slow), whatever sign the daemon uses.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from nodecheck.model.clock import Discipline
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.kernel_clock import ClockBound, KernelClock
    from nodecheck.model.w32time import W32Facts

TIMESYNCD_SILENCE_S: Final = 2 * 2048.0
"""Two of its longest polls missed (PollIntervalMaxSec, timesyncd.conf(5))."""

NAMES: Final = {
    Discipline.CHRONY: "chronyd",
    Discipline.TIMESYNCD: "systemd-timesyncd",
    Discipline.NTPD: "ntpd",
    Discipline.W32TIME: "W32Time",
    Discipline.NONE: "no daemon",
}


@dataclass(frozen=True, slots=True)
class RunningDaemon:
    """A process. ``steers`` is False where it was told to leave the clock alone (chronyd -x)."""

    discipline: Discipline
    pid: int
    unit: str
    steers: bool = True
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InstalledDaemon:
    """A service unit that is there, and whether boot starts it."""

    discipline: Discipline
    unit: str
    enabled: bool
    masked: bool = False

    @property
    def state(self) -> str:
        """Return what boot does with it, in words."""
        if self.masked:
            return "masked"
        return "enabled" if self.enabled else "not enabled"


@dataclass(frozen=True, slots=True)
class StepRule:
    """When a daemon sets the clock in one step instead of slewing it.

    ``threshold_s`` is inf where it never steps; ``updates`` is how many of its first updates may
    step, negative for all; beyond ``gives_up_s`` it ends without a correction, beyond
    ``gives_up_back_s`` where the clock is to be set back and that limit is another; ``slew_ppm`` is
    the fastest that it slews.
    """

    threshold_s: float
    updates: int
    gives_up_s: float = inf
    slew_ppm: float = 500.0
    source: str = ""
    gives_up_back_s: float | None = None

    def limit_s(self, offset_s: float) -> float:
        """Return the largest error that is corrected in the direction of this one.

        >>> rule = StepRule(1.0, -1, 900.0, gives_up_back_s=60.0)
        >>> rule.limit_s(5.0), rule.limit_s(-5.0)
        (900.0, 60.0)
        """
        if offset_s < 0 and self.gives_up_back_s is not None:
            return self.gives_up_back_s
        return self.gives_up_s

    @property
    def always_steps(self) -> bool:
        """Tell whether an error is stepped however late it appears."""
        return self.updates < 0 and self.threshold_s < inf


@dataclass(frozen=True, slots=True)
class SourceState:
    """One source as the daemon sees it; ``state`` is the daemon's own word."""

    name: str
    state: str
    reachable: bool


@dataclass(frozen=True, slots=True)
class DaemonWord:
    """What a daemon says of itself.

    ``updated_ns`` is when it last updated the clock, by the local clock, 0 for never; ``source`` is
    '' where it follows none. ``lists_sources`` is False where it cannot be asked for its sources.
    It has missed its polls where it last updated the clock more than ``overdue_s`` ago.
    """

    discipline: Discipline
    asked: str
    synchronised: bool
    source: str = ""
    stratum: int = 0
    offset_s: float = 0.0
    bound_s: float = 0.0
    updated_ns: int = 0
    frequency_ppm: float = 0.0
    skew_ppm: float = 0.0
    sources: tuple[SourceState, ...] = ()
    lists_sources: bool = True
    overdue_s: float = inf

    @property
    def is_cut_off(self) -> bool:
        """Tell whether none of its sources answers: it then coasts, however synchronised it is."""
        return self.lists_sources and not any(source.reachable for source in self.sources)


@dataclass(frozen=True, slots=True)
class Silence:
    """A daemon that could not be asked, and why."""

    discipline: Discipline
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Running:
    """The time daemons among the processes; ``seen`` is False where others' are hidden."""

    daemons: tuple[RunningDaemon, ...] = ()
    seen: bool = True


@dataclass(frozen=True, slots=True)
class Setup:
    """What is installed on the node, as far as it matters to its clock.

    ``container`` names the kind of container, ``agent_unit`` the service unit of the SSM Agent,
    ``agent_after`` the units of time that it waits for at boot; '' and () where there is none.
    """

    installed: tuple[InstalledDaemon, ...] = ()
    agent_unit: str = ""
    agent_after: tuple[str, ...] = ()
    container: str = ""
    package_tool: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DisciplineFacts:
    """Everything seen of what steers the clock.

    ``kernel`` and ``clockbound`` are None where there is none, or ``notes`` say why they could not
    be read. ``advised_source`` is the server that AWS advises for this node; ``w32time`` is None
    but on Windows.
    """

    processes: Running
    setup: Setup
    words: tuple[DaemonWord, ...]
    silences: tuple[Silence, ...]
    rules: tuple[tuple[Discipline, StepRule], ...]
    kernel: KernelClock | None
    clockbound: ClockBound | None
    wall_ns: int
    advised_source: str = "time.aws.com"
    notes: tuple[str, ...] = ()
    w32time: W32Facts | None = None

    @property
    def running(self) -> tuple[RunningDaemon, ...]:
        """Return the time daemons that run."""
        return self.processes.daemons

    @property
    def installed(self) -> tuple[InstalledDaemon, ...]:
        """Return the time daemons that are installed."""
        return self.setup.installed

    @property
    def steering(self) -> tuple[RunningDaemon, ...]:
        """Return the daemons that steer the clock."""
        return tuple(daemon for daemon in self.running if daemon.steers)

    @property
    def word(self) -> DaemonWord | None:
        """Return what the steering daemon says of itself, where it could be asked.

        A daemon may answer though its process is not seen: it runs beside this container.
        """
        kinds = {daemon.discipline for daemon in self.steering}
        idle = {daemon.discipline for daemon in self.running} - kinds
        fitting = [item for item in self.words if item.discipline in kinds]
        foreign = [item for item in self.words if not kinds and item.discipline not in idle]
        return next(iter(fitting or foreign), None)

    @property
    def main(self) -> Discipline:
        """Return the daemon to mend: one that runs, else one installed; enabled ones first."""
        if self.word is not None:
            return self.word.discipline
        if self.running:
            return (self.steering or self.running)[0].discipline
        ranked = sorted(self.installed, key=lambda item: (item.masked, not item.enabled))
        return ranked[0].discipline if ranked else Discipline.NONE

    @property
    def keeper(self) -> str:
        """Return the name of the daemon that provably keeps the clock right, '' for none."""
        word = self.word
        if word is not None:
            kept = word.synchronised and not word.is_cut_off and not self.is_stale
            return NAMES[word.discipline] if kept else ""
        if self.steering and self.kernel is not None and self.kernel.synchronised:
            return NAMES[self.steering[0].discipline]
        return ""

    @property
    def is_stale(self) -> bool:
        """Tell whether a daemon that lists no sources has missed its polls, by the kernel."""
        word, kernel = self.word, self.kernel
        if word is None or word.lists_sources:
            return False
        if word.updated_ns and (self.wall_ns - word.updated_ns) / 1e9 > word.overdue_s:
            return True
        if kernel is None:
            return False
        return kernel.steered_within_s > TIMESYNCD_SILENCE_S

    def rule(self, discipline: Discipline) -> StepRule | None:
        """Return when this daemon steps, where that is known."""
        return dict(self.rules).get(discipline)

    def unit(self, discipline: Discipline) -> str:
        """Return the service unit of a daemon, '' where none is known."""
        names = [item.unit for item in self.running if item.discipline is discipline and item.unit]
        names += [item.unit for item in self.installed if item.discipline is discipline]
        return names[0] if names else ""
