from __future__ import annotations

import base64
import struct

import pytest

from nodecheck.model.trust import SignatureOutcome
from nodecheck.trust.claim import Claim
from nodecheck.trust.openpgp import read_detached, read_signature, verify
from nodecheck.trust.packets import TrustError, read_packets
from nodecheck.trust.public_key import read_public_key
from tests.trust_maker import SIGNED, key_body, make_key, mpi, packet, seconds, subpacket

DATA = b"what was signed"
KEY = make_key()
ISSUED = KEY.issuer
DATED = subpacket(2, seconds(SIGNED))


def outcome(signature: bytes, data: bytes = DATA) -> SignatureOutcome:
    claim = Claim(signature, KEY.ring())
    claim.update(data)
    return claim.fact().outcome


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_good(algorithm: str) -> None:
    claim = Claim(KEY.detached(DATA, algorithm=algorithm), KEY.ring())
    for byte in DATA:
        claim.update(bytes([byte]))
    fact = claim.fact()
    assert fact.outcome is SignatureOutcome.GOOD
    assert fact.believed
    assert fact.algorithm == algorithm
    assert fact.weak is (algorithm == "sha1")
    assert fact.created_at is not None
    assert fact.created_at.timestamp() == SIGNED


def test_fact_may_be_asked_twice_and_between() -> None:
    claim = Claim(KEY.detached(DATA), KEY.ring())
    claim.update(DATA[:3])
    assert claim.fact().outcome is SignatureOutcome.BAD
    claim.update(DATA[3:])
    assert claim.fact().outcome is SignatureOutcome.GOOD
    assert claim.fact().outcome is SignatureOutcome.GOOD


def test_other_data_is_bad() -> None:
    assert outcome(KEY.detached(DATA), DATA + b"!") is SignatureOutcome.BAD
    assert outcome(KEY.detached(b""), b"") is SignatureOutcome.GOOD


def test_prefix_of_digest_is_checked_and_not_enough() -> None:
    body = bytearray(KEY.signature(DATA))
    at = len(body) - 256 - 2 - 2
    body[at] ^= 1
    assert outcome(packet(2, bytes(body))) is SignatureOutcome.BAD
    body[at] ^= 1
    assert outcome(packet(2, bytes(body))) is SignatureOutcome.GOOD
    body[-1] ^= 1
    assert outcome(packet(2, bytes(body))) is SignatureOutcome.BAD


def test_value_as_large_as_the_modulus_is_bad() -> None:
    body = KEY.signature(DATA)[: -256 - 2] + mpi(KEY.public.modulus)
    assert outcome(packet(2, body)) is SignatureOutcome.BAD


def test_valid_but_unpinned_key() -> None:
    stranger = make_key(1)
    fact = Claim(stranger.detached(DATA), KEY.ring()).fact()
    assert fact.outcome is SignatureOutcome.UNKNOWN_KEY
    assert fact.key_id == stranger.public.fingerprint


def test_stranger_who_names_a_pinned_key() -> None:
    forged = make_key(1).detached(DATA, hashed=DATED + ISSUED, unhashed=b"")
    assert outcome(forged) is SignatureOutcome.BAD


def test_key_id_alone_finds_the_key() -> None:
    hint = subpacket(16, bytes.fromhex(KEY.public.key_id))
    assert outcome(KEY.detached(DATA, hashed=DATED, unhashed=hint)) is SignatureOutcome.GOOD


def test_new_packet_format() -> None:
    assert outcome(packet(2, KEY.signature(DATA), old=False)) is SignatureOutcome.GOOD
    body = KEY.signature(DATA)
    short = bytes([0xC2, (len(body) - 192 >> 8) + 192, (len(body) - 192) & 255]) + body
    assert outcome(short) is SignatureOutcome.GOOD
    one_byte = packet(2, KEY.signature(DATA, hashed=b"", unhashed=b"")[:100], old=False)
    assert outcome(bytes([0xC2, 100]) + one_byte[6:]) is SignatureOutcome.MALFORMED


@pytest.mark.parametrize(
    ("hashed", "expected"),
    [
        (DATED + ISSUED + subpacket(20, b"salt"), SignatureOutcome.GOOD),
        (DATED + ISSUED + subpacket(20 | 0x80, b"salt"), SignatureOutcome.UNSUPPORTED),
        (DATED + ISSUED + subpacket(28 | 0x80, b"signer"), SignatureOutcome.GOOD),
        (subpacket(2 | 0x80, seconds(SIGNED)) + ISSUED, SignatureOutcome.GOOD),
        (DATED + ISSUED + subpacket(3, seconds(0)), SignatureOutcome.GOOD),
        (DATED + ISSUED + subpacket(3, seconds(1)), SignatureOutcome.UNSUPPORTED),
        (DATED + DATED + ISSUED, SignatureOutcome.MALFORMED),
        (subpacket(2, b"\0\0\0") + ISSUED, SignatureOutcome.MALFORMED),
        (ISSUED, SignatureOutcome.MALFORMED),
        (DATED + ISSUED + b"\0", SignatureOutcome.MALFORMED),
        (DATED + ISSUED + b"\x09\x02", SignatureOutcome.MALFORMED),
        (DATED + subpacket(33, b"\x05" + b"\0" * 20), SignatureOutcome.MALFORMED),
        (DATED + subpacket(33, b"\x04" + b"\0" * 19), SignatureOutcome.MALFORMED),
        (DATED + ISSUED + subpacket(16, b"\0" * 8), SignatureOutcome.MALFORMED),
        (DATED + ISSUED + b"\xff\0\0\0\x05\x14salt", SignatureOutcome.GOOD),
        (DATED + ISSUED + b"\xc0\x00\x14" + b"n" * 191, SignatureOutcome.GOOD),
        (DATED + ISSUED + b"\xe0\x00", SignatureOutcome.MALFORMED),
    ],
)
def test_subpackets(hashed: bytes, expected: SignatureOutcome) -> None:
    assert outcome(KEY.detached(DATA, hashed=hashed, unhashed=b"")) is expected


def test_no_issuer() -> None:
    signature = KEY.detached(DATA, hashed=DATED, unhashed=b"")
    assert outcome(signature) is SignatureOutcome.MALFORMED


def test_date_in_the_unhashed_area_does_not_count() -> None:
    signature = KEY.detached(DATA, hashed=ISSUED, unhashed=DATED)
    assert outcome(signature) is SignatureOutcome.MALFORMED


def changed(index: int, value: int) -> bytes:
    body = bytearray(KEY.signature(DATA))
    body[index] = value
    return packet(2, bytes(body))


GOOD = KEY.detached(DATA)


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        (b"", SignatureOutcome.MALFORMED),
        (b"-----BEGIN PGP SIGNATURE-----", SignatureOutcome.MALFORMED),
        (GOOD[:-1], SignatureOutcome.MALFORMED),
        (GOOD + b"\0", SignatureOutcome.MALFORMED),
        (GOOD + GOOD, SignatureOutcome.MALFORMED),
        (packet(6, KEY.public.body), SignatureOutcome.MALFORMED),
        (packet(2, KEY.signature(DATA) + b"\0"), SignatureOutcome.MALFORMED),
        (b"\x8b" + KEY.signature(DATA), SignatureOutcome.MALFORMED),
        (b"\xc2\xe9" + GOOD[3:], SignatureOutcome.MALFORMED),
        (packet(2, b"\0" * 65537, old=False), SignatureOutcome.MALFORMED),
        (b"\xc2\xff\xff\xff\xff\xff", SignatureOutcome.MALFORMED),
        (changed(0, 3), SignatureOutcome.UNSUPPORTED),
        (changed(0, 6), SignatureOutcome.UNSUPPORTED),
        (changed(1, 1), SignatureOutcome.UNSUPPORTED),
        (changed(2, 17), SignatureOutcome.UNSUPPORTED),
        (changed(2, 22), SignatureOutcome.UNSUPPORTED),
        (changed(3, 1), SignatureOutcome.UNSUPPORTED),
        (changed(3, 10), SignatureOutcome.BAD),
    ],
)
def test_refused(signature: bytes, expected: SignatureOutcome) -> None:
    assert outcome(signature) is expected


def test_integer_has_one_spelling() -> None:
    body = KEY.signature(DATA)
    value = int.from_bytes(body[-256:], "big")
    padded = body[: -256 - 2] + struct.pack(">H", 2056) + b"\0" + value.to_bytes(256, "big")
    assert outcome(packet(2, padded)) is SignatureOutcome.MALFORMED


def test_partial_length_is_no_length() -> None:
    with pytest.raises(TrustError, match="partial"):
        read_packets(b"\xc2\xe0\x00" + bytes((0xE0 - 192 << 8) + 192))


def test_count_of_packets_is_bounded() -> None:
    with pytest.raises(TrustError, match="more than 1000"):
        read_packets(b"\x88\x00" * 1001)


@pytest.mark.parametrize(
    ("body", "unsupported"),
    [
        (b"", False),
        (b"\x03" + KEY.public.body[1:], True),
        (b"\x06" + KEY.public.body[1:], True),
        (KEY.public.body + b"\0", False),
        (KEY.public.body[:-1], False),
        (key_body(KEY.public.modulus, 65537, algorithm=17), True),
        (key_body(KEY.public.modulus, 65536), True),
        (key_body(KEY.public.modulus, 1), True),
        (key_body(KEY.public.modulus, 2**32 + 1), True),
        (key_body(KEY.public.modulus - 1, 65537), True),
        (key_body(2**1023 + 1, 65537), True),
        (key_body(2**8192 + 1, 65537), True),
    ],
)
def test_refused_key(body: bytes, *, unsupported: bool) -> None:
    with pytest.raises(TrustError) as caught:
        read_public_key(body)
    assert caught.value.unsupported is unsupported


def test_verify_leaves_the_hasher_alone() -> None:
    signature = read_detached(GOOD)
    hasher = signature.hasher()
    hasher.update(DATA)
    assert verify(signature, hasher, KEY.public)
    assert verify(signature, hasher, KEY.public)
    assert not verify(signature, hasher, make_key(1).public)


def test_reads_the_time_and_flags_of_a_self_signature() -> None:
    area = DATED + ISSUED + subpacket(9, seconds(77)) + subpacket(27, b"\x2f\x01")
    signature = read_signature(KEY.signature(DATA, kind=0x13, hashed=area))
    assert (signature.key_lifetime_s, signature.key_flags) == (77, 0x2F)


def test_armor_is_no_signature_packet() -> None:
    assert outcome(base64.b64encode(GOOD)) is SignatureOutcome.MALFORMED
