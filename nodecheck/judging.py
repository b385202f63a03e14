"""Judge the facts, link what explains what, and apply the operator's waivers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nodecheck.looking import Failure, guarded
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.verdict import Finding, SkipReason, Status, Verdict
from nodecheck.plan import Bench

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.settings import Settings, Waiver
    from nodecheck.plan import Cause, Check, Outcomes


def judge(
    check: Check, outcomes: Outcomes, settings: Settings, now: datetime | None
) -> tuple[Verdict, str]:
    """Return one check's verdict, and the trace of a bug where there was one."""
    if check.only_online and settings.switch("run.offline"):
        text = "not looked at: --offline"
        return Verdict.skip(check.check_id, SkipReason.OFFLINE, text), ""
    result = guarded(lambda: check.judge(Bench(outcomes, settings, now)))
    if isinstance(result, Verdict):
        return result, ""
    if isinstance(result, Denied):
        text = f"{result}; run as root to see it"
        finding = Finding("no-permission", text)
        return Verdict.of(check.check_id, Status.UNKNOWN, (finding,)), ""
    if isinstance(result, ProbeError):
        finding = Finding(result.reason, str(result))
        return Verdict.of(check.check_id, Status.UNKNOWN, (finding,)), ""
    finding = Finding("internal-error", "internal error in this check; see stderr, report it")
    trace = result.text if isinstance(result, Failure) else f"{check.check_id}: {result!r}\n"
    return Verdict.of(check.check_id, Status.UNKNOWN, (finding,)), trace


def link(verdicts: tuple[Verdict, ...], causes: tuple[Cause, ...]) -> tuple[Verdict, ...]:
    """Return the verdicts, each linked to the finding of another check that explains it."""
    by_id = {verdict.check_id: verdict for verdict in verdicts}
    linked = []
    for verdict in verdicts:
        for cause in causes:
            root = by_id.get(cause.check_id)
            explains = verdict.check_id in cause.explains and verdict.findings
            if root and explains and any(item.reason in cause.reasons for item in root.findings):
                linked.append(verdict.explained_by(root.check_id))
                break
        else:
            linked.append(verdict)
    return tuple(linked)


def waive(verdict: Verdict, waivers: tuple[Waiver, ...], now: datetime | None) -> Verdict:
    """Return the verdict as the operator's waivers leave it; a waived finding stays visible.

    A waiver counts up to and including its day, in UTC and by corrected time: where the true time
    is not known, nothing is waived.
    """
    for waiver in waivers:
        if waiver.check != verdict.check_id or not verdict.findings:
            continue
        if now is None:
            text = f"waiver by {waiver.owner} not applied: the true time is not known"
            more = Finding("waiver-unproven", text)
            return replace(verdict, findings=(*verdict.findings, more))
        if now.date().isoformat() <= waiver.expires:
            text = f"waived until {waiver.expires} by {waiver.owner} ({waiver.reason}): "
            return replace(
                verdict,
                status=Status.SKIP,
                message=text + verdict.message,
                findings=(),
                fixes=(),
                skip_reason=SkipReason.WAIVED,
            )
        text = f"waiver by {waiver.owner} expired on {waiver.expires}"
        more = Finding("waiver-expired", text)
        return replace(verdict, findings=(*verdict.findings, more))
    return verdict
