"""The run command: flags, signals, the lock, the run itself, and telling it."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from nodecheck import run
from nodecheck.catalogue import SELECTORS
from nodecheck.host.mailbox import Mailbox
from nodecheck.host.output import error_is_terminal, out_is_terminal, write_error, write_out
from nodecheck.model.errors import Busy, ConfigError, UsageError
from nodecheck.model.settings import BY_NAME, checked
from nodecheck.settings import load, settings_file
from nodecheck.telling import render, tell

if TYPE_CHECKING:
    from argparse import Namespace

    from nodecheck.host.door import Host
    from nodecheck.model.settings import Settings

INTERNAL: Final = 70
CONFIG: Final = 78
CLEAR_LINE: Final = "\r\x1b[K"

FLAGS: Final = {
    "only": "run.only",
    "skip": "run.skip",
    "offline": "run.offline",
    "fail_on": "run.fail_on",
    "deadline": "run.deadline_s",
    "report": "report.sinks",
    "splay": "report.splay_s",
}


def run_command(host: Host, options: Namespace) -> int:
    """Check this node, tell the report, and return the exit code.

    Raises:
        UsageError: a flag asks for something impossible.
        ConfigError: the settings are wrong.
    """
    flags = _flags(options)
    try:
        settings = load(host, SELECTORS, file=settings_file(options.config), flags=flags)
        _refuse_pointless(options, settings)
        return _run_with(host, options, settings)
    except ConfigError as exc:
        message = f"{len(exc.problems)} mistakes in the settings, nothing was checked: {exc}"
        _refuse(host, options, CONFIG, "settings", message)
        raise
    except UsageError:
        raise
    except Exception:
        _refuse(host, options, INTERNAL, "internal", "internal error, nothing was proven")
        raise


def _flags(options: Namespace) -> dict[str, object]:
    values = {name: getattr(options, flag) for flag, name in FLAGS.items()}
    given = {name: value for name, value in values.items() if value is not None}
    for flag, name in FLAGS.items():
        if name not in given:
            continue
        try:
            checked(BY_NAME[name], given[name])
        except ValueError as exc:
            msg = f"--{flag.replace('_', '-')}: {exc}"
            raise UsageError(msg) from exc
    for name in ("run.only", "run.skip"):
        unknown = [item for item in given.get(name, ()) if item not in SELECTORS]
        if unknown:
            msg = f"there is no check or group {unknown[0]!r}; see: nodecheck list"
            raise UsageError(msg)
    return given


def _refuse_pointless(options: Namespace, settings: Settings) -> None:
    if options.dry_run and not settings.texts("report.sinks"):
        msg = "--dry-run shows what a sink would send: name one with --report"
        raise UsageError(msg)


def _run_with(host: Host, options: Namespace, settings: Settings) -> int:
    for name in settings.unused:
        _note(f"{name} is set, but no check of this version uses it")
    trigger = _trigger(host)
    folder = settings.text("state.dir") or host.state.default_folder()
    with Mailbox() as mailbox:
        _listen(mailbox)
        try:
            with host.state.run_lock(folder, _note):
                result = run.run_once(host, settings, mailbox, trigger, _progress)
        except Busy as exc:
            message = f"nothing was checked: {exc}"
            report = run.refused(host, trigger, "run.lock", "busy", message)
            return tell(host, options, settings, report)
        _end_progress()
        for trace in result.traces:
            write_error(trace)
        if options.dry_run:
            report = run.preview(settings, result.report)
        else:
            report = run.deliver(host, settings, mailbox, result.report)
        return tell(host, options, settings, report)


def _trigger(host: Host) -> str:
    """Tell who started this run: Run Command and State Manager, systemd, a person, or another."""
    environment = host.environment
    if environment.get("SSM_COMMAND_ID") or environment.get("AWS_SSM_INSTANCE_ID"):
        return "run-command"
    if out_is_terminal():
        return "terminal"
    return "systemd" if environment.get("INVOCATION_ID") else "other"


def _listen(mailbox: Mailbox) -> None:
    """Let SIGINT and SIGTERM end the run with a report; a second signal ends it at once."""

    def interrupt(number: int, _frame: object) -> None:
        mailbox.interrupt(signal.Signals(number).name)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def _progress(names: tuple[str, ...]) -> None:
    if error_is_terminal():
        write_error(f"{CLEAR_LINE}waiting for {', '.join(names)}")


def _end_progress() -> None:
    if error_is_terminal():
        write_error(CLEAR_LINE)


def _note(message: str) -> None:
    write_error(f"nodecheck: note: {message}\n")


def _refuse(host: Host, options: Namespace, code: int, reason: str, message: str) -> None:
    """Tell in the form that was asked for why nothing was checked."""
    report = run.refused(host, _trigger(host), f"run.{reason}", reason, message)
    write_out(render(host, options, replace(report, exit_code=code)))
