"""Snap assertions signed by test keys, spelled as the store spells them."""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.trust_maker import MadeKey, make_key, packet, seconds, subpacket

if TYPE_CHECKING:
    from collections.abc import Mapping

SNAP_ID = "b" * 32
PUBLISHER = "amazon-publisher"
SIGNED = 1_700_000_000
FOLDER = "/var/lib/snapd/assertions/asserts-v0"


def coded(data: bytes) -> str:
    """Return base64 in lines of 76, as snapd writes it."""
    text = base64.b64encode(b"\x01" + data).decode()
    return "\n".join(text[at : at + 76] for at in range(0, len(text), 76))


def digest_name(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha3_384(data).digest()).decode()


@dataclass(frozen=True)
class SnapKey:
    """A key that signs assertions in the name of an account."""

    key: MadeKey
    account: str = "canonical"

    @property
    def packed(self) -> bytes:
        return packet(6, self.key.public.body, old=False)

    @property
    def key_id(self) -> str:
        return digest_name(b"\x01" + self.packed)

    def sign(
        self, headers: Mapping[str, str], body: str = "", *, algorithm: str = "sha512"
    ) -> bytes:
        """Return a signed assertion; a header without text is left out."""
        own = {"authority-id": self.account} | dict(headers)
        if body:
            own["body-length"] = str(len(body))
        own = {"type": own.pop("type")} | own | {"sign-key-sha3-384": self.key_id}
        lines = [f"{name}: {text}" for name, text in own.items() if text]
        content = "\n".join(lines) + (f"\n\n{body}" if body else "")
        area = subpacket(2, seconds(SIGNED))
        hints = subpacket(16, bytes.fromhex(self.key.public.key_id))
        signature = self.key.signature(
            content.encode(), algorithm=algorithm, hashed=area, unhashed=hints
        )
        whole = bytes([0xC2, 0xFF]) + struct.pack(">I", len(signature)) + signature
        return f"{content}\n\n{coded(whole)}\n".encode()

    def vouch(self, other: SnapKey, **headers: str) -> bytes:
        """Return the account-key assertion of another key, or of this one."""
        own = {
            "type": "account-key",
            "revision": "2",
            "public-key-sha3-384": other.key_id,
            "account-id": other.account,
            "name": "store",
            "since": "2016-04-01T00:00:00.0Z",
        }
        changed = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.sign(own | changed, coded(other.packed))


ROOT, STORE = SnapKey(make_key(20)), SnapKey(make_key(21))
ATTACKER, ATTACKER_STORE = SnapKey(make_key(22)), SnapKey(make_key(23))


def root_text(key: SnapKey = ROOT) -> str:
    return key.vouch(key).decode()


def declaration(key: SnapKey = STORE, **headers: str) -> bytes:
    own = {
        "type": "snap-declaration",
        "series": "16",
        "snap-id": SNAP_ID,
        "publisher-id": PUBLISHER,
        "snap-name": "amazon-ssm-agent",
        "timestamp": "2023-01-02T03:04:05.678901Z",
    }
    return key.sign(own | {name.replace("_", "-"): text for name, text in headers.items()})


def revision(blob: bytes, key: SnapKey = STORE, **headers: str) -> bytes:
    own = {
        "type": "snap-revision",
        "snap-sha3-384": digest_name(blob),
        "developer-id": PUBLISHER,
        "snap-id": SNAP_ID,
        "snap-revision": "7993",
        "snap-size": str(len(blob)),
        "timestamp": "2023-11-14T22:13:20+00:00",
    }
    return key.sign(own | {name.replace("_", "-"): text for name, text in headers.items()})


@dataclass
class Store:
    """The files of an assertion database; each part can be exchanged."""

    blob: bytes
    parts: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = digest_name(self.blob)
        self.parts = {
            f"snap-revision/{name}/active": revision(self.blob),
            f"snap-declaration/16/{SNAP_ID}/active.4": declaration(),
            f"account-key/{STORE.key_id}/active": ROOT.vouch(STORE),
        } | self.parts

    def files(self) -> dict[str, bytes]:
        return {f"{FOLDER}/{path}": data for path, data in self.parts.items() if data}
