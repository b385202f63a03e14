"""Tell the report: to stdout, to a file, and its verdict to stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.host.output import (
    error_is_terminal,
    out_is_terminal,
    reads_unicode,
    terminal_width,
    write_error,
    write_file,
    write_out,
)
from nodecheck.model.report import Delivery
from nodecheck.sinks.json_document import SSM_LIMIT_BYTES
from nodecheck.sinks.json_document import render as render_json
from nodecheck.sinks.text import Style, verdict_line
from nodecheck.sinks.text import render as render_text

if TYPE_CHECKING:
    from argparse import Namespace

    from nodecheck.host.door import Host
    from nodecheck.model.report import Report
    from nodecheck.model.settings import Settings


def tell(host: Host, options: Namespace, settings: Settings, report: Report) -> int:
    """Write the report wherever it was asked for, and return the exit code."""
    fail_on = settings.text("run.fail_on")
    if options.output:
        full = render(host, options, report.exiting(fail_on), to_file=True)
        delivery = _to_file(options.output, full, dry_run=options.dry_run)
        report = report.delivered((delivery,))
    report = report.exiting(fail_on)
    problem = write_out(render(host, options, report))
    arrived = any(item.state in {"delivered", "spooled"} for item in report.deliveries)
    if problem and not arrived:
        report = report.delivered((Delivery("stdout", "failed", problem),)).exiting(fail_on)
    if report.exit_code and not error_is_terminal():
        write_error(verdict_line(report) + "\n")  # first: a summary of 510 characters keeps it
    for item in report.deliveries:
        if item.state == "failed":
            write_error(f"nodecheck: report not delivered to {item.sink}: {item.detail}\n")
    return report.exit_code


def _to_file(path: str, content: str, *, dry_run: bool) -> Delivery:
    if dry_run:
        return Delivery("file", "dry-run", path)
    try:
        write_file(path, content)
    except OSError as exc:
        return Delivery("file", "failed", f"{path}: {exc.strerror}")
    return Delivery("file", "delivered", path)


def render(host: Host, options: Namespace, report: Report, *, to_file: bool = False) -> str:
    """Return the report in the format that was asked for; a file gets all of it."""
    if options.format == "json":
        cut = report.run.trigger == "run-command" and not options.verbose and not to_file
        return render_json(report, SSM_LIMIT_BYTES if cut else None)
    wants = {"always": True, "never": False}.get(options.color)
    colour = out_is_terminal() and not host.environment.get("NO_COLOR") if wants is None else wants
    style = Style(
        unicode=to_file or reads_unicode(host.environment),
        colour=colour and not to_file,
        width=0 if to_file else terminal_width(),
        verbose=options.verbose or to_file,
        quiet=options.quiet and not to_file,
    )
    return render_text(report, style)
