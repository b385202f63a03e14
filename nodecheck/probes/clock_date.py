"""Measure the clock by the ``Date`` of the endpoint that judges the signatures.

It works where UDP is closed. The server wrote its ``Date``, in whole seconds, after the request
left and before the reply was here, so the true time then was in [Date, Date + 1 s): one request
bounds the offset to [Date - received, Date + 1 s - sent]. A reply with an ``Age`` comes from a
cache and says nothing (RFC 9111 section 5.1). The certificates must be valid at the time that the
reply itself claims, whatever the local clock says; ``model.selection`` holds them against NTP too.

Where one request is not enough, further ones are timed so that the server's next full second
splits the interval that is left. "Already" costs a second of waiting for the next one, "not yet"
does not, while there is time for another request before the interval ends: so the split is at a
quarter then, and in the middle once the round trip leaves no such time.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nodecheck.aws.endpoints import ssm_endpoint
from nodecheck.model.agent_proxy import AgentProxy
from nodecheck.model.clock import DateReading, Interval
from nodecheck.model.errors import ProbeError
from nodecheck.records import dataclass, replace

if TYPE_CHECKING:
    from nodecheck.host.door import Heads, Host, HttpsReply, LocalClock

TIMEOUT_S = 3.0
SECOND_NS = 1_000_000_000

ENOUGH_NS = 30_000_000
"""Width at which bisecting ends: +-15 ms, a tenth of what matters to any limit in seconds."""

WIDE = 6
"""Round trips that an interval must span for two requests to fit into it, split at its quarters."""

REQUESTS = 16
"""Eight to twelve are usual; an endpoint is not asked for ever."""

DIRECT = AgentProxy()

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
IMF_FIXDATE = re.compile(
    r"([A-Z][a-z]{2}), ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)


def ask(host: Host, url: str, region: str, proxy: AgentProxy, limit_s: float) -> DateReading:
    """Return what the endpoint of a Region says, or the one that the operator named by its URL.

    It takes at most ``limit_s`` seconds, and never more than ``TIMEOUT_S``.

    Raises:
        ProbeError: neither is known (``no-region``), or as ``measure``.
    """
    return measure(host, endpoint(url, region), proxy, min(limit_s, TIMEOUT_S))


def endpoint(url: str, region: str) -> str:
    """Return the URL to ask.

    Raises:
        ProbeError: neither URL nor Region is known (``no-region``).
    """
    if not url and not region:
        msg = "not asked: the Region is not known, set node.region or AWS_REGION"
        raise ProbeError(msg, "no-region")
    return url or ssm_endpoint(region)


def measure(
    host: Host, url: str, proxy: AgentProxy = DIRECT, timeout_s: float = TIMEOUT_S
) -> DateReading:
    """Return what the endpoint's clock says, by one request.

    Raises:
        ProbeError: no reply, a reply from a cache, without a readable date, or with a certificate
            that is not valid at the time the reply claims.
    """
    variables = proxy.environment(host.environment)
    with host.network.heads(url, timeout_s, variables) as link:
        return read(link.ask(), urlsplit(url).hostname or url)


def bisect(
    host: Host, url: str, proxy: AgentProxy, first: DateReading, timeout_s: float
) -> DateReading:
    """Return the reading narrowed to 15 ms or so, or as far as the server and the time allow.

    A server that closes the connection after each reply is asked on another one each time.
    """
    deadline_ns = host.clock.monotonic_ns() + int(timeout_s * SECOND_NS)
    bisection = _Bisection(host.clock, first, deadline_ns)
    variables = proxy.environment(host.environment)
    for _ in range(REQUESTS):
        if not bisection.is_worthwhile:
            break
        with suppress(ProbeError), host.network.heads(url, bisection.left_s, variables) as link:
            while bisection.is_worthwhile and bisection.ask(link):
                pass
    return bisection.reading


@dataclass(slots=True)
class _Bisection:
    """The interval that is left, and when to ask next. The wall clock is not read at all."""

    clock: LocalClock
    reading: DateReading
    deadline_ns: int
    round_trip_ns: int = 0
    asked: int = 0

    @property
    def left_s(self) -> float:
        return max(self.deadline_ns - self.clock.monotonic_ns(), 1) / SECOND_NS

    @property
    def is_worthwhile(self) -> bool:
        """Tell whether the interval is still wide, and the next request in time."""
        enough_ns = max(ENOUGH_NS, self.round_trip_ns * 3 // 2)
        is_in_time = self._instant_ns() + 2 * self.round_trip_ns < self.deadline_ns
        return self.reading.interval.width_ns > enough_ns and self.asked < REQUESTS and is_in_time

    def _instant_ns(self) -> int:
        """Return the next instant at which a request will arrive when the second may turn."""
        interval = self.reading.interval
        lead_ns = self.round_trip_ns // 2
        is_wide = interval.width_ns > WIDE * self.round_trip_ns
        split_ns = interval.high_ns - interval.width_ns // (4 if is_wide else 2)
        now_ns = self.clock.monotonic_ns()
        second_ns = -(-(now_ns + lead_ns + split_ns) // SECOND_NS) * SECOND_NS
        return second_ns - split_ns - lead_ns

    def ask(self, link: Heads) -> bool:
        """Send a request at the right instant, and keep what its reply adds.

        Returns:
            Whether the server will take another one on this connection.

        Raises:
            ProbeError: there was no reply.
        """
        self.clock.pause((self._instant_ns() - self.clock.monotonic_ns()) / SECOND_NS)
        self.asked += 1
        reply = link.ask()
        span_ns = reply.received_monotonic_ns - reply.sent_monotonic_ns
        self.round_trip_ns = min(span_ns, self.round_trip_ns or span_ns)
        with suppress(ProbeError):  # from a cache, or without a date: it adds nothing
            self._take(read(reply, self.reading.name))
        return reply.headers.get("connection", "").lower() != "close"

    def _take(self, found: DateReading) -> None:
        """Keep what both readings leave; one that contradicts the others is dropped."""
        aged = self.reading.interval.aged(found.taken_ns - self.reading.taken_ns)
        joined = aged.meet(found.interval)
        if joined is None:
            return
        middle = Interval(joined.low_ns, (joined.low_ns + joined.high_ns) // 2, joined.high_ns)
        requests = self.reading.requests + 1
        self.reading = replace(found, interval=middle, requests=requests)


def read(reply: HttpsReply, name: str) -> DateReading:
    """Return the reading in one reply.

    Raises:
        ProbeError: as ``measure``.
    """
    if "age" in reply.headers:
        msg = f"{name}: the reply comes from a cache (it has an Age header)"
        raise ProbeError(msg, "cached-reply")
    if "date" not in reply.headers:
        msg = f"{name}: the reply has no Date header"
        raise ProbeError(msg, "no-date")
    date_s = parse(reply.headers["date"])
    _judge_chain(reply.chain, date_s, name)
    date_ns = date_s * SECOND_NS
    low_ns = date_ns - reply.received_monotonic_ns
    high_ns = date_ns + SECOND_NS - reply.sent_monotonic_ns
    return DateReading(
        name,
        Interval(low_ns, (low_ns + high_ns) // 2, high_ns),
        reply.received_monotonic_ns,
        bool(reply.chain),
        max((begin for begin, _, _ in reply.chain), default=0),
        min((end for _, end, _ in reply.chain), default=0),
        via=reply.via,
    )


def parse(text: str) -> int:
    """Return an IMF-fixdate (RFC 9110 section 5.6.7) in seconds since 1970; no locale is asked.

    >>> parse("Sun, 06 Nov 1994 08:49:37 GMT")
    784111777

    Raises:
        ProbeError: anything else, also a weekday that does not fit or a day that does not exist.
    """
    problem = ProbeError(f"Date header not understood: {text[:40]!r}", "bad-date")
    found = IMF_FIXDATE.fullmatch(text)
    if found is None or found[3] not in MONTHS:
        raise problem
    month = MONTHS.index(found[3]) + 1
    day, year, hour, minute, second = (int(found[index]) for index in (2, 4, 5, 6, 7))
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as exc:
        raise problem from exc
    if DAYS[moment.weekday()] != found[1]:
        raise problem
    return int(moment.timestamp())


def _judge_chain(chain: tuple[tuple[int, int, str], ...], date_s: int, name: str) -> None:
    """Refuse a chain with a certificate that is not valid at the time the server itself claims."""
    for begin_s, end_s, subject in chain:
        if not begin_s <= date_s <= end_s:
            is_early = date_s < begin_s
            reason = "certificate-not-yet-valid" if is_early else "certificate-expired"
            word = "is valid only from" if is_early else "expired at"
            edge = datetime.fromtimestamp(begin_s if is_early else end_s, UTC)
            msg = f"{name}: certificate of {subject} {word} {edge:%Y-%m-%d %H:%M:%S} UTC"
            raise ProbeError(msg, reason)
