"""Read what Amazon's ClockBound daemon left in shared memory.

Layout: ClockBound Shared Memory Protocol versions 2 and 1 (aws/clock-bound, docs/PROTOCOL.md), in
the byte order of the machine. Its stamps are of CLOCK_MONOTONIC_COARSE.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.kernel_clock import ClockBound

if TYPE_CHECKING:
    from nodecheck.host.door import Files

PATHS: Final = ("/var/run/clockbound/shm0", "/var/run/clockbound/shm")
LIMIT_BYTES: Final = 4096
MAGIC: Final = (0x414D5A4E, 0x43420200)
STATUSES: Final = ("unknown", "synchronised", "free running", "disrupted")
SECOND_NS: Final = 1_000_000_000

_HEADER: Final = struct.Struct("=IIIHH")
_TIMES: Final = struct.Struct("=5q")
_STATUS_OFFSET: Final = {1: 64, 2: 68}
"""Where the status is, by version: 2 has the disruption marker before the drift."""

_DRIFT_OFFSET: Final = {1: 56, 2: 64}


def look(files: Files, coarse_monotonic_ns: int) -> ClockBound | None:
    """Return what ClockBound says of the clock, None where it is not there.

    Raises:
        ProbeError: it is there and cannot be understood.
    """
    for path in PATHS:
        try:
            return parse(files.read(path, LIMIT_BYTES), coarse_monotonic_ns)
        except Absent:
            continue
    return None


def parse(data: bytes, coarse_monotonic_ns: int) -> ClockBound:
    """Return one state of the shared memory.

    Raises:
        ProbeError: it is no such memory, being written, or cut short.
    """
    version = _version(data)
    as_of_s, as_of_ns, void_s, void_ns, bound_ns = _TIMES.unpack_from(data, _HEADER.size)
    (drift_ppb,) = struct.unpack_from("=I", data, _DRIFT_OFFSET[version])
    (status,) = struct.unpack_from("=i", data, _STATUS_OFFSET[version])
    if not 0 <= status < len(STATUSES) or bound_ns < 0:
        msg = f"ClockBound: status {status}, bound {bound_ns} ns"
        raise ProbeError(msg, "not-understood")
    age_ns = coarse_monotonic_ns - (as_of_s * SECOND_NS + as_of_ns)
    valid = age_ns >= 0 and coarse_monotonic_ns <= void_s * SECOND_NS + void_ns
    grown_ns = bound_ns + max(age_ns, 0) * drift_ppb // SECOND_NS
    return ClockBound(STATUSES[status], grown_ns / SECOND_NS, age_ns / SECOND_NS, valid)


def _version(data: bytes) -> int:
    problem = f"{len(data)} bytes"
    if len(data) >= _HEADER.size:
        first, second, _, version, generation = _HEADER.unpack_from(data)
        problem = f"version {version}, generation {generation}"
        is_known = (first, second) == MAGIC and version in _STATUS_OFFSET
        if is_known and generation and generation % 2 == 0:
            if len(data) >= _STATUS_OFFSET[version] + 4:
                return int(version)
            problem = f"{len(data)} bytes"
    msg = f"ClockBound: shared memory not understood ({problem})"
    raise ProbeError(msg, "not-understood")
