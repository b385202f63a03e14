"""Send the verdict to the local system log: one line, with the priority of the verdict.

The form is that of syslog(3) on a local socket, without the optional time: whoever listens stamps
the arrival (systemd-journald, rsyslog's imuxsock). RFC 3164 section 4.1: priority = facility * 8 +
severity, and at most 1,024 bytes, which the limits of the parts keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.host.local_log import SOCKET, process_id, send_log
from nodecheck.model.errors import SinkError
from nodecheck.model.report import Delivery, shorten
from nodecheck.model.verdict import Status
from nodecheck.sinks.text import verdict_line

if TYPE_CHECKING:
    from nodecheck.model.report import Report

NAME: Final = "syslog"
DAEMON: Final = 3
PRIORITIES: Final = {Status.CRIT: 2, Status.UNKNOWN: 3, Status.WARN: 4, Status.OK: 6}
"""RFC 3164 section 4.1.1: facility daemon; critical, error, warning, informational."""

TIMEOUT_S: Final = 2.0
"""A full queue is a daemon that hangs; syslog(3) itself would wait for ever."""

FIELD_LIMIT: Final = 64


def deliver(report: Report, limit_s: float, path: str = SOCKET) -> Delivery:
    """Log the verdict and say where.

    Raises:
        SinkError: nobody took it.
    """
    try:
        send_log(message(report, process_id()), min(limit_s, TIMEOUT_S), path)
    except OSError as exc:
        reason = {
            FileNotFoundError: "there is no such socket, so no syslog daemon runs",
            ConnectionRefusedError: "no syslog daemon listens",
            PermissionError: "this user may not write there",
            TimeoutError: "the syslog daemon does not take messages",
        }.get(type(exc), exc.strerror or str(exc))
        msg = f"{path}: {reason}"
        raise SinkError(msg) from exc
    return Delivery(NAME, "delivered", path)


def preview(report: Report) -> str:
    """Return the line that would be logged."""
    return f"to {SOCKET}:\n{message(report, process_id()).decode('ascii')}"


def message(report: Report, pid: int) -> bytes:
    """Return the message: ASCII without control characters, whatever the node is called."""
    node = shorten(report.node.node_id or "not registered", FIELD_LIMIT)
    run = shorten(report.run.run_id, FIELD_LIMIT)
    priority = DAEMON * 8 + PRIORITIES[report.verdict]
    text = f"{verdict_line(report)} (exit {report.exit_code}, {node}, run {run})"
    line = f"<{priority}>nodecheck[{pid}]: {text}".replace("±", "+-")
    return line.encode("ascii", "replace")
