"""Hand a finished report to the sinks, within the time that the run has left."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from nodecheck.looking import Failure, guarded
from nodecheck.model.errors import SinkError
from nodecheck.model.report import Delivery, shorten
from nodecheck.outlets import OUTLETS, Outlet, Queue
from nodecheck.policies import DELIVERY_LIMIT_S
from nodecheck.records import dataclass, replace
from nodecheck.spooling import (
    Kept,
    Outcome,
    Sender,
    keep,
    prepared,
    send_kept,
    send_unkept,
    spool_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.door import Host
    from nodecheck.host.mailbox import Mailbox
    from nodecheck.model.report import Report
    from nodecheck.model.settings import Settings

WORDS_LIMIT: Final = 1_000
KEEP_LIMIT_S: Final = 3.0
"""A disk that takes longer than this for a few kilobytes hangs; the lock is waited for 2 s."""

GRACE_S: Final = 3.0
"""What is under way when a signal comes has this long: cut off, it would be sent once more."""

TIMER_SPLAY_S: Final = 900.0
"""100,000 nodes on one minute need 400 s for PutMetricData (scripts/fleet_simulation.py)."""


@dataclass(frozen=True)
class Course:
    """One run's way through its sinks; ``note`` takes what is worth a line on stderr."""

    host: Host
    settings: Settings
    mailbox: Mailbox
    on_slow: Callable[[tuple[str, ...]], None]
    note: Callable[[str], None]


def preview(settings: Settings, report: Report) -> Report:
    """Return the report with what each sink would send; nothing is sent."""
    deliveries = []
    for name in settings.texts("report.sinks"):
        try:
            deliveries.append(Delivery(name, "dry-run", OUTLETS[name].preview(settings, report)))
        except SinkError as exc:
            deliveries.append(Delivery(name, "failed", str(exc)))
    return report.delivered(tuple(deliveries))


def deliver(course: Course, report: Report) -> Report:
    """Return the report with what became of it in each sink; a sink can fail, never raise.

    All sinks together have what the run has left of its deadline; after a splay, a minute. What
    goes over the network is kept in the spool before the splay and the first attempt.
    """
    sinks = course.settings.texts("report.sinks")
    if not sinks:
        return report
    clock = course.host.clock
    begun_ns = clock.monotonic_ns()
    end_ns = begun_ns + int(_left_s(course, report) * 1e9)
    queues = {name: queue for name in sinks if isinstance(queue := OUTLETS[name], Queue)}
    kept = _kept(course, report, queues)
    done = {name: _hand_over(course, report, name, end_ns) for name in sinks if name not in queues}
    if kept.reports and _splay(course, report):
        end_ns = clock.monotonic_ns() + int(DELIVERY_LIMIT_S * 1e9)
    for name in queues:
        done[name] = _send(course, report, kept, name, end_ns)
    took_ms = (clock.monotonic_ns() - begun_ns) // 1_000_000
    timed = replace(report.run, duration_ms=report.run.duration_ms + took_ms)
    return replace(report, run=timed).delivered(tuple(done[name] for name in sinks))


def _left_s(course: Course, report: Report) -> float:
    return course.settings.number("run.deadline_s") - report.run.duration_ms / 1000


def splay_window_s(settings: Settings, trigger: str) -> float:
    """Return over how many seconds a fleet's reports are spread.

    Unless it is set, only what systemd started waits: Run Command has its own rate control, a
    person does not want to, and cron cannot be recognised (its entry says ``--splay 900``).
    """
    if settings.origins["report.splay_s"] == "default" and trigger == "systemd":
        return TIMER_SPLAY_S
    return settings.number("report.splay_s")


def splay_s(node_id: str, window_s: float) -> float:
    """Return a node's own share of the splay, always the same one.

    >>> splay_s("i-0123456789abcdef0", 900) == splay_s("i-0123456789abcdef0", 900) < 900
    True
    """
    share = int.from_bytes(sha256(node_id.encode()).digest()[:8], "big") / 2**64
    return share * window_s


def _splay(course: Course, report: Report) -> bool:
    """Wait this node's share of the splay, so that a fleet does not report in one second."""
    window_s = splay_window_s(course.settings, report.run.trigger)
    if not window_s:
        return False
    clock, mailbox = course.host.clock, course.mailbox
    wait_s = splay_s(report.node.node_id or report.run.run_id, window_s)
    end_ns = clock.monotonic_ns() + int(wait_s * 1e9)
    while not mailbox.interrupted and (left_ns := end_ns - clock.monotonic_ns()) > 0:
        mailbox.wait(left_ns / 1e9)
    return True


def _kept(course: Course, report: Report, queues: dict[str, Queue]) -> Kept:
    """Keep the report for each sink behind the spool, even when a signal has ended the run."""
    host, settings = course.host, course.settings
    kept = prepared(host, settings, report, queues)
    if not kept.reports:
        return kept
    call = partial(keep, host, settings, kept, queues)
    result = bounded(course, "spool", call, KEEP_LIMIT_S, heeds_signals=False)
    kept = result if isinstance(result, Kept) else replace(kept, problem=words_of(result))
    if kept.problem:
        course.note(f"the report could not be kept before it is sent: {kept.problem}")
    if kept.note:
        course.note(kept.note)
    return kept


def _hand_over(course: Course, report: Report, name: str, end_ns: int) -> Delivery:
    outlet = OUTLETS[name]
    left_s = (end_ns - course.host.clock.monotonic_ns()) / 1e9
    if not isinstance(outlet, Outlet):
        raise TypeError(name)
    course.on_slow((name,))
    call = partial(outlet.deliver, course.host, course.settings, report, left_s)
    result = bounded(course, name, call, left_s)
    return result if isinstance(result, Delivery) else Delivery(name, "failed", words_of(result))


def _send(course: Course, report: Report, kept: Kept, name: str, end_ns: int) -> Delivery:
    if name in kept.refused:
        return Delivery(name, "failed", kept.refused[name])
    own = kept.reports[name]
    left_s = (end_ns - course.host.clock.monotonic_ns()) / 1e9
    sender = Sender(course.host, course.settings, report.node, report.corrected)
    call = (
        partial(send_unkept, sender, own, left_s)
        if kept.problem
        else partial(send_kept, sender, name, left_s)
    )
    course.on_slow((name,))
    result = bounded(course, name, call, left_s)
    if isinstance(result, Outcome):
        delivery = result.delivery(own)
        unsafe = f"; not kept before it was sent: {kept.problem}" if kept.problem else ""
        return replace(delivery, detail=delivery.detail + unsafe)
    if kept.problem:
        return Delivery(name, "failed", f"{words_of(result)}; nor kept for later: {kept.problem}")
    path = spool_of(course.host, course.settings).path
    return Delivery(name, "spooled", f"{words_of(result)}; kept in {path} for a later run")


def bounded(
    course: Course,
    name: str,
    call: Callable[[], object],
    limit_s: float,
    *,
    heeds_signals: bool = True,
) -> object:
    """Return what a call returned or raised, or why it did not within some seconds."""

    def attempt() -> object:
        try:
            return call()
        except SinkError as exc:
            return exc

    def interruption() -> str:
        return course.mailbox.interrupted if heeds_signals else ""

    if interruption():
        return f"not tried: interrupted by {interruption()}"
    if limit_s <= 0:
        return "not tried: no time left (--deadline)"
    # A name of its own for each: what answers after its limit must not pass for another's answer.
    course.mailbox.start(f"sink {name}", lambda: guarded(attempt))
    end_ns = course.host.clock.monotonic_ns() + int(limit_s * 1e9)
    answers = _wait_for(course, f"sink {name}", limit_s, interruption)
    if not answers and interruption():
        left_s = min(GRACE_S, (end_ns - course.host.clock.monotonic_ns()) / 1e9)
        answers = _wait_for(course, f"sink {name}", left_s, str)
    if answers:
        return answers[0]
    return f"interrupted by {interruption()}" if interruption() else f"no answer in {limit_s:.1f} s"


def _wait_for(
    course: Course, name: str, limit_s: float, interruption: Callable[[], str]
) -> list[object]:
    """Return the answer of this name, nothing where none came; late answers of others go."""
    clock = course.host.clock
    end_ns = clock.monotonic_ns() + int(limit_s * 1e9)
    answers: list[object] = []
    while not answers and not interruption() and (left_ns := end_ns - clock.monotonic_ns()) > 0:
        arrived = course.mailbox.wait(left_ns / 1e9)
        answers = [result for sender, result in arrived if sender == name]
    return answers


def words_of(result: object) -> str:
    """Return why a call brought nothing, on one line."""
    text = result.text if isinstance(result, Failure) else str(result)
    return shorten(text.strip().splitlines()[-1], WORDS_LIMIT)
