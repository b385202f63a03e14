"""Facts about the way between the agent and AWS: what its logs tell, and its open connections.

Instants are seconds since 1970 by the local wall clock, which stamped the logs too: they are for
differences against ``ChannelFacts.looked_s``, which the same clock gave, and for nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.endpoints import Need
from nodecheck.records import dataclass, replace

if TYPE_CHECKING:
    from nodecheck.model.endpoints import EndpointFacts, Sighting

PROXY: Final = "proxy"
SHARED: Final = "shared"
"""The service of a peer that other requests of the agent go to as well."""

INDIRECT: Final = frozenset({PROXY, SHARED})
WORKER: Final = "ssm-agent-worker"
"""The process that holds the connections for messages; before version 3 the core did."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One line of a log: its stamp as written, its instant (None: not to be told), its text.

    ``text`` is redacted; '' where the line is only known by its form.
    """

    stamp: str
    at_s: float | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Errors of one form: where they come from, the latest text, how many, first and last."""

    place: str
    text: str
    count: int
    first: Mark
    last: Mark


@dataclass(frozen=True, slots=True)
class Hibernation:
    """The agent waits: since when, why, and how it tries again; ``source`` is the log.

    ``tries_s`` seconds lie between two tries, the first of them at ``first_try_s``; ``holds_s`` is
    how long that lasts, None for ever. All None where ``hibernate.log`` does not tell.
    """

    since: Mark
    source: str
    first_try_s: float | None = None
    tries_s: float | None = None
    holds_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Credentials that are asked for again and again in vain: the first and the last time."""

    first: Mark
    last: Mark
    count: int


@dataclass(frozen=True, slots=True)
class Story:
    """What the logs tell of the agent's present run. None: they tell nothing of that.

    ``start`` is the last start of the core, ``worker`` that of its worker, which writes that once
    its first request is answered; ``answer`` the last line that only an answer of AWS brings,
    ``attempt`` the last heartbeat (written before it is sent: no proof of an answer). ``peers``
    are the addresses to which a websocket was opened.
    """

    start: Mark | None = None
    worker: Mark | None = None
    answer: Mark | None = None
    attempt: Mark | None = None
    hibernation: Hibernation | None = None
    refusal: Refusal | None = None
    errors: tuple[ErrorGroup, ...] = ()
    peers: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class LogFile:
    """One log: the entries in its end, its zone, when it was changed, why it was not read."""

    path: str
    lines: int = 0
    changed_s: float = 0.0
    zone_s: int | None = None
    problem: str = ""
    is_absent: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """A way by which messages come: the service, name and addresses of its peer.

    The service is ``proxy``, or ``shared`` where the API of Systems Manager has the same address;
    ``carries`` is the one whose messages come by it.

    ``distrust`` says why what answers there now is not AWS, '' where nothing says so.
    """

    service: str
    name: str
    port: int
    addresses: tuple[str, ...] = ()
    problem: str = ""
    distrust: str = ""
    carries: str = ""


def ways_of(facts: EndpointFacts) -> tuple[Way, ...]:
    """Return the ways of the agent's messages, as they were seen."""
    found = [way for item in facts.of(Need.CHANNEL) if (way := _way(item))]
    core = {
        (ip, way.port)
        for item in facts.of(Need.CORE)
        if (way := _way(item))
        for ip in way.addresses
    }
    shared = [
        replace(way, service=SHARED)
        if way.service != PROXY and any((ip, way.port) in core for ip in way.addresses)
        else way
        for way in found
    ]
    return tuple(dict.fromkeys(shared))


def _way(item: Sighting) -> Way | None:
    reach, service, place = item.reach, item.endpoint.service, item.endpoint.url
    if reach.via:
        service, place = PROXY, f"http://{reach.via}"
    scheme, _, rest = place.partition("://")
    name, _, port = rest.partition("/")[0].rpartition("@")[2].rpartition(":")
    if not name or not port.isdecimal():
        name, port = f"{name}:{port}".lstrip(":"), "80" if scheme == "http" else "443"
    distrust = reach.message if reach.failure.startswith("tls-") else ""
    if reach.is_foreign and scheme == "https":
        distrust = f"{item.endpoint.url}: somebody else than AWS answers (status {reach.status})"
    if not name:
        return None
    carries = item.endpoint.service
    return Way(service, name, int(port), reach.addresses, reach.message, distrust, carries)


@dataclass(frozen=True, slots=True)
class Connection:
    """An established TCP connection of the agent. ``service`` is '' where its peer is not known.

    ``is_stalled``: what was sent is not acknowledged and is sent again.
    """

    pid: int
    name: str
    ip: str
    port: int
    service: str
    is_stalled: bool


@dataclass(frozen=True, slots=True)
class AgentCredentials:
    """What ``identity_config.json`` says of the agent's credentials, in seconds since 1970."""

    source: str = ""
    retrieved_s: float | None = None
    expires_s: float | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """Everything that shows whether the agent talks to AWS.

    ``stepped_s`` is how far the wall clock was set since the core started, None where its start
    does not stand in the log; ``core_age_s`` how long the core runs, by the monotonic clock.
    ``unseen`` says why connections could not be seen; then an empty list means nothing.
    ``left_over`` are workers of an earlier start, whose connections prove nothing for this one.
    """

    looked_s: float
    logs: tuple[LogFile, ...]
    story: Story
    ways: tuple[Way, ...] = ()
    connections: tuple[Connection, ...] = ()
    unseen: str = ""
    core_age_s: float | None = None
    stepped_s: float | None = None
    credentials: AgentCredentials = AgentCredentials()
    left_over: frozenset[int] = frozenset()

    def age_s(self, mark: Mark | None) -> float | None:
        """Return how long ago a line was written; None where that cannot be told, or is negative.

        >>> facts = ChannelFacts(1000.0, (), Story())
        >>> [facts.age_s(Mark("", at_s)) for at_s in (940.0, 1600.0, None)]
        [60.0, None, None]
        """
        if mark is None or mark.at_s is None:
            return None
        age_s = self.looked_s - mark.at_s
        return age_s if age_s >= 0 else None

    def proof(self) -> Connection | None:
        """Return a connection that works, to a place through which messages come.

        What is shared the worker must use: the core asks for credentials there too.
        """
        for connection in self.connections:
            is_direct = connection.service not in {"", *INDIRECT}
            is_live = not connection.is_stalled and connection.pid not in self.left_over
            if is_live and (is_direct or self._is_answered(connection)):
                return connection
        return None

    def _is_answered(self, connection: Connection) -> bool:
        """Tell whether AWS answered since the agent started, over what the worker shares."""
        if connection.service not in INDIRECT or connection.name != WORKER:
            return False
        answered_s, started_s = (
            mark.at_s if mark else None for mark in (self.story.answer, self.story.start)
        )
        return answered_s is not None and (started_s is None or answered_s >= started_s)
