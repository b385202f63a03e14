"""Read one NTP reply and say what it proves, or why it is not believed (RFC 5905).

``ntplib`` has a packet coder, but it keeps stamps in floats: 64-bit stamps lose 11 bits, so a reply
could not be matched exactly with the random stamp it must echo, and times lose 0.5 microseconds.
The 48 bytes are therefore read here, with whole numbers; ``ntplib`` gives the texts (in the probe).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from nodecheck.model.clock import PHI, Interval
from nodecheck.records import dataclass

HEADER = struct.Struct("!BBbbII4s8xQQQ")
"""RFC 5905 figure 8, without the reference timestamp."""

CLIENT_V4 = 0x23
"""First octet of a request: leap 0, version 4, mode 3."""

SERVER_MODE = 4
VERSIONS = (3, 4)
UNSYNCHRONISED_LEAP = 3
UNSYNCHRONISED_STRATUM = 16

MAX_DISTANCE_NS = 16_000_000_000
"""MAXDISP of RFC 5905: a root distance from here on means that the server knows nothing."""

LOCAL_PRECISION_NS = 1_000
"""What reading the local clock may cost; measured jitter is 0.16 microseconds."""

NTP_TO_UNIX_S = 2_208_988_800
ERA_S = 1 << 32
EARLIEST_S = 1_767_225_600
"""2026-01-01: nodecheck did not exist before, so a stamp that looks earlier is of the next era."""

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply that is fresh and well formed; times in nanoseconds, stamps since 1970."""

    stratum: int
    reference: bytes
    distance_ns: int
    received_ns: int
    sent_ns: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a reply is not believed.

    ``is_genuine``: it echoes our stamp, so the server itself says that it cannot serve, and there
    is nothing more to wait for. ``kiss`` is the code by which it asks not to be asked again.
    """

    reason: str
    message: str
    is_genuine: bool = False
    kiss: str = ""


def request(nonce: int) -> bytes:
    """Return a request: everything zero but the random transmit stamp, so the node tells nothing.

    >>> request(1).hex()[:2], len(request(1))
    ('23', 48)
    """
    return HEADER.pack(CLIENT_V4, 0, 0, 0, 0, 0, bytes(4), 0, 0, nonce)


def read(data: bytes, nonce: int) -> Answer | Refusal:
    """Return the answer in a reply to ``request(nonce)``, or why it is not one.

    Any extension or authenticator behind the 48 bytes is not looked at.
    """
    if len(data) < HEADER.size:
        return Refusal("short-reply", f"reply of {len(data)} bytes, at least {HEADER.size} needed")
    reply = _Reply(*HEADER.unpack_from(data))
    refusal = _foreign(reply, nonce) or _unsynchronised(reply) or _untimed(reply)
    if refusal:
        return refusal
    distance_ns = _short_ns(reply.delay) // 2 + _short_ns(reply.dispersion)
    distance_ns += _power_ns(reply.precision)
    if distance_ns >= MAX_DISTANCE_NS:
        text = f"server says it may be {distance_ns / SECOND_NS:.1f} s off, limit 16 s"
        return Refusal("root-distance", text, is_genuine=True)
    stamps = unix_ns(reply.received), unix_ns(reply.sent)
    return Answer(reply.stratum, reply.reference, distance_ns, *stamps)


class _Reply(NamedTuple):
    first: int
    stratum: int
    poll: int
    precision: int
    delay: int
    dispersion: int
    reference: bytes
    origin: int
    received: int
    sent: int

    @property
    def leap(self) -> int:
        return self.first >> 6


def _foreign(reply: _Reply, nonce: int) -> Refusal | None:
    """Refuse what is no server's reply to our own request."""
    version, mode = reply.first >> 3 & 7, reply.first & 7
    if reply.origin != nonce:
        return Refusal("bad-origin", "reply does not echo our random stamp (forged or replayed)")
    if mode != SERVER_MODE or version not in VERSIONS:
        return Refusal("bad-mode", f"reply in mode {mode}, version {version}")
    return None


def _unsynchronised(reply: _Reply) -> Refusal | None:
    """Refuse a server that says it has no time, or asks not to be asked (RFC 5905 section 7.4)."""
    kiss = reply.reference.decode("ascii", "replace").rstrip("\0")
    if reply.stratum == 0 and kiss.isascii() and kiss.isalpha():
        return Refusal(f"kiss-{kiss.lower()}", f"kiss-o'-death {kiss}", is_genuine=True, kiss=kiss)
    is_served = 0 < reply.stratum < UNSYNCHRONISED_STRATUM
    if reply.leap == UNSYNCHRONISED_LEAP or not is_served:
        text = f"server is not synchronised: leap {reply.leap}, stratum {reply.stratum}"
        return Refusal("not-synchronised", text, is_genuine=True)
    return None


def _untimed(reply: _Reply) -> Refusal | None:
    """Refuse stamps that no server can have."""
    if not reply.received or not reply.sent:
        return Refusal("zero-timestamp", "reply with a zero timestamp")
    if unix_ns(reply.sent) < unix_ns(reply.received):
        return Refusal("bad-timestamps", "server sent its reply before it had our request")
    return None


def unix_ns(stamp: int) -> int:
    """Return a 64-bit NTP stamp as nanoseconds since 1970, in the era that is not in the past.

    >>> unix_ns(3_976_214_400 << 32), unix_ns(1 << 32)
    (1767225600000000000, 2085978497000000000)
    """
    seconds = (stamp >> 32) - NTP_TO_UNIX_S
    if seconds < EARLIEST_S:
        seconds += ERA_S
    return seconds * SECOND_NS + ((stamp & 0xFFFFFFFF) * SECOND_NS >> 32)


def _short_ns(value: int) -> int:
    """Return a 16.16 fixed-point number of seconds in nanoseconds, rounded up."""
    return (value * SECOND_NS >> 16) + 1


def _power_ns(exponent: int) -> int:
    """Return 2**exponent seconds in nanoseconds, rounded up."""
    return int(2.0**exponent * SECOND_NS) + 1


def epoch(answer: Answer, sent_ns: int, received_ns: int) -> Interval | Refusal:
    """Return the interval of true time minus monotonic clock that one exchange proves.

    The server's two stamps lie between our two; how the rest of the round trip divides into way
    there and way back is unknown, so half of it is error, with what the server says of itself
    (RFC 5905 section 8) and what our clock may wander meanwhile.

    Args:
        answer: what the server said.
        sent_ns: the monotonic clock before the request was sent.
        received_ns: the monotonic clock when the reply arrived.
    """
    span_ns = received_ns - sent_ns
    delay_ns = span_ns - (answer.sent_ns - answer.received_ns)
    if delay_ns < -LOCAL_PRECISION_NS:
        return Refusal("bad-timestamps", "server claims to have held our request for too long")
    best_ns = ((answer.received_ns - sent_ns) + (answer.sent_ns - received_ns)) // 2
    wander_ns = int(PHI * span_ns) + 1
    error_ns = max(delay_ns, 0) // 2 + answer.distance_ns + LOCAL_PRECISION_NS + wander_ns
    return Interval(best_ns - error_ns, best_ns, best_ns + error_ns)
