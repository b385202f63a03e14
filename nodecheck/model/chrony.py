"""chronyd's command protocol, version 6: requests, and replies as values.

The layout is that of chrony's ``candm.h`` (struct CMD_Request, CMD_Reply, RPY_Tracking,
RPY_Source_Data); all numbers are in network byte order. Requests are as long as the longest reply,
or chronyd ignores them (no amplification). chronyd's correction is what it has
still to add to the clock: true minus local, as our offset; chronyc prints it as slow or fast. Its
frequency is how fast the clock would go alone; ours, as the kernel's, is what is added to it.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from nodecheck.model.discipline import SourceState
from nodecheck.model.errors import ProbeError
from nodecheck.records import dataclass

PORT: Final = 323
REQUEST_LENGTH: Final = 104
VERSION: Final = 6
REQUEST, REPLY = 1, 2
TRACKING, N_SOURCES, SOURCE_DATA = 33, 14, 15
FORMATS: Final = {TRACKING: 5, N_SOURCES: 2, SOURCE_DATA: 3}
"""Which format of reply belongs to which command."""

_REQUEST: Final = struct.Struct("!4BHHIIIi")
_HEADER: Final = struct.Struct("!4B6HIII")
_TRACKING: Final = struct.Struct("!I16sHxxHH3I9I")
_SOURCE: Final = struct.Struct("!16sHxxhHHHHHI3I")

COUNT_LENGTH: Final = 4
FLOAT_ERROR: Final = 2.0**-23
"""A chrony float has 24 bits beside its sign: how wrong it is at most, relative to its value."""

IPV4, IPV6 = 1, 2
UNSYNCHRONISED: Final = 3
LOCAL_REFERENCE: Final = 0x7F7F0101
"""The reference id of ``local``: chronyd follows its own clock (chrony.conf(5))."""

REFERENCE_CLOCK: Final = 2
STATES: Final = (
    "selected",
    "not selectable",
    "falseticker",
    "too variable",
    "combined",
    "not combined",
)
HIGH_UNUSED: Final = 0x7FFFFFFF
SECOND_NS: Final = 1_000_000_000
LATEST_S: Final = 1 << 40
STRATUM_LIMIT: Final = 16


@dataclass(frozen=True, slots=True)
class Tracking:
    """What chronyd says of its reference. ``updated_ns`` is 0 where there never was an update."""

    source: str
    is_local: bool
    stratum: int
    synchronised: bool
    updated_ns: int
    offset_s: float
    frequency_ppm: float
    skew_ppm: float
    root_distance_s: float


def request(command: int, sequence: int, index: int = 0) -> bytes:
    """Return a request. ``index`` is the number of a source, for SOURCE_DATA only."""
    head = _REQUEST.pack(VERSION, REQUEST, 0, 0, command, 0, sequence, 0, 0, index)
    return head.ljust(REQUEST_LENGTH, b"\0")


def body(data: bytes, command: int, sequence: int) -> bytes | None:
    """Return what a reply carries, None where it does not answer this request.

    Raises:
        ProbeError: chronyd refuses, or speaks another protocol.
    """
    if len(data) < _HEADER.size:
        return None
    version, kind, _, _, echoed, form, status, _, _, _, number, _, _ = _HEADER.unpack_from(data)
    if (kind, echoed, number) != (REPLY, command, sequence):
        return None
    if version != VERSION or status or form != FORMATS[command]:
        msg = f"chronyd answers status {status}, format {form}, protocol {version}"
        raise ProbeError(msg, "not-understood")
    return data[_HEADER.size :]


def tracking(data: bytes) -> Tracking:
    """Return the reply to TRACKING.

    Raises:
        ProbeError: it is cut short, or nonsense.
    """
    _require(_TRACKING.size, data, "tracking")
    row = _TRACKING.unpack_from(data)
    reference, address, family, stratum, leap, high, low, nanoseconds = row[:8]
    correction, _, _, frequency, _, skew, delay, dispersion, _ = (_float(item) for item in row[8:])
    seconds = low if high == HIGH_UNUSED else high << 32 | low
    is_absurd = seconds > LATEST_S or stratum > STRATUM_LIMIT or min(delay, dispersion) < 0
    if is_absurd:
        msg = "chronyd: tracking makes no sense"
        raise ProbeError(msg, "not-understood")
    return Tracking(
        source=_address(address, family) or _reference(reference),
        is_local=reference == LOCAL_REFERENCE and not _address(address, family),
        stratum=stratum,
        synchronised=leap < UNSYNCHRONISED and stratum < STRATUM_LIMIT and reference != 0,
        updated_ns=seconds * SECOND_NS + min(nanoseconds, SECOND_NS - 1),
        offset_s=correction,
        frequency_ppm=-frequency,
        skew_ppm=abs(skew),
        root_distance_s=delay / 2 + dispersion + abs(correction) * FLOAT_ERROR,
    )


def count(data: bytes) -> int:
    """Return the reply to N_SOURCES.

    Raises:
        ProbeError: it is cut short.
    """
    _require(COUNT_LENGTH, data, "number of sources")
    return int.from_bytes(data[:COUNT_LENGTH], "big")


def source(data: bytes) -> SourceState:
    """Return the reply to SOURCE_DATA.

    Raises:
        ProbeError: it is cut short, or nonsense.
    """
    _require(_SOURCE.size, data, "source")
    address, family, _, _, state, mode, _, reach, *_ = _SOURCE.unpack_from(data)
    if state >= len(STATES):
        msg = f"chronyd: a source is in state {state}"
        raise ProbeError(msg, "not-understood")
    name = _address(address, family)
    if mode == REFERENCE_CLOCK:
        name = _reference(int.from_bytes(address[:4], "big"))
    return SourceState(name or "unresolved name", STATES[state], reach > 0)


def _require(length: int, data: bytes, what: str) -> None:
    if len(data) < length:
        msg = f"chronyd: {what} is cut short ({len(data)} bytes)"
        raise ProbeError(msg, "not-understood")


def _float(bits: int) -> float:
    """Return a chrony float: 7-bit signed exponent, 25-bit signed coefficient.

    >>> _float(0x04800000)
    1.0
    """
    exponent, coefficient = bits >> 25, bits & (1 << 25) - 1
    exponent -= (exponent & 64) << 1
    coefficient -= (coefficient & 1 << 24) << 1
    return float(coefficient * 2.0 ** (exponent - 25))


def _address(packed: bytes, family: int) -> str:
    if family == IPV4:
        return str(ipaddress.IPv4Address(packed[:4]))
    return str(ipaddress.IPv6Address(packed)) if family == IPV6 else ""


def _reference(number: int) -> str:
    """Return a reference id, text of whoever configured it, as printable ASCII.

    >>> _reference(0x50484330)
    'PHC0'
    """
    text = number.to_bytes(4, "big").rstrip(b"\0").decode("ascii", "replace")
    is_text = bool(text) and text.isascii() and text.isprintable()
    return text if is_text else f"{number:08X}" if number else ""
