"""The spool: reports on their way to sinks, in one file of the state folder.

A report is added before its first delivery is tried and removed when it was taken, both with fsync,
so that a run killed at any moment leaves it for a later one. Removing blanks a line in place: that
works on a full disk, too, where otherwise each run would send the same reports again. Only dropping
reports rewrites the file, whole or not at all, together with the count of what was dropped.

Two locks: one for each change of the file, held for milliseconds; one for sending, so that two runs
do not send the same reports.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from nodecheck.host.spool_lines import Content, header_of, line_of, read_content
from nodecheck.model.errors import Absent, Busy, ProbeError
from nodecheck.model.report import counted
from nodecheck.model.spool import SPOOL_LIMIT_BYTES, SpoolState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nodecheck.host.door import LocalClock, State
    from nodecheck.model.spool import SpooledReport

NAME: Final = "spool.jsonl"
LOCK: Final = "spool.lock"
SENDING_LOCK: Final = "delivery.lock"
LOCK_WAIT_S: Final = 2.0
LOCK_STEP_S: Final = 0.02
READ_LIMIT_BYTES: Final = 4 * SPOOL_LIMIT_BYTES
"""A larger file is not of our making."""

NO_ROOM: Final = "no room for more than 1 MB"
DAMAGED: Final = "damaged"

Key = tuple[str, str]


class SpoolFile:
    """The spool of one state folder. Every method raises ProbeError where it cannot do its work."""

    def __init__(self, state: State, clock: LocalClock, folder: str) -> None:
        """Take where it is; nothing is opened yet. ``note`` says what was found damaged."""
        self._state = state
        self._clock = clock
        self._folder = folder
        self.note = ""

    @property
    def path(self) -> str:
        """Return where the file is."""
        return f"{self._folder}/{NAME}"

    def look(self) -> SpoolState:
        """Return what waits, oldest first."""
        content = self._read()
        reports = tuple(line.report for line in content.lines)
        dropped = content.dropped + Counter({DAMAGED: len(content.damaged)})
        return SpoolState(reports, tuple(sorted(dropped.items())), content.size_bytes)

    def keep(self, reports: tuple[SpooledReport, ...], replaced: Iterable[str] = ()) -> None:
        """Add reports; those of the sinks ``replaced`` take the place of older ones."""
        added = b"".join(line_of(report) for report in reports)
        if len(added) > SPOOL_LIMIT_BYTES:
            msg = f"{self.path}: {len(added)} bytes of reports are more than it holds"
            raise ProbeError(msg, "no-state")
        sinks = frozenset(replaced)
        with self._locked():
            content = self._read()
            left = [line for line in content.lines if line.report.sink not in sinks]
            is_same = content.is_clean and len(left) == len(content.lines)
            if is_same and content.size_bytes + len(added) <= SPOOL_LIMIT_BYTES:
                self._state.append(self._folder, NAME, added)
            else:
                self._rewrite(content, [line.report for line in left], reports)

    def remove(self, keys: Iterable[Key]) -> None:
        """Remove reports that were taken."""
        gone = frozenset(keys)
        with self._locked():
            content = self._read()
            left = [line for line in content.lines if line.report.key not in gone]
            end = max((line.end for line in left), default=content.header_bytes)
            if not content.is_clean:
                end = content.size_bytes
            spans = tuple(
                (line.start, line.length)
                for line in content.lines
                if line.report.key in gone and line.start < end
            )
            if len(left) < len(content.lines):
                self._state.erase(self._folder, NAME, spans, end)

    def drop(self, reasons: Mapping[Key, str]) -> None:
        """Give reports up, and count why."""
        with self._locked():
            content = self._read()
            lost = [line for line in content.lines if line.report.key in reasons]
            left = [line.report for line in content.lines if line.report.key not in reasons]
            content.dropped.update(reasons[line.report.key] for line in lost)
            if lost:
                self._rewrite(content, left, ())

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Be the one that sends.

        Raises:
            Busy: another run is, and does not end.
        """
        with self._wait_for(SENDING_LOCK):
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with self._wait_for(LOCK):
                yield
        except Busy as exc:
            raise ProbeError(str(exc), "no-state") from exc

    @contextmanager
    def _wait_for(self, name: str) -> Iterator[None]:
        end_ns = self._clock.monotonic_ns() + int(LOCK_WAIT_S * 1e9)
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(self._state.lock(self._folder, name))
                    break
                except Busy:
                    if self._clock.monotonic_ns() >= end_ns:
                        raise
                self._clock.pause(LOCK_STEP_S)
            yield

    def _read(self) -> Content:
        try:
            return read_content(self._state.read(self._folder, NAME, READ_LIMIT_BYTES))
        except Absent:
            return Content()
        except ProbeError as exc:
            if exc.reason != "too-large":
                raise
            self.note = f"{exc}, kept as {self._state.set_aside(self._folder, NAME)}"
            return Content(dropped=Counter({DAMAGED: 1}))

    def _rewrite(
        self, content: Content, left: list[SpooledReport], added: tuple[SpooledReport, ...]
    ) -> None:
        """Write the file anew, without what is damaged and, where room lacks, without the oldest.

        What is damaged is kept beside it, as far as that is possible.
        """
        dropped = content.dropped
        if content.damaged:
            dropped[DAMAGED] += len(content.damaged)
            self._keep_damaged(content.damaged)
        lines = [line_of(report) for report in (*left, *added)]
        # One for the header, which may grow by what is dropped here.
        room = SPOOL_LIMIT_BYTES - len(header_of(dropped + Counter({NO_ROOM: len(lines)})))
        size = sum(map(len, lines))
        while size > room:
            size -= len(lines.pop(0))
            dropped[NO_ROOM] += 1
        self._state.write(self._folder, NAME, header_of(dropped) + b"".join(lines))

    def _keep_damaged(self, damaged: list[bytes]) -> None:
        self.note = f"{self.path}: {counted(len(damaged), 'damaged line')}"
        try:
            self._state.write(self._folder, f"{NAME}.damaged", b"\n".join(damaged) + b"\n")
        except ProbeError as exc:
            self.note += f"; they could not be kept: {exc}"
        else:
            self.note += f", kept as {self.path}.damaged"
