from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nodecheck.model.errors import ProbeError
from nodecheck.model.trust import KeyFacts, PinnedKey, Trust, TrustPolicy
from nodecheck.probes import key_ring as probe
from nodecheck.records import replace
from nodecheck.trust import key_ring
from nodecheck.trust.certificate import FILE_LIMIT_BYTES, read_certificates, unarmored
from nodecheck.trust.key_ring import assemble_ring
from nodecheck.trust.openpgp import read_detached
from nodecheck.trust.packets import TrustError
from nodecheck.trust.pinned_keys import PINNED, PinnedPacket
from tests.fake_host import FakeFiles, fake_host
from tests.trust_maker import KEY_MADE, USER_ID, make_key, packet, seconds, subpacket

KEYS = Path(__file__).parents[1] / "assets" / "keys"
KEY = make_key()
CERTIFICATE = KEY.certificate()
POLICY = TrustPolicy()
OPERATORS = TrustPolicy(builtin_keys=False)
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def armored(data: bytes, kind: bytes = b"PUBLIC KEY BLOCK", *, crc: bytes = b"") -> bytes:
    body = base64.encodebytes(data)
    return b"-----BEGIN PGP %b-----\nComment: x\n\n%b%b-----END PGP %b-----\n" % (
        kind,
        body,
        crc,
        kind,
    )


@pytest.mark.parametrize("pinned", PINNED, ids=lambda packet: packet.fingerprint)
def test_pinned_keys_are_the_published_ones(pinned: PinnedPacket) -> None:
    files = [path for path in KEYS.glob("*.asc") if path.stem[-16:] == pinned.fingerprint[-16:]]
    (certificate,) = read_certificates(files[0].read_bytes())
    assert certificate.key.fingerprint == pinned.fingerprint
    assert base64.b64decode(pinned.body) == certificate.key.body
    assert certificate.key.created_at == datetime.fromisoformat(pinned.created)
    assert certificate.owner == pinned.owner
    expires = datetime.fromisoformat(pinned.expires) if pinned.expires else None
    assert certificate.expires_at == expires


def test_ring_holds_all_seven() -> None:
    ring = assemble_ring(POLICY)
    assert [entry.pinned.fingerprint for entry in ring.entries] == [
        key.fingerprint for key in PINNED
    ]
    trusts = [key.trust for key in ring.facts.keys]
    assert trusts == [Trust.SSM_AGENT] * 5 + [Trust.AMAZON_LINUX] * 2
    newest = ring.facts.newest
    assert newest is not None
    assert newest.fingerprint == "1C5B395CBE5E74E2F1CA21592784DBF388D19D46"
    assert ring.facts.days_left(NOW) == pytest.approx(367.58, abs=0.01)


def test_a_damaged_pin_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = replace(PINNED[0], fingerprint=PINNED[1].fingerprint)
    monkeypatch.setattr(key_ring, "PINNED", (wrong,))
    with pytest.raises(TrustError, match="has the fingerprint"):
        assemble_ring(POLICY)


def test_two_keys_of_one_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = key_ring._builtin(PINNED[0])
    other = replace(entry.pinned, fingerprint="0" * 24 + entry.pinned.fingerprint[-16:])
    monkeypatch.setattr(key_ring, "_operators", lambda *_: (replace(entry, pinned=other),))
    with pytest.raises(TrustError, match="share one key id"):
        assemble_ring(POLICY, (("k", b""),))


@pytest.mark.parametrize("data", [CERTIFICATE, armored(CERTIFICATE)], ids=["binary", "armored"])
def test_operator_adds_a_key(data: bytes) -> None:
    ring = assemble_ring(POLICY, (("mine.asc", data),))
    assert len(ring.entries) == 8
    mine = ring.entries[-1].pinned
    assert mine.trust is Trust.OPERATOR
    assert mine.owner == USER_ID.decode()
    assert mine.expires_at is None
    signature = read_detached(KEY.detached(b"x"))
    assert ring.find(signature) == ring.entries[-1]
    assert assemble_ring(POLICY).find(signature) is None


def test_amazons_next_key_extends_amazons_ring() -> None:
    user_id = b"SSM Agent <ssm-agent-signer@amazon.com>"
    data = KEY.certificate(user_id=user_id, lifetime=10 * 365 * 86400)
    ring = assemble_ring(POLICY, (("next.asc", data),))
    newest = ring.facts.newest
    assert newest is not None
    assert newest.fingerprint == KEY.public.fingerprint
    assert newest.trust is Trust.SSM_AGENT


def test_operator_cannot_loosen_a_pinned_key(monkeypatch: pytest.MonkeyPatch) -> None:
    body = base64.b64encode(KEY.public.body).decode()
    expires = "2024-01-01T00:00:00Z"
    pinned = PinnedPacket(
        KEY.public.fingerprint, "ssm-agent", "Amazon", "2023-11-14T22:13:20Z", expires, None, body
    )
    monkeypatch.setattr(key_ring, "PINNED", (pinned,))
    (entry,) = assemble_ring(POLICY, (("mine", CERTIFICATE),)).entries
    assert (entry.pinned.owner, entry.pinned.trust) == ("Amazon", Trust.SSM_AGENT)
    assert entry.pinned.expires_at == datetime(2024, 1, 1, tzinfo=UTC)


def test_builtin_keys_switched_off() -> None:
    ring = assemble_ring(OPERATORS, (("mine", CERTIFICATE),))
    assert [entry.pinned.fingerprint for entry in ring.entries] == [KEY.public.fingerprint]
    assert ring.facts.newest == ring.entries[0].pinned
    assert ring.facts.days_left(NOW) is None
    assert assemble_ring(OPERATORS).facts.newest is None
    assert assemble_ring(OPERATORS).facts.days_left(NOW) is None


def test_distrust() -> None:
    first, second = PINNED[3].fingerprint, PINNED[4].fingerprint
    since = datetime(2026, 7, 1, tzinfo=UTC)
    later = since + timedelta(days=9)
    spaced = " ".join(first.lower()[at : at + 4] for at in range(0, 40, 4))
    policy = TrustPolicy(distrust=((spaced, later), (first, since), (second, None), ("AB", None)))
    keys = {key.fingerprint: key for key in assemble_ring(policy).facts.keys}
    assert keys[first].distrusted_after == since
    assert keys[first].refusal(since - timedelta(seconds=1)) == ""
    assert keys[first].refusal(since) == "key-distrusted"
    assert keys[second].refusal(keys[second].created_at) == "key-distrusted"
    newest = assemble_ring(policy).facts.newest
    assert newest is not None
    assert newest.fingerprint not in {first, second}


@pytest.mark.parametrize(
    ("seconds_after_creation", "expected"),
    [
        (-1, "dated-before-key"),
        (0, ""),
        (100, ""),
        (101, "dated-after-expiry"),
    ],
)
def test_date_of_the_signature_decides(seconds_after_creation: int, expected: str) -> None:
    made = datetime(2020, 1, 1, tzinfo=UTC)
    key = PinnedKey("F" * 40, Trust.OPERATOR, "x", made, made + timedelta(seconds=100))
    assert key.refusal(made + timedelta(seconds=seconds_after_creation)) == expected


def test_a_key_that_never_expires_is_the_newest() -> None:
    made = datetime(2020, 1, 1, tzinfo=UTC)
    old = PinnedKey("A" * 40, Trust.OPERATOR, "x", made, None)
    new = PinnedKey("B" * 40, Trust.OPERATOR, "x", made, made + timedelta(days=9999))
    assert KeyFacts((new, old)).newest == old


def direct(kind: int, *parts: bytes, created: int = KEY_MADE) -> bytes:
    area = subpacket(2, seconds(created)) + KEY.issuer + b"".join(parts)
    body = KEY.public.body
    framed = b"\x99" + struct.pack(">H", len(body)) + body
    return packet(2, KEY.signature(framed, kind=kind, hashed=area))


def own(kind: int, *parts: bytes, created: int = KEY_MADE) -> bytes:
    area = subpacket(2, seconds(created)) + KEY.issuer + b"".join(parts)
    return packet(2, KEY.signature(KEY.certified(), kind=kind, hashed=area))


KEY_PACKET = packet(6, KEY.public.body)
STRANGERS = packet(2, make_key(1).signature(KEY.certified(), kind=0x10))


@pytest.mark.parametrize(
    ("data", "days"),
    [
        (KEY.certificate(lifetime=86400), 1),
        (KEY.certificate(lifetime=0), None),
        (CERTIFICATE + own(0x13, subpacket(9, seconds(3 * 86400)), created=KEY_MADE + 9), 3),
        (
            CERTIFICATE + own(0x13, subpacket(9, seconds(3 * 86400)), created=KEY_MADE - 9),
            None,
        ),
        (
            KEY_PACKET
            + direct(0x1F, subpacket(9, seconds(2 * 86400)), created=KEY_MADE + 1)
            + CERTIFICATE[len(KEY_PACKET) :],
            2,
        ),
        (CERTIFICATE + STRANGERS, None),
        (CERTIFICATE + packet(12, b"trust") + packet(17, b"photo", old=False), None),
        (CERTIFICATE + packet(14, KEY.public.body) + own(0x18), None),
        (CERTIFICATE + packet(2, b"\x03\x05\x10"), None),
        (KEY.certificate(flags=None), None),
        (
            CERTIFICATE
            + packet(13, b"Old name")
            + packet(2, KEY.signature(KEY.certified(b"Old name"), kind=0x30)),
            None,
        ),
    ],
)
def test_expiry_comes_from_the_newest_self_signature(data: bytes, days: int | None) -> None:
    (certificate,) = read_certificates(data)
    assert certificate.owner == USER_ID.decode()
    made = certificate.key.created_at
    assert certificate.expires_at == (None if days is None else made + timedelta(days=days))


def test_two_keys_in_one_file() -> None:
    both = armored(CERTIFICATE) + b"\nsome text\n" + armored(make_key(1).certificate())
    prints = [certificate.key.fingerprint for certificate in read_certificates(both)]
    assert prints == [KEY.public.fingerprint, make_key(1).public.fingerprint]


TAMPERED = bytearray(CERTIFICATE)
TAMPERED[-1] ^= 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "neither"),
        (b"hello", "neither"),
        (armored(CERTIFICATE)[:-10], "neither"),
        (armored(CERTIFICATE) + b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA", "neither"),
        (armored(CERTIFICATE, crc=b"=AAAA\n"), "checksum"),
        (
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nA=A\n-----END PGP PUBLIC KEY BLOCK-----",
            "base64",
        ),
        (CERTIFICATE + bytes(FILE_LIMIT_BYTES), "more than"),
        (packet(5, b"secret"), "secret"),
        (CERTIFICATE + packet(7, b"secret"), "secret"),
        (packet(13, b"x") + CERTIFICATE, "before any public key"),
        (packet(2, b"x"), "before any public key"),
        (CERTIFICATE + packet(8, b"x"), "unexpected packet"),
        (CERTIFICATE + direct(0x20), "revoked"),
        (KEY_PACKET + direct(0x20) + CERTIFICATE[len(KEY_PACKET) :], "revoked"),
        (CERTIFICATE + packet(14, b"sub") + packet(2, b"\x04\x20"), "revoked"),
        (CERTIFICATE + packet(2, b"\x03\x05\x20"), "revoked"),
        (CERTIFICATE + own(0x30), "no valid self-signature"),
        (KEY_PACKET, "no valid self-signature"),
        (KEY_PACKET + packet(13, USER_ID), "no valid self-signature"),
        (KEY_PACKET + packet(13, USER_ID) + STRANGERS, "no valid self-signature"),
        (KEY_PACKET + packet(13, b"Somebody else") + own(0x13), "no valid self-signature"),
        (KEY_PACKET + direct(0x1F), "no valid self-signature"),
        (KEY_PACKET + packet(13, USER_ID) + packet(2, b""), "no valid self-signature"),
        (bytes(TAMPERED), "no valid self-signature"),
        (KEY.certificate(flags=1), "may not sign"),
        (CERTIFICATE[:-1], "bytes announced"),
    ],
)
def test_refused_key_file(data: bytes, said: str) -> None:
    with pytest.raises(TrustError, match=said):
        read_certificates(data)


def test_checksum_of_gpgs_own_armor() -> None:
    data = next(KEYS.glob("ssm-agent-2026*")).read_bytes()
    assert unarmored(data)
    with pytest.raises(TrustError, match="checksum"):
        unarmored(data.replace(b"\nmQINBGoh", b"\nmQINBGoi", 1))


def test_an_empty_binary_file_holds_no_key() -> None:
    with pytest.raises(TrustError, match="no public key"):
        read_certificates(armored(b"").replace(b"\n\n", b"\n\n\n"))


def test_probe_reads_the_operators_files() -> None:
    policy = TrustPolicy(key_files=("/etc/k.asc",))
    host = fake_host(FakeFiles({"/etc/k.asc": armored(CERTIFICATE)}))
    assert len(probe.look(host, policy).entries) == 8


@pytest.mark.parametrize("content", [{}, {"/etc/k.asc": b"junk"}])
def test_probe_names_the_file_it_cannot_use(content: dict[str, bytes | ProbeError]) -> None:
    policy = TrustPolicy(key_files=("/etc/k.asc",))
    with pytest.raises(ProbeError, match=r"/etc/k\.asc"):
        probe.look(fake_host(FakeFiles(content)), policy)
