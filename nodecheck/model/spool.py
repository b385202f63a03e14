"""A report on its way to one sink: what is kept of it, and when it was true.

A report is kept before it is sent, so it must not depend on the run that made it: its payload is
the sink's own JSON object without a time, and its time is known by up to three clocks. The sink
gets the payload together with the time that the sending run believes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.model.moment import CorrectedTime
    from nodecheck.model.report import NodeIdentity

SPOOL_LIMIT_BYTES: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
OLDEST_S: Final = 13 * 86_400
"""CloudWatch takes what is at most 14 days old; a day is left for the way (PutLogEvents)."""

NEWEST_S: Final = 3600
"""CloudWatch takes what is at most 2 hours ahead; an hour is left (PutLogEvents)."""

TOO_OLD: Final = "older than 13 days"
IN_THE_FUTURE: Final = "dated in the future"
TIME_UNKNOWN: Final = "its time cannot be known any more"


@dataclass(frozen=True, slots=True)
class SpooledReport:
    """One report for one sink, as it is kept.

    ``true_ns`` is the corrected time of the run's start, None where it could not be measured;
    ``local_ns`` what the wall clock said then, ``monotonic_ns`` the monotonic clock of the boot
    ``boot`` ('' where the boot has no name). All in nanoseconds. ``payload`` is a JSON object.
    """

    sink: str
    run_id: str
    true_ns: int | None
    local_ns: int
    monotonic_ns: int
    boot: str
    payload: Mapping[str, object]

    @property
    def key(self) -> tuple[str, str]:
        """Return what tells this report from all others."""
        return (self.sink, self.run_id)


@dataclass(frozen=True, slots=True)
class DatedReport:
    """A kept report with its time, milliseconds since 1970.

    ``is_certain`` is false where only the local clock of the run is known, which may be wrong.
    """

    report: SpooledReport
    time_ms: int
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Consignment:
    """What one sink shall send: reports, oldest first, and all that is needed to send them.

    ``node`` is what the sending run knows of the node, ``limit_s`` the time there is for all.
    """

    reports: tuple[DatedReport, ...]
    corrected: CorrectedTime
    node: NodeIdentity
    limit_s: float


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of some reports: they arrived at ``place``, or never will because ``refused``."""

    reports: tuple[DatedReport, ...]
    place: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class SpoolState:
    """What waits in the spool, oldest first; ``dropped`` counts by reason what was given up."""

    reports: tuple[SpooledReport, ...] = ()
    dropped: tuple[tuple[str, int], ...] = ()
    size_bytes: int = 0


def dated(report: SpooledReport, corrected: CorrectedTime, boot: str) -> DatedReport:
    """Return a report with the best time there is for it.

    A run that could not measure the time is dated by the sending run while the boot lasts: the
    monotonic clock tells how long ago it was.
    """
    if report.true_ns is not None:
        return DatedReport(report, report.true_ns // 1_000_000, is_certain=True)
    if boot and report.boot == boot:
        time_ns = corrected.unix_ns(report.monotonic_ns)
        return DatedReport(report, time_ns // 1_000_000, is_certain=True)
    return DatedReport(report, report.local_ns // 1_000_000, is_certain=False)


def loss(report: DatedReport, now_ns: int) -> str:
    """Return why no sink takes a report of this time any more, '' where it does."""
    age_s = now_ns / SECOND_NS - report.time_ms / 1000
    if -NEWEST_S <= age_s <= OLDEST_S:
        return ""
    if not report.is_certain:
        return TIME_UNKNOWN
    return TOO_OLD if age_s > 0 else IN_THE_FUTURE


def in_order(reports: tuple[DatedReport, ...]) -> tuple[DatedReport, ...]:
    """Return reports in the order of their times; those of one time keep theirs."""
    return tuple(sorted(reports, key=lambda item: item.time_ms))
