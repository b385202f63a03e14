"""The run command: signals, the lock, the run itself, delivering and telling it."""

from __future__ import annotations

import re
import shlex
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from nodecheck import run
from nodecheck.catalogue import SELECTORS
from nodecheck.flags import read_flags, refuse_pointless
from nodecheck.host.mailbox import Mailbox
from nodecheck.host.output import error_takes_escapes, out_is_terminal, write_error, write_out
from nodecheck.model.errors import Busy, ConfigError, UsageError
from nodecheck.model.report import shorten
from nodecheck.model.setting_forms import REGION
from nodecheck.model.verdict import Finding, Fix, Status, Verdict
from nodecheck.records import replace
from nodecheck.settings import load, settings_file
from nodecheck.sinks.text import MESSAGE_LIMIT
from nodecheck.telling import render, tell

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from nodecheck.host.door import Host
    from nodecheck.model.settings import Settings

INTERNAL: Final = 70
CONFIG: Final = 78
CLEAR_LINE: Final = "\r\x1b[K"
LOCK_WAIT_S: Final = 2.0
"""A run of another moment is waited for; one that hangs, or waits for its splay, is not."""

LOCK_STEP_S: Final = 0.05
LOCK_LIMIT_S: Final = 3.0
"""A file system that takes longer than this to open a file hangs."""

REGION_VARIABLES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")


def run_command(host: Host, options: Namespace) -> int:
    """Check this node, tell the report, and return the exit code.

    Raises:
        UsageError: a flag asks for something impossible.
        ConfigError: the settings are wrong.
    """
    flags = read_flags(options)
    try:
        settings = load(host, SELECTORS, file=settings_file(options.config), flags=flags)
        refuse_pointless(options, settings)
        return _run_with(host, options, settings)
    except UsageError:
        raise
    except ConfigError as exc:
        first, *rest = exc.problems
        findings = [Finding("bad-settings", f"nothing was checked, wrong settings: {first}")]
        findings += [Finding("bad-settings", problem) for problem in rest]
        named = f" --config {shlex.quote(options.config)}" if options.config else ""
        verdict = _unable("settings", *findings, fixes=(Fix(f"nodecheck config check{named}"),))
        _refuse(host, options, CONFIG, verdict)
        raise
    except Exception:
        finding = Finding("internal-error", "internal error, nothing was proven; see stderr")
        _refuse(host, options, INTERNAL, _unable("internal", finding))
        raise


def _run_with(host: Host, options: Namespace, settings: Settings) -> int:
    notes = _notes(host, settings)
    trigger = _trigger(host)
    with Mailbox() as mailbox:
        listen(mailbox)
        try:
            result = _locked(host, settings, mailbox, trigger, notes.append)
        except Busy as exc:
            finding = Finding("busy", f"nothing was checked: {exc}")
            report = run.refused(host, trigger, _unable("lock", finding))
            return tell(host, options, settings, report)
        report = result.report
        if settings.texts("report.sinks"):
            from nodecheck.delivering import Course, deliver, preview  # 15 ms: sinks and spool

            course = Course(host, settings, mailbox, _progress, notes.append)
            report = preview(settings, report) if options.dry_run else deliver(course, report)
        _end_progress()
        code = tell(host, options, settings, report)
        # After the verdict, which must be the first thing on stderr.
        told = dict.fromkeys(shorten(note, MESSAGE_LIMIT) for note in notes)
        write_error("".join(f"nodecheck: note: {note}\n" for note in told))
        write_error("".join(result.traces))
        return code


def _notes(host: Host, settings: Settings) -> list[str]:
    """Return what is set to no effect."""
    notes = [*settings.notes]
    for name in REGION_VARIABLES:
        value = host.environment.get(name, "")
        if value and not re.fullmatch(REGION[0], value):
            notes.append(f"{name} is {value!r}, which is not {REGION[1]}; it is not used")
    return notes


def _locked(
    host: Host,
    settings: Settings,
    mailbox: Mailbox,
    trigger: str,
    note: Callable[[str], None],
) -> run.Result:
    """Run under the lock; another run's is waited for a moment.

    Raises:
        Busy: it does not end.
    """
    folder = settings.text("state.dir") or host.state.default_folder()
    with ExitStack() as stack:
        take_lock(host, folder, mailbox, stack, note)
        return run.run_once(host, settings, mailbox, trigger, _progress)


def take_lock(
    host: Host, folder: str, mailbox: Mailbox, stack: ExitStack, note: Callable[[str], None]
) -> None:
    """Enter the lock of a run, or note why there is none: a file system that hangs may hold none.

    Raises:
        Busy: another run holds it and does not end.
    """
    clock = host.clock
    end_ns = clock.monotonic_ns() + int(LOCK_WAIT_S * 1e9)

    def take() -> object:
        while True:
            try:
                return stack.enter_context(host.state.run_lock(folder, note))
            except Busy as exc:
                if clock.monotonic_ns() >= end_ns or mailbox.interrupted:
                    return exc
            clock.pause(LOCK_STEP_S)

    hung_ns = clock.monotonic_ns() + int(LOCK_LIMIT_S * 1e9)
    mailbox.start("lock", take)
    while (left_ns := hung_ns - clock.monotonic_ns()) > 0:
        for _, result in mailbox.wait(left_ns / 1e9):
            if isinstance(result, Busy):
                raise result
            return
    note(f"{folder}: its file system does not answer; this run takes no lock")


def _trigger(host: Host) -> str:
    """Tell who started this run: Run Command and State Manager, systemd, a person, or another."""
    environment = host.environment
    if environment.get("SSM_COMMAND_ID") or environment.get("AWS_SSM_INSTANCE_ID"):
        return "run-command"
    if out_is_terminal():
        return "terminal"
    return "systemd" if environment.get("INVOCATION_ID") else "other"


def listen(mailbox: Mailbox) -> None:
    """Let SIGINT and SIGTERM end the run with a report; a second signal ends it at once."""

    def interrupt(number: int, _frame: object) -> None:
        mailbox.interrupt(signal.Signals(number).name)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


def _progress(names: tuple[str, ...]) -> None:
    if error_takes_escapes():
        write_error(f"{CLEAR_LINE}waiting for {', '.join(names)}")


def _end_progress() -> None:
    if error_takes_escapes():
        write_error(CLEAR_LINE)


def _refuse(host: Host, options: Namespace, code: int, verdict: Verdict) -> None:
    """Tell in the form that was asked for why nothing was checked."""
    report = run.refused(host, _trigger(host), verdict)
    write_out(render(host, options, replace(report, exit_code=code)))


def _unable(name: str, *findings: Finding, fixes: tuple[Fix, ...] = ()) -> Verdict:
    """Return the verdict of a run that could not begin: nothing was judged, so it is unknown."""
    return Verdict.of(f"run.{name}", Status.UNKNOWN, findings, fixes=fixes)
