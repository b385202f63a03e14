"""The PTP hardware clock of an EC2 network card: Amazon's word, and one vote with its servers."""

from __future__ import annotations

import sys

import pytest

from nodecheck.host.local_clock import SystemClock
from nodecheck.model.clock import ClockFacts, ClockPair, Interval, NtpFacts, SourceReading
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.hardware_clock import HardwareFacts, HardwareStamp, joined, parse_bound
from nodecheck.model.selection import combine
from nodecheck.probes import clock_hardware
from tests.fake_host import FakeFiles, FakeSteering, fake_host

if sys.platform != "win32":
    from nodecheck.host.posix_steering import PosixSteering

SECOND = 1_000_000_000
NOW = ClockPair(wall_ns=1_700_000_000 * SECOND, monotonic_ns=5 * SECOND)
TRUTH_NS = NOW.wall_ns - NOW.monotonic_ns
SYS = "/sys/class/ptp/ptp0"


def stamp(offset_s: float = 0.0, took_ns: int = 20_000) -> HardwareStamp:
    before_ns = NOW.monotonic_ns
    clock_ns = TRUTH_NS + before_ns + took_ns // 2 + int(offset_s * SECOND)
    return HardwareStamp(before_ns, clock_ns, before_ns + took_ns)


def look(
    name: bytes = b"ena-ptp-05\n",
    bound: bytes | ProbeError = b"1250\n",
    said: HardwareStamp | ProbeError | None = None,
) -> HardwareFacts:
    files = FakeFiles({f"{SYS}/clock_name": name, f"{SYS}/device/phc_error_bound": bound})
    steering = FakeSteering(stamps={"/dev/ptp0": said or stamp()})
    return clock_hardware.look(fake_host(files=files, steering=steering))


def server(name: str, offset_s: float, operator: str) -> SourceReading:
    middle = TRUTH_NS + int(offset_s * SECOND)
    interval = Interval(middle - 1_000_000, middle, middle + 1_000_000)
    return SourceReading(name, name, operator, interval, NOW.monotonic_ns, 1, "ref", 4)


def judged(*servers: SourceReading, hardware: HardwareFacts) -> ClockFacts:
    return combine(joined(NtpFacts(servers), hardware), None, NOW)


def test_a_clock_of_the_card_bounds_the_time_by_its_own_error_and_the_reading() -> None:
    (reading,) = look().readings
    assert (reading.name, reading.operator) == ("/dev/ptp0", "amazon")
    assert reading.interval.low_ns == TRUTH_NS - 1250 - 10_000
    assert reading.interval.high_ns == TRUTH_NS + 1250 + 10_000


def test_a_node_without_one_says_nothing() -> None:
    assert clock_hardware.look(fake_host()) == HardwareFacts()


def test_the_clock_of_a_hypervisor_or_of_another_card_is_not_amazons() -> None:
    assert look(name=b"KVM virtual PTP\n") == HardwareFacts()


@pytest.mark.parametrize(
    "bound",
    [b"4294967295\n", b"", b"-1", b"1e3", b"\xff\xfe", "٣".encode(), Absent("absent")],
)
def test_without_an_error_bound_it_proves_nothing(bound: bytes | ProbeError) -> None:
    facts = look(bound=bound)
    assert facts.readings == ()
    assert [item.reason for item in facts.failures] == ["no-error-bound"]


@pytest.mark.parametrize(
    "problem", [Denied("/dev/ptp0: permission denied"), ProbeError("no clock")]
)
def test_a_clock_that_cannot_be_read_is_a_source_that_failed(problem: ProbeError) -> None:
    facts = look(said=problem)
    assert [item.reason for item in facts.failures] == [problem.reason]


def test_it_has_one_vote_with_amazons_servers() -> None:
    """Otherwise card and link-local address together would outvote one honest server."""
    wrong = look(said=stamp(90))
    ours = server("169.254.169.123", 90, "amazon")
    facts = judged(ours, server("ntp.example.com", 0, "ntp.example.com"), hardware=wrong)
    assert facts.estimate is None


def test_with_one_more_operator_it_decides() -> None:
    right = look()
    facts = judged(server("a", 0, "a"), server("b", 90, "b"), hardware=right)
    assert facts.estimate is not None
    assert facts.estimate.bound_s < 0.0001
    assert facts.falsetickers == ("b",)


def test_it_measures_the_clock_where_no_server_answers() -> None:
    facts = combine(joined(ProbeError("no route", "no-answer"), look()), None, NOW)
    assert facts.estimate is not None
    assert [item.name for item in facts.failures] == ["NTP"]


def test_the_operators_servers_stand_alone() -> None:
    assert joined(NtpFacts(()), HardwareFacts()) == NtpFacts(())
    assert joined(NtpFacts(()), ProbeError("late", "timeout")) == NtpFacts(())


def test_the_driver_says_how_far_it_may_be_off() -> None:
    assert parse_bound("999999999") == 999_999_999
    with pytest.raises(ProbeError, match="no error bound"):
        parse_bound("1000000000")


if sys.platform != "win32":

    def test_the_kernel_is_asked_for_the_clock_of_the_open_device() -> None:
        steering = PosixSteering(SystemClock())
        with pytest.raises(Absent, match="not there"):
            steering.hardware_clock("/dev/ptp99")
        with pytest.raises(ProbeError, match="/dev/null: "):
            steering.hardware_clock("/dev/null")
