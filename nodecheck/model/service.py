"""Facts about the agent as a service: its unit, who starts it at boot, and what it uses.

A time or count that this node's service manager does not tell is None; it is never guessed.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.agent_service_setup import ServiceSetup

UNITS: Final = (
    "amazon-ssm-agent.service",
    "snap.amazon-ssm-agent.amazon-ssm-agent.service",
)
"""The unit of the packages, and the one that snapd makes."""

WORKER: Final = "ssm-agent-worker"
"""The executable that the core starts, and that alone receives commands."""


class Manager(Enum):
    """What starts and restarts services on this node."""

    SYSTEMD = "systemd"
    UPSTART = "upstart"
    SYSV = "SysV init"
    WINDOWS = "service control manager"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class UnitState:
    """One unit, in systemd's own words (systemctl(1), ``show``).

    ``exit_kind`` is CLD_EXITED (1), CLD_KILLED (2) or CLD_DUMPED (3) of the last main process, 0
    where none has ended; ``exit_status`` its exit status or signal. ``active_since_us`` is on the
    monotonic clock, 0 where it never was. ``restarts`` is None before systemd 235, which does not
    count them; ``burst`` are the starts that systemd allows in a row.
    """

    unit: str
    load: str
    enablement: str
    active: str
    sub: str
    result: str = ""
    exit_kind: int = 0
    exit_status: int = 0
    main_pid: int = 0
    restarts: int | None = None
    burst: int | None = None
    active_since_us: int = 0
    user: str = ""
    wanted_by: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        """Tell whether systemd has a main process of it that is up."""
        return self.active in {"active", "reloading", "refreshing"} and self.main_pid > 0

    @property
    def state(self) -> str:
        """Return the state as ``systemctl status`` spells it."""
        return f"{self.active} ({self.sub})"


@dataclass(frozen=True, slots=True)
class UnitLinks:
    """What the files say of one unit.

    ``path`` is the unit file that counts ('' without one), ``masked`` that it is switched off,
    ``wants`` the links by which targets start it.
    """

    unit: str
    path: str = ""
    masked: bool = False
    wants: tuple[str, ...] = ()

    @property
    def starts(self) -> bool:
        """Tell whether a target starts it at every boot; links in /run are gone after this one."""
        return any(not path.startswith("/run/") for path in self.wants)


@dataclass(frozen=True, slots=True)
class Job:
    """The agent as upstart or SysV init know it.

    ``path`` is the job's file or script, ``state`` upstart's word for it ('' for SysV, which has
    none), ``starts`` whether it is started at boot.
    """

    path: str
    state: str
    starts: bool


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """One process of the agent, its parent, and what it uses; None: could not be seen.

    ``name`` is that of the image's file, ``parent_pid`` is 0 where it could not be seen. ``age_s``
    is counted since it was started, also while the node slept. ``suspended`` tells that a signal
    holds it.
    """

    pid: int
    name: str
    unit: str
    parent_pid: int
    age_s: float | None = None
    uid: int | None = None
    rss_bytes: int | None = None
    cpu_s: float | None = None
    open_files: int | None = None
    files_limit: int | None = None
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the service manager did not tell its state: reason code and sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ServiceProcesses:
    """The agent's processes.

    ``ended`` are those that ended while they were looked at, ``main_pid`` is the one that systemd
    started as far as the processes tell (0: they do not), ``failure`` why none could be seen.
    """

    processes: tuple[ProcessUse, ...] = ()
    ended: tuple[int, ...] = ()
    main_pid: int = 0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """The agent as a service.

    ``units`` are what systemd says of both units, ``links`` what its files say; ``failure`` is why
    the manager did not answer. ``monotonic_s`` is when it was asked, ``unobserved`` what could not
    be seen; ``setup`` is there on Windows, None where its manager did not answer.
    """

    manager: Manager
    monotonic_s: float
    units: tuple[UnitState, ...] = ()
    links: tuple[UnitLinks, ...] = ()
    job: Job | None = None
    failure: Failure | None = None
    seen: ServiceProcesses = ServiceProcesses()
    unobserved: tuple[str, ...] = ()
    setup: ServiceSetup | None = None

    def unit(self, name: str) -> UnitState | None:
        """Return what systemd says of a unit, None where it was not asked or did not answer."""
        return next((unit for unit in self.units if unit.unit == name), None)

    def links_of(self, name: str) -> UnitLinks:
        """Return what the files say of a unit."""
        return next((links for links in self.links if links.unit == name), UnitLinks(name))
