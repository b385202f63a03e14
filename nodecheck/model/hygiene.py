"""Facts about what State Manager and Run Command have this node do again and again.

The agent keeps associations in memory only. What is left of them on disk is the line "Next
scheduled association is {...}" that its log holds for each run that begins
(agent/association/schedulemanager of https://github.com/aws/amazon-ssm-agent), and the folders of
runs, which it removes after 24 hours for associations and after 14 days for commands
(agent/appconfig/constants.go). Who is not there may have been there before.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from nodecheck.model.moment import unix_ns
from nodecheck.model.schedule import MONTHLY_DAYS
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from datetime import datetime

UPDATE_DOCUMENT: Final = "AWS-UpdateSSMAgent"
HOST_MANAGEMENT: Final = "AWS-RunPatchBaselineAssociation"
PATCH_DOCUMENTS: Final = (
    "AWS-RunPatchBaseline",
    HOST_MANAGEMENT,
    "AWS-RunPatchBaselineWithHooks",
    "AWS-ApplyPatchBaseline",
)
"""Documents that report patch compliance (User Guide, "SSM Command documents for patching")."""

DAY_NS: Final = 86_400 * 10**9
LATE_DAYS: Final = MONTHLY_DAYS + 1
"""A monthly association that did not run within these is overdue, or is none."""

SCAN_REACH_DAYS: Final = 8.0
"""A weekly scan and a day: schedules of associations are daily or weekly, Quick Setup's daily."""


class Work(Enum):
    """What a run does, as far as it matters here."""

    UPDATE = "updates the agent"
    PATCH = "scans for patches"


@dataclass(frozen=True, slots=True)
class Association:
    """The last time that the agent's log says that a run of an association begins.

    ``at`` is that moment as stamped, ``at_ns`` by the node's clock, None where the stamp has no
    date; ``status`` and ``ran_at`` tell of the run before it, in the words of State Manager.
    ``is_policy`` says that a patch policy of Quick Setup made it. An unknown text is ''.
    """

    association_id: str
    document: str
    schedule: str
    work: Work
    at: str = ""
    at_ns: int | None = None
    place: str = ""
    status: str = ""
    ran_at: str = ""
    operation: str = ""
    is_policy: bool = False
    node_id: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """The folder of a run: of an association, or of a command."""

    owner_id: str
    work: Work
    is_association: bool
    at_ns: int


@dataclass(frozen=True, slots=True)
class RunFolders:
    """The folders of runs that are left; ``problem`` says why that may not be all of them."""

    traces: tuple[Trace, ...]
    problem: str = ""

    def of(self, work: Work) -> tuple[Trace, ...]:
        """Return those of runs that did this, the last one first."""
        found = [item for item in self.traces if item.work is work]
        return tuple(sorted(found, key=lambda item: -item.at_ns))


@dataclass(frozen=True, slots=True)
class AssociationFacts:
    """What the logs tell. Ages are by the node's clock, which says ``wall_ns``.

    ``begins_ns`` is how far the logs were read back, None where that is not known. ``unobserved``
    are logs that could not be read or prove nothing, ``strange`` counts entries that were cut.
    """

    associations: tuple[Association, ...]
    begins_ns: int | None
    wall_ns: int
    read: tuple[str, ...] = ()
    unobserved: tuple[str, ...] = ()
    strange: int = 0

    def of(self, work: Work, node_id: str = "") -> tuple[Association, ...]:
        """Return the associations that do this, the one that ran last first.

        A log that came with an image tells of the node on which it was written: those are left out.
        """
        found = [
            item
            for item in self.associations
            if item.work is work and not (node_id and item.node_id and item.node_id != node_id)
        ]
        return tuple(sorted(found, key=lambda item: item.at, reverse=True))

    def reach_days(self, now: datetime | None) -> float | None:
        """Return how many days the log reaches back, None where that is not known."""
        return self.age_days(self.begins_ns, now)

    def age_days(self, at_ns: int | None, now: datetime | None) -> float | None:
        """Return the age of a stamp in days, None where it is not known.

        The clock that made the stamp may have been wrong, and may have been set since: by that
        clock and by corrected time the age must be the same but for a day.
        """
        if at_ns is None or now is None:
            return None
        local, true = ((ns - at_ns) / DAY_NS for ns in (self.wall_ns, unix_ns(now)))
        return min(local, true) if min(local, true) >= 0 and abs(local - true) <= 1 else None


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret in plain text: the rule that saw it, its file, its first line and how many."""

    rule: str
    path: str
    line: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """What a search for secrets found; no value of one is kept.

    ``examples`` are the keys of AWS's own documentation, which open nothing. ``unread`` are places
    that were not searched, and why.
    """

    asked: bool
    leaks: tuple[Leak, ...] = ()
    examples: tuple[str, ...] = ()
    files: int = 0
    size: int = 0
    unread: tuple[str, ...] = ()
