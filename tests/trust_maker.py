"""An OpenPGP and rpm header writer of the tests' own: what the strict readers must read."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from nodecheck.model.trust import PinnedKey, Trust
from nodecheck.records import replace
from nodecheck.trust.key_ring import KeyRing, RingEntry
from nodecheck.trust.public_key import PublicKey, read_public_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

KEY_MADE = 1_700_000_000
SIGNED = 1_750_000_000
USER_ID = b"Test <test@example.test>"
ALGORITHMS = {"sha1": 2, "sha256": 8, "sha384": 9, "sha512": 10}
MAGIC = bytes.fromhex("8eade80100000000")
INT16, INT32, STRING, BINARY, STRINGS = 3, 4, 6, 7, 8

Tag = tuple[int, int, int, bytes]


def mpi(value: int) -> bytes:
    size = value.bit_length()
    return struct.pack(">H", size) + value.to_bytes((size + 7) // 8, "big")


def packet(tag: int, body: bytes, *, old: bool = True) -> bytes:
    if old:
        return bytes([0x80 | tag << 2 | 1]) + struct.pack(">H", len(body)) + body
    return bytes([0xC0 | tag, 255]) + struct.pack(">I", len(body)) + body


def subpacket(kind: int, data: bytes) -> bytes:
    return bytes([len(data) + 1, kind]) + data


def seconds(value: int) -> bytes:
    return struct.pack(">I", value)


@dataclass(frozen=True)
class MadeKey:
    """A private key with its OpenPGP public side."""

    secret: rsa.RSAPrivateKey
    public: PublicKey

    @property
    def issuer(self) -> bytes:
        return subpacket(33, b"\x04" + bytes.fromhex(self.public.fingerprint))

    def signature(  # noqa: PLR0913 - each part can be made wrong
        self,
        data: bytes,
        *,
        kind: int = 0,
        algorithm: str = "sha256",
        created: int = SIGNED,
        hashed: bytes | None = None,
        unhashed: bytes | None = None,
    ) -> bytes:
        """Return the body of a signature packet."""
        area = subpacket(2, seconds(created)) + self.issuer if hashed is None else hashed
        hints = subpacket(16, bytes.fromhex(self.public.key_id)) if unhashed is None else unhashed
        head = bytes([4, kind, 1, ALGORITHMS[algorithm]]) + struct.pack(">H", len(area)) + area
        signed = data + head + b"\x04\xff" + struct.pack(">I", len(head))
        digest = hashlib.new(algorithm, signed).digest()
        names: dict[str, hashes.HashAlgorithm] = {
            "sha1": hashes.SHA1(),  # noqa: S303 - what Amazon's older signatures carry
            "sha256": hashes.SHA256(),
            "sha384": hashes.SHA384(),
            "sha512": hashes.SHA512(),
        }
        value = self.secret.sign(signed, padding.PKCS1v15(), names[algorithm])
        tail = struct.pack(">H", len(hints)) + hints + digest[:2]
        return head + tail + mpi(int.from_bytes(value, "big"))

    def detached(self, data: bytes, **parts: object) -> bytes:
        """Return a whole detached signature."""
        return packet(2, self.signature(data, **parts))  # type: ignore[arg-type]

    def certificate(
        self,
        *,
        user_id: bytes = USER_ID,
        lifetime: int | None = None,
        flags: int | None = 3,
        algorithm: str = "sha1",
    ) -> bytes:
        """Return a public key file: key, user id, self-signature."""
        area = subpacket(2, seconds(KEY_MADE)) + self.issuer
        area += b"" if flags is None else subpacket(27, bytes([flags]))
        area += b"" if lifetime is None else subpacket(9, seconds(lifetime))
        signature = self.signature(
            self.certified(user_id), kind=0x13, algorithm=algorithm, hashed=area
        )
        return packet(6, self.public.body) + packet(13, user_id) + packet(2, signature)

    def certified(self, user_id: bytes = USER_ID) -> bytes:
        """Return what a certification of this key signs."""
        body = self.public.body
        framed = b"\x99" + struct.pack(">H", len(body)) + body
        return framed + b"\xb4" + struct.pack(">I", len(user_id)) + user_id

    def pinned(self, **changes: object) -> PinnedKey:
        """Return this key as a ring holds it."""
        values: dict[str, object] = {
            "fingerprint": self.public.fingerprint,
            "trust": Trust.OPERATOR,
            "owner": "Test",
            "created_at": self.public.created_at,
            "expires_at": None,
        }
        return PinnedKey(**(values | changes))  # type: ignore[arg-type]

    def ring(self, **changes: object) -> KeyRing:
        """Return a ring of this key alone."""
        return KeyRing((RingEntry(self.pinned(**changes), self.public),))


def key_body(modulus: int, exponent: int, *, created: int = KEY_MADE, algorithm: int = 1) -> bytes:
    return b"\x04" + seconds(created) + bytes([algorithm]) + mpi(modulus) + mpi(exponent)


@lru_cache(maxsize=8)
def make_key(number: int = 0, bits: int = 2048) -> MadeKey:
    """Return a fresh key, the same one for the same number as long as this process lives."""
    secret = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    numbers = secret.public_key().public_numbers()
    return MadeKey(secret, read_public_key(key_body(numbers.n, numbers.e)))


def text(*values: str) -> bytes:
    return b"".join(value.encode() + b"\0" for value in values)


def strings(tag: int, *values: str) -> Tag:
    return tag, STRINGS, len(values), text(*values)


def word(tag: int, value: str) -> Tag:
    return tag, STRING, 1, text(value)


def numbers(tag: int, *values: int, kind: int = INT32) -> Tag:
    return (
        tag,
        kind,
        len(values),
        struct.pack(f">{len(values)}{'H' if kind == INT16 else 'I'}", *values),
    )


def aligned(data: bytes, kind: int) -> bytes:
    """Pad to where rpm expects numbers of this type."""
    step = {INT16: 2, INT32: 4}.get(kind, 1)
    return data + b"\0" * (-len(data) % step)


def make_region(tags: Sequence[Tag]) -> bytes:
    """Return an immutable region as rpm prints it: counts, entries, data with its trailer."""
    entries, data = b"", b""
    for tag, kind, count, value in tags:
        data = aligned(data, kind)
        entries += struct.pack(">IIiI", tag, kind, len(data), count)
        data += value
    count = len(tags) + 1
    first = struct.pack(">IIiI", 63, BINARY, len(data), 16)
    data += struct.pack(">IIiI", 63, BINARY, -16 * count, 16)
    return struct.pack(">II", count, len(data)) + first + entries + data


def make_blob(region: bytes, tail: Sequence[Tag]) -> bytes:
    """Return a header as the database stores it: a region with an unsigned tail."""
    count, _ = struct.unpack_from(">II", region)
    data = region[8 + 16 * count :]
    entries = region[8 : 8 + 16 * count]
    for tag, kind, items, value in tail:
        data = aligned(data, kind)
        entries += struct.pack(">IIiI", tag, kind, len(data), items)
        data += value
    return struct.pack(">II", count + len(tail), len(data)) + entries + data


def split_blob(blob: bytes) -> tuple[bytes, list[Tag]]:
    """Return the region and the unsigned tail of a database's header."""
    total, _ = struct.unpack_from(">II", blob)
    entries = [struct.unpack_from(">IIiI", blob, 8 + 16 * item) for item in range(total)]
    data = blob[8 + 16 * total :]
    end = entries[0][2] + 16
    count = -struct.unpack_from(">IIiI", data, entries[0][2])[2] // 16
    region = struct.pack(">II", count, end) + blob[8 : 8 + 16 * count] + data[:end]
    tail = [
        (tag, kind, items, data[offset : offset + extent(kind, items, data[offset:])])
        for tag, kind, offset, items in entries[count:]
    ]
    return region, tail


def extent(kind: int, count: int, data: bytes) -> int:
    """Return how many bytes the items of a tag take."""
    if kind in {STRING, STRINGS}:
        return len(b"\0".join(data.split(b"\0", count)[:count])) + 1
    return count * {INT16: 2, INT32: 4}.get(kind, 1)


@dataclass(frozen=True)
class MadeFile:
    """One file of a made header."""

    path: str
    content: bytes = b"program"
    mode: int = 0o100755
    flags: int = 0
    target: str = ""
    digest: str | None = None

    @property
    def hex(self) -> str:
        if self.digest is not None:
            return self.digest
        return hashlib.sha256(self.content).hexdigest() if self.mode & 0o100000 else ""


FILES = (
    MadeFile("/usr/bin/amazon-ssm-agent", b"agent"),
    MadeFile("/usr/bin/ssm-cli", b"cli"),
    MadeFile("/etc/init/amazon-ssm-agent.conf", b"conf", 0o100644, 1),
    MadeFile(
        "/etc/systemd/system/amazon-ssm-agent.service",
        b"[Service]\nExecStart=/usr/bin/amazon-ssm-agent\n",
        0o100644,
        1,
    ),
)


def package_tags(
    files: Sequence[MadeFile] = FILES, name: str = "amazon-ssm-agent", version: str = "3.3.200.0"
) -> list[Tag]:
    """Return the tags of a package's region."""
    folders = sorted({file.path.rpartition("/")[0] + "/" for file in files})
    tags = [word(1000, name), word(1001, version), word(1002, "1"), word(1022, "x86_64")]
    if files:
        tags += [
            numbers(1030, *(file.mode for file in files), kind=INT16),
            strings(1035, *(file.hex for file in files)),
            strings(1036, *(file.target for file in files)),
            numbers(1037, *(file.flags for file in files)),
            strings(1039, *("root" for _ in files)),
            numbers(1116, *(folders.index(f.path.rpartition("/")[0] + "/") for f in files)),
            strings(1117, *(file.path.rpartition("/")[2] for file in files)),
            strings(1118, *folders),
            numbers(5011, 8),
        ]
    return tags


def signed_blob(key: MadeKey, tags: Sequence[Tag] | None = None, **parts: object) -> bytes:
    """Return a signed header as the database stores it."""
    region = make_region(package_tags() if tags is None else tags)
    signature = key.detached(MAGIC + region, **parts)
    return make_blob(region, [(268, BINARY, len(signature), signature)])


def with_dates(key: PinnedKey, created_at: datetime, expires_at: datetime | None) -> PinnedKey:
    return replace(key, created_at=created_at, expires_at=expires_at)
