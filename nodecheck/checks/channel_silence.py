"""Conclude from the last answer of AWS in the agent's log, where no connection proves anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.checks.channel_causes import recognise
from nodecheck.checks.channel_state import FRESH_S, HELD_S, bad, cause
from nodecheck.checks.clock_words import human
from nodecheck.model.channel import INDIRECT
from nodecheck.model.sockets import normal
from nodecheck.model.verdict import Finding, Status

if TYPE_CHECKING:
    from nodecheck.checks.channel_state import Conclusion
    from nodecheck.model.channel import ChannelFacts, Connection, Way

SILENT_S: Final = 2 * 3600.0

_OF_SSM: Final = re.compile(r"ssmmessages|[Cc]ontrol ?[Cc]hannel|websocket")
_OF_EC2: Final = re.compile(r"ec2messages|GetMessages")


def by_log(facts: ChannelFacts) -> Conclusion:
    """Conclude without a connection that proves anything."""
    unread = _unread(facts)
    if unread:
        return unread
    main, answer, age_s = facts.logs[0], facts.story.answer, facts.age_s(facts.story.answer)
    if _has_no_connection(facts):
        return _unconnected(facts, age_s)
    if age_s is None:
        what = "the last answer of AWS is dated after now" if answer else "no answer of AWS in it"
        text = f"{main.path}: {what}; {_no_proof(facts)}"
        return Status.UNKNOWN, (Finding("unproven", text), *last_error(facts)), ""
    if age_s <= FRESH_S:
        return _fresh(facts, age_s)
    text = f"the last answer of AWS in the log is {human(age_s)} old; {_no_proof(facts)}"
    if age_s > SILENT_S and not facts.unseen and facts.stepped_s is not None:
        return Status.WARN, (Finding("silent", text), *last_error(facts)), ""
    return Status.UNKNOWN, (Finding("unproven", text), *last_error(facts)), ""


def _unread(facts: ChannelFacts) -> Conclusion | None:
    main, answer = facts.logs[0], facts.story.answer
    if main.problem:
        reason = "log-missing" if main.is_absent else "log-not-read"
        return bad(Status.UNKNOWN, reason, f"{main.problem}; {_no_proof(facts)}")
    if main.lines and (answer is None or answer.at_s is not None):
        return None
    what = "its times do not fit its time of change" if main.lines else "it has no line"
    text = f"{main.path} is not understood: {what}; {_no_proof(facts)}"
    return bad(Status.UNKNOWN, "not-understood", text)


def _has_no_connection(facts: ChannelFacts) -> bool:
    return not facts.unseen and all(item.is_stalled for item in facts.connections)


def _unconnected(facts: ChannelFacts, age_s: float | None) -> Conclusion:
    core_age_s, answer = facts.core_age_s, facts.story.answer
    if core_age_s is None or core_age_s <= FRESH_S:
        text = "the agent started a moment ago and has no connection to AWS yet"
        return bad(Status.UNKNOWN, "starting", text)
    if age_s is not None and age_s <= FRESH_S:
        text = f"AWS answered {human(age_s)} ago, but the agent has no connection now"
        return Status.WARN, (Finding("no-connection", text), *last_error(facts)), ""
    if answer is None and facts.story.start is not None:
        text = (
            f"no connection to AWS, and no answer since the agent started {human(core_age_s)} ago"
        )
        return Status.CRIT, (Finding("never-connected", text), *last_error(facts)), ""
    last = f"the last answer is {human(age_s)} old" if age_s is not None else "no answer in the log"
    text = f"the agent has no connection to AWS, and {last}"
    return Status.CRIT, (Finding("no-connection", text), *last_error(facts)), ""


def _fresh(facts: ChannelFacts, age_s: float) -> Conclusion:
    """Conclude from a young answer: it is proof if the clock held and nothing failed since."""
    said = f"AWS answered {human(age_s)} ago"
    stepped_s, error = facts.stepped_s, last_error(facts)
    if error:
        text = f"{said}, but an error followed; {_no_proof(facts)}"
        return Status.UNKNOWN, (Finding("unproven", text), *error), ""
    if stepped_s is None or abs(stepped_s) > HELD_S:
        how = "may have been" if stepped_s is None else f"was, by {human(abs(stepped_s))},"
        text = f"{said} by a clock that {how} set since the agent started; {_no_proof(facts)}"
        return bad(Status.UNKNOWN, "unproven", text)
    return Status.OK, (), f"{said} by the agent's log; {_no_proof(facts)}"


def last_error(facts: ChannelFacts, about: re.Pattern[str] | None = None) -> tuple[Finding, ...]:
    """Return the latest known error of this run, after its last answer, on the way to AWS.

    With ``about`` only those that speak of that, unless AWS never answered in the log at all.
    Nothing is after an answer whose time is not known.
    """
    answer, start = facts.story.answer, facts.story.start
    if answer and answer.at_s is None:
        return ()
    if answer is None and start is not None:
        about = None
    since_s = max((mark.at_s for mark in (answer, start) if mark and mark.at_s), default=0.0)
    for group in reversed(facts.story.errors):
        known, at_s = recognise(group.text), group.last.at_s or 0.0
        is_about = about is None or about.search(group.text) is not None
        if known and not known.is_local and at_s > since_s and is_about:
            return cause(group.text)
    return ()


def doubt(facts: ChannelFacts, proof: Connection) -> Conclusion | None:
    """Return why a connection proves nothing: what is there is not AWS, or refused since.

    Who only intercepts connections takes them too, and TLS or AWS then ends them.
    """
    place = proof.service, proof.ip
    ways = [item for item in facts.ways if place in _places(item)]
    is_by_ec2 = any(item.carries == "ec2messages" for item in ways)
    error = last_error(facts, _OF_EC2 if is_by_ec2 else _OF_SSM)
    is_distrusted = bool(ways) and all(item.distrust for item in ways)
    if not error and not is_distrusted:
        return None
    why = ways[0].distrust if is_distrusted else "its last use that the log shows failed"
    text = (
        f"{proof.name} (process {proof.pid}) has a connection to {proof.service} ({proof.ip}),"
        f" but {why}"
    )
    return Status.UNKNOWN, (Finding("unproven", text), *error), ""


def _places(way: Way) -> set[tuple[str, str]]:
    return {(way.service, normal(ip)) for ip in way.addresses}


def _no_proof(facts: ChannelFacts) -> str:
    """Say why no connection proves anything."""
    if facts.unseen:
        return f"connections could not be seen ({facts.unseen})"
    live = [item for item in facts.connections if not item.is_stalled]
    if not live:
        return "the agent has no connection"
    places = ", ".join(sorted({f"{item.ip} port {item.port}" for item in live})[:2])
    if any(item.service in INDIRECT for item in live):
        return f"its connections ({places}) may carry other requests"
    problems = [item.problem for item in facts.ways if item.problem]
    whose = f" ({problems[0]})" if problems else ""
    return f"its connections ({places}) are not to a known endpoint for messages{whose}"
