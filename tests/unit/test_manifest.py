"""What is kept of a verified package, and when it is no longer believed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from nodecheck.records import replace
from nodecheck.trust.deb_package import prove_deb
from nodecheck.trust.key_ring import KeyRing
from nodecheck.trust.manifest import LIMIT_BYTES, Kept, add, dump, keep, parse
from nodecheck.trust.packets import TrustError
from tests.archive_maker import make_deb
from tests.trust_maker import make_key

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = make_key()
DEB = make_deb()
SIGNATURE = KEY.detached(DEB)
PROOF = prove_deb(SIGNATURE, [DEB], KEY.ring(), "/srv/a.deb")
KEPT = keep(PROOF.package, PROOF.sha256, SIGNATURE)


def test_what_was_kept_comes_back() -> None:
    (kept,) = parse(dump((KEPT,)))
    assert kept == KEPT
    package = kept.package(KEY.ring())
    assert package is not None
    assert package.files == PROOF.package.files
    assert package.source == "manifests.json, verified from /srv/a.deb"
    assert package.signature.key == PROOF.package.signature.key
    assert package.signature.created_at == PROOF.package.signature.created_at


def test_without_its_key_nothing_is_believed() -> None:
    made_at = PROOF.package.signature.created_at
    assert KEPT.package(KeyRing(())) is None
    assert KEPT.package(make_key(1).ring()) is None
    assert KEPT.package(KEY.ring(distrusted_after=made_at)) is None
    assert KEPT.package(KEY.ring(expires_at=datetime(2024, 1, 1, tzinfo=UTC))) is None
    assert replace(KEPT, key="A" * 40).package(KEY.ring()) is None
    assert replace(KEPT, name="bash").package(KEY.ring()) is None
    other = replace(KEPT, signature=make_key(1).detached(DEB))
    assert other.package(KEY.ring()) is None


def test_only_what_is_proven_is_kept() -> None:
    stranger = prove_deb(make_key(1).detached(DEB), [DEB], KEY.ring(), "x")
    with pytest.raises(ValueError, match="only what is proven"):
        keep(stranger.package, stranger.sha256, b"")


def test_the_last_three_are_kept_newest_first() -> None:
    kept: tuple[Kept, ...] = ()
    for name in "abcbd":
        kept = add(kept, replace(KEPT, label=name))
    assert [item.label for item in kept] == ["d", "b", "c"]
    assert len(dump(kept)) < LIMIT_BYTES


def changed(change: Callable[[Any], object]) -> bytes:
    document = json.loads(dump((KEPT,)))
    change(document)
    return json.dumps(document).encode()


def with_package(**changes: object) -> bytes:
    return changed(lambda document: document["packages"][0].update(changes))


def with_file(**changes: object) -> bytes:
    return changed(lambda document: document["packages"][0]["files"][0].update(changes))


DAMAGED = [
    b"",
    b"\xff",
    b"[" * 5000,
    b"[]",
    b"{}",
    dump((KEPT,))[:-10],
    dump((KEPT,) * 4),
    changed(lambda document: document.update(schema="nodecheck-manifests/2")),
    changed(lambda document: document.update(more=1)),
    changed(lambda document: document.update(packages={})),
    changed(lambda document: document["packages"].append(1)),
    changed(lambda document: document["packages"][0].pop("key")),
    with_package(sha256="0" * 63),
    with_package(sha256=0),
    with_package(signature="?"),
    with_package(signature="AAAA"),
    with_package(files=[1]),
    with_file(path="usr/bin/x"),
    with_file(path="/usr/../x"),
    with_file(kind="folder"),
    with_file(kind="link"),
    with_file(digest=""),
    with_file(digest="A" * 64),
    with_file(mode=0o10000),
    with_file(mode="755"),
    with_file(mode=True),
    with_file(config=0),
    with_file(more=1),
]


@pytest.mark.parametrize("content", DAMAGED)
def test_damage_is_refused_whole(content: bytes) -> None:
    with pytest.raises(TrustError):
        parse(content)


def test_every_flipped_byte_is_refused_or_means_another_promise() -> None:
    """JSON has no checksum: only the folder protects it. But nothing crashes."""
    content = dump((KEPT,))
    for at in range(0, len(content), 3):
        try:
            found = parse(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        except TrustError:
            continue
        assert len(found) == 1
