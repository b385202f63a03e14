"""Keep a report before it is sent, and send what waits, the oldest first.

A report that is in the spool is safe: whatever then goes wrong, a later run sends it. So it is
kept before the first attempt, before the splay even. Where it cannot be kept (a full disk, a folder
that others can write) it is sent all the same, and what waits there stays: what cannot be removed
would be sent by every run.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from nodecheck.host.boot import boot_id
from nodecheck.host.spool_file import SpoolFile
from nodecheck.model.errors import Busy, ProbeError, SinkError
from nodecheck.model.moment import unix_ns
from nodecheck.model.report import Delivery, counted
from nodecheck.model.spool import Consignment, SpooledReport, dated, in_order, loss
from nodecheck.outlets import OUTLETS, Queue
from nodecheck.records import dataclass, field, replace

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.model.moment import CorrectedTime
    from nodecheck.model.report import NodeIdentity, Report
    from nodecheck.model.settings import Settings
    from nodecheck.model.spool import Sent

NO_TIME: Final = (
    "the true time could not be measured, so the report can be neither signed nor dated"
)
TAKEN_OVER: Final = "another run on this node has taken it from the spool"
REFUSED: Final = "refused"


@dataclass(frozen=True)
class Kept:
    """This run's reports by sink, what no sink would take, and why none could be kept."""

    reports: dict[str, SpooledReport]
    refused: dict[str, str]
    problem: str = ""
    note: str = ""


@dataclass(frozen=True)
class Sender:
    """What a run that sends knows."""

    host: Host
    settings: Settings
    node: NodeIdentity
    corrected: CorrectedTime | None


@dataclass
class Outcome:
    """What became of the reports of one sink, by run: those taken, and why others never will be."""

    taken: set[str] = field(default_factory=set)
    lost: dict[str, str] = field(default_factory=dict)
    place: str = ""

    def delivery(self, report: SpooledReport) -> Delivery:
        """Return what became of one report, and how many others went with it."""
        run_id = report.run_id
        others = len(self.taken - {run_id})
        words = f", after {counted(others, 'earlier report')}" if others else ""
        reasons = Counter(why for run, why in self.lost.items() if run != run_id)
        words += "".join(
            f"; gave up {counted(count, 'earlier report')}: {why}" for why, count in reasons.items()
        )
        if run_id in self.taken:
            return Delivery(report.sink, "delivered", self.place + words)
        if run_id in self.lost:
            return Delivery(report.sink, "failed", self.lost[run_id] + words)
        return Delivery(report.sink, "spooled", TAKEN_OVER)


def spool_of(host: Host, settings: Settings) -> SpoolFile:
    """Return the spool of these settings."""
    folder = settings.text("state.dir") or host.state.default_folder()
    return SpoolFile(host.state, host.clock, folder)


def prepared(host: Host, settings: Settings, report: Report, queues: dict[str, Queue]) -> Kept:
    """Return this run's report in the form of each sink."""
    run = report.run
    kept = Kept({}, {})
    for name, queue in queues.items():
        try:
            payload = queue.render(settings, report)
        except SinkError as exc:
            kept.refused[name] = str(exc)
            continue
        kept.reports[name] = SpooledReport(
            sink=name,
            run_id=run.run_id,
            true_ns=unix_ns(run.started_at) if report.corrected else None,
            local_ns=unix_ns(run.local_started_at),
            monotonic_ns=host.clock.monotonic_ns() - run.duration_ms * 1_000_000,
            boot=_boot(host),
            payload=payload,
        )
    return kept


def keep(host: Host, settings: Settings, kept: Kept, queues: dict[str, Queue]) -> Kept:
    """Write the prepared reports to the spool; where that fails, say why."""
    spool = spool_of(host, settings)
    latest_only = [name for name in kept.reports if queues[name].latest_only]
    problem = ""
    try:
        spool.keep(tuple(kept.reports.values()), latest_only)
    except ProbeError as exc:
        problem = str(exc)
    return replace(kept, problem=problem, note=spool.note)


def send_kept(sender: Sender, name: str, limit_s: float) -> Outcome:
    """Send what waits for one sink, the oldest first.

    Raises:
        SinkError: not everything was taken; what was not still waits.
    """
    clock = sender.host.clock
    end_ns = clock.monotonic_ns() + int(limit_s * 1e9)
    spool = spool_of(sender.host, sender.settings)
    try:
        with spool.sending():
            waiting = [item for item in spool.look().reports if item.sink == name]
            return _send(sender, spool, waiting, (end_ns - clock.monotonic_ns()) / 1e9)
    except Busy as exc:
        msg = f"{exc} and sends what waits"
        raise SinkError(msg) from exc
    except ProbeError as exc:
        raise SinkError(str(exc)) from exc


def send_unkept(sender: Sender, report: SpooledReport, limit_s: float) -> Outcome:
    """Send this run's report past a spool that cannot be used.

    Raises:
        SinkError: it was not taken.
    """
    return _send(sender, None, [report], limit_s)


def _send(
    sender: Sender, spool: SpoolFile | None, waiting: list[SpooledReport], limit_s: float
) -> Outcome:
    outcome = Outcome()
    if not waiting:
        return outcome
    if sender.corrected is None:
        raise SinkError(NO_TIME)
    if limit_s <= 0:
        msg = "no time left"
        raise SinkError(msg)
    boot = _boot(sender.host)
    now_ns = sender.corrected.unix_ns(sender.host.clock.monotonic_ns())
    reports = in_order(tuple(dated(item, sender.corrected, boot) for item in waiting))
    lost = {item.report.key: why for item in reports if (why := loss(item, now_ns))}
    outcome.lost |= {run_id: why for (_, run_id), why in lost.items()}
    if spool and lost:
        spool.drop(lost)
    sound = tuple(item for item in reports if item.report.key not in lost)
    queue = OUTLETS.get(waiting[0].sink)
    if sound and isinstance(queue, Queue):
        consignment = Consignment(sound, sender.corrected, sender.node, limit_s)
        for sent in queue.send(sender.host, sender.settings, consignment):
            _settle(outcome, spool, sent)
    return outcome


def _settle(outcome: Outcome, spool: SpoolFile | None, sent: Sent) -> None:
    """Take note of what became of some reports, on disk first."""
    keys = [item.report.key for item in sent.reports]
    if spool and sent.refused:
        spool.drop(dict.fromkeys(keys, REFUSED))
    elif spool:
        spool.remove(keys)
    if sent.refused:
        outcome.lost |= {run_id: sent.refused for _, run_id in keys}
    else:
        outcome.taken |= {run_id for _, run_id in keys}
        outcome.place = sent.place


def _boot(host: Host) -> str:
    """Return the name of this boot, '' where it has none."""
    try:
        return boot_id(host.files)
    except ProbeError:
        return ""
