"""Tell from the lines of the agent's logs what happened: starts, answers, hibernation, refusals.

Sources: agent/agent.go, agent/agent/agent.go, agent/hibernation/hibernation.go,
agent/health/healthcheck.go, core/app/credentialrefresher of
https://github.com/aws/amazon-ssm-agent. Only known lines at INFO are looked at, from their start
on: documents and their parameters stand in the log at INFO too, in plain text.

Lines of one process are in order, so that the worker's lines say by their order whether it left its
hibernation; a start of the core is compared by its stamp.
"""

from __future__ import annotations

import re
from typing import Final

from nodecheck.model.agent_log import JITTER_S, Line, stamp_of
from nodecheck.model.channel import ErrorGroup, Hibernation, Mark, Refusal, Story
from nodecheck.model.redaction import redact
from nodecheck.model.sockets import normal
from nodecheck.records import dataclass, replace

GROUPS: Final = 40
TEXT_CHARS: Final = 600
FIRST_TRY_S: Final = 300.0
HOLDS: Final = 3
LONGEST_S: Final = 3600.0
"""hibernation.go: the first ping after 5 minutes, each interval held three times, 60 min at most"""

_TAGS: Final = r"(?:(?:\[[^\]\n]{1,120}\]|EC2RoleProvider) ){0,8}"
_ENTERS: Final = re.compile(_TAGS + r"Entering SSM Agent hibernate - ?", re.ASCII)
_CORE: Final = re.compile(_TAGS + r"amazon-ssm-agent - v\d", re.ASCII)
_WORKER: Final = re.compile(
    _TAGS + r"(?:ssm-agent-worker|Starting Agent: amazon-ssm-agent) - v\d", re.ASCII
)
_ATTEMPT: Final = re.compile(_TAGS + r"HealthCheck reporting agent health\.", re.ASCII)
_WORKER_ANSWER: Final = re.compile(
    _TAGS + r"(?:Set up control channel successfully"
    r"|Successfully opened websocket connection to: (\S{1,300})"
    r"|Schedule manager refreshed with \d"
    r"|received message through control channel"
    r"|Processing AgentMessage: )",
    re.ASCII,
)
_CORE_ANSWER: Final = re.compile(
    _TAGS + r"Successfully connected with (?:instance profile|Systems Manager) role credentials",
    re.ASCII,
)
_REFUSED: Final = re.compile(
    _TAGS + r"(?:Retrieve credentials produced (?:[a-z]+ ){0,2}error"
    r"|Status code .{1,20} returned from AWS API)",
    re.ASCII,
)
_RENEWED: Final = re.compile(
    _TAGS + r"(?:Credentials ready|Next credential rotation will be in )", re.ASCII
)
_SLEEPS: Final = re.compile(_TAGS + r"Agent is in hibernate mode\.", re.ASCII)
_BACKS_OFF: Final = re.compile(
    _TAGS + r"Backing off health check to every (\d{1,6}) seconds for \d{1,6} seconds", re.ASCII
)
_CHANGING: Final = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*", re.IGNORECASE)
_PEER: Final = re.compile(r"\[?([0-9a-fA-F.:]{2,45})\]?:(\d{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Log:
    """The end of one log: its entries, how far local time is ahead, when it was last changed."""

    path: str = ""
    lines: tuple[Line, ...] = ()
    zone_s: int | None = None
    changed_s: float = 0.0

    def mark(self, line: Line, text: str = "") -> Mark:
        """Return when a line was written."""
        is_known = self.zone_s is not None and line.is_dated
        at_s = line.local_s - (self.zone_s or 0) if is_known else None
        return Mark(stamp_of(line.local_s), at_s, redact(text, TEXT_CHARS))


@dataclass(frozen=True, slots=True)
class _Found:
    """The places of known lines in the main log, in its order."""

    log: Log
    places: dict[str, tuple[int, ...]]

    def last(self, *kinds: str) -> int:
        """Return the place of the last line of these kinds, -1 where there is none."""
        return max((places[-1] for kind in kinds if (places := self.places[kind])), default=-1)

    def mark(self, place: int, text: str = "") -> Mark | None:
        return self.log.mark(self.log.lines[place], text) if place >= 0 else None

    def newest(self, *kinds: str) -> Mark | None:
        """Return the newest line of these kinds by its stamp."""
        places = [place for kind in kinds for place in self.places[kind]]
        lines = self.log.lines
        return self.mark(max(places, key=lambda place: lines[place].local_s, default=-1))


_KINDS: Final = {
    "core": _CORE,
    "worker": _WORKER,
    "enters": _ENTERS,
    "attempt": _ATTEMPT,
    "worker answer": _WORKER_ANSWER,
    "core answer": _CORE_ANSWER,
    "refused": _REFUSED,
    "renewed": _RENEWED,
}


def tell(main: Log, errors: Log, hibernate: Log, worker_began_s: float | None) -> Story:
    """Return what the logs tell; ``worker_began_s`` is when the running worker was started."""
    places = {
        kind: tuple(n for n, line in enumerate(main.lines) if pattern.match(line.text))
        for kind, pattern in _KINDS.items()
    }
    found = _Found(main, places)
    return Story(
        start=found.mark(found.last("core")),
        worker=found.mark(found.last("worker")),
        answer=found.newest("worker", "worker answer", "core answer"),
        attempt=found.newest("attempt"),
        hibernation=_hibernation(found, hibernate, worker_began_s),
        refusal=_refusal(found),
        errors=_digest(main, errors),
        peers=_peers(found),
    )


def _hibernation(found: _Found, log: Log, worker_began_s: float | None) -> Hibernation | None:
    lines, place = found.log.lines, found.last("enters")
    if place < 0:
        since = _silent_hibernation(found, log, worker_began_s)
        return _with_tries(Hibernation(since, log.path), log) if since else None
    has_left = found.last("worker", "attempt", "worker answer") > place
    core = found.places["core"]
    is_over = any(lines[start].local_s > lines[place].local_s for start in core)
    if has_left or is_over:
        return None
    text = lines[place].text
    match = _ENTERS.match(text)
    since = found.mark(place, text[match.end() :] if match else text)
    return _with_tries(Hibernation(since, found.log.path), log) if since else None


def _silent_hibernation(found: _Found, log: Log, worker_began_s: float | None) -> Mark | None:
    """Return since when ``hibernate.log`` was written by the worker that runs, if it still waits.

    After days the main log no longer holds the line that says so. A worker that left its
    hibernation writes heartbeats there.
    """
    began = [n for n, line in enumerate(log.lines) if _SLEEPS.match(line.text)]
    is_of_worker = worker_began_s is not None and log.changed_s >= worker_began_s
    if not began or not is_of_worker or not found.log.lines or found.log.zone_s is None:
        return None
    for kind in ("worker", "attempt", "worker answer"):
        life = found.newest(kind)
        if life and (life.at_s is None or life.at_s > log.changed_s - JITTER_S):
            return None
    errors = [line for line in log.lines[began[-1] :] if line.level == "ERROR"]
    return log.mark(log.lines[began[-1]], errors[-1].text if errors else "")


def _with_tries(hibernation: Hibernation, log: Log) -> Hibernation:
    """Add how the agent tries again: as ``hibernate.log`` says, else the first time."""
    began_s = hibernation.since.at_s
    if began_s is None:
        return hibernation
    for line in reversed(log.lines):
        match, at_s = _BACKS_OFF.match(line.text), log.mark(line).at_s
        if match and at_s is not None and at_s >= began_s:
            every_s = float(match[1])
            holds_s = None if every_s >= LONGEST_S else HOLDS * every_s
            return replace(hibernation, first_try_s=at_s, tries_s=every_s or None, holds_s=holds_s)
    return replace(hibernation, first_try_s=began_s + FIRST_TRY_S)


def _refusal(found: _Found) -> Refusal | None:
    """Return the refusals after the last success and the last start."""
    since = found.last("renewed", "core", "core answer")
    refused = [place for place in found.places["refused"] if place > since]
    if not refused:
        return None
    lines = found.log.lines
    first, last = (found.log.mark(lines[n], lines[n].text) for n in (refused[0], refused[-1]))
    return Refusal(first, last, len(refused))


def _peers(found: _Found) -> tuple[tuple[str, int], ...]:
    peers: dict[tuple[str, int], None] = {}
    for place in found.places["worker answer"]:
        match = _WORKER_ANSWER.match(found.log.lines[place].text)
        peer = _PEER.fullmatch(match[1] or "") if match else None
        if peer:
            peers[normal(peer[1]), int(peer[2])] = None
    return tuple(peers)[-GROUPS:]


def _entry(line: Line) -> tuple[float, str]:
    return line.local_s, line.text.partition("\n")[0]


def _digest(main: Log, errors: Log) -> tuple[ErrorGroup, ...]:
    """Return the errors by their form, those that came last at the end.

    An error stands in both logs, under the same time; but either may have been rolled or lost.
    """
    found = [(errors, line) for line in errors.lines if line.level in {"ERROR", "CRITICAL"}]
    known = {_entry(line) for _, line in found}
    worse = (line for line in main.lines if line.level in {"WARN", "ERROR", "CRITICAL"})
    found += [(main, line) for line in worse if _entry(line) not in known]
    groups: dict[str, list[tuple[Log, Line]]] = {}
    for log, line in found:
        form = _CHANGING.sub("#", f"{line.place} {line.text[:TEXT_CHARS]}")
        groups.setdefault(form, []).append((log, line))
    latest = sorted(groups.values(), key=lambda group: max(line.local_s for _, line in group))
    return tuple(_group(group) for group in latest[-GROUPS:])


def _group(group: list[tuple[Log, Line]]) -> ErrorGroup:
    ordered = sorted(group, key=lambda item: item[1].local_s)
    (first_log, first), (last_log, last) = ordered[0], ordered[-1]
    text = redact(last.text, TEXT_CHARS)
    marks = first_log.mark(first), last_log.mark(last)
    return ErrorGroup(redact(last.place.rpartition(" @ ")[2]), text, len(group), *marks)
