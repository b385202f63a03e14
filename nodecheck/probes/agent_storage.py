"""Look for the room in which the agent works, and count what it keeps there.

The agent makes a folder for each command and session, and for each association one with a folder
for each run, in ``<data>/<node id>/document/orchestration`` (agent/appconfig and agent/docmanager
of https://github.com/aws/amazon-ssm-agent). There may be half a million of them (issue 471 there),
so counting ends after a number of names and a time. No symbolic link is followed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nodecheck.host.folders import find_place
from nodecheck.model.agent_place import place_of
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import FileKind
from nodecheck.model.storage import Entries, Role, Room, StorageFacts

if TYPE_CHECKING:
    from nodecheck.host.door import Files, Host, LocalClock
    from nodecheck.model.agent_place import AgentPlace

NAMES_LIMIT: Final = 20_000
COUNT_LIMIT_S: Final = 1.0
NODES_LIMIT: Final = 1000
LOGS_LIMIT: Final = 1000

_RUN: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9]{2}-[0-9]{2}\b.*", re.ASCII)
"""The folder of an association's run is named after its time (UTC), with dashes for colons."""


def look(host: Host, names_limit: int = NAMES_LIMIT) -> StorageFacts:
    """Return the room for data and logs, the entries, and the size of the logs."""
    place = place_of(host.platform.system)
    rooms = (
        _room(host.files, Role.DATA, place.data),
        _room(host.files, Role.LOGS, place.logs),
    )
    unobserved: list[str] = []
    entries: Entries | None = None
    try:
        entries = _Count(host.files, host.clock, names_limit).of(place.instances)
    except ProbeError as exc:
        unobserved.append(str(exc))
    log_bytes, largest = None, ""
    try:
        log_bytes, largest = _logs(host.files, place)
    except ProbeError as exc:
        unobserved.append(str(exc))
    return StorageFacts(rooms, entries, log_bytes, largest, tuple(unobserved))


def _room(files: Files, role: Role, folder: str) -> Room:
    notes: list[str] = []
    place = find_place(files, folder, notes)
    if notes or place is None:
        return Room(role, folder, "", 0, None, "; ".join(notes) or f"{folder}: not there")
    try:
        system = files.space(place.path)
    except ProbeError as exc:
        return Room(role, folder, place.path, place.device, None, str(exc))
    return Room(role, folder, place.path, place.device, system)


class _Count:
    """Counts names until there are too many, or it has taken too long."""

    def __init__(self, files: Files, clock: LocalClock, names_limit: int) -> None:
        self._files = files
        self._clock = clock
        self._names_limit = names_limit
        self._ends_ns = clock.monotonic_ns() + int(COUNT_LIMIT_S * 1e9)
        self._count = 0
        self._oldest_ns: int | None = None

    def of(self, instances: str) -> Entries:
        """Return the entries of every node id that this installation has had.

        Raises:
            ProbeError: a folder could not be read.
        """
        try:
            names = self._files.listing(instances, NODES_LIMIT)
        except Absent:
            return Entries()
        complete = all(
            self._count_in(f"{instances}/{name}/document/orchestration")
            for name in names
            if self._is_folder(f"{instances}/{name}")
            and self._is_folder(f"{instances}/{name}/document")
            and self._is_folder(f"{instances}/{name}/document/orchestration")
        )
        return Entries(min(self._count, self._names_limit), complete, self._oldest_ns)

    def _count_in(self, folder: str) -> bool:
        """Count the entries of one node id, and tell whether all of them were seen."""
        names = self._names(folder)
        self._count += len(names)
        seen = all(self._count_runs(f"{folder}/{name}") for name in names)
        return seen and self._count <= self._names_limit

    def _count_runs(self, folder: str) -> bool:
        """Count the runs of an association; a command or session has none."""
        if self._clock.monotonic_ns() > self._ends_ns:
            return False
        try:
            state = self._files.state(folder)
        except Absent:  # the agent removes entries while we count
            return True
        if state.kind is not FileKind.FOLDER:
            return True
        runs = [name for name in self._names(folder) if _RUN.fullmatch(name)]
        self._count += len(runs)
        self._note(_started_ns(min(runs)) if runs else state.mtime_ns)
        return True

    def _names(self, folder: str) -> tuple[str, ...]:
        """Return the names in a folder; too many of them end the counting."""
        try:
            return self._files.listing(folder, self._names_limit)
        except Absent:
            return ()
        except ProbeError as exc:
            if exc.reason != "too-large":
                raise
            self._count = self._names_limit + 1
            return ()

    def _note(self, at_ns: int | None) -> None:
        known = [item for item in (at_ns, self._oldest_ns) if item is not None]
        self._oldest_ns = min(known, default=None)

    def _is_folder(self, path: str) -> bool:
        try:
            return self._files.state(path).kind is FileKind.FOLDER
        except Absent:
            return False


def _started_ns(name: str) -> int | None:
    try:
        started = datetime.strptime(name[:19], "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(started.timestamp()) * 10**9


def _logs(files: Files, place: AgentPlace) -> tuple[int, str]:
    """Return the size of all logs together, and the largest of them."""
    sizes = {}
    for folder in (place.logs, place.audits):
        try:
            names = files.listing(folder, LOGS_LIMIT)
        except Absent:
            continue
        for name in names:
            try:
                state = files.state(f"{folder}/{name}")
            except Absent:
                continue
            if state.kind is FileKind.FILE:
                sizes[state.path] = state.size
    largest = max(sizes, key=lambda path: sizes[path], default="")
    return sum(sizes.values()), largest
