"""The reader of NTP replies: what is believed, and what an exchange proves."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.model.clock import Interval
from nodecheck.model.ntp import Answer, Refusal, epoch, read, request, unix_ns
from tests.ntp_server import Behaviour, packet, stamp

NONCE = 0x0123456789ABCDEF
NOW_S = 1_800_000_000.0
SECOND = 1_000_000_000


def reply(nonce: int = NONCE, sent_s: float = NOW_S, **how: object) -> bytes:
    return packet(Behaviour(**how), nonce, NOW_S, sent_s)  # type: ignore[arg-type]


def reason(data: bytes) -> str:
    found = read(data, NONCE)
    assert isinstance(found, Refusal)
    return found.reason


def test_an_honest_reply_is_believed() -> None:
    found = read(reply(), NONCE)
    assert isinstance(found, Answer)
    assert found.stratum == 2
    assert found.sent_ns == NOW_S * SECOND
    assert found.distance_ns == pytest.approx(0.0015 * SECOND, rel=0.01)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"leap": 3}, "not-synchronised"),
        ({"stratum": 16}, "not-synchronised"),
        ({"stratum": 255}, "not-synchronised"),
        ({"stratum": 0}, "not-synchronised"),
        ({"stratum": 0, "leap": 3, "reference": bytes(4)}, "not-synchronised"),
        ({"stratum": 0, "reference": b"RATE"}, "kiss-rate"),
        ({"stratum": 0, "reference": b"NTS\0"}, "kiss-nts"),
        ({"mode": 3}, "bad-mode"),
        ({"mode": 5}, "bad-mode"),
        ({"version": 2}, "bad-mode"),
        ({"version": 5}, "bad-mode"),
        ({"is_without_transmit": True}, "zero-timestamp"),
        ({"sent_s": NOW_S - 1}, "bad-timestamps"),
        ({"root_dispersion_s": 16}, "root-distance"),
        ({"root_delay_s": 32}, "root-distance"),
        ({"precision": 127}, "root-distance"),
        ({"length": 47}, "short-reply"),
        ({"length": 0}, "short-reply"),
        ({"nonce": NONCE ^ 1}, "bad-origin"),
        ({"nonce": NONCE ^ 1 << 63}, "bad-origin"),
        ({"nonce": 0}, "bad-origin"),
    ],
)
def test_bad_replies_are_refused(how: dict[str, object], expected: str) -> None:
    assert reason(reply(**how)) == expected  # type: ignore[arg-type]


def test_only_the_servers_own_word_ends_the_wait() -> None:
    genuine = read(reply(stratum=16), NONCE)
    forged = read(reply(nonce=5, stratum=16), NONCE)
    assert isinstance(genuine, Refusal)
    assert isinstance(forged, Refusal)
    assert genuine.is_genuine
    assert not forged.is_genuine


def test_extensions_behind_the_packet_are_not_looked_at() -> None:
    assert isinstance(read(reply(length=2000), NONCE), Answer)


def test_a_request_tells_nothing_but_the_nonce() -> None:
    assert request(NONCE) == b"\x23" + bytes(39) + NONCE.to_bytes(8, "big")


@pytest.mark.parametrize("year_s", [1_767_225_600, 2_085_978_495, 2_085_978_497, 4_102_444_800])
def test_stamps_are_read_in_the_era_that_is_not_past(year_s: int) -> None:
    assert unix_ns(stamp(year_s)) == year_s * SECOND


def test_an_exchange_across_the_era_boundary() -> None:
    boundary_s = 2_085_978_496
    data = packet(Behaviour(), NONCE, boundary_s - 0.25, boundary_s + 0.25)
    found = read(data, NONCE)
    assert isinstance(found, Answer)
    assert found.sent_ns - found.received_ns == SECOND // 2


def test_an_exchange_proves_half_the_delay_and_the_root_distance() -> None:
    answer = Answer(2, b"", 1_000_000, 100 * SECOND, 100 * SECOND)
    found = epoch(answer, 10 * SECOND, 10 * SECOND + 4_000_000)
    assert isinstance(found, Interval)
    assert found.best_ns == 90 * SECOND - 2_000_000
    assert found.width_ns / 2 == pytest.approx(2_000_000 + 1_000_000 + 1_000 + 60, abs=2)


def test_a_server_that_claims_to_have_held_the_request_for_too_long() -> None:
    answer = Answer(2, b"", 0, 100 * SECOND, 101 * SECOND)
    found = epoch(answer, 0, SECOND // 2)
    assert isinstance(found, Refusal)
    assert found.reason == "bad-timestamps"


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.integers(0, 10**6),
    st.integers(-(10**18), 10**18),
)
def test_the_truth_is_inside_however_the_way_divides(
    way_in_ns: int, way_out_ns: int, held_ns: int, true_epoch_ns: int
) -> None:
    sent_ns = 7 * SECOND
    at_server_ns = sent_ns + way_in_ns + true_epoch_ns
    answer = Answer(2, b"", 0, at_server_ns, at_server_ns + held_ns)
    found = epoch(answer, sent_ns, sent_ns + way_in_ns + held_ns + way_out_ns)
    assert isinstance(found, Interval)
    assert found.low_ns <= true_epoch_ns <= found.high_ns


@given(st.binary(max_size=200))
def test_random_bytes_are_never_believed(data: bytes) -> None:
    assert isinstance(read(data, NONCE), Refusal)


@given(st.binary(min_size=48, max_size=100))
def test_random_bytes_with_our_nonce_never_crash(data: bytes) -> None:
    forged = data[:24] + struct.pack("!Q", NONCE) + data[32:]
    found = read(forged, NONCE)
    if isinstance(found, Answer):
        assert found.sent_ns >= found.received_ns
        assert found.distance_ns < 16 * SECOND
