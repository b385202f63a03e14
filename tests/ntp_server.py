"""A hostile NTP responder: honest by default, and able to tell every lie of the scenario table."""

from __future__ import annotations

import heapq
import os
import random
import select
import socket
import struct
import time
from dataclasses import dataclass
from enum import Enum
from threading import Thread
from typing import Self

LAYOUT = struct.Struct("!BBbbII4sQQQQ")
NTP_TO_UNIX_S = 2_208_988_800


class Origin(Enum):
    ECHO = "echo"
    RANDOM = "random"
    ZERO = "zero"
    STALE = "stale"


@dataclass(frozen=True)
class Behaviour:
    """How to answer. Times in seconds; ``offset_s`` is added to the machine's clock."""

    offset_s: float = 0.0
    leap: int = 0
    version: int = 4
    mode: int = 4
    stratum: int = 2
    reference: bytes = bytes([169, 254, 169, 122])
    precision: int = -23
    root_delay_s: float = 0.001
    root_dispersion_s: float = 0.001
    origin: Origin = Origin.ECHO
    delay_in_s: float = 0.0
    delay_out_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    is_silent: bool = False
    is_without_transmit: bool = False
    length: int = 48
    forged_first_offset_s: float | None = None
    forged_port_offset_s: float | None = None
    foreign_packets: int = 0
    lost_first: int = 0


def stamp(unix_s: float) -> int:
    whole, fraction = divmod(unix_s, 1)
    return ((int(whole) + NTP_TO_UNIX_S) % (1 << 32) << 32) | int(fraction * (1 << 32))


def packet(
    how: Behaviour, origin: int, received_s: float, sent_s: float, reference_s: float = 0
) -> bytes:
    data = LAYOUT.pack(
        how.leap << 6 | how.version << 3 | how.mode,
        how.stratum,
        6,
        how.precision,
        int(how.root_delay_s * 65536),
        int(how.root_dispersion_s * 65536),
        how.reference,
        stamp(reference_s or sent_s - 8),
        origin,
        stamp(received_s),
        0 if how.is_without_transmit else stamp(sent_s),
    )
    return (data + bytes(max(how.length - 48, 0)))[: how.length]


class NtpServer:
    """Answers on one address in a thread of its own until it is closed."""

    def __init__(self, how: Behaviour, ip: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        self.how = how
        self.requests = 0
        self.seen: list[tuple[float, int, bytes]] = []
        self._random = random.Random(7)  # noqa: S311 - a repeatable network, no secret
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((ip, port))
        self._other = socket.socket(family, socket.SOCK_DGRAM)
        self._other.bind((ip, 0))
        self.ip, self.port = ip, int(self._socket.getsockname()[1])
        self._stop, self._stopped = socket.socketpair()
        self._queue: list[tuple[float, int, bool, bytes, tuple[str, int]]] = []
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.send(b"x")
        self._thread.join()
        for item in (self._socket, self._other, self._stop, self._stopped):
            item.close()

    def _serve(self) -> None:
        while True:
            now = time.monotonic()
            while self._queue and self._queue[0][0] <= now:
                _, _, is_other, data, peer = heapq.heappop(self._queue)
                (self._other if is_other else self._socket).sendto(data, peer)
            wait_s = self._queue[0][0] - now if self._queue else None
            ready, _, _ = select.select([self._socket, self._stopped], [], [], wait_s)
            if self._stopped in ready:
                return
            if self._socket in ready:
                data, peer = self._socket.recvfrom(2048)
                self._answer(data, peer)

    def _later(
        self, delay_s: float, data: bytes, peer: tuple[str, int], *, is_other: bool = False
    ) -> None:
        item = (time.monotonic() + delay_s, len(self._queue) + self.requests, is_other, data, peer)
        heapq.heappush(self._queue, item)

    def _answer(self, request: bytes, peer: tuple[str, int]) -> None:
        self.requests += 1
        self.seen.append((time.monotonic(), peer[1], request))
        how, now = self.how, time.time()
        if how.is_silent or self.requests <= how.lost_first or self._random.random() < how.loss:
            return
        if how.foreign_packets:
            for number in range(how.foreign_packets):
                self._later(number * 0.2, os.urandom(48), peer)
            return
        honest_s = 0.0
        if how.forged_first_offset_s is not None:
            forged_s = now + how.forged_first_offset_s
            nonce = int.from_bytes(os.urandom(8), "big")
            self._later(0, packet(how, nonce, forged_s, forged_s), peer)
            honest_s = 0.01
        if how.forged_port_offset_s is not None:
            forged_s = now + how.forged_port_offset_s
            data = packet(how, self._origin(request, now), forged_s, forged_s)
            self._later(0, data, peer, is_other=True)
            honest_s = 0.01
        jitter_in, jitter_out = (self._random.uniform(0, how.jitter_s) for _ in range(2))
        held_s = how.delay_in_s + jitter_in
        seen_s = now + held_s + how.offset_s
        data = packet(how, self._origin(request, now), seen_s, seen_s + 1e-6)
        if how.origin is Origin.STALE:  # a recorded reply: everything in it is ten minutes old
            data = packet(how, stamp(now - 600), seen_s - 600, seen_s - 600)
        self._later(honest_s + held_s + how.delay_out_s + jitter_out, data, peer)

    def _origin(self, request: bytes, now: float) -> int:
        return {
            Origin.ECHO: int.from_bytes(request[40:48], "big"),
            Origin.RANDOM: int.from_bytes(os.urandom(8), "big"),
            Origin.ZERO: 0,
            Origin.STALE: stamp(now - 600),
        }[self.how.origin]
