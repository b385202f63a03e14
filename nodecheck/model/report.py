"""A whole run: who looked, at what, when, and what came out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from nodecheck.model.verdict import Status, worst
from nodecheck.records import dataclass, replace

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.moment import CorrectedTime
    from nodecheck.model.verdict import Verdict

SUMMARY_LIMIT = 300
"""Longest verdict line, in characters: an association's summary keeps 510 of a failed step."""

EXIT_CODES = {Status.OK: 0, Status.WARN: 1, Status.CRIT: 2, Status.UNKNOWN: 3}
"""Exit codes of the monitoring-plugin convention."""


@dataclass(frozen=True, slots=True)
class ToolIdentity:
    """Which nodecheck made this report."""

    version: str
    commit: str


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """One run. ``started_at`` is corrected UTC where the clock could be measured."""

    run_id: str
    started_at: datetime
    local_started_at: datetime
    duration_ms: int
    deadline_s: float
    privileged: bool
    trigger: str


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Which node this report is about; an unknown field is None."""

    node_id: str | None
    kind: str | None
    region: str | None
    account: str | None
    platform: str
    os: str
    arch: str


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The measured clock: true time minus local clock in seconds; positive means slow."""

    offset_s: float
    bound_s: float
    source: str
    falsetickers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of this report in one sink: delivered, spooled, failed or dry-run."""

    sink: str
    state: str
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one run found out. ``verdict``, ``summary`` and counts follow from the checks.

    ``exit_code`` is what the process exits with.
    """

    tool: ToolIdentity
    run: RunIdentity
    node: NodeIdentity
    clock: ClockReading | None
    checks: tuple[Verdict, ...]
    corrected: CorrectedTime | None = None
    deliveries: tuple[Delivery, ...] = ()
    exit_code: int = 0

    def __post_init__(self) -> None:
        """Refuse an empty report."""
        if not self.checks:
            msg = "a report without checks"
            raise ValueError(msg)

    @property
    def verdict(self) -> Status:
        """Return the worst status; an undelivered report makes it at least unknown."""
        status = worst(tuple(check.weight for check in self.checks))
        if any(delivery.state == "failed" for delivery in self.deliveries):
            return max(status, Status.UNKNOWN, key=lambda item: item.severity)
        return status

    @property
    def counts(self) -> dict[str, int]:
        """Return how many checks have each status."""
        found = Counter(check.status for check in self.checks)
        return {
            status.value: found[status]
            for status in (Status.OK, Status.WARN, Status.CRIT, Status.UNKNOWN, Status.SKIP)
        }

    @property
    def summary(self) -> str:
        """Return one sentence: the root problem, what it explains, and how many more there are."""
        problems = sorted(
            (
                check
                for check in self.checks
                if check.findings and check.caused_by is None and check.weight is check.status
            ),
            key=lambda check: -self._weight(check),
        )
        if not problems:
            return self._without_problems()
        root = problems[0]
        explained = self._explained_by(root.check_id)
        parts = [root.message]
        if explained:
            parts.append("explains " + ", ".join(explained))
        others = [f"{check.check_id} {check.status.value}" for check in problems[1:]]
        if others:
            parts.append("also " + ", ".join(others))
        if self.losses:
            parts.insert(1, self.losses)
        return shorten("; ".join(parts), SUMMARY_LIMIT - 20)

    def _weight(self, root: Verdict) -> int:
        """Return how bad the worst is of a problem and of all that it explains."""
        explained = {root.check_id, *self._explained_by(root.check_id)}
        return max(check.status.severity for check in self.checks if check.check_id in explained)

    def _explained_by(self, root: str) -> list[str]:
        """Return the checks that a root explains, also through one another."""
        found: list[str] = []
        while True:
            more = [
                check.check_id
                for check in self.checks
                if check.caused_by in {root, *found} and check.check_id not in {root, *found}
            ]
            if not more:
                return found
            found += more

    def _without_problems(self) -> str:
        judged = sum(check.status is Status.OK for check in self.checks)
        skipped = sum(check.status is Status.SKIP for check in self.checks)
        beyond = len(self.checks) - judged - skipped
        text = f"{counted(judged, 'check')} passed" if judged else "nothing was judged"
        text += f", {skipped} skipped" if skipped else ""
        text += f", {beyond} beyond what the node has records of" if beyond else ""
        return shorten(text + (f"; {self.losses}" if self.losses else ""), SUMMARY_LIMIT - 20)

    @property
    def losses(self) -> str:
        """Return which deliveries failed and why, '' where none did."""
        failed = [item for item in self.deliveries if item.state == "failed"]
        return "; ".join(f"report not delivered to {item.sink}: {item.detail}" for item in failed)

    def delivered(self, deliveries: tuple[Delivery, ...]) -> Report:
        """Return this report with what became of it."""
        return replace(self, deliveries=(*self.deliveries, *deliveries))

    def exiting(self, fail_on: str) -> Report:
        """Return this report with the exit code of its verdict, 0 where ``fail_on`` is milder."""
        least = {"warn": Status.WARN, "unknown": Status.UNKNOWN, "crit": Status.CRIT}.get(fail_on)
        fails = least is not None and self.verdict.severity >= least.severity
        return replace(self, exit_code=EXIT_CODES[self.verdict] if fails else 0)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "check"), counted(2, "check")
    ('1 check', '2 checks')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shorten(text: str, limit: int) -> str:
    r"""Return the text on one line, at most ``limit`` characters, cut with three dots.

    >>> shorten("one\ntwo", 20), shorten("abcdefgh", 6)
    ('one two', 'abc...')
    """
    line = " ".join("".join(ch if ch.isprintable() else " " for ch in text).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
