"""Assemble the key ring: the pinned keys, the operator's additions, and what nobody believes."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Final

from nodecheck.model.trust import KeyFacts, PinnedKey, Trust
from nodecheck.records import dataclass, replace
from nodecheck.trust.certificate import read_certificates
from nodecheck.trust.packets import TrustError
from nodecheck.trust.pinned_keys import PINNED, PinnedPacket
from nodecheck.trust.public_key import PublicKey, read_public_key

if TYPE_CHECKING:
    from nodecheck.model.trust import TrustPolicy
    from nodecheck.trust.openpgp import Signature

AMAZON_SIGNER: Final = "<ssm-agent-signer@amazon.com>"
"""In the user id of each SSM Agent key: an operator adds Amazon's next key, the ring lives on."""


@dataclass(frozen=True, slots=True)
class RingEntry:
    """One key: what is known about it, and the numbers that verify."""

    pinned: PinnedKey
    public: PublicKey


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys whose signatures prove anything."""

    entries: tuple[RingEntry, ...]

    def find(self, signature: Signature) -> RingEntry | None:
        """Return the key that a signature names, by its whole fingerprint where it gives one."""
        for entry in self.entries:
            fingerprint = entry.pinned.fingerprint
            if signature.fingerprint == fingerprint:
                return entry
            if not signature.fingerprint and signature.key_id == fingerprint[-16:]:
                return entry
        return None

    @property
    def facts(self) -> KeyFacts:
        """Return every key without its numbers."""
        return KeyFacts(tuple(entry.pinned for entry in self.entries))


def assemble_ring(policy: TrustPolicy, key_files: tuple[tuple[str, bytes], ...] = ()) -> KeyRing:
    """Return the ring of a policy; ``key_files`` holds path and content of its key files.

    Raises:
        TrustError: a key file cannot be used; the message names it.
    """
    entries: dict[str, RingEntry] = {}
    for packet in PINNED if policy.builtin_keys else ():
        entry = _builtin(packet)
        entries[entry.pinned.fingerprint] = entry
    for path, content in key_files:
        for entry in _operators(path, content):
            entries.setdefault(entry.pinned.fingerprint, entry)
    if len({fingerprint[-16:] for fingerprint in entries}) != len(entries):
        msg = "two keys of the ring share one key id"
        raise TrustError(msg)
    return KeyRing(tuple(_distrust(entry, policy) for entry in entries.values()))


def _builtin(packet: PinnedPacket) -> RingEntry:
    public = read_public_key(base64.b64decode(packet.body))
    if public.fingerprint != packet.fingerprint:
        msg = f"pinned key {packet.fingerprint} has the fingerprint {public.fingerprint}"
        raise TrustError(msg)
    pinned = PinnedKey(
        fingerprint=packet.fingerprint,
        trust=Trust(packet.trust),
        owner=packet.owner,
        created_at=public.created_at,
        expires_at=_instant(packet.expires),
        distrusted_after=_instant(packet.distrusted_after),
    )
    return RingEntry(pinned, public)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _operators(path: str, content: bytes) -> tuple[RingEntry, ...]:
    try:
        certificates = read_certificates(content)
    except TrustError as exc:
        msg = f"{path}: {exc}"
        raise TrustError(msg, unsupported=exc.unsupported) from exc
    return tuple(
        RingEntry(
            PinnedKey(
                fingerprint=certificate.key.fingerprint,
                trust=Trust.SSM_AGENT if AMAZON_SIGNER in certificate.owner else Trust.OPERATOR,
                owner=certificate.owner,
                created_at=certificate.key.created_at,
                expires_at=certificate.expires_at,
            ),
            certificate.key,
        )
        for certificate in certificates
    )


def _distrust(entry: RingEntry, policy: TrustPolicy) -> RingEntry:
    """Return the entry with the earliest date from which it is distrusted.

    A fingerprint without a date was never to be trusted: it is distrusted since it was created.
    """
    pinned = entry.pinned
    dates = [pinned.distrusted_after] if pinned.distrusted_after else []
    dates += [
        after or pinned.created_at
        for fingerprint, after in policy.distrust
        if "".join(fingerprint.split()).upper() == pinned.fingerprint
    ]
    if not dates:
        return entry
    return replace(entry, pinned=replace(pinned, distrusted_after=min(dates)))
