"""Join what the time servers and the endpoint said into one view of the clock, as of now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.host.local_clock import read_pair
from nodecheck.model.errors import ProbeError
from nodecheck.model.selection import combine

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.model.clock import ClockFacts, DateReading, Discipline, NtpFacts


def look(
    host: Host,
    ntp: NtpFacts | ProbeError,
    date: DateReading | ProbeError,
    discipline: Discipline,
) -> ClockFacts:
    """Return the facts; without a Region there is no endpoint, which is no failure of one."""
    asked = None if isinstance(date, ProbeError) and date.reason == "no-region" else date
    return combine(ntp, asked, read_pair(host.clock), discipline)
