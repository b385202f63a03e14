"""Tell the report: to stdout, to a file, and its verdict to stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.host.output import (
    error_is_terminal,
    reads_unicode,
    takes_colour,
    terminal_width,
    write_error,
    write_file,
    write_out,
)
from nodecheck.model.report import Delivery, shorten
from nodecheck.model.settings import DEFAULTS
from nodecheck.policies import limits
from nodecheck.sinks.json_document import SSM_LIMIT_BYTES
from nodecheck.sinks.json_document import render as render_json
from nodecheck.sinks.text import MESSAGE_LIMIT, Style, verdict_line
from nodecheck.sinks.text import render as render_text

if TYPE_CHECKING:
    from argparse import Namespace

    from nodecheck.host.door import Host
    from nodecheck.model.report import Report
    from nodecheck.model.settings import Settings

PRIVATE: Final = 0o600
READABLE: Final = 0o644
"""node_exporter runs as a user of its own."""


def tell(host: Host, options: Namespace, settings: Settings, report: Report) -> int:
    """Write the report wherever it was asked for, and return the exit code."""
    fail_on = settings.text("run.fail_on")
    if options.output:
        full = render(host, options, report.exiting(fail_on), settings, to_file=True)
        mode = READABLE if options.format == "prometheus" else PRIVATE
        delivery = _to_file(options.output, full, mode, dry_run=options.dry_run)
        report = report.delivered((delivery,))
    report = report.exiting(fail_on)
    problem = write_out(render(host, options, report, settings))
    arrived = any(item.state in {"delivered", "spooled"} for item in report.deliveries)
    if problem and not arrived:
        report = report.delivered((Delivery("stdout", "failed", problem),)).exiting(fail_on)
    if report.exit_code and not error_is_terminal():
        write_error(verdict_line(report) + "\n")  # first: a summary of 510 characters keeps it
    for item in report.deliveries:
        if item.state == "failed":
            detail = shorten(item.detail, MESSAGE_LIMIT)
            write_error(f"nodecheck: report not delivered to {item.sink}: {detail}\n")
    return report.exit_code


def _to_file(path: str, content: str, mode: int, *, dry_run: bool) -> Delivery:
    if dry_run:
        return Delivery("file", "dry-run", path)
    try:
        write_file(path, content, mode)
    except OSError as exc:
        return Delivery("file", "failed", f"{path}: {exc.strerror}")
    return Delivery("file", "delivered", path)


def render(
    host: Host,
    options: Namespace,
    report: Report,
    settings: Settings = DEFAULTS,
    *,
    to_file: bool = False,
) -> str:
    """Return the report in the format that was asked for; a file gets all of it."""
    if options.format == "text":
        return render_text(report, _style(host, options, to_file=to_file))
    if options.format == "json":
        cut = report.run.trigger == "run-command" and not options.verbose and not to_file
        return render_json(report, SSM_LIMIT_BYTES if cut else None)
    from nodecheck.sinks import junit, nagios, prometheus  # 6 ms, and most runs want neither

    if options.format == "prometheus":
        return prometheus.render(report)
    verbose, told = options.verbose or to_file, limits(settings)
    if options.format == "junit":
        return junit.render(report, told.fail_on, verbose=verbose)
    return nagios.render(report, told, verbose=verbose, quiet=options.quiet and not to_file)


def _style(host: Host, options: Namespace, *, to_file: bool) -> Style:
    wants = {"always": True, "never": False}.get(options.color)
    colour = takes_colour() and not host.environment.get("NO_COLOR") if wants is None else wants
    return Style(
        unicode=to_file or reads_unicode(host.environment),
        colour=colour and not to_file,
        width=0 if to_file else terminal_width(),
        verbose=options.verbose or to_file,
        quiet=options.quiet and not to_file,
    )
