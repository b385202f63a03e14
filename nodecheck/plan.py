"""What the catalogue consists of: probes that look, checks that judge, causes that explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from nodecheck.model.errors import ProbeError
from nodecheck.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from nodecheck.host.door import Host
    from nodecheck.model.settings import Settings
    from nodecheck.model.verdict import Verdict

T = TypeVar("T")

SYSTEMS: Final = ("linux", "windows")
"""What ``Platform.system`` may be: where checks can be judged."""

JOIN_S: Final = 0.2
"""More than enough to put together facts that are there."""


@dataclass
class Outcomes:
    """What the probes found, by the type of their facts: facts, or why there are none."""

    _found: dict[type, object] = field(default_factory=dict)

    def put(self, kind: type, outcome: object) -> None:
        """Keep the outcome of the probe that makes this kind of facts."""
        self._found[kind] = outcome

    def known(self, kind: type) -> bool:
        """Tell whether that probe has ended, in facts or in failure."""
        return kind in self._found

    def outcome(self, kind: type[T]) -> T | ProbeError:
        """Return the facts, or the reason why there are none."""
        found = self._found.get(kind)
        if isinstance(found, kind):
            return found
        if isinstance(found, ProbeError):
            return found
        return ProbeError(f"{kind.__name__}: was not looked at")

    def get(self, kind: type[T]) -> T:
        """Return the facts.

        Raises:
            ProbeError: the node could not be observed.
        """
        found = self.outcome(kind)
        if isinstance(found, ProbeError):
            raise found
        return found


@dataclass(frozen=True, slots=True)
class Look:
    """All that a probe gets: the node, the settings, what its needs found, and its time."""

    host: Host
    settings: Settings
    outcomes: Outcomes
    limit_s: float

    @property
    def state_folder(self) -> str:
        """Return where state is kept, '' where there is no such place."""
        return self.settings.text("state.dir") or self.host.state.default_folder()


@dataclass(frozen=True, slots=True)
class Bench:
    """All that a check gets: facts, the operator's limits, and the true time where known."""

    outcomes: Outcomes
    settings: Settings
    now: datetime | None


@dataclass(frozen=True, slots=True)
class Probe:
    """How one kind of facts is made.

    ``needs`` are looked for first; a need that failed or took too long does not keep this probe
    from starting. After ``limit_s`` seconds its facts count as not observed. A probe that only
    ``joins`` what others found takes no time, and is made even when the deadline has come.
    """

    facts: type
    look: Callable[[Look], object]
    needs: tuple[type, ...] = ()
    uses_network: bool = False
    limit_s: float = 8.0
    joins: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the catalogue, and everything there is to say about it."""

    check_id: str
    question: str
    why: str
    explanation: str
    needs: tuple[type, ...]
    judge: Callable[[Bench], Verdict]
    only_online: bool = False
    systems: tuple[str, ...] = SYSTEMS

    @property
    def group(self) -> str:
        """Return the part of the id before the dot."""
        return self.check_id.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Cause:
    """A finding of one check that explains the trouble of others.

    ``effects`` are the reasons that it explains there; empty: whatever is wrong there.
    ``only_crit``: not while the finding is a warning, which then is about something less.
    """

    check_id: str
    reasons: tuple[str, ...]
    explains: tuple[str, ...]
    effects: tuple[str, ...] = ()
    only_crit: bool = False
