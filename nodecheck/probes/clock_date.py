"""Measure the clock by the ``Date`` of one reply of the endpoint that judges the signatures.

It works where UDP is closed. The server wrote its ``Date``, in whole seconds, after the request
left and before the reply was here, so the true time then was in [Date, Date + 1 s): one request
bounds the offset to [Date - received, Date + 1 s - sent]. A reply with an ``Age`` comes from a
cache and says nothing (RFC 9111 section 5.1). The certificates must be valid at the time that the
reply itself claims, whatever the local clock says; ``model.selection`` holds them against NTP too.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nodecheck.aws.endpoints import ssm_endpoint
from nodecheck.model.clock import DateReading, Interval
from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from nodecheck.host.door import Host, HttpsReply

TIMEOUT_S = 3.0
SECOND_NS = 1_000_000_000

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
IMF_FIXDATE = re.compile(
    r"([A-Z][a-z]{2}), ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)


def ask(host: Host, url: str, region: str) -> DateReading:
    """Return what the endpoint of a Region says, or the one that the operator named by its URL.

    Raises:
        ProbeError: neither is known (``no-region``), or as ``measure``.
    """
    if not url and not region:
        msg = "the Region is not known: set node.region or AWS_REGION"
        raise ProbeError(msg, "no-region")
    return measure(host, url or ssm_endpoint(region))


def measure(host: Host, url: str, timeout_s: float = TIMEOUT_S) -> DateReading:
    """Return what the endpoint's clock says.

    Raises:
        ProbeError: no reply, a reply from a cache, without a readable date, or with a certificate
            that is not valid at the time the reply claims.
    """
    return read(host.network.head(url, timeout_s), urlsplit(url).hostname or url)


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
