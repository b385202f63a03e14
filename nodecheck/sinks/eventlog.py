"""Send the verdict to the event log of Windows: one line, with a number for each verdict.

The source ``nodecheck`` borrows the messages of EventCreate.exe, whose texts are ``%1`` for the
numbers 1 to 1000: nothing of nodecheck is kept open by whoever reads the log.
Source: ReportEventW of learn.microsoft.com; MS-EVEN 3.2.4.1.4 (``EventMessageFile``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.host.event_log import LOG, SOURCE, EventKind, write_event
from nodecheck.model.errors import SinkError
from nodecheck.model.report import Delivery, shorten
from nodecheck.model.verdict import Status
from nodecheck.sinks.text import verdict_line

if TYPE_CHECKING:
    from nodecheck.model.report import Report

NAME: Final = "eventlog"
EVENTS: Final = {
    Status.OK: (100, EventKind.INFORMATION),
    Status.WARN: (101, EventKind.WARNING),
    Status.CRIT: (102, EventKind.ERROR),
    Status.UNKNOWN: (103, EventKind.ERROR),
}
"""100 and the exit code that the verdict has: alarms are set on the number."""

TEXT_LIMIT: Final = 1024
FIELD_LIMIT: Final = 64


def deliver(report: Report) -> Delivery:
    """Write the event and say where it is.

    Raises:
        SinkError: this is not Windows, or Windows did not take it.
    """
    number, kind = EVENTS[report.verdict]
    try:
        write_event(number, kind, message(report))
    except OSError as exc:
        msg = f"event log: {exc.strerror or exc}"
        raise SinkError(msg) from exc
    return Delivery(NAME, "delivered", _place(number))


def preview(report: Report) -> str:
    """Return the event that would be written."""
    number, kind = EVENTS[report.verdict]
    return f"to the {_place(number)}, {kind.name.lower()}:\n{message(report)}"


def message(report: Report) -> str:
    """Return the text; two percent signs would be a reference into another table of messages."""
    node = shorten(report.node.node_id or "not registered", FIELD_LIMIT)
    run = shorten(report.run.run_id, FIELD_LIMIT)
    text = f"{verdict_line(report)} (exit {report.exit_code}, {node}, run {run})"
    return shorten(text.replace("%%", "% %").replace("\0", "?"), TEXT_LIMIT)


def _place(number: int) -> str:
    return f"{LOG} log, source {SOURCE}, event {number}"
