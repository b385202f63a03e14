"""The spool command: show what waits for delivery, or send it now."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from nodecheck.catalogue import SELECTORS
from nodecheck.delivering import Course, bounded, words_of
from nodecheck.host.mailbox import Mailbox
from nodecheck.host.output import write_error, write_out
from nodecheck.looking import Looking, needed
from nodecheck.model.clock import ClockFacts
from nodecheck.model.errors import ProbeError
from nodecheck.model.moment import instant
from nodecheck.model.node import NodeFacts
from nodecheck.model.report import counted
from nodecheck.model.spool import SPOOL_LIMIT_BYTES
from nodecheck.outlets import OUTLETS, Queue
from nodecheck.policies import DELIVERY_LIMIT_S
from nodecheck.probing import PROBES
from nodecheck.run import identity
from nodecheck.running import listen
from nodecheck.settings import load, settings_file
from nodecheck.spooling import Outcome, Sender, send_kept, spool_of

if TYPE_CHECKING:
    from argparse import Namespace

    from nodecheck.host.door import Host
    from nodecheck.model.settings import Settings
    from nodecheck.model.spool import SpooledReport, SpoolState

UNKNOWN: Final = 3
NOTHING: Final = "no report waits for delivery\n"


def spool_command(host: Host, options: Namespace) -> int:
    """List or flush the spool; 0: it could be listed, or nothing waits after a flush.

    Raises:
        ConfigError: the settings are wrong.
    """
    settings = load(host, SELECTORS, file=settings_file(options.config))
    spool = spool_of(host, settings)
    try:
        state = spool.look()
        if options.action == "list":
            write_out(listing(spool.path, state))
            return 0
        if state.reports:
            _flush(host, settings, tuple(dict.fromkeys(item.sink for item in state.reports)))
            state = spool.look()
    except ProbeError as exc:
        write_error(f"nodecheck: {exc}\n")
        return UNKNOWN
    waiting = Counter(item.sink for item in state.reports)
    write_out("".join(f"{sink}: {_waiting(count)}\n" for sink, count in waiting.items()) or NOTHING)
    return UNKNOWN if waiting else 0


def listing(path: str, state: SpoolState) -> str:
    """Return what waits for which sink since when, and what was given up and why."""
    lines = [NOTHING]
    if state.reports:
        size = f"{state.size_bytes} of {SPOOL_LIMIT_BYTES} bytes"
        lines = [f"{_waiting(len(state.reports))} in {path} ({size})\n"]
    for sink in dict.fromkeys(item.sink for item in state.reports):
        times = [_time(item) for item in state.reports if item.sink == sink]
        words = f"{sink}: {_waiting(len(times))}, the oldest of {times[0]}"
        words += f", the newest of {times[-1]}" if len(times) > 1 else ""
        lines.append(words + ("" if _is_known(sink) else "; this version has no such sink") + "\n")
    lines += [f"given up so far: {why}: {count}\n" for why, count in state.dropped]
    return "".join(lines)


def _waiting(count: int) -> str:
    return f"{counted(count, 'report')} {'waits' if count == 1 else 'wait'}"


def _time(report: SpooledReport) -> str:
    if report.true_ns is not None:
        return f"{instant(report.true_ns):%Y-%m-%d %H:%M:%S} UTC"
    return f"{instant(report.local_ns):%Y-%m-%d %H:%M:%S} UTC by the local clock"


def _is_known(sink: str) -> bool:
    return isinstance(OUTLETS.get(sink), Queue)


def _flush(host: Host, settings: Settings, sinks: tuple[str, ...]) -> None:
    """Send what waits for each sink, also for those that the settings no longer name."""
    with Mailbox() as mailbox:
        listen(mailbox)
        looking = Looking(host, settings, needed(PROBES, (), {ClockFacts, NodeFacts}))
        limit_ns = int(settings.number("run.deadline_s") * 1e9)
        looking.finish(mailbox, host.clock.monotonic_ns() + limit_ns, lambda _: None)
        clock = looking.outcomes.outcome(ClockFacts)
        corrected = clock.corrected if isinstance(clock, ClockFacts) else None
        sender = Sender(host, settings, identity(host, looking.outcomes), corrected)
        course = Course(host, settings, mailbox, lambda _: None, lambda _: None)
        for sink in sinks:
            if _is_known(sink):
                call = partial(send_kept, sender, sink, DELIVERY_LIMIT_S)
                write_out(f"{sink}: {_result(bounded(course, sink, call, DELIVERY_LIMIT_S))}\n")
            else:
                write_out(f"{sink}: this version has no such sink\n")


def _result(result: object) -> str:
    if not isinstance(result, Outcome):
        return words_of(result)
    words = [f"{counted(len(result.taken), 'report')} delivered to {result.place}"]
    words = words if result.taken else []
    reasons = Counter(result.lost.values())
    words += [f"gave up {counted(count, 'report')}: {why}" for why, count in reasons.items()]
    return "; ".join(words) or "nothing waits any more"
