"""Append the whole report as one line of JSON to a file, for log shippers that follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.host.report_log import append_line
from nodecheck.model.errors import SinkError
from nodecheck.model.report import Delivery
from nodecheck.sinks.json_document import render

if TYPE_CHECKING:
    from nodecheck.model.report import Report

NAME: Final = "file"


def deliver(report: Report, path: str) -> Delivery:
    """Append the report and say where.

    Raises:
        SinkError: no file is named, or it cannot be written.
    """
    try:
        append_line(_named(path), render(report).encode("ascii"))
    except OSError as exc:
        msg = f"{path}: {exc.strerror or exc}"
        raise SinkError(msg) from exc
    return Delivery(NAME, "delivered", path)


def preview(report: Report, path: str) -> str:
    """Return the line that would be appended.

    Raises:
        SinkError: no file is named.
    """
    return f"to {_named(path)}:\n{render(report).rstrip()}"


def _named(path: str) -> str:
    if not path:
        msg = "no file is named: set report.file"
        raise SinkError(msg)
    return path
