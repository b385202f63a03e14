"""The acceptance table of an installed rpm, with ``rpm -V`` beside nodecheck as oracle."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks import agent_files as files_check
from nodecheck.checks import agent_signature as signature_check
from nodecheck.model.agent import InstallFacts
from nodecheck.model.errors import ProbeError
from nodecheck.model.package import gather
from nodecheck.model.trust import TrustPolicy
from nodecheck.probes import agent_files, agent_rpm
from nodecheck.records import replace
from nodecheck.trust.key_ring import KeyRing, assemble_ring
from nodecheck.trust.pinned_keys import PINNED
from tests import rpm_maker
from tests.agent_damage import (
    AGENT,
    row_00,
    row_07,
    row_08,
    row_09,
    row_10,
    row_11,
    row_12,
    row_13,
    row_14,
    row_15,
    row_16,
    row_17,
    row_18,
)
from tests.fake_host import fake_host
from tests.rpm_maker import UNIT, RootedRpm, SigningKey
from tests.trust_maker import BINARY, MAGIC, STRING, Tag, make_blob, split_blob, strings, text

if sys.platform != "win32":
    from nodecheck.host.posix_files import PosixFiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.door import Host, Processes
    from nodecheck.model.trust import RpmFacts
    from nodecheck.model.verdict import Verdict

assert sys.platform != "win32"

pytestmark = pytest.mark.skipif(bool(rpm_maker.missing()), reason=f"needs {rpm_maker.missing()}")

POLICY = TrustPolicy(builtin_keys=False)
NOW = datetime(2035, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Workshop:
    """What all rows share: two signed versions, the keys, and a clean root."""

    folder: Path
    key: SigningKey
    attacker: SigningKey
    unsigned: Path
    package: Path
    older: Path
    root: Path
    ring: KeyRing

    def copy(self, target: Path) -> Path:
        return rpm_maker.copy_root(self.root, target / "root")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("rpm")
    key = rpm_maker.make_key(folder / "signer", "signer")
    attacker = rpm_maker.make_key(folder / "attacker", "attacker")
    unsigned = rpm_maker.build(folder / "new", "3.3.200.0", rpm_maker.TRUE_SIZE)
    package = rpm_maker.sign(unsigned, key)
    older = rpm_maker.sign(rpm_maker.build(folder / "old", "3.3.100.0", rpm_maker.TRUE_SIZE), key)
    root = rpm_maker.install(folder / "clean" / "root", package, keys=(key, attacker))
    ring = assemble_ring(POLICY, (("signer", key.public),))
    return Workshop(folder, key, attacker, unsigned, package, older, root, ring)


def node(root: Path, processes: Processes | None = None) -> Host:
    host = replace(fake_host(), files=PosixFiles(str(root)))
    return host if processes is None else replace(host, processes=processes)


def examine(root: Path, ring: KeyRing) -> tuple[RpmFacts, Verdict, Verdict]:
    host = node(root)
    rpm = agent_rpm.look(host, ring)
    install = InstallFacts(rpm.installations, ())
    facts = gather(rpm)
    signature = signature_check.judge(install, facts, ring.facts, POLICY, NOW)
    return rpm, signature, files_check.judge(install, facts, agent_files.look(host, facts))


def flip(root: Path) -> tuple[str, str]:
    """Change one byte of the agent, not its size nor its time; return both digests."""
    path = root / AGENT
    before, content = path.stat(), bytearray(path.read_bytes())
    old = hashlib.sha256(content).hexdigest()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return old, hashlib.sha256(content).hexdigest()


def rewrite(root: Path, region: bytes, tail: list[Tag]) -> None:
    """Put a header into the database, with the unsigned digests over it made to agree."""
    digests = {
        269: hashlib.sha1(MAGIC + region).hexdigest(),  # noqa: S324 - what rpm stores
        273: hashlib.sha256(MAGIC + region).hexdigest(),
    }
    tail = [
        (tag, STRING, 1, text(digests[tag])) if tag in digests else (tag, kind, count, value)
        for tag, kind, count, value in tail
    ]
    rpm_maker.write_blob(root, make_blob(region, tail))


def patch_database(root: Path) -> tuple[bytes, list[Tag]]:
    """Flip a byte of the agent and make the database agree; return the header's two parts."""
    old, new = flip(root)
    region, tail = split_blob(rpm_maker.read_blob(root))
    assert region.count(old.encode()) == 1
    region = region.replace(old.encode(), new.encode())
    rewrite(root, region, tail)
    return region, tail


def with_signature(tail: list[Tag], signature: bytes | None) -> list[Tag]:
    rest = [tag for tag in tail if tag[0] != 268]
    return rest if signature is None else [*rest, (268, BINARY, len(signature), signature)]


def row_01(shop: Workshop, root: Path) -> None:
    flip(root)


def row_02a(shop: Workshop, root: Path) -> None:
    patch_database(root)


def row_02b(shop: Workshop, root: Path) -> None:
    region, tail = patch_database(root)
    rewrite(root, region, with_signature(tail, None))


def row_02c(shop: Workshop, root: Path) -> None:
    region, tail = patch_database(root)
    forged = shop.attacker.detach(MAGIC + region, root.parent)
    rewrite(root, region, with_signature(tail, forged))


def row_02d(shop: Workshop, root: Path) -> None:
    rpm, _, _ = examine(root, shop.ring)
    old, new = flip(root)
    shadow = [file.digest.replace(old, new) for file in rpm.packages[0].files]
    region, tail = split_blob(rpm_maker.read_blob(root))
    rpm_maker.write_blob(root, make_blob(region, [*tail, strings(1035, *shadow)]))


def row_02e(shop: Workshop, root: Path) -> None:
    shutil.rmtree(root)
    rpm_maker.install(root, shop.package)
    patch_database(root)


def row_02f(shop: Workshop, root: Path) -> None:
    shutil.rmtree(root)
    rpm_maker.install(root, shop.package)
    region, tail = patch_database(root)
    signature = bytearray(next(value for tag, _, _, value in tail if tag == 268))
    hashed = int.from_bytes(signature[7:9], "big")
    head = bytes(signature[3 : 9 + hashed])
    digest = hashlib.sha256(MAGIC + region + head + b"\x04\xff" + len(head).to_bytes(4, "big"))
    at = 9 + hashed + 2 + int.from_bytes(signature[9 + hashed : 11 + hashed], "big")
    signature[at : at + 2] = digest.digest()[:2]
    rewrite(root, region, with_signature(tail, bytes(signature)))


def row_05(shop: Workshop, root: Path) -> None:
    shutil.rmtree(root)
    rpm_maker.install(root, shop.older, keys=(shop.key,))


def row_06(shop: Workshop, root: Path) -> None:
    other = rpm_maker.install(root.parent / "older", shop.older)
    shutil.copy2(other / "usr/bin/ssm-cli", root / "usr/bin/ssm-cli")


def row_19(shop: Workshop, root: Path) -> None:
    with (root / UNIT[1:]).open("a") as unit:
        unit.write("# edited\n")


# Row, status and reason of agent.signature, of agent.files, and whether rpm -V (4.18) misses it.
ROWS = [
    (row_00, "ok ok", "ok ok", True),
    (row_01, "ok ok", "crit digest", False),
    (row_02a, "crit bad-signature", "crit unproven-digests", False),
    (row_02b, "crit unsigned", "unknown unproven-digests", True),
    (row_02c, "crit key-not-pinned", "unknown unproven-digests", True),
    (row_02d, "ok ok", "crit digest", True),
    (row_02e, "crit bad-signature", "crit unproven-digests", False),
    (row_02f, "crit bad-signature", "crit unproven-digests", True),
    (row_05, "ok ok", "ok ok", True),
    (row_06, "ok ok", "crit digest", False),
    (row_07, "ok ok", "crit missing", False),
    (row_08, "ok ok", "crit start-overridden", True),
    (row_09, "ok ok", "crit shadowed", True),
    (row_10, "ok ok", "crit writable", False),
    (row_11, "ok ok", "crit folder-writable", True),
    (row_12, "ok ok", "crit owner", False),
    (row_13, "ok ok", "crit setuid", False),
    (row_14, "ok ok", "crit capabilities", False),
    (row_15, "ok ok", "crit kind", False),
    (row_16, "ok ok", "crit folder-link", True),
    (row_17, "ok ok", "crit hard-links", True),
    (row_18, "ok ok", "ok ok", False),
    (row_19, "ok ok", "warn unit-edited", False),
]


@pytest.mark.parametrize(
    ("damage", "signature", "files", "rpm_is_silent"), ROWS, ids=[row[0].__name__ for row in ROWS]
)
def test_row(  # noqa: PLR0913, PLR0917 - the columns of the table
    shop: Workshop,
    tmp_path: Path,
    damage: Callable[[Workshop, Path], None],
    signature: str,
    files: str,
    rpm_is_silent: bool,  # noqa: FBT001
    record_property: Callable[[str, object], None],
) -> None:
    root = shop.copy(tmp_path)
    damage(shop, root)
    _, on_signature, on_files = examine(root, shop.ring)
    code, said = rpm_maker.verify(root)
    record_property("rpm -V", f"{code} {said}")
    assert f"{on_signature.status.value} {on_signature.reason}" == signature, on_signature
    assert f"{on_files.status.value} {on_files.reason}" == files, on_files
    if " 4.18." in rpm_maker.run("rpm", "--version"):
        assert (code == 0) is rpm_is_silent, said


def test_replayed_version_is_told(shop: Workshop, tmp_path: Path) -> None:
    root = tmp_path / "root"
    rpm_maker.install(root, shop.older)
    rpm, _, _ = examine(root, shop.ring)
    assert [item.version for item in rpm.installations] == ["3.3.100.0"]


def test_unsigned_package(shop: Workshop, tmp_path: Path) -> None:
    _, signature, files = examine(rpm_maker.install(tmp_path / "root", shop.unsigned), shop.ring)
    assert signature.reason == "unsigned"
    assert files.status.value == "unknown"


def test_key_in_the_systems_keyring_is_not_pinned(shop: Workshop, tmp_path: Path) -> None:
    package = rpm_maker.sign(shop.unsigned, shop.attacker)
    root = rpm_maker.install(tmp_path / "root", package, keys=(shop.attacker,))
    assert rpm_maker.verify(root) == (0, "")
    assert examine(root, shop.ring)[1].reason == "key-not-pinned"


def test_weak_digest(shop: Workshop, tmp_path: Path) -> None:
    package = rpm_maker.sign(shop.unsigned, shop.key, digest="sha1")
    _, signature, files = examine(rpm_maker.install(tmp_path / "root", package), shop.ring)
    assert (signature.status.value, signature.reason) == ("warn", "weak-digest")
    assert files.status.value == "ok"


@pytest.mark.parametrize("digest", ["sha384", "sha512"])
def test_other_digests(shop: Workshop, tmp_path: Path, digest: str) -> None:
    package = rpm_maker.sign(shop.unsigned, shop.key, digest=digest)
    _, signature, _ = examine(rpm_maker.install(tmp_path / "root", package), shop.ring)
    assert signature.status.value == "ok"


def test_key_that_expired_since(shop: Workshop, tmp_path: Path) -> None:
    key = rpm_maker.make_key(
        tmp_path / "old", "old", "faked-system-time 20240101T000000", expires="20240601T000000"
    )
    ring = assemble_ring(POLICY, (("old", key.public),))
    package = rpm_maker.sign(shop.unsigned, key)
    _, signature, files = examine(rpm_maker.install(tmp_path / "root", package), ring)
    assert (signature.status.value, files.status.value) == ("ok", "ok")
    assert any(item.name == "key_expired_since" for item in signature.evidence)
    assert ring.facts.keys[0].expires_at == datetime(2024, 6, 1, tzinfo=UTC)


def test_two_copies_in_the_database(shop: Workshop, tmp_path: Path) -> None:
    root = rpm_maker.install(tmp_path / "root", shop.older, shop.package)
    rpm, _, files = examine(root, shop.ring)
    assert len(rpm.installations) == 2
    assert files.status.value == "crit"


def test_rpm_as_courier(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "var/lib/rpm").mkdir(parents=True)
    (tmp_path / "var/lib/rpm/Packages").touch()
    direct = agent_rpm.look(node(shop.root), shop.ring)
    fetched = agent_rpm.look(node(tmp_path, RootedRpm(root=shop.root)), shop.ring)
    assert fetched.installations == direct.installations
    assert fetched.packages[0].files == direct.packages[0].files
    assert fetched.packages[0].proven
    for row in (row_02a, row_02b, row_02c, row_02d):
        (tmp_path / row.__name__).mkdir()
        root = shop.copy(tmp_path / row.__name__)
        row(shop, root)
        damaged = agent_rpm.look(node(tmp_path, RootedRpm(root=root)), shop.ring)
        assert damaged.packages[0].proven is (row is row_02d)
        assert damaged.packages[0].files == examine(root, shop.ring)[0].packages[0].files
    empty = rpm_maker.install(tmp_path / "empty")
    rpm_maker.run("rpm", *rpm_maker.rooted(empty), "--initdb")
    with pytest.raises(ProbeError, match="Found sqlite"):  # not the database that was seen
        agent_rpm.look(node(tmp_path, RootedRpm(root=empty)), shop.ring)
    assert agent_rpm.look(node(empty), shop.ring).packages == ()


@pytest.mark.parametrize("name", ["Packages", "Packages.db"])
def test_a_database_that_rpm_cannot_read_proves_no_absence(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "root/var/lib/rpm"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"junk" * 999)
    host = node(tmp_path / "root", RootedRpm(root=tmp_path / "root"))
    with pytest.raises(ProbeError, match="rpm -q"):
        agent_rpm.look(host, KeyRing(()))
    assert [path.name for path in folder.iterdir()] == [name]


def test_pinned_fingerprints_are_those_that_gpg_prints(tmp_path: Path) -> None:
    folder = Path(__file__).parents[1] / "assets" / "keys"
    home = tmp_path / "gpg"
    home.mkdir(mode=0o700)
    printed = {}
    for path in folder.glob("*.asc"):
        listing = rpm_maker.run("gpg", "--batch", "--with-colons", "--show-keys", path, home=home)
        fields = [line.split(":") for line in listing.splitlines()]
        public = next(line for line in fields if line[0] == "pub")
        printed[next(line[9] for line in fields if line[0] == "fpr")] = (public[5], public[6])
    expected = {}
    for pinned in PINNED:
        stamps = [
            str(int(datetime.fromisoformat(date).timestamp())) if date else ""
            for date in (pinned.created, pinned.expires)
        ]
        expected[pinned.fingerprint] = tuple(stamps)
        assert base64.b64decode(pinned.body)
    assert printed == expected


def test_revoked_key_is_refused_where_gpgv_accepts_it(shop: Workshop, tmp_path: Path) -> None:
    key = rpm_maker.make_key(tmp_path / "revoked", "revoked")
    signature = key.detach(b"data", tmp_path)
    source = next((key.home / "openpgp-revocs.d").iterdir()).read_text()
    block = source[source.index(":-----BEGIN") + 1 :]
    (tmp_path / "revocation").write_text(block)
    rpm_maker.run("gpg", "--batch", "--import", tmp_path / "revocation", home=key.home)
    (tmp_path / "key").write_bytes(key.public)
    rpm_maker.run("gpg", "--batch", "--dearmor", tmp_path / "key", home=key.home)
    (tmp_path / "sig").write_bytes(signature)
    done = subprocess.run(
        ["gpgv", "--keyring", tmp_path / "key.gpg", tmp_path / "sig", tmp_path / "data"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    with pytest.raises(Exception, match="revoked"):
        assemble_ring(POLICY, (("key", key.public),))


def test_locked_database_is_read_or_said_so(shop: Workshop, tmp_path: Path) -> None:
    root = shop.copy(tmp_path)
    database = sqlite3.connect(root / rpm_maker.DATABASE)
    try:
        database.execute("begin exclusive")
        with contextlib.suppress(ProbeError):
            assert examine(root, shop.ring)[1].status.value == "ok"
    finally:
        database.close()


def test_nothing_is_left_beside_the_database(shop: Workshop, tmp_path: Path) -> None:
    root = shop.copy(tmp_path)
    folder = root / "var/lib/rpm"
    before = sorted(path.name for path in folder.iterdir())
    examine(root, shop.ring)
    assert sorted(path.name for path in folder.iterdir()) == before
