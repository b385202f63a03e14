"""Judge the facts, link what explains what, and apply the operator's waivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.looking import Failure, guarded
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.verdict import Finding, SkipReason, Status, Verdict
from nodecheck.plan import Bench
from nodecheck.records import replace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from nodecheck.model.settings import Settings, Waiver
    from nodecheck.plan import Cause, Check, Outcomes


MOST_WAIVED: Final = 5
"""Findings that a waived check still shows; its evidence stays whole."""


def judge(
    check: Check, outcomes: Outcomes, settings: Settings, now: datetime | None
) -> tuple[Verdict, str]:
    """Return one check's verdict, and the trace of a bug where there was one.

    Offline, a check that needs the network is skipped, unless the node itself proves the worst.
    """
    result = guarded(lambda: check.judge(Bench(outcomes, settings, now)))
    if check.only_online and settings.switch("run.offline") and _is_milder(result):
        text = "not looked at: --offline"
        return Verdict.skip(check.check_id, SkipReason.OFFLINE, text), ""
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


def _is_milder(result: object) -> bool:
    """Tell whether this is anything but a proven crit or a bug."""
    is_crit = isinstance(result, Verdict) and result.status is Status.CRIT
    return isinstance(result, (Verdict, ProbeError)) and not is_crit


def link(verdicts: tuple[Verdict, ...], causes: tuple[Cause, ...]) -> tuple[Verdict, ...]:
    """Return the verdicts, each linked to the finding of another check that explains it."""
    by_id = {verdict.check_id: verdict for verdict in verdicts}
    roots: dict[str, str] = {}
    for cause in causes:
        root = by_id.get(cause.check_id)
        for check_id in cause.explains:
            effect = by_id.get(check_id)
            is_open = check_id not in roots and not _follows(cause.check_id, check_id, roots)
            if root and effect and is_open and _explains(cause, root, effect):
                roots[check_id] = cause.check_id
    return tuple(
        verdict.explained_by(roots[verdict.check_id]) if verdict.check_id in roots else verdict
        for verdict in verdicts
    )


def _follows(check_id: str, root: str, roots: Mapping[str, str]) -> bool:
    """Tell whether a check is, by way of others, already explained by this root."""
    while check_id != root and check_id in roots:
        check_id = roots[check_id]
    return check_id == root


def _explains(cause: Cause, root: Verdict, verdict: Verdict) -> bool:
    if verdict.check_id not in cause.explains or not verdict.findings:
        return False
    if cause.only_crit and root.status is not Status.CRIT:
        return False
    is_effect = not cause.effects or verdict.reason in cause.effects
    return is_effect and any(item.reason in cause.reasons for item in root.findings)


def waive(verdict: Verdict, waivers: tuple[Waiver, ...], now: datetime | None) -> Verdict:
    """Return the verdict as the operator's waivers leave it; a waived finding stays visible.

    A waiver counts up to and including its day, in UTC and by corrected time: where the true time
    is not known, nothing is waived. What is found is waived only if waivers cover each finding. An
    expired waiver is told, also where nothing is found any more: it is ``warn`` until it is taken
    out. A bug in a check is nothing that an operator could have accepted.
    """
    own = [waiver for waiver in waivers if waiver.check == verdict.check_id]
    if not own or verdict.reason == "internal-error" or verdict.status is Status.SKIP:
        return verdict
    if now is None:
        return _with_unproven(verdict, own[0])
    today = now.date().isoformat()
    valid = [waiver for waiver in own if today <= waiver.expires]
    open_findings = [
        item for item in verdict.findings if not any(waiver.covers(item.reason) for waiver in valid)
    ]
    if verdict.findings and not open_findings:
        return _waived(verdict, valid)
    more = [
        _expired(waiver) for waiver in own if waiver not in valid and not _renewed(waiver, valid)
    ]
    if valid and open_findings:
        codes = ", ".join(dict.fromkeys(item.reason for item in open_findings))
        text = f"not waived: the waiver by {valid[0].owner} does not cover {codes}"
        more.insert(0, Finding("waiver-too-narrow", text))
    return _with_more(verdict, more)


def _waived(verdict: Verdict, valid: list[Waiver]) -> Verdict:
    """Return a skip that says who accepts this until when; the finding stays in its message."""
    waiver = max(
        (item for item in valid if any(item.covers(found.reason) for found in verdict.findings)),
        key=lambda item: item.expires,
    )
    text = f"waived until {waiver.expires} by {waiver.owner} ({waiver.reason}): "
    seen = [item.message for item in verdict.findings[:MOST_WAIVED]]
    if len(verdict.findings) > MOST_WAIVED:
        seen.append(f"and {len(verdict.findings) - MOST_WAIVED} more")
    return replace(
        verdict,
        status=Status.SKIP,
        message=text + "; ".join(seen),
        findings=(),
        fixes=(),
        skip_reason=SkipReason.WAIVED,
    )


def _with_unproven(verdict: Verdict, waiver: Waiver) -> Verdict:
    text = f"waiver by {waiver.owner} not applied: the true time is not known"
    return _with_more(verdict, [Finding("waiver-unproven", text)] if verdict.findings else [])


def _renewed(waiver: Waiver, valid: list[Waiver]) -> bool:
    """Tell whether another waiver has taken the place of an expired one."""
    return any(not item.reasons or set(waiver.reasons) == set(item.reasons) for item in valid)


def _expired(waiver: Waiver) -> Finding:
    text = f"waiver by {waiver.owner} expired on {waiver.expires}: mend it, renew it or take it out"
    return Finding("waiver-expired", text)


def _with_more(verdict: Verdict, more: list[Finding]) -> Verdict:
    """Return the verdict with further findings; an ok with one is a warning."""
    if not more:
        return verdict
    if verdict.findings:
        return replace(verdict, findings=(*verdict.findings, *more))
    message = f"{more[0].message} (the check itself is ok: {verdict.message})"
    return replace(verdict, status=Status.WARN, message=message, findings=tuple(more))
