"""The Date bisected: an endpoint of values whose second, round trip and temper are the test's."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from statistics import mean
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.host.door import Heads, HttpsReply
from nodecheck.model.agent_proxy import AgentProxy
from nodecheck.model.errors import ProbeError
from nodecheck.probes.clock_date import REQUESTS, bisect, measure
from tests.fake_host import FakeClock, FakeNetwork, fake_host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nodecheck.model.clock import DateReading

URL = "https://ssm.example"
SECOND = 1_000_000_000
MILLI = 1_000_000
DIRECT = AgentProxy()


@dataclass
class Endpoint(FakeNetwork):
    """Answers with the true time, after half of a round trip; ``oddly`` spoils single replies."""

    clock: FakeClock = field(default_factory=FakeClock)
    epoch_ns: int = 1_790_000_000 * SECOND
    there_ns: int = MILLI
    back_ns: int = MILLI
    connect_ns: int = 2 * MILLI
    oddly: Mapping[int, Mapping[str, str] | ProbeError | int] = field(default_factory=dict)
    more: Mapping[str, str] = field(default_factory=dict)
    asks: int = 0
    connections: int = 0
    is_open: bool = False

    @contextmanager
    def heads(
        self, url: str, timeout_s: float, environment: Mapping[str, str] | None = None
    ) -> Iterator[Heads]:
        self.connections += 1
        self.clock.pause(self.connect_ns / SECOND)
        self.is_open = True
        yield self

    def ask(self) -> HttpsReply:
        odd = self.oddly.get(self.asks, {})
        self.asks += 1
        if not self.is_open:
            msg = "closed"
            raise ProbeError(msg)
        self.is_open = "connection" not in self.more
        if isinstance(odd, ProbeError):
            raise odd
        sent_ns = self.clock.monotonic
        self.clock.monotonic += self.there_ns
        lie_s = odd if isinstance(odd, int) else 0
        date_s = (self.clock.monotonic + self.epoch_ns) // SECOND + lie_s
        self.clock.monotonic += self.back_ns
        headers = {"date": formatdate(date_s, usegmt=True), **self.more}
        headers |= {} if isinstance(odd, int) else odd
        return HttpsReply(404, headers, 0, sent_ns, 0, self.clock.monotonic, ())


def ask(endpoint: Endpoint, timeout_s: float = 3.8) -> tuple[DateReading, float]:
    """Return the bisected reading and how long it took after the first."""
    host = fake_host(clock=endpoint.clock, network=endpoint)
    first = measure(host, URL)
    begun_ns = endpoint.clock.monotonic
    found = bisect(host, URL, DIRECT, first, timeout_s)
    assert found.interval.low_ns <= endpoint.epoch_ns <= found.interval.high_ns
    return found, (endpoint.clock.monotonic - begun_ns) / SECOND


@given(
    st.integers(0, SECOND - 1),
    st.integers(50_000, 8 * MILLI),
    st.integers(50_000, 8 * MILLI),
    st.booleans(),
)
def test_the_truth_is_inside_20_ms_in_time(
    phase_ns: int,
    there_ns: int,
    back_ns: int,
    is_closing: bool,  # noqa: FBT001
) -> None:
    more = {"connection": "close"} if is_closing else {}
    epoch_ns = 1_790_000_000 * SECOND + phase_ns
    endpoint = Endpoint(epoch_ns=epoch_ns, there_ns=there_ns, back_ns=back_ns, more=more)
    found, took_s = ask(endpoint)
    assert found.interval.width_ns <= 40 * MILLI
    assert took_s <= 3.8
    assert endpoint.asks <= REQUESTS + 1


@given(st.integers(0, SECOND - 1), st.integers(MILLI, 2 * SECOND))
def test_a_slow_way_widens_the_interval_and_never_the_time(phase_ns: int, there_ns: int) -> None:
    endpoint = Endpoint(epoch_ns=1_790_000_000 * SECOND + phase_ns, there_ns=there_ns)
    _, took_s = ask(endpoint)
    assert took_s <= 3.8 + there_ns / SECOND


def test_replies_of_a_cache_add_nothing() -> None:
    endpoint = Endpoint(oddly={number: {"age": "3"} for number in range(1, 99)})
    found, _ = ask(endpoint, 60)
    assert found.requests == 1
    assert endpoint.asks == REQUESTS + 1


@pytest.mark.parametrize("odd", [{"age": "1"}, {"date": "yesterday"}, 3600, -3600])
def test_a_reply_that_does_not_fit_is_dropped(odd: Mapping[str, str] | int) -> None:
    found, _ = ask(Endpoint(oddly={2: odd}))
    assert found.interval.width_ns <= 40 * MILLI


def test_a_server_that_changes_its_mind_is_not_followed() -> None:
    ask(Endpoint(oddly=dict.fromkeys(range(3, 99), 3600)))


@pytest.mark.parametrize(("way_ms", "width_ms", "most_s"), [(0.5, 25, 1.8), (15, 46, 3.4)])
def test_how_narrow_and_how_fast_it_usually_is(
    way_ms: float, width_ms: float, most_s: float
) -> None:
    way_ns, found = int(way_ms * MILLI), []
    for phase_ns in range(0, SECOND, SECOND // 50):
        epoch_ns = 1_790_000_000 * SECOND + phase_ns
        found.append(ask(Endpoint(epoch_ns=epoch_ns, there_ns=way_ns, back_ns=way_ns)))
    assert mean(reading.interval.width_ns for reading, _ in found) < width_ms * MILLI
    assert mean(took_s for _, took_s in found) < most_s


def test_a_connection_that_breaks_is_made_anew() -> None:
    endpoint = Endpoint(oddly={2: ProbeError("reset")})
    found, _ = ask(endpoint)
    assert found.interval.width_ns <= 40 * MILLI
    assert endpoint.connections == 3


def test_an_endpoint_that_is_gone_leaves_the_first_reading() -> None:
    endpoint = Endpoint(oddly=dict.fromkeys(range(1, 99), ProbeError("gone")))
    found, _ = ask(endpoint)
    assert found.requests == 1
    assert endpoint.connections <= REQUESTS + 1


def test_without_time_nothing_is_asked() -> None:
    endpoint = Endpoint()
    found, took_s = ask(endpoint, 0.0)
    assert (found.requests, endpoint.asks, took_s) == (1, 1, 0)


def test_the_wall_clock_is_not_read() -> None:
    found, _ = ask(Endpoint(clock=NoWallClock()))
    assert found.interval.width_ns <= 40 * MILLI


@dataclass
class NoWallClock(FakeClock):
    """A wall clock that nobody may ask."""

    def wall_ns(self) -> int:
        raise AssertionError
