"""Join what the time servers and the endpoint said into one view of the clock, as of now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.host.local_clock import read_pair
from nodecheck.model.selection import combine

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.model.clock import ClockFacts, DateReading, Discipline, NtpFacts
    from nodecheck.model.errors import ProbeError


def look(
    host: Host,
    ntp: NtpFacts | ProbeError,
    date: DateReading | ProbeError,
    discipline: Discipline,
) -> ClockFacts:
    """Return the facts, which name every source that did not help."""
    return combine(ntp, date, read_pair(host.clock), discipline)
