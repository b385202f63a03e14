"""Arguments and environment in, exit code out.

What a command does not need is not imported: ``--version`` and mistakes cost a few milliseconds.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from nodecheck.arguments import HelpAsked, parse
from nodecheck.host.memory import seldom_collect, share_heaps
from nodecheck.host.output import write_error, write_out
from nodecheck.model.errors import ConfigError, ProbeError, UsageError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

UNKNOWN: Final = 3
USAGE: Final = 64
INTERNAL: Final = 70
CONFIG: Final = 78
PROBLEM_LIMIT: Final = 2_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run nodecheck and return its exit code."""
    seldom_collect()
    try:
        return _dispatch(parse(sys.argv[1:] if arguments is None else arguments))
    except HelpAsked as exc:
        return _print(str(exc))
    except KeyboardInterrupt:
        write_error("nodecheck: interrupted before anything was checked\n")
        return UNKNOWN
    except UsageError as exc:
        write_error(f"nodecheck: {exc}\nnodecheck: try: nodecheck --help, nodecheck run --help\n")
        return USAGE
    except ConfigError as exc:
        from nodecheck.model.report import shorten

        lines = (f"nodecheck: {shorten(problem, PROBLEM_LIMIT)}\n" for problem in exc.problems)
        write_error("".join(lines))
        return CONFIG
    except Exception:  # noqa: BLE001 - the last resort: a bug is told as one
        import traceback

        write_error(traceback.format_exc() + "nodecheck: internal error; nothing was proven\n")
        return INTERNAL


def _dispatch(options: Namespace) -> int:
    if not options.version and options.command == "run":
        share_heaps()
        from nodecheck.host.here import this_host
        from nodecheck.running import run_command

        return run_command(this_host(), options)
    if not options.version and options.command == "spool":
        from nodecheck.host.here import this_host
        from nodecheck.spool_command import spool_command

        return spool_command(this_host(), options)
    return _print(_words(options))


def _print(words: str) -> int:
    problem = write_out(words)
    if problem:
        write_error(f"nodecheck: stdout: {problem}\n")
    return INTERNAL if problem else 0


def _words(options: Namespace) -> str:
    from nodecheck import manual

    if options.version:
        return manual.version(verbose=options.verbose)
    if options.command == "explain":
        return manual.explanation(options.check)
    if options.command == "schema":
        return manual.schema()
    if options.command == "completion":
        from nodecheck.completion import completion

        return completion(options.shell)
    return _words_of_here(options)


def _words_of_here(options: Namespace) -> str:
    """Return the words of a command that looks at this node or its settings."""
    from nodecheck import manual
    from nodecheck.host.here import this_host

    host = this_host()
    if options.command == "list":
        return manual.listing(host.platform)
    if options.command == "iam":
        return manual.iam_policy(host, options)
    checks = options.command == "config" and options.action == "check"
    settings = manual.settings(host, options.config, must_ask=checks)
    if options.command == "config":
        return manual.configuration(settings, shows=options.action == "show")
    try:
        return manual.key_table(host, settings)
    except ProbeError as exc:
        raise ConfigError((str(exc),)) from exc
