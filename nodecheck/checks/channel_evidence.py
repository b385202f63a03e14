"""Say what the agent's logs and connections show, in words and as evidence."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nodecheck.checks.channel_causes import recognise
from nodecheck.checks.clock_words import human
from nodecheck.model.agent_place import is_windows
from nodecheck.model.redaction import redact
from nodecheck.model.verdict import Evidence

if TYPE_CHECKING:
    from nodecheck.model.channel import ChannelFacts, Connection, ErrorGroup, Hibernation, Mark

QUOTE_CHARS: Final = 160
LISTED: Final = 8

_OPENING: Final = re.compile(r"(?:\[[A-Za-z-]{1,40}\] )*((?:[A-Za-z']{1,20} ){0,8})")


def ago(facts: ChannelFacts, mark: Mark) -> str:
    """Return how long ago, or the stamp in the log where that cannot be told."""
    age_s = facts.age_s(mark)
    return f"{mark.stamp} by the log" if age_s is None else f"{human(age_s)} ago"


def since(facts: ChannelFacts, mark: Mark) -> str:
    """Return for how long, or since which stamp in the log."""
    age_s = facts.age_s(mark)
    return f"since {mark.stamp} by the log" if age_s is None else f"for {human(age_s)}"


def quote(text: str) -> str:
    """Return a known error's text from where it begins; of an unknown one its place in words.

    What is not known may hold what a document was given: only its opening words are shown.

    >>> quote("Retrieve failed: AccessDeniedException: User x is not"), quote("")
    ('AccessDeniedException: User x is not', 'no text')
    >>> quote("[ssm-agent-worker] Cannot parse AgentTask hunter2")
    'Cannot parse AgentTask ...'
    """
    known = recognise(text)
    match = known.pattern.search(text) if known else None
    if match:
        start = text.rfind(" ", 0, match.start()) + 1
        return redact(text[start:].partition(" status code: ")[0], QUOTE_CHARS)
    opening = _OPENING.match(text)
    words = opening[1].strip() if opening else ""
    return f"{words} ..." if words else "no text"


def next_try(facts: ChannelFacts, hibernation: Hibernation) -> str:
    """Return when a hibernating agent tries again, as far as its log tells."""
    first_s, every_s = hibernation.first_try_s, hibernation.tries_s
    if first_s is None or facts.age_s(hibernation.since) is None:
        return "next try within 60 min"
    left_s = first_s - facts.looked_s
    if left_s < 0:
        if every_s is None:
            return "next try within 10 min"
        held_s = hibernation.holds_s
        if held_s is not None and -left_s > held_s + every_s:
            return "next try within 60 min"
        left_s = every_s - (-left_s % every_s)
    return f"next try within {human(max(left_s, 1.0))}"


def evidence(facts: ChannelFacts) -> tuple[Evidence, ...]:
    """Return all that was seen; of texts only what is known, without secrets."""
    story, credentials = facts.story, facts.credentials
    marks = (
        ("last_answer_s", story.answer),
        ("last_heartbeat_sent_s", story.attempt),
        ("core_start_s", story.start),
        ("worker_start_s", story.worker),
        ("hibernating_s", story.hibernation.since if story.hibernation else None),
        ("refused_since_s", story.refusal.first if story.refusal else None),
    )
    ages = tuple(
        Evidence(name, _rounded(facts.age_s(mark)) or mark.stamp, "agent's log, local clock")
        for name, mark in marks
        if mark
    )
    zones = tuple(f"{log.path} {log.zone_s / 3600:+g} h" for log in facts.logs if log.zone_s)
    parts = (
        *ages,
        Evidence("errors", tuple(_digest(item) for item in _worth(facts)), "agent's logs"),
        Evidence("connections", tuple(_spell(item) for item in facts.connections[:LISTED])),
        Evidence("connections_not_seen", facts.unseen, _connection_source(facts)),
        Evidence("ways", tuple(_place(facts)), "DNS"),
        Evidence("clock_set_since_start_s", _rounded(facts.stepped_s), "start in log and kernel"),
        Evidence("credentials_source", credentials.source, "identity_config.json"),
        Evidence("credentials_expire", _iso(credentials.expires_s), "identity_config.json"),
        Evidence("credentials_retrieved", _iso(credentials.retrieved_s), "identity_config.json"),
        Evidence("credentials_not_read", credentials.problem),
        Evidence("zones", zones, "newest stamp and time of change"),
        Evidence(
            "not_read",
            tuple(log.problem for log in facts.logs if log.problem and not log.is_absent),
        ),
    )
    return tuple(part for part in parts if part.value not in {None, "", ()})


def _worth(facts: ChannelFacts) -> list[ErrorGroup]:
    """Return the latest errors, and of warnings those that are known."""
    groups = [item for item in facts.story.errors if item.place or recognise(item.text)]
    return list(reversed(groups[-LISTED:]))


def _digest(group: ErrorGroup) -> str:
    known = recognise(group.text)
    code = known.code if known else group.place or "unknown"
    times = f"{group.count}x, last {group.last.stamp}"
    if group.count > 1:
        times += f", first {group.first.stamp}"
    return f"{code} ({times}): {quote(group.text)}"


def _spell(connection: Connection) -> str:
    service = connection.service or "unknown peer"
    stalled = ", not acknowledged" if connection.is_stalled else ""
    where = f"{connection.ip} port {connection.port}"
    return f"{connection.name} ({connection.pid}) to {where} ({service}{stalled})"


def _place(facts: ChannelFacts) -> list[str]:
    return [
        f"{item.service}: {item.name} port {item.port}:"
        f" {item.problem or ', '.join(item.addresses) or 'no address'}"
        for item in facts.ways
    ]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _iso(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _connection_source(facts: ChannelFacts) -> str:
    """Return where this system tells of connections."""
    on_windows = any(is_windows(log.path) for log in facts.logs)
    return "GetExtendedTcpTable" if on_windows else "/proc/PID/fd, /proc/PID/net"
