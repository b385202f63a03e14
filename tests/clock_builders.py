"""Parts that tests of the clock share: a clock that is wrong, and a host on the real network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nodecheck.host.local_clock import SystemClock, read_pair
from nodecheck.host.network import SocketNetwork
from nodecheck.model.clock import ClockPolicy, NtpFacts
from nodecheck.model.errors import ProbeError
from nodecheck.model.selection import combine
from nodecheck.probes import clock_date, clock_ntp
from nodecheck.records import replace
from tests.fake_host import fake_host

if TYPE_CHECKING:
    from nodecheck.host.door import Host, LocalClock
    from nodecheck.model.clock import ClockFacts, DateReading
    from nodecheck.model.time_server import TimeServer

POLICY = ClockPolicy()


@dataclass
class ShiftedClock:
    """The machine's clock, ahead by ``ahead_s``; ``steps_s`` are added one by one at readings."""

    ahead_s: float = 0.0
    steps_s: list[float] = field(default_factory=list)
    real: SystemClock = field(default_factory=SystemClock)

    def wall_ns(self) -> int:
        if self.steps_s:
            self.ahead_s += self.steps_s.pop(0)
        return self.real.wall_ns() + int(self.ahead_s * 1e9)

    def monotonic_ns(self) -> int:
        return self.real.monotonic_ns()

    def pause(self, duration_s: float) -> None:
        self.real.pause(duration_s)


def network_host(
    clock: LocalClock | None = None, environment: dict[str, str] | None = None
) -> Host:
    local = clock or ShiftedClock()
    network = SocketNetwork(environment or {}, local)
    return replace(fake_host(), clock=local, network=network, environment=environment or {})


def estimate(facts: ClockFacts) -> tuple[float, float]:
    """Return offset and bound; there must be some."""
    assert facts.estimate is not None, facts.failures
    return facts.estimate.offset_s, facts.estimate.bound_s


def measure(
    host: Host, servers: tuple[TimeServer, ...] = (), url: str = "", timeout_s: float = 1.5
) -> ClockFacts:
    """Ask servers and endpoint one after the other and join what they say."""
    ntp: NtpFacts | ProbeError
    date: DateReading | ProbeError | None = None
    try:
        ntp = clock_ntp.measure(host, servers, timeout_s)
    except ProbeError as exc:
        ntp = exc
    if url:
        try:
            date = clock_date.measure(host, url, timeout_s=timeout_s)
        except ProbeError as exc:
            date = exc
    return combine(ntp, date, read_pair(host.clock))
