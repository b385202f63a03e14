"""The PTP hardware clock of an EC2 network card, as a source of time.

The card's driver names its clock ``ena-ptp-`` and says how far it may be off, in nanoseconds. The
clock tells UTC without leap smear and belongs to Amazon Time Sync: it has no vote of its own beside
169.254.169.123. Other PTP clocks (a hypervisor's, a card that nothing disciplines) prove nothing.

Sources: kernel/linux/ena of https://github.com/amzn/amzn-drivers (``phc_error_bound``); EC2 User
Guide, "Connect to the PTP hardware clock"; Documentation/ABI/testing/sysfs-ptp of Linux.
"""

from __future__ import annotations

from typing import Final

from nodecheck.model.clock import Interval, NtpFacts, SourceFailure, SourceReading
from nodecheck.model.errors import ProbeError
from nodecheck.model.time_server import AMAZON
from nodecheck.records import dataclass

NAME_START: Final = "ena-ptp-"
MOST_BOUND_NS: Final = 1_000_000_000
"""The driver says 0xFFFFFFFF where it does not know; a bound of a second proves little anyway."""


@dataclass(frozen=True, slots=True)
class HardwareStamp:
    """One reading of a hardware clock, between two readings of the monotonic clock."""

    before_ns: int
    clock_ns: int
    after_ns: int


@dataclass(frozen=True, slots=True)
class HardwareFacts:
    """What the hardware clocks of this node say."""

    readings: tuple[SourceReading, ...] = ()
    failures: tuple[SourceFailure, ...] = ()


def reading(
    device: str, name: str, bound_ns: int, stamps: tuple[HardwareStamp, ...]
) -> SourceReading:
    """Return what the narrowest of some readings proves, in Amazon's name."""
    best = min(stamps, key=lambda item: item.after_ns - item.before_ns)
    low_ns = best.clock_ns - bound_ns - best.after_ns
    high_ns = best.clock_ns + bound_ns - best.before_ns
    interval = Interval(low_ns, (low_ns + high_ns) // 2, high_ns)
    return SourceReading(device, "", AMAZON, interval, best.after_ns, 1, name, samples=len(stamps))


def parse_bound(text: str) -> int:
    """Return the error bound that the driver gives, nanoseconds.

    >>> parse_bound("1250 ")
    1250

    Raises:
        ProbeError: it is none, or so large that the driver does not know.
    """
    word = text.strip()
    if not (word.isascii() and word.isdecimal()) or int(word) >= MOST_BOUND_NS:
        msg = f"the driver gives no error bound ({word[:20]!r})"
        raise ProbeError(msg, "no-error-bound")
    return int(word)


def joined(
    ntp: NtpFacts | ProbeError, hardware: HardwareFacts | ProbeError
) -> NtpFacts | ProbeError:
    """Return what servers and hardware clocks said together."""
    if isinstance(hardware, ProbeError) or not (hardware.readings or hardware.failures):
        return ntp
    if isinstance(ntp, ProbeError):
        silent = (SourceFailure("NTP", "", ntp.reason, str(ntp)),)
        return NtpFacts(hardware.readings, (*silent, *hardware.failures))
    return NtpFacts((*ntp.readings, *hardware.readings), (*ntp.failures, *hardware.failures))
