"""Facts about installed and running agents, one class for each place where nodecheck looks."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.version import AgentVersion
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.node import FileState
    from nodecheck.model.process_text import LoaderVariable

CORE: Final = "amazon-ssm-agent"
"""The executable that the service manager starts; it starts the others."""

EXECUTABLES: Final = (
    CORE,
    "ssm-agent-worker",
    "ssm-document-worker",
    "ssm-session-worker",
    "ssm-session-logger",
)
"""The agent's own executables that run on a node; scripts it starts are not among them."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A package that is neither installed nor gone. ``state`` is the channel's own word for it."""

    channel: Channel
    package: str
    state: str


@dataclass(frozen=True, slots=True)
class DebFacts:
    """What the dpkg database says; ``present`` tells whether this node has one."""

    installations: tuple[Installation, ...]
    damaged: tuple[Damage, ...] = ()
    present: bool = True


@dataclass(frozen=True, slots=True)
class SnapFacts:
    """What snapd has mounted."""

    installations: tuple[Installation, ...]
    damaged: tuple[Damage, ...] = ()


@dataclass(frozen=True, slots=True)
class ByHandFacts:
    """Executables at known places, whether a package owns them or not; versions are ''."""

    installations: tuple[Installation, ...]


class Found(Protocol):
    """Facts of an install channel that was partly seen, such as the rpm databases."""

    @property
    def installations(self) -> tuple[Installation, ...]:
        """Return the installed agents of this channel."""

    @property
    def unobserved(self) -> tuple[str, ...]:
        """Return what could not be looked at."""


@dataclass(frozen=True, slots=True)
class InstallSurvey(InstallFacts):
    """All channels together. ``native`` is the channel that this node's packages come by."""

    damaged: tuple[Damage, ...] = ()
    native: Channel = Channel.RPM


def oldest(installations: tuple[Installation, ...]) -> Installation:
    """Return the installation that is judged where there are several; one without version first."""
    return min(installations, key=lambda item: _order(item.version))


def _order(version: str) -> tuple[AgentVersion, ...]:
    try:
        return (AgentVersion.parse(version),)
    except ValueError:
        return ()


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """The operator's limits. ``min_version`` None: there is no floor."""

    min_version: AgentVersion | None = None
    max_age_days: int = 30
    crit_age_days: int = 90

    def __post_init__(self) -> None:
        """Refuse a negative age."""
        if min(self.max_age_days, self.crit_age_days) < 0:
            msg = f"ages of {self.max_age_days} and {self.crit_age_days} days"
            raise ValueError(msg)


class Mounts(Enum):
    """Whether a process sees the files of process 1: its mount namespace against that one's."""

    SAME = "same"
    OTHER = "other"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class CodeFile:
    """A file that brings code into a process; ``state`` None: no file is at that path."""

    path: str
    state: FileState | None


@dataclass(frozen=True, slots=True)
class AgentProcess:
    """A process of the agent, and the digest of the image that it runs.

    ``name`` is the executable it says it is, ``image`` the path it was started from, ``deleted``
    that this path no longer leads to it, ``unit`` the agent's unit that holds it, '' outside,
    ``uid`` 0 where it is wholly root's. ``code`` are the files mapped as code beside the image,
    ``variables`` those by which it had its loader fetch other code, ``tracer_pid`` (0: none) is who
    traces it; ``unseen`` says why code and variables could not be read.
    """

    pid: int
    name: str
    image: str
    deleted: bool
    device: int
    inode: int
    sha256: str
    unit: str
    uid: int
    mounts: Mounts = Mounts.SAME
    code: tuple[CodeFile, ...] = ()
    variables: tuple[LoaderVariable, ...] = ()
    tracer_pid: int = 0
    unseen: str = ""

    def is_at(self, states: tuple[FileState, ...]) -> bool:
        """Tell whether the image is one of these files, by device and inode."""
        return any(
            (state.path, state.device, state.inode) == (self.image, self.device, self.inode)
            for state in states
        )


@dataclass(frozen=True, slots=True)
class UnreadImage:
    """A process of the agent whose image could not be read, and why."""

    pid: int
    name: str
    reason: str
    message: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Bystander:
    """A process under the agent's name that cannot be this node's agent, and why not."""

    pid: int
    name: str
    image: str
    why: str


@dataclass(frozen=True, slots=True)
class RunningFacts:
    """The agent's processes, and the installed executables as they are on disk now.

    ``main_pid`` is the process that the service manager started for its current run of the unit,
    0 where that could not be told; ``updaters`` are the processes of the agent's own updater.
    ``grouped`` says that a unit of the agent holds processes, ``ignored`` who else has the name.
    ``preloads`` are the libraries that this node loads into every program; ``unseen`` says why
    that could not be read.
    """

    processes: tuple[AgentProcess, ...]
    unread: tuple[UnreadImage, ...]
    on_disk: tuple[FileState, ...]
    main_pid: int = 0
    updaters: tuple[int, ...] = ()
    grouped: bool = False
    ignored: tuple[Bystander, ...] = ()
    preloads: tuple[CodeFile, ...] = ()
    unseen: str = ""
