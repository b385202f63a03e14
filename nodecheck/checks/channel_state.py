"""Conclude from what the agent's logs prove: it hibernates, or its credentials are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks.channel_causes import CLOCK, ON_THE_WAY, recognise
from nodecheck.checks.channel_evidence import ago, next_try, quote, since
from nodecheck.checks.clock_words import human
from nodecheck.model.channel import INDIRECT
from nodecheck.model.verdict import Finding, Status

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.channel import ChannelFacts, Connection, Hibernation, Refusal

FRESH_S: Final = 11 * 60.0
"""Two heartbeats, and a minute for the log's buffer."""

HELD_S: Final = 60.0
"""A start is logged within seconds; a clock that was set by less does no harm to these limits."""

Conclusion = tuple[Status, tuple[Finding, ...], str]
"""A status, why it is not ok, and the sentence where it is."""


def bad(status: Status, reason: str, text: str) -> Conclusion:
    """Return a conclusion of one finding."""
    return status, (Finding(reason, text),), ""


def hibernating(
    facts: ChannelFacts,
    hibernation: Hibernation,
    proof: Connection | None,
    *,
    reachable: bool | None,
) -> Conclusion:
    """Return what a hibernation means; a connection for messages contradicts it."""
    mark = hibernation.since
    if proof and proof.service not in INDIRECT:
        text = (
            f"agent hibernating {since(facts, mark)} by {hibernation.source}, but"
            f" {proof.name} has a connection to {proof.service} ({proof.ip})"
        )
        return bad(Status.UNKNOWN, "contradicted", text)
    known = recognise(mark.text)
    is_over = bool(reachable) and (known is None or known.code in ON_THE_WAY)
    reason = "hibernating-while-reachable" if is_over else "hibernating"
    if known and known.code == CLOCK:
        reason = CLOCK
    why = f": {known.says}" if known else ""
    while_reachable = ", though the endpoints answer now" if is_over else ""
    state = f"agent hibernating {since(facts, mark)}{while_reachable}{why}"
    text = f"{state}; {next_try(facts, hibernation)}"
    return Status.CRIT, (Finding(reason, text, hibernation.source), *cause(mark.text)), ""


def refused(
    facts: ChannelFacts, refusal: Refusal, proof: Connection | None, now: datetime | None
) -> Conclusion:
    """Return what a refusal means: bad, or only soon bad where the last credentials still do."""
    known = recognise(refusal.last.text)
    reason = CLOCK if known and known.code == CLOCK else "credentials-refused"
    why = f": {known.says}" if known else ""
    often = f"{refusal.count} times, last {ago(facts, refusal.last)}"
    times = often if refusal.count > 1 else "once"
    text = f"agent asks for credentials in vain {since(facts, refusal.first)} ({times}){why}"
    expires_s = facts.credentials.expires_s
    left_s = expires_s - now.timestamp() if now and expires_s is not None else None
    if proof is None or (left_s is not None and left_s <= 0):
        return Status.CRIT, (Finding(reason, text), *cause(refusal.last.text)), ""
    text += f"; {proof.name} is still connected to {proof.service}"
    if left_s is not None:
        text += f", and its credentials are valid for {human(left_s)}"
    return Status.WARN, (Finding("credentials-refused", text), *cause(refusal.last.text)), ""


def cause(text: str) -> tuple[Finding, ...]:
    """Return a finding that quotes the error and says how to mend its cause."""
    known = recognise(text)
    if known is None:
        return ()
    return (Finding(known.code, f"{quote(text)}; to mend: {known.mend}"),)
