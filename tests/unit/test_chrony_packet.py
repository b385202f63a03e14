"""chronyd's replies: recorded ones of chrony 4.3, and every way in which they can be broken."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.model import chrony
from nodecheck.model.clock import Discipline
from nodecheck.model.discipline import SourceState
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.probes import clock_chrony
from tests.discipline_builders import ScriptedLink, ScriptedNetwork
from tests.fake_host import FakeClock, FakeSteering, fake_host

HEAD = "0602000000{command:02x}000{form}000{status}000000000000{sequence:08x}0000000000000000"
FOLLOWING = (
    "7f0000017f0000010000000000000000000000000001000000040000000000006b04621513af95f6"
    "d70272f7d6ec07e1d890b7b2fd30add5f6cc13bf00addeb2e08b5169dae33cd6fef7f004"
)
LOST = (
    "00000000000000000000000000000000000000000000000000000003000000000000000000000000"
    "000000000000000000000000000000000000000000000000048000000480000000000000"
)
LOCAL = (
    "7f7f0101000000000000000000000000000000000000000000090000000000006b0461e428e396a7"
    "000000000000000000000000000000000000000000000000000000000000000000000000"
)
SELECTED = (
    "7f00000100000000000000000000000000010000fffe000300000000"
    "000000ff00000000dacb795dda907796de8da956"
)
SILENT = (
    "0a63000100000000000000000000000000010000000600000001000000000000"
    "ffffffff000000000000000000000000"
)


def reply(command: int, sequence: int, body: str = "", *, status: int = 0) -> bytes:
    form = chrony.FORMATS[command] if not status else 1
    head = HEAD.format(command=command, form=form, status=status, sequence=sequence)
    return bytes.fromhex(head) + bytes.fromhex(body)


def test_requests_are_as_long_as_the_longest_reply() -> None:
    data = chrony.request(chrony.SOURCE_DATA, 0x01020304, 5)
    assert len(data) == chrony.REQUEST_LENGTH
    assert data[:24].hex() == "06010000000f0000010203040000000000000000" + "00000005"


def test_a_recorded_tracking_of_a_chronyd_that_follows() -> None:
    found = chrony.tracking(bytes.fromhex(FOLLOWING))
    assert found.source == "127.0.0.1"
    assert (found.stratum, found.synchronised, found.is_local) == (4, True, False)
    assert found.updated_ns == 0x6B046215 * 10**9 + 0x13AF95F6
    # chronyc, asked just before: fast, 0.2 ppm slow, skew 0.4, delay 4.9 us, dispersion 1.3 us;
    # slow and fast are proven by real daemons in tests/integration/test_discipline.py
    assert -1e-6 < found.offset_s < 0
    assert found.frequency_ppm == pytest.approx(0.101, abs=1e-3)
    assert found.skew_ppm == pytest.approx(0.3396, abs=1e-4)
    assert found.root_distance_s == pytest.approx(2.9225e-6, abs=1e-9)


def test_a_recorded_tracking_of_a_chronyd_without_time() -> None:
    found = chrony.tracking(bytes.fromhex(LOST))
    assert (found.synchronised, found.updated_ns, found.source) == (False, 0, "")


def test_a_chronyd_that_lost_its_time_is_not_synchronised() -> None:
    data = bytearray.fromhex(FOLLOWING)
    data[26:28] = b"\0\3"  # leap: not synchronised; the last reference is still there
    assert not chrony.tracking(bytes(data)).synchronised


def test_its_own_clock_is_no_source() -> None:
    assert chrony.tracking(bytes.fromhex(LOCAL)).is_local


def test_an_old_chronyd_sends_no_high_seconds() -> None:
    data = bytearray.fromhex(FOLLOWING)
    data[28:32] = chrony.HIGH_UNUSED.to_bytes(4, "big")
    assert chrony.tracking(bytes(data)).updated_ns // 10**9 == 0x6B046215


def test_recorded_sources() -> None:
    assert chrony.source(bytes.fromhex(SELECTED)) == SourceState("127.0.0.1", "selected", True)  # noqa: FBT003
    silent = chrony.source(bytes.fromhex(SILENT))
    assert (silent.name, silent.reachable) == ("10.99.0.1", False)


def source_bytes(address: bytes, family: int, state: int = 0, mode: int = 0) -> bytes:
    return struct.pack("!16sHHhHHHHHI3I", address, family, 0, 6, 1, state, mode, 0, 255, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (source_bytes(bytes.fromhex("fd000ec2" + "0" * 20 + "0123"), 2), "fd00:ec2::123"),
        (source_bytes(b"PHC0".ljust(16, b"\0"), 1, mode=2), "PHC0"),
        (source_bytes(bytes(16), 3), "unresolved name"),
        (source_bytes(bytes(16), 999), "unresolved name"),
    ],
)
def test_names_of_sources(data: bytes, name: str) -> None:
    assert chrony.source(data).name == name


@pytest.mark.parametrize(
    ("bits", "value"),
    [(0, 0.0), (0x04800000, 1.0), (0x03000000, -1.0), (0x7E800000, 2.0**61), (0x807FFFFF, 0.0)],
)
def test_floats(bits: int, value: float) -> None:
    assert chrony._float(bits) == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize("length", [0, 1, 27, 75])
def test_what_is_cut_short_is_refused(length: int) -> None:
    data = bytes.fromhex(FOLLOWING)[:length]
    with pytest.raises(ProbeError, match="cut short"):
        chrony.tracking(data)
    with pytest.raises(ProbeError, match="cut short"):
        chrony.source(data[:47])
    with pytest.raises(ProbeError, match="cut short"):
        chrony.count(data[:3])


def test_nonsense_is_refused() -> None:
    data = bytearray.fromhex(FOLLOWING)
    data[24:26] = b"\xff\xff"
    with pytest.raises(ProbeError, match="no sense"):
        chrony.tracking(bytes(data))
    with pytest.raises(ProbeError, match="in state 9"):
        chrony.source(source_bytes(bytes(16), 1, state=9))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        reply(chrony.TRACKING, 7)[:27],
        reply(chrony.TRACKING, 8),
        reply(chrony.N_SOURCES, 7),
        b"\x06\x01" + reply(chrony.TRACKING, 7)[2:],
    ],
)
def test_what_answers_no_request_of_ours_is_ignored(data: bytes) -> None:
    assert chrony.body(data, chrony.TRACKING, 7) is None


def test_another_protocol_and_a_refusal_are_said() -> None:
    with pytest.raises(ProbeError, match="protocol 5"):
        chrony.body(b"\x05" + reply(chrony.TRACKING, 7)[1:], chrony.TRACKING, 7)
    with pytest.raises(ProbeError, match="status 2"):
        chrony.body(reply(chrony.TRACKING, 7, status=2), chrony.TRACKING, 7)
    in_form = bytearray(reply(chrony.TRACKING, 7, FOLLOWING))
    in_form[9] = 2
    with pytest.raises(ProbeError, match="status 2"):
        chrony.body(bytes(in_form), chrony.TRACKING, 7)


@given(st.binary(max_size=200))
def test_no_bytes_crash_a_parser(data: bytes) -> None:
    for parse in (chrony.tracking, chrony.source, chrony.count):
        try:
            parse(data)
        except ProbeError:
            continue


# --- the conversation ----------------------------------------------------------------------------

BODIES = {
    chrony.TRACKING: [FOLLOWING],
    chrony.N_SOURCES: ["00000002"],
    chrony.SOURCE_DATA: [SELECTED, SILENT],
}


def answers(data: bytes) -> list[bytes]:
    command, sequence = int.from_bytes(data[4:6], "big"), int.from_bytes(data[8:12], "big")
    index = int.from_bytes(data[20:24], "big") if command == chrony.SOURCE_DATA else 0
    return [
        b"noise",
        reply(command, sequence ^ 1),
        reply(command, sequence, BODIES[command][index]),
    ]


def test_the_whole_conversation_by_udp() -> None:
    clock = FakeClock()
    link = ScriptedLink(answers, clock)
    word = clock_chrony.ask(
        fake_host(clock=clock, network=ScriptedNetwork(links={chrony.PORT: link}))
    )
    assert (word.discipline, word.source, word.synchronised) == (
        Discipline.CHRONY,
        "127.0.0.1",
        True,
    )
    assert [source.reachable for source in word.sources] == [True, False]
    assert word.asked == "UDP 127.0.0.1:323"
    assert not word.is_cut_off
    assert link.closed


def test_the_unix_socket_is_asked_where_the_port_is_closed() -> None:
    clock = FakeClock()
    link = ScriptedLink(answers, clock)
    steering = FakeSteering(sockets={clock_chrony.SOCKET: link})
    word = clock_chrony.ask(fake_host(clock=clock, steering=steering))
    assert word.asked == clock_chrony.SOCKET
    assert link.closed


def test_a_port_that_never_answers_ends_in_time() -> None:
    clock = FakeClock()
    link = ScriptedLink(lambda _: [], clock)
    begun_ns = clock.monotonic
    with pytest.raises(ProbeError) as caught:
        clock_chrony.ask(fake_host(clock=clock, network=ScriptedNetwork(links={323: link})))
    assert caught.value.reason == "no-answer"
    assert clock.monotonic - begun_ns < 0.6e9
    assert len(link.requests) == clock_chrony.TRIES


def test_a_flood_does_not_lengthen_the_wait() -> None:
    clock = FakeClock()
    link = ScriptedLink(lambda _: [b"noise"] * 10_000, clock)
    begun_ns = clock.monotonic
    with pytest.raises(ProbeError):
        clock_chrony.ask(fake_host(clock=clock, network=ScriptedNetwork(links={323: link})))
    assert clock.monotonic - begun_ns < 0.6e9


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (Denied("/run/chrony: permission denied"), "no-permission"),
        (Absent("no socket"), "connection-refused"),
        (ProbeError("no datagram socket", "bad"), "bad"),
    ],
)
def test_the_failure_that_says_most_is_told(failure: ProbeError, reason: str) -> None:
    class Failing(FakeSteering):
        def daemon_socket(self, path: str) -> ScriptedLink:
            raise failure

    with pytest.raises(ProbeError) as caught:
        clock_chrony.ask(fake_host(network=ScriptedNetwork(), steering=Failing()))
    assert caught.value.reason == reason


def test_a_chronyd_that_follows_its_own_clock_is_not_synchronised() -> None:
    clock = FakeClock()

    def alone(data: bytes) -> list[bytes]:
        command, sequence = int.from_bytes(data[4:6], "big"), int.from_bytes(data[8:12], "big")
        return [reply(command, sequence, {33: LOCAL, 14: "00000000"}[command])]

    network = ScriptedNetwork(links={323: ScriptedLink(alone, clock)})
    word = clock_chrony.ask(fake_host(clock=clock, network=network))
    assert (word.synchronised, word.source, word.sources) == (False, "", ())


def test_a_million_sources_are_not_all_asked() -> None:
    clock = FakeClock()

    def many(data: bytes) -> list[bytes]:
        command, sequence = int.from_bytes(data[4:6], "big"), int.from_bytes(data[8:12], "big")
        return [reply(command, sequence, {33: FOLLOWING, 14: "000f4240", 15: SELECTED}[command])]

    network = ScriptedNetwork(links={323: ScriptedLink(many, clock)})
    word = clock_chrony.ask(fake_host(clock=clock, network=network))
    assert len(word.sources) == clock_chrony.SOURCE_LIMIT
