"""Throw random replies at the packet reader and random texts at the Date parser.

``python -m tests.fuzz.fuzz_clock COUNT [SEED]``. No packet may be believed unless it echoes the
nonce, none may crash the reader, and what is believed must be sane; no text may crash the parser.
"""

from __future__ import annotations

import json
import random
import sys

from nodecheck.model.clock import Interval
from nodecheck.model.errors import ProbeError
from nodecheck.model.ntp import MAX_DISTANCE_NS, Answer, epoch, read
from nodecheck.probes.clock_date import parse
from tests.ntp_server import Behaviour, packet

ORIGIN = slice(24, 32)
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
ALPHABET = "MTWFSunodecabtghir ,:GMT0123456789-\0\n\N{ARABIC-INDIC DIGIT ONE}"


def run(count: int, seed: int) -> dict[str, int]:
    """Fuzz ``count`` packets and a tenth as many dates; return what became of them."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, no secret
    found = {"packets": count, "believed": 0, "believed_without_nonce": 0, "insane": 0, "dates": 0}
    for _ in range(count):
        nonce = dice.getrandbits(64)
        data = _packet(dice, nonce)
        answer = read(data, nonce)
        if not isinstance(answer, Answer):
            continue
        found["believed"] += 1
        found["believed_without_nonce"] += data[ORIGIN] != nonce.to_bytes(8, "big")
        found["insane"] += not _is_sane(answer, dice)
    for _ in range(count // 10):
        found["dates"] += _is_date(_text(dice))
    return found


def _packet(dice: random.Random, nonce: int) -> bytes:
    """Return noise, an honest reply, or noise with (nearly) the nonce; some with bits flipped."""
    kind = dice.randrange(4)
    if kind == 0:
        return dice.randbytes(dice.randrange(128))
    honest = packet(Behaviour(), nonce, 1.8e9, 1.8e9 + dice.random())
    data = bytearray(honest if kind == 1 else dice.randbytes(48))
    if kind == 2:
        data[ORIGIN] = nonce.to_bytes(8, "big")
    if kind == 3:
        data[ORIGIN] = (nonce ^ 1 << dice.randrange(64)).to_bytes(8, "big")
    for _ in range(dice.randrange(3)):
        data[dice.randrange(48)] ^= 1 << dice.randrange(8)
    return bytes(data)


def _is_sane(answer: Answer, dice: random.Random) -> bool:
    sent_ns = dice.randrange(10**15)
    interval = epoch(answer, sent_ns, sent_ns + dice.randrange(2 * 10**9))
    width_ns = interval.width_ns if isinstance(interval, Interval) else 1
    return (
        answer.received_ns <= answer.sent_ns
        and 0 < answer.stratum < 16
        and 0 <= answer.distance_ns < MAX_DISTANCE_NS
        and width_ns > 0
    )


def _text(dice: random.Random) -> str:
    if dice.randrange(2):
        return "".join(dice.choices(ALPHABET, k=dice.randrange(64)))
    letters = list(DATE)
    for _ in range(dice.randrange(4)):
        letters[dice.randrange(len(letters))] = dice.choice(ALPHABET)
    return "".join(letters)


def _is_date(text: str) -> bool:
    try:
        parse(text)
    except ProbeError:
        return False
    return True


def main(arguments: list[str]) -> int:
    """Print the result as JSON; 1 when something was believed that must not be."""
    count = int(arguments[0])
    seed = int(arguments[1]) if len(arguments) > 1 else random.SystemRandom().randrange(1 << 32)
    found = run(count, seed)
    print(json.dumps({"seed": seed, **found}))  # noqa: T201
    return int(found["believed_without_nonce"] > 0 or found["insane"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
