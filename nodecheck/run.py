"""One run from settings to report: look, judge, assemble, deliver."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from nodecheck import VERSION
from nodecheck.catalogue import CHECKS
from nodecheck.causes import CAUSES
from nodecheck.commit import COMMIT
from nodecheck.judging import judge, link, waive
from nodecheck.looking import Looking, needed
from nodecheck.model.clock import ClockFacts
from nodecheck.model.moment import instant
from nodecheck.model.node import NodeFacts
from nodecheck.model.report import (
    NodeIdentity,
    Report,
    RunIdentity,
    ToolIdentity,
)
from nodecheck.model.settings import DEFAULTS
from nodecheck.model.verdict import SkipReason, Verdict
from nodecheck.plan import Outcomes
from nodecheck.probing import PROBES
from nodecheck.records import dataclass
from nodecheck.stages import excuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.door import Host
    from nodecheck.host.mailbox import Mailbox
    from nodecheck.model.moment import CorrectedTime
    from nodecheck.model.settings import Settings
    from nodecheck.plan import Check, Probe

RESERVE_S: Final = 0.25
"""Kept of the deadline for judging and printing."""

DELIVERY_SHARE: Final = 0.3
"""Share of the deadline that is kept for delivering, where there is something to deliver to."""


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
    looking = Looking(host, settings, _probes(settings, chosen))
    limit_s = settings.number("run.deadline_s") - RESERVE_S - _delivery_s(settings)
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
        verdict = excuse(verdict, settings.text("run.stage"))
        traces += [trace] if trace else []
        took_ms = looking.took_ms(check.needs)
        verdicts.append(waive(verdict, settings.waivers, now).completed(check.why, took_ms))
    report = Report(
        tool=ToolIdentity(VERSION, COMMIT),
        run=_run(host, settings, started, corrected),
        node=identity(host, looking.outcomes),
        clock=clock.reading if isinstance(clock, ClockFacts) else None,
        checks=link(tuple(verdicts), CAUSES),
        corrected=corrected,
    )
    return Result(report, tuple(traces))


def _probes(settings: Settings, chosen: tuple[tuple[Check, bool], ...]) -> tuple[Probe, ...]:
    """Return the probes of the chosen checks, and those whose facts the report itself needs."""
    kinds: set[type] = {NodeFacts}
    if settings.texts("report.sinks") or settings.waivers:
        kinds.add(ClockFacts)
    return needed(PROBES, tuple(check for check, runs in chosen if runs), kinds)


def _delivery_s(settings: Settings) -> float:
    """Return how much of the deadline is kept for delivering, seconds."""
    sinks = settings.texts("report.sinks")
    return DELIVERY_SHARE * settings.number("run.deadline_s") if sinks else 0.0


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


def identity(host: Host, outcomes: Outcomes) -> NodeIdentity:
    """Return what this node is called, as far as that was found."""
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


def refused(host: Host, trigger: str, verdict: Verdict) -> Report:
    """Return the report of a run that could not begin; its one verdict says why."""
    started = _Start(host.clock.monotonic_ns(), host.clock.wall_ns(), trigger)
    return Report(
        tool=ToolIdentity(VERSION, COMMIT),
        run=_run(host, DEFAULTS, started, None),
        node=identity(host, Outcomes()),
        clock=None,
        checks=(verdict,),
    )
