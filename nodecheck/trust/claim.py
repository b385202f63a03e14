"""Check a detached signature against the key ring while the signed bytes stream past."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.model.trust import SignatureFact, SignatureOutcome
from nodecheck.trust.openpgp import read_detached, verify
from nodecheck.trust.packets import TrustError

if TYPE_CHECKING:
    from nodecheck.trust.key_ring import KeyRing
    from nodecheck.trust.openpgp import Hasher, Signature


class Claim:
    """One signature's claim about bytes that are fed to it: ``update`` them, then ask ``fact``.

    It never raises: what is wrong with the signature is its fact. Only ``good`` proves the bytes.
    """

    def __init__(self, packet: bytes, ring: KeyRing) -> None:
        """Read the binary signature packet; a damaged one is a fact like any other."""
        self._ring = ring
        self._signature: Signature | None = None
        self._hasher: Hasher | None = None
        self._problem = SignatureFact(SignatureOutcome.MALFORMED, "not read")
        try:
            self._signature = read_detached(packet)
            self._hasher = self._signature.hasher()
        except TrustError as exc:
            kind = SignatureOutcome.UNSUPPORTED if exc.unsupported else SignatureOutcome.MALFORMED
            self._problem = SignatureFact(kind, str(exc))

    def update(self, chunk: bytes) -> None:
        """Add signed bytes."""
        if self._hasher is not None:
            self._hasher.update(chunk)

    def fact(self) -> SignatureFact:
        """Return what the signature proves about all bytes so far."""
        signature, hasher = self._signature, self._hasher
        if signature is None or hasher is None:
            return self._problem
        entry = self._ring.find(signature)
        outcome, detail = SignatureOutcome.GOOD, "made by a pinned key"
        if entry is None:
            outcome, detail = SignatureOutcome.UNKNOWN_KEY, "made by a key that is not pinned"
        elif not verify(signature, hasher, entry.public):
            outcome, detail = SignatureOutcome.BAD, "not made over these bytes by the key it names"
        return SignatureFact(
            outcome,
            detail,
            key_id=signature.fingerprint or signature.key_id,
            algorithm=signature.algorithm,
            created_at=signature.created_at,
            key=entry.pinned if entry else None,
        )
