"""ntpd's control replies: recorded ones of ntpsec 1.2.2, and every way to break them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.model import ntp_control
from nodecheck.model.clock import Discipline
from nodecheck.model.errors import ProbeError
from nodecheck.probes import clock_ntpd
from tests.discipline_builders import ScriptedLink, ScriptedNetwork
from tests.fake_host import FakeClock, fake_host

STARTING = (
    b"leap=3, stratum=16, precision=-24, rootdelay=0.000, rootdisp=0.015,\r\n"
    b"refid=INIT, reftime=0x00000000.00000000, tc=0, peer=0, offset=0.000000,\r\n"
    b"frequency=0.000000, sys_jitter=0.000000, clk_jitter=0.000060,\r\n"
    b'clock=0xeeaee0d9.40a3a770, processor="x86_64",\r\n'
    b'system="Linux/6.18.44", version="ntpd ntpsec-1.2.2",\r\n'
    b"clk_wander=0.000000, mintc=0\r\n"
)
FOLLOWING = (
    STARTING.replace(b"leap=3, stratum=16", b"leap=0, stratum=4")
    .replace(b"rootdelay=0.000, rootdisp=0.015", b"rootdelay=0.086, rootdisp=62.576")
    .replace(
        b"refid=INIT, reftime=0x00000000.00000000", b"refid=10.77.0.1, reftime=0xeeaee0e7.2ac5901c"
    )
    .replace(b"offset=0.000000", b"offset=-1.250000")
    .replace(b"frequency=0.000000", b"frequency=-12.500000")
)
PEERS = bytes.fromhex("4567b614" + "45689014")


def test_a_recorded_ntpd_that_follows() -> None:
    found = ntp_control.variables(FOLLOWING)
    assert (found.synchronised, found.reference, found.stratum) == (True, "10.77.0.1", 4)
    assert found.offset_s == pytest.approx(-0.00125)
    assert found.root_distance_s == pytest.approx(0.062619)
    assert found.frequency_ppm == pytest.approx(-12.5)
    assert found.updated_ns == pytest.approx(1_795_449_447.167e9, abs=1e6)


def test_a_recorded_ntpd_that_starts() -> None:
    found = ntp_control.variables(STARTING)
    assert (found.synchronised, found.updated_ns) == (False, 0)


@pytest.mark.parametrize("reference", [b"LOCAL(0)", b"LOCL", b"127.127.1.0"])
def test_its_own_clock_is_no_source(reference: bytes) -> None:
    text = FOLLOWING.replace(b"10.77.0.1", reference)
    assert not ntp_control.variables(text).synchronised


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"leap=0, ", b""),
        (b"stratum=4", b"stratum=four"),
        (b"offset=-1.25", b"offset=nan"),
        (b"offset=-1.25", b"offset=inf"),
        (b"rootdisp=62.576", b"rootdisp=1e300"),
    ],
)
def test_variables_that_are_none(old: bytes, new: bytes) -> None:
    with pytest.raises(ProbeError, match="variable"):
        ntp_control.variables(FOLLOWING.replace(old, new))


@pytest.mark.parametrize("text", [b"", FOLLOWING[:20], b"\xff" * 400, "leap=0 \u5e74".encode()])
def test_broken_texts(text: bytes) -> None:
    with pytest.raises(ProbeError):
        ntp_control.variables(text)


def test_stratum_zero_is_no_time() -> None:
    text = FOLLOWING.replace(b"stratum=4", b"stratum=0")
    assert not ntp_control.variables(text).synchronised


def test_names_are_plain() -> None:
    text = FOLLOWING.replace(b"10.77.0.1", b"\x1b[31m" + b"x" * 100)
    assert ntp_control.variables(text).reference == "[31m" + "x" * 36
    assert ntp_control.address(b'srcadr="10.77.0.1", srcport=123') == "10.77.0.1"
    assert ntp_control.address(b"") == ""


def test_sources_by_status_word() -> None:
    found = ntp_control.associations(PEERS)
    assert [number for number, _ in found] == [0x4567, 0x4568]
    assert [source.state for _, source in found] == ["selected", "rejected"]
    assert [source.reachable for _, source in found] == [True, True]
    assert not ntp_control.associations(bytes.fromhex("4567e014"))[0][1].reachable
    with pytest.raises(ProbeError, match="cut short"):
        ntp_control.associations(PEERS[:5])


def reply(  # noqa: PLR0913, PLR0917 - one argument for each field
    content: bytes,
    operation: int = 2,
    sequence: int = 7,
    offset: int = 0,
    flags: int = 0x80,
    first: int = 0xD6,
) -> bytes:
    head = struct.pack("!BBHHHHH", first, flags | operation, sequence, 0, 0, offset, len(content))
    return head + content + bytes(-len(content) % 4)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        reply(b"x")[:11],
        reply(b"x", sequence=8),
        reply(b"x", operation=1),
        reply(b"x", flags=0),
        reply(b"x", first=0xD4),
        reply(b"abcdefgh")[:-4],
        reply(b"x", offset=ntp_control.LENGTH_LIMIT),
    ],
)
def test_what_answers_no_request_of_ours_is_ignored(data: bytes) -> None:
    assert ntp_control.fragment(data, 2, 7) is None


def test_a_refusal_is_said() -> None:
    with pytest.raises(ProbeError, match="noquery"):
        ntp_control.fragment(reply(b"", flags=0xC0), 2, 7)


@given(st.binary(max_size=600))
def test_no_bytes_crash_a_parser(data: bytes) -> None:
    for parse in (
        ntp_control.variables,
        ntp_control.associations,
        ntp_control.address,
        lambda item: ntp_control.fragment(item, 2, 7),
    ):
        try:
            parse(data)
        except ProbeError:
            continue


# --- the conversation ----------------------------------------------------------------------------


def converse(*fragments: tuple[int, bytes, int]) -> ScriptedLink:
    """An ntpd that answers the system variables in these fragments."""

    def answer(data: bytes) -> list[bytes]:
        operation, sequence = data[1], int.from_bytes(data[2:4], "big")
        association = int.from_bytes(data[6:8], "big")
        if operation == ntp_control.READ_STATUS:
            return [reply(PEERS, 1, sequence)]
        if association == 0x4568:
            return [reply(b"", 2, sequence, flags=0xC0)]
        if association:
            return [reply(b"srcadr=10.77.0.1", 2, sequence)]
        noise = reply(b"zzzz", 2, sequence ^ 1)
        return [noise, *(reply(text, 2, sequence, at, flags) for at, text, flags in fragments)]

    return ScriptedLink(answer, FakeClock())


def ask(link: ScriptedLink) -> object:
    network = ScriptedNetwork(links={123: link})
    return clock_ntpd.ask(fake_host(clock=link.clock, network=network))


def test_fragments_are_joined_in_any_order() -> None:
    parts = (200, FOLLOWING[200:], 0x80), (0, FOLLOWING[:200], 0xA0)
    link = converse(*parts)
    word = clock_ntpd.ask(fake_host(clock=link.clock, network=ScriptedNetwork(links={123: link})))
    assert (word.discipline, word.source) == (Discipline.NTPD, "10.77.0.1")
    assert [source.name for source in word.sources] == ["10.77.0.1", "association 17768"]
    assert link.closed


@pytest.mark.parametrize(
    "fragments",
    [
        ((0, FOLLOWING[:200], 0xA0),),
        ((200, FOLLOWING[200:], 0x80),),
        tuple((index * 4, b"abcd", 0xA0) for index in range(900)),
        (),
    ],
)
def test_what_never_ends_is_no_answer_and_no_wait(
    fragments: tuple[tuple[int, bytes, int], ...],
) -> None:
    link = converse(*fragments)
    begun_ns = link.clock.monotonic
    with pytest.raises(ProbeError) as caught:
        ask(link)
    assert caught.value.reason == "no-answer"
    assert link.clock.monotonic - begun_ns < 0.6e9
