"""What every dry run tells: the report as it would be kept, and what would keep it from going."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.model.errors import SinkError
from nodecheck.model.spool import DatedReport, SpooledReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nodecheck.model.report import Report


def as_if_kept(sink: str, report: Report, payload: dict[str, object]) -> DatedReport:
    """Return a report as its sink would get it."""
    kept = SpooledReport(sink, report.run.run_id, None, 0, 0, "", payload)
    return DatedReport(kept, int(report.run.started_at.timestamp() * 1000), is_certain=True)


def obstacles(report: Report, *requirements: Callable[[], object]) -> Iterator[str]:
    """Tell why the report would be kept and not sent; a requirement raises SinkError."""
    for requirement in requirements:
        try:
            requirement()
        except SinkError as exc:
            yield f"would be kept, not sent: {exc}"
    if report.corrected is None:
        yield (
            "would be kept, not sent: the true time could not be measured, so the report can be "
            "neither signed nor dated"
        )
