"""One run from settings to report: look, judge, assemble, deliver."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from nodecheck import VERSION
from nodecheck.catalogue import CAUSES, CHECKS
from nodecheck.commit import COMMIT
from nodecheck.judging import judge, link, waive
from nodecheck.looking import Failure, Looking, guarded, needed
from nodecheck.model.clock import ClockFacts
from nodecheck.model.errors import SinkError
from nodecheck.model.moment import instant
from nodecheck.model.node import NodeFacts
from nodecheck.model.report import (
    Delivery,
    NodeIdentity,
    Report,
    RunIdentity,
    ToolIdentity,
)
from nodecheck.model.settings import DEFAULTS
from nodecheck.model.verdict import Finding, SkipReason, Status, Verdict
from nodecheck.outlets import OUTLETS
from nodecheck.plan import Outcomes
from nodecheck.probing import PROBES

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.door import Host
    from nodecheck.host.mailbox import Mailbox
    from nodecheck.model.moment import CorrectedTime
    from nodecheck.model.settings import Settings
    from nodecheck.plan import Check

RESERVE_S: Final = 0.25
"""Kept of the deadline for judging and printing."""

DELIVERY_LIMIT_S: Final = 60.0
"""Longest that one sink may take."""


@dataclass(frozen=True)
class _Start:
    """When a run began, by both clocks, and who began it."""

    monotonic_ns: int
    wall_ns: int
    trigger: str


@dataclass(frozen=True)
class Result:
    """The report of a run, and the traces of the bugs that it met."""

    report: Report
    traces: tuple[str, ...]


def selected(settings: Settings) -> tuple[tuple[Check, bool], ...]:
    """Return the checks that ``--only`` leaves, each with whether ``--skip`` lets it run."""
    only, skip = settings.texts("run.only"), settings.texts("run.skip")
    return tuple(
        (check, check.check_id not in skip and check.group not in skip)
        for check in CHECKS
        if not only or check.check_id in only or check.group in only
    )


def run_once(
    host: Host,
    settings: Settings,
    mailbox: Mailbox,
    trigger: str,
    on_slow: Callable[[tuple[str, ...]], None],
) -> Result:
    """Look and judge under the deadline of the settings, and return the report.

    ``on_slow`` is told, each second, the names of the facts that are still waited for.
    """
    started = _Start(host.clock.monotonic_ns(), host.clock.wall_ns(), trigger)
    chosen = selected(settings)
    wanted = tuple(check for check, runs in chosen if runs)
    looking = Looking(host, settings, needed(PROBES, wanted))
    limit_s = settings.number("run.deadline_s") - RESERVE_S
    looking.finish(mailbox, started.monotonic_ns + int(limit_s * 1e9), on_slow)

    clock = looking.outcomes.outcome(ClockFacts)
    corrected = clock.corrected if isinstance(clock, ClockFacts) else None
    now = corrected.at(host.clock.monotonic_ns()) if corrected else None
    verdicts, traces = [], list(looking.failures)
    for check, runs in chosen:
        if not runs:
            verdicts.append(_left_out(check))
            continue
        verdict, trace = judge(check, looking.outcomes, settings, now)
        traces += [trace] if trace else []
        took_ms = looking.took_ms(check.needs)
        verdicts.append(waive(verdict, settings.waivers, now).completed(check.why, took_ms))
    report = Report(
        tool=ToolIdentity(VERSION, COMMIT),
        run=_run(host, settings, started, corrected),
        node=_node(host, looking.outcomes),
        clock=clock.reading if isinstance(clock, ClockFacts) else None,
        checks=link(tuple(verdicts), CAUSES),
        corrected=corrected,
    )
    return Result(report, tuple(traces))


def _run(
    host: Host, settings: Settings, started: _Start, corrected: CorrectedTime | None
) -> RunIdentity:
    local = instant(started.wall_ns)
    return RunIdentity(
        run_id=str(uuid.uuid4()),
        started_at=corrected.at(started.monotonic_ns) if corrected else local,
        local_started_at=local,
        duration_ms=(host.clock.monotonic_ns() - started.monotonic_ns) // 1_000_000,
        deadline_s=settings.number("run.deadline_s"),
        privileged=host.privileged,
        trigger=started.trigger,
    )


def _left_out(check: Check) -> Verdict:
    return Verdict.skip(check.check_id, SkipReason.BY_REQUEST, "left out by --skip")


def _node(host: Host, outcomes: Outcomes) -> NodeIdentity:
    found = outcomes.outcome(NodeFacts)
    facts = found if isinstance(found, NodeFacts) else None
    return NodeIdentity(
        node_id=(facts and facts.node_id) or None,
        kind=(facts and facts.kind) or None,
        region=(facts and facts.region) or None,
        account=(facts and facts.account) or None,
        platform=host.platform.system,
        os=host.platform.os_name,
        arch=host.platform.arch,
    )


def preview(settings: Settings, report: Report) -> Report:
    """Return the report with what each sink would send; nothing is sent."""
    deliveries = []
    for name in settings.texts("report.sinks"):
        try:
            deliveries.append(Delivery(name, "dry-run", OUTLETS[name].preview(settings, report)))
        except SinkError as exc:
            deliveries.append(Delivery(name, "failed", str(exc)))
    return report.delivered(tuple(deliveries))


def deliver(host: Host, settings: Settings, mailbox: Mailbox, report: Report) -> Report:
    """Return the report with what became of it in each sink; a sink can fail, never raise."""
    deliveries = []
    _splay(host, settings, mailbox, report)
    for name in settings.texts("report.sinks"):
        call = partial(OUTLETS[name].deliver, host, settings, report)
        result = _bounded(host, mailbox, call)
        if not isinstance(result, Delivery):
            result = Delivery(name, "failed", result)
        deliveries.append(result)
    return report.delivered(tuple(deliveries))


def _splay(host: Host, settings: Settings, mailbox: Mailbox, report: Report) -> None:
    """Wait this node's own share of the splay, so that a fleet does not report in one second."""
    window_s = settings.number("report.splay_s")
    if not window_s or not settings.texts("report.sinks"):
        return
    digest = sha256((report.node.node_id or report.run.run_id).encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    end_ns = host.clock.monotonic_ns() + int(share * window_s * 1e9)
    while not mailbox.interrupted and (left_ns := end_ns - host.clock.monotonic_ns()) > 0:
        mailbox.wait(left_ns / 1e9)


def _bounded(host: Host, mailbox: Mailbox, call: Callable[[], Delivery]) -> Delivery | str:
    def attempt() -> object:
        try:
            return call()
        except SinkError as exc:
            return exc

    end_ns = host.clock.monotonic_ns() + int(DELIVERY_LIMIT_S * 1e9)
    mailbox.start("sink", lambda: guarded(attempt))
    while not mailbox.interrupted and (left_ns := end_ns - host.clock.monotonic_ns()) > 0:
        for name, result in mailbox.wait(left_ns / 1e9):
            if name != "sink":
                continue  # a probe that answered after its limit
            if isinstance(result, Delivery):
                return result
            text = result.text if isinstance(result, Failure) else str(result)
            return text.strip().splitlines()[-1]
    if mailbox.interrupted:
        return f"interrupted by {mailbox.interrupted}"
    return f"no answer within {DELIVERY_LIMIT_S:.0f} s"


def refused(host: Host, trigger: str, check_id: str, reason: str, message: str) -> Report:
    """Return the report of a run that could not begin: nothing was judged, so it is unknown."""
    started = _Start(host.clock.monotonic_ns(), host.clock.wall_ns(), trigger)
    verdict = Verdict.of(check_id, Status.UNKNOWN, (Finding(reason, message),))
    return Report(
        tool=ToolIdentity(VERSION, COMMIT),
        run=_run(host, DEFAULTS, started, None),
        node=_node(host, Outcomes()),
        clock=None,
        checks=(verdict,),
    )
