"""Throw random replies at everything that reads what a time daemon says.

``python -m tests.fuzz.fuzz_discipline COUNT [SEED]``: replies of chronyd and ntpd, ClockBound's
shared memory and the clock's history. Nothing may crash a reader, no reply to another request may
be taken for ours, and what is understood must be sane.
"""

from __future__ import annotations

import json
import random
import struct
import sys
from math import isfinite

from nodecheck.model import chrony, ntp_control
from nodecheck.model.errors import ProbeError
from nodecheck.model.w32time_status import parse_status
from nodecheck.probes import clock_clockbound, clock_history
from tests.w32time_node import LANGUAGES, status

TRACKING = bytes.fromhex(
    "7f0000017f0000010000000000000000000000000001000000040000000000006b04621513af95f6"
    "d70272f7d6ec07e1d890b7b2fd30add5f6cc13bf00addeb2e08b5169dae33cd6fef7f004"
)
VARIABLES = (
    b"leap=0, stratum=4, rootdelay=0.086, rootdisp=62.576,\r\nrefid=10.77.0.1, "
    b"reftime=0xeeaee0e7.2ac5901c, offset=-1.25, frequency=-12.5\r\n"
)
MEMORY = struct.pack(
    "=IIIHH5qQIiQ", *clock_clockbound.MAGIC, 80, 2, 4, 100, 0, 1100, 0, 9, 0, 50_000, 1, 0
)
HISTORY = clock_history.dump(())[:-3] + b'["b", 1, 2, 0.5, 0.1, false]]}\n'
HEAD = struct.Struct("!4B6HIII")
CONTROL = struct.Struct("!BBHHHHH")


def run(count: int, seed: int) -> dict[str, int]:
    """Fuzz ``count`` inputs; return what became of them."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, no secret
    found = {"inputs": count, "understood": 0, "foreign": 0, "insane": 0}
    readers = (_chronyd, _ntpd, _clockbound, _history, _w32time)
    for index in range(count):
        try:
            readers[index % len(readers)](dice, found)
        except (ProbeError, ValueError):
            continue
    return found


def _broken(dice: random.Random, data: bytes) -> bytes:
    """Return noise, or data with some bits flipped, perhaps cut."""
    if dice.randrange(8) == 0:
        return dice.randbytes(dice.randrange(200))
    changed = bytearray(data)
    for _ in range(dice.randrange(4)):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed[: dice.choice((len(changed), dice.randrange(len(changed) + 1)))])


def _chronyd(dice: random.Random, found: dict[str, int]) -> None:
    sequence = dice.getrandbits(32)
    head = HEAD.pack(6, 2, 0, 0, chrony.TRACKING, 5, 0, 0, 0, 0, sequence, 0, 0)
    data = _broken(dice, head + TRACKING)
    body = chrony.body(data, chrony.TRACKING, sequence)
    if body is None:
        return
    found["foreign"] += data[16:20] != sequence.to_bytes(4, "big")
    read = chrony.tracking(body)
    found["understood"] += 1
    numbers = (read.offset_s, read.frequency_ppm, read.skew_ppm, read.root_distance_s)
    is_sane = all(map(isfinite, numbers)) and read.root_distance_s >= 0 and read.stratum <= 16
    found["insane"] += not (is_sane and read.source.isprintable() and read.updated_ns >= 0)
    chrony.source(body)


def _ntpd(dice: random.Random, found: dict[str, int]) -> None:
    sequence = dice.getrandbits(16)
    head = CONTROL.pack(0xD6, 0x82, sequence, 0, 0, 0, len(VARIABLES))
    data = _broken(dice, head + VARIABLES)
    fragment = ntp_control.fragment(data, ntp_control.READ_VARIABLES, sequence)
    if fragment is None:
        return
    found["foreign"] += data[2:4] != sequence.to_bytes(2, "big")
    read = ntp_control.variables(fragment[1])
    found["understood"] += 1
    is_sane = isfinite(read.offset_s) and 0 <= read.root_distance_s < 1e13
    found["insane"] += not (is_sane and read.reference.isprintable())
    ntp_control.associations(fragment[1])


def _clockbound(dice: random.Random, found: dict[str, int]) -> None:
    read = clock_clockbound.parse(_broken(dice, MEMORY), dice.randrange(10**13))
    found["understood"] += 1
    found["insane"] += not (isfinite(read.bound_s) and read.bound_s >= 0)


def _history(dice: random.Random, found: dict[str, int]) -> None:
    epochs = clock_history.load(_broken(dice, HISTORY))
    found["understood"] += 1
    found["insane"] += not all(isfinite(item.offset_s) and item.bound_s >= 0 for item in epochs)


def _w32time(dice: random.Random, found: dict[str, int]) -> None:
    read = parse_status(_broken(dice, status(dice.choice(list(LANGUAGES)))))
    found["understood"] += 1
    numbers = (read.root_delay_s, read.bound_s, read.since_s, read.poll_s)
    is_sane = all(map(isfinite, numbers)) and min(read.since_s, read.bound_s) >= 0
    found["insane"] += not (is_sane and read.source.isprintable() and 0 <= read.leap <= 3)


def main(arguments: list[str]) -> int:
    """Print the result as JSON; 1 when something was believed that must not be."""
    count = int(arguments[0])
    seed = int(arguments[1]) if len(arguments) > 1 else random.SystemRandom().randrange(1 << 32)
    found = run(count, seed)
    print(json.dumps({"seed": seed, **found}))  # noqa: T201
    return int(found["foreign"] > 0 or found["insane"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
