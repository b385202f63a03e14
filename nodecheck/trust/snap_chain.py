"""Prove whose a snap's blob is: from a pinned root key over the store's key to its digest.

The store signs two assertions: the snap-declaration says which name and publisher a snap id belongs
to, the snap-revision that a blob of this digest and size is a revision of that snap. Both must be
in the name of the root's own account, and within the validity of the keys that signed them.

Source: asserts/snap_asserts.go and asserts/account_key.go of snapcore/snapd.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from nodecheck.model.snap import SnapChain
from nodecheck.trust.packets import TrustError
from nodecheck.trust.snap_assertions import (
    AccountKey,
    Assertion,
    read_account_key,
    read_assertion,
    verify_assertion,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS_LIMIT: Final = 4
"""Longest chain of account-keys; the store's is two."""
SERIES: Final = "16"


def read_roots(texts: tuple[str, ...]) -> Mapping[str, AccountKey]:
    """Return the root keys by id; each must have signed itself.

    Raises:
        TrustError: a root is damaged.
    """
    roots: dict[str, AccountKey] = {}
    for text in texts:
        assertion = read_assertion(text.encode(), "account-key")
        key = read_account_key(assertion)
        verify_assertion(assertion, key)
        roots[key.key_id] = key
    return roots


def prove_blob(
    sha3_384: str,
    size: int,
    assertions: tuple[Assertion, Assertion],
    account_keys: Mapping[str, Assertion],
    roots: Mapping[str, AccountKey],
) -> SnapChain:
    """Return what is proven about a blob.

    Args:
        sha3_384: the blob's digest, lower-case hex.
        size: its size in bytes.
        assertions: the snap-revision and the snap-declaration.
        account_keys: the account-key assertions at hand, by key id.
        roots: the keys on whose word everything rests.

    Raises:
        TrustError: something in the chain does not hold.
    """
    revision, declaration = assertions
    keys = [key.key_id for key in _verify(revision, account_keys, roots)]
    keys += [key.key_id for key in _verify(declaration, account_keys, roots)]
    digest = base64.urlsafe_b64encode(bytes.fromhex(sha3_384)).decode()
    if revision.text("snap-sha3-384") != digest or revision.number("snap-size") != size:
        msg = "snap-revision is of another blob"
        raise TrustError(msg)
    snap_id = revision.text("snap-id")
    if declaration.text("snap-id") != snap_id or declaration.text("series") != SERIES:
        msg = "snap-declaration is of another snap"
        raise TrustError(msg)
    return SnapChain(
        name=declaration.text("snap-name"),
        snap_id=snap_id,
        publisher_id=declaration.text("publisher-id"),
        revision=revision.number("snap-revision"),
        signed_at=revision.instant("timestamp"),
        keys=tuple(dict.fromkeys(keys)),
    )


def _verify(
    assertion: Assertion, account_keys: Mapping[str, Assertion], roots: Mapping[str, AccountKey]
) -> tuple[AccountKey, ...]:
    """Return the keys from the one that signed this assertion to the root."""
    found: list[AccountKey] = []
    signed = assertion
    while len(found) < KEYS_LIMIT:
        key_id = signed.text("sign-key-sha3-384")
        root = roots.get(key_id)
        if root is not None:
            verify_assertion(signed, root)
            found.append(root)
            _check(assertion, found)
            return tuple(found)
        if key_id not in account_keys:
            msg = f"key {key_id[:64]!r} is neither a root nor vouched for by one"
            raise TrustError(msg)
        key = read_account_key(account_keys[key_id])
        verify_assertion(signed, key)
        found.append(key)
        signed = account_keys[key_id]
    msg = f"chain of more than {KEYS_LIMIT} keys"
    raise TrustError(msg)


def _check(assertion: Assertion, keys: list[AccountKey]) -> None:
    """Refuse keys of another account than the root's, and a date outside the key's validity."""
    key, root = keys[0], keys[-1]
    if any(item.account_id != root.account_id for item in keys):
        msg = f"key of account {key.account_id[:40]!r}, the root's is {root.account_id!r}"
        raise TrustError(msg)
    made = assertion.instant("timestamp")
    if made < key.since or (key.until is not None and made >= key.until):
        msg = f"{assertion.text('type')} of {made:%Y-%m-%d} is outside its key's validity"
        raise TrustError(msg)
