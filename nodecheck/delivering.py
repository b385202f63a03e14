"""Hand a finished report to the sinks, within the time that the run has left."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from nodecheck.looking import Failure, guarded
from nodecheck.model.errors import SinkError
from nodecheck.model.report import Delivery
from nodecheck.outlets import OUTLETS
from nodecheck.policies import DELIVERY_LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.door import Host
    from nodecheck.host.mailbox import Mailbox
    from nodecheck.model.report import Report
    from nodecheck.model.settings import Settings


def preview(settings: Settings, report: Report) -> Report:
    """Return the report with what each sink would send; nothing is sent."""
    deliveries = []
    for name in settings.texts("report.sinks"):
        try:
            deliveries.append(Delivery(name, "dry-run", OUTLETS[name].preview(settings, report)))
        except SinkError as exc:
            deliveries.append(Delivery(name, "failed", str(exc)))
    return report.delivered(tuple(deliveries))


def deliver(
    host: Host,
    settings: Settings,
    mailbox: Mailbox,
    report: Report,
    on_slow: Callable[[tuple[str, ...]], None],
) -> Report:
    """Return the report with what became of it in each sink; a sink can fail, never raise.

    All sinks together have what the run has left of its deadline; after a splay, a minute.
    """
    sinks = settings.texts("report.sinks")
    if not sinks:
        return report
    begun_ns = host.clock.monotonic_ns()
    spent_s = report.run.duration_ms / 1000
    limit_s = settings.number("run.deadline_s") - spent_s
    if _splay(host, settings, mailbox, report):
        limit_s = DELIVERY_LIMIT_S
    end_ns = host.clock.monotonic_ns() + int(limit_s * 1e9)
    deliveries = []
    for name in sinks:
        on_slow((name,))
        left_s = (end_ns - host.clock.monotonic_ns()) / 1e9
        call = partial(OUTLETS[name].deliver, host, settings, report, left_s)
        result = _bounded(host, mailbox, call, left_s)
        if not isinstance(result, Delivery):
            result = Delivery(name, "failed", result)
        deliveries.append(result)
    took_ms = (host.clock.monotonic_ns() - begun_ns) // 1_000_000
    timed = replace(report.run, duration_ms=report.run.duration_ms + took_ms)
    return replace(report, run=timed).delivered(tuple(deliveries))


def _splay(host: Host, settings: Settings, mailbox: Mailbox, report: Report) -> bool:
    """Wait this node's own share of the splay, so that a fleet does not report in one second."""
    window_s = settings.number("report.splay_s")
    if not window_s:
        return False
    digest = sha256((report.node.node_id or report.run.run_id).encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    end_ns = host.clock.monotonic_ns() + int(share * window_s * 1e9)
    while not mailbox.interrupted and (left_ns := end_ns - host.clock.monotonic_ns()) > 0:
        mailbox.wait(left_ns / 1e9)
    return True


def _bounded(
    host: Host, mailbox: Mailbox, call: Callable[[], Delivery], limit_s: float
) -> Delivery | str:
    """Return the delivery, or why there was none, within some seconds."""

    def attempt() -> object:
        try:
            return call()
        except SinkError as exc:
            return exc

    if mailbox.interrupted or limit_s <= 0:
        why = f"interrupted by {mailbox.interrupted}" if mailbox.interrupted else "no time left"
        return f"not tried: {why} (--deadline)" if limit_s <= 0 else f"not tried: {why}"
    end_ns = host.clock.monotonic_ns() + int(limit_s * 1e9)
    mailbox.start("sink", lambda: guarded(attempt))
    while not mailbox.interrupted and (left_ns := end_ns - host.clock.monotonic_ns()) > 0:
        # What else arrives is a probe that answered after its limit.
        arrived = [result for name, result in mailbox.wait(left_ns / 1e9) if name == "sink"]
        if arrived:
            return _outcome(arrived[0])
    if mailbox.interrupted:
        return f"interrupted by {mailbox.interrupted}"
    return f"no answer within {limit_s:.1f} s"


def _outcome(result: object) -> Delivery | str:
    if isinstance(result, Delivery):
        return result
    text = result.text if isinstance(result, Failure) else str(result)
    return text.strip().splitlines()[-1]
