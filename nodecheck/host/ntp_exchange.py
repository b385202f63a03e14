"""Exchange one NTP packet with one server, and stamp it as well as this machine can.

Each exchange has a socket, a random port and a random 64-bit stamp of its own (RFC 9109); a reply
must echo the stamp exactly. A reply that is not believed is counted and the wait goes on, so that a
forger cannot end it.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

from nodecheck.model import ntp
from nodecheck.model.clock import ClockPair
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections import Counter

    from nodecheck.host.door import Address, Host, Received
    from nodecheck.model.clock import Interval

STEP_NS = 2_000_000
"""Wall and monotonic clock may not part further meanwhile: somebody stepped the clock."""

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One believed exchange."""

    interval: Interval
    answer: ntp.Answer
    taken_ns: int


def exchange(
    host: Host, address: Address, until_ns: int, ignored: Counter[str]
) -> Sample | ntp.Refusal | None:
    """Send one request and wait for the reply to it; None when there was none to believe.

    Args:
        host: the node.
        address: whom to ask.
        until_ns: the monotonic instant at which to give up.
        ignored: counts, by reason, the replies that were not believed.

    Raises:
        ProbeError: the port is closed or there is no way to it.
    """
    nonce = int.from_bytes(os.urandom(8), "big") or 1
    packet = ntp.request(nonce)
    with closing(host.network.datagrams(address)) as link:
        before = ClockPair(monotonic_ns=host.clock.monotonic_ns(), wall_ns=host.clock.wall_ns())
        stamp_ns = link.send(packet)
        sent_ns = _departure_ns(before, stamp_ns, host.clock.wall_ns())
        while (left_ns := until_ns - host.clock.monotonic_ns()) > 0:
            received = link.receive(left_ns / SECOND_NS)
            if received is None:
                return None
            outcome = _believe(received, nonce, before, sent_ns)
            if isinstance(outcome, Sample) or outcome.is_genuine:
                return outcome
            ignored[outcome.reason] += 1
    return None


def _believe(
    received: Received, nonce: int, before: ClockPair, sent_ns: int
) -> Sample | ntp.Refusal:
    answer = ntp.read(received.data, nonce)
    if isinstance(answer, ntp.Refusal):
        return answer
    wall_span_ns = received.wall_ns - before.wall_ns
    if abs(wall_span_ns - (received.monotonic_ns - before.monotonic_ns)) > STEP_NS:
        return ntp.Refusal("clock-stepped", "the local clock was stepped during the exchange")
    interval = ntp.epoch(answer, sent_ns, _arrival_ns(received, before.wall_ns))
    if isinstance(interval, ntp.Refusal):
        return interval
    return Sample(interval, answer, received.monotonic_ns)


def _departure_ns(before: ClockPair, stamp_ns: int | None, after_wall_ns: int) -> int:
    """Return the monotonic instant of departure, by the kernel's stamp where that is sane.

    The monotonic clock was read first: what comes between both readings makes this earlier than
    the truth, which widens the interval and never moves it off.
    """
    if stamp_ns is None or not before.wall_ns <= stamp_ns <= after_wall_ns:
        return before.monotonic_ns
    return before.monotonic_ns + (stamp_ns - before.wall_ns)


def _arrival_ns(received: Received, sent_wall_ns: int) -> int:
    """Return the monotonic instant of arrival, by the kernel's stamp where that is sane.

    The stamp is on the wall clock: outside of our own two stamps it is of another clock
    (libfaketime) or of another time.
    """
    stamp_ns = received.kernel_wall_ns
    if stamp_ns is None or not sent_wall_ns <= stamp_ns <= received.wall_ns:
        return received.monotonic_ns
    return received.monotonic_ns - (received.wall_ns - stamp_ns)
