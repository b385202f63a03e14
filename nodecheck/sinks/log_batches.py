"""Cut log events into batches that one PutLogEvents takes.

Rules of the CloudWatch Logs API reference, PutLogEvents: events in the order of their times, at
most 24 hours from the first to the last, at most 10,000 events, and at most 1,048,576 bytes where
each event counts its UTF-8 bytes and 26 more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nodecheck.model.spool import DatedReport

BATCH_BYTES: Final = 1_048_576
OVERHEAD_BYTES: Final = 26
BATCH_EVENTS: Final = 10_000
SPAN_MS: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event for one log stream, and the report that it is made of."""

    stream: str
    message: str
    report: DatedReport

    @property
    def size_bytes(self) -> int:
        """Return what the event counts in a batch."""
        return len(self.message.encode()) + OVERHEAD_BYTES


def batches(events: Iterable[LogEvent]) -> Iterator[tuple[LogEvent, ...]]:
    """Return events, which come in the order of their times, in as few batches as keep the rules.

    A batch has one stream; an event larger than a batch is alone in one, for AWS to refuse.
    """
    batch: list[LogEvent] = []
    size_bytes = 0
    for event in events:
        if batch and not _fits(batch, size_bytes, event):
            yield tuple(batch)
            batch, size_bytes = [], 0
        batch.append(event)
        size_bytes += event.size_bytes
    if batch:
        yield tuple(batch)


def _fits(batch: list[LogEvent], size_bytes: int, event: LogEvent) -> bool:
    first = batch[0]
    return (
        event.stream == first.stream
        and len(batch) < BATCH_EVENTS
        and size_bytes + event.size_bytes <= BATCH_BYTES
        and event.report.time_ms - first.report.time_ms <= SPAN_MS
    )
