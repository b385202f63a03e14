"""The acceptance table of an installed deb, with dpkg, debsums, gpgv and sqv beside nodecheck."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks import agent_files as files_check
from nodecheck.checks import agent_signature as signature_check
from nodecheck.checks import agent_version
from nodecheck.model.agent import InstallFacts
from nodecheck.model.errors import ProbeError
from nodecheck.model.install import VersionPolicy
from nodecheck.model.package import gather
from nodecheck.model.trust import TrustPolicy
from nodecheck.model.version import AgentVersion
from nodecheck.probes import agent_by_hand, agent_deb, agent_files, agent_package
from nodecheck.records import replace
from nodecheck.trust.key_ring import KeyRing, assemble_ring
from tests import deb_maker, rpm_maker
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
from tests.deb_maker import BINARIES, CONF, INFO, NAME, UNIT
from tests.fake_host import FakeState, fake_host

if sys.platform != "win32":
    from nodecheck.host.posix_files import PosixFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nodecheck.host.door import Host
    from nodecheck.model.package import PackageFacts
    from nodecheck.model.verdict import Verdict
    from tests.rpm_maker import SigningKey

assert sys.platform != "win32"

pytestmark = pytest.mark.skipif(bool(deb_maker.missing()), reason=f"needs {deb_maker.missing()}")

SHELF = "srv/packages"
VERSION, OLDER = "3.3.200.0", "3.3.100.0"
POLICY = TrustPolicy(builtin_keys=False)
NOW = datetime(2035, 1, 1, tzinfo=UTC)
SHELVES = agent_package.Shelves(f"/{SHELF}", "", str, "/state", True, 30, lambda: None)  # noqa: FBT003


@dataclass(frozen=True)
class Workshop:
    """What all rows share: two signed versions, the keys, and a clean root."""

    folder: Path
    key: SigningKey
    attacker: SigningKey
    package: Path
    older: Path
    root: Path
    ring: KeyRing

    def copy(self, target: Path) -> Path:
        return rpm_maker.copy_root(self.root, target / "root")

    def signed(self, target: Path, key: SigningKey, *options: str) -> tuple[Path, Path]:
        """Return a root whose shelf holds the package signed anew, and that package."""
        root = self.copy(target)
        shutil.copy(self.package, root / SHELF / NAME)
        return root, deb_maker.sign(root / SHELF / NAME, key, *options)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("deb")
    key = rpm_maker.make_key(folder / "signer", "signer")
    attacker = rpm_maker.make_key(folder / "attacker", "attacker")
    package = deb_maker.sign(deb_maker.build(folder / "new", VERSION, rpm_maker.TRUE_SIZE), key)
    older = deb_maker.sign(deb_maker.build(folder / "old", OLDER, rpm_maker.TRUE_SIZE), key)
    root = deb_maker.install(folder / "clean" / "root", package)
    put(root, package)
    ring = assemble_ring(POLICY, (("signer", key.public),))
    return Workshop(folder, key, attacker, package, older, root, ring)


def put(root: Path, package: Path, shelf: str = SHELF) -> None:
    (root / shelf).mkdir(parents=True, exist_ok=True)
    for path in (package, package.with_name(f"{package.name}.sig")):
        shutil.copy(path, root / shelf / path.name)


def node(root: Path, state: FakeState | None = None) -> Host:
    return replace(fake_host(state=state), files=PosixFiles(str(root)))


def examine(
    root: Path,
    ring: KeyRing,
    shelves: agent_package.Shelves = SHELVES,
    state: FakeState | None = None,
) -> tuple[PackageFacts, Verdict, Verdict]:
    host = node(root, state)
    debs = agent_deb.look(host.files).installations
    found = debs or agent_by_hand.look(host.files).installations
    facts = gather(agent_package.look(host, ring, found, shelves))
    install = InstallFacts(found, ())
    signature = signature_check.judge(install, facts, ring.facts, POLICY, NOW)
    return facts, signature, files_check.judge(install, facts, agent_files.look(host, facts))


def short(verdict: Verdict) -> str:
    return f"{verdict.status.value} {verdict.reason}"


def flip(path: Path) -> tuple[bytes, bytes]:
    """Change one byte of a file, not its size nor its time; return both contents."""
    before, old = path.stat(), path.read_bytes()
    content = bytearray(old)
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return old, bytes(content)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()  # noqa: S324 - what dpkg keeps


def row_01(shop: Workshop, root: Path) -> None:
    flip(root / AGENT)


def row_02a(shop: Workshop, root: Path) -> None:
    old, new = flip(root / AGENT)
    sums = root / f"{INFO}.md5sums"
    text = sums.read_text()
    assert md5(old) in text
    sums.write_text(text.replace(md5(old), md5(new)))


def row_05(shop: Workshop, root: Path) -> None:
    shutil.rmtree(root)
    deb_maker.install(root, shop.older)
    put(root, shop.older)


def row_06(shop: Workshop, root: Path) -> None:
    other = deb_maker.install(root.parent / "older", shop.older)
    shutil.copy2(other / "usr/bin/ssm-cli", root / "usr/bin/ssm-cli")


def row_19(shop: Workshop, root: Path) -> None:
    with (root / UNIT[1:]).open("a") as unit:
        unit.write("# edited\n")


def row_whole_unit(shop: Workshop, root: Path) -> None:
    (root / "etc/systemd/system").mkdir(parents=True)
    (root / "etc/systemd/system" / UNIT.rpartition("/")[2]).write_text("[Service]\n")


def row_listed(shop: Workshop, root: Path) -> None:
    shutil.copy("/bin/true", root / "usr/bin/ssm-helper")
    with (root / f"{INFO}.list").open("a") as listed:
        listed.write("/usr/bin/ssm-helper\n")


# Row, status and reason of agent.files (agent.signature is ok), and which peers see it
# (dpkg --verify, debsums); gpgv sees none of them, it looks at the package file only.
ROWS = [
    (row_00, "ok ok", ""),
    (row_01, "crit digest", "dpkg debsums"),
    (row_02a, "crit digest", ""),
    (row_05, "ok ok", ""),
    (row_06, "crit digest", "dpkg debsums"),
    (row_07, "crit missing", "dpkg debsums"),
    (row_08, "crit start-overridden", ""),
    (row_09, "crit shadowed", ""),
    (row_10, "crit writable", ""),
    (row_11, "crit folder-writable", ""),
    (row_12, "crit owner", ""),
    (row_13, "crit setuid", ""),
    (row_14, "crit capabilities", ""),
    (row_15, "crit kind", "dpkg"),
    (row_16, "crit folder-link", ""),
    (row_17, "crit hard-links", ""),
    (row_18, "ok ok", "dpkg debsums"),
    (row_19, "crit digest", "dpkg debsums"),
    (row_whole_unit, "crit shadowed", ""),
    (row_listed, "crit unsigned-program", ""),
]


@pytest.mark.parametrize(("damage", "files", "peers"), ROWS, ids=[row[0].__name__ for row in ROWS])
def test_row(
    shop: Workshop,
    tmp_path: Path,
    damage: Callable[[Workshop, Path], None],
    files: str,
    peers: str,
) -> None:
    root = shop.copy(tmp_path)
    damage(shop, root)
    _, on_signature, on_files = examine(root, shop.ring)
    assert short(on_signature) == "ok ok", on_signature
    assert short(on_files) == files, on_files
    seen = (["dpkg"] if deb_maker.ask_dpkg(root) else []) + (
        ["debsums"] if deb_maker.ask_debsums(root) else []
    )
    assert " ".join(seen) == peers
    assert deb_maker.ask_gpgv(shop.package, shop.key) == 0


def test_replayed_version_is_told_by_its_number(shop: Workshop, tmp_path: Path) -> None:
    root = shop.copy(tmp_path)
    row_05(shop, root)
    found = agent_deb.look(node(root).files).installations
    floor = VersionPolicy(min_version=AgentVersion.parse(VERSION))
    unread = ProbeError("offline")
    verdict = agent_version.judge(InstallFacts(found, ()), unread, floor, NOW)
    assert verdict.status.value == "crit"
    put(root, shop.package)  # the newer package proves nothing about the older installation
    _, signature, files = examine(root, shop.ring)
    assert (short(signature), short(files)) == ("unknown no-package", "unknown no-package")
    assert VERSION in signature.message
    assert OLDER in signature.message


def test_edited_configuration_is_evidence(shop: Workshop, tmp_path: Path) -> None:
    root = shop.copy(tmp_path)
    row_18(shop, root)
    _, _, files = examine(root, shop.ring)
    assert any(item.name == "edited" and item.value == (CONF,) for item in files.evidence)


def test_missing_documentation_and_enabling_links_are_no_findings(
    shop: Workshop, tmp_path: Path
) -> None:
    root = shop.copy(tmp_path)
    shutil.rmtree(root / "usr/share/doc")
    (root / "etc/systemd/system").mkdir(parents=True)
    (root / "etc/systemd/system" / UNIT.rpartition("/")[2]).symlink_to("/usr" + UNIT)
    assert short(examine(root, shop.ring)[2]) == "ok ok"


@pytest.mark.parametrize("digest", ["SHA256", "SHA384", "SHA512"])
def test_p1_good(shop: Workshop, tmp_path: Path, digest: str) -> None:
    root, package = shop.signed(tmp_path, shop.key, "--digest-algo", digest)
    _, signature, files = examine(root, shop.ring)
    assert (short(signature), short(files)) == ("ok ok", "ok ok")
    assert [deb_maker.ask_gpgv(package, shop.key, tool) for tool in ("gpgv", "sqv")] == [0, 0]


def test_p2_without_a_signature(shop: Workshop, tmp_path: Path) -> None:
    root = shop.copy(tmp_path)
    (root / SHELF / f"{NAME}.sig").unlink()
    _, signature, files = examine(root, shop.ring)
    assert (short(signature), short(files)) == ("unknown no-package", "unknown no-package")
    assert f"{NAME}.sig: not there" in signature.message
    assert "curl" in signature.fixes[0].command


def test_p3_p4_wrong_key(shop: Workshop, tmp_path: Path) -> None:
    root, package = shop.signed(tmp_path, shop.attacker)
    _, signature, files = examine(root, shop.ring)
    assert (short(signature), short(files)) == ("crit key-not-pinned", "unknown unproven-digests")
    assert deb_maker.ask_gpgv(package, shop.key) == 2
    assert deb_maker.ask_gpgv(package, shop.attacker) == 0  # P4: imported, and so believed
    assert deb_maker.ask_gpgv(package, shop.attacker, "sqv") == 0


def test_p5_key_that_expired_since(shop: Workshop, tmp_path: Path) -> None:
    key = rpm_maker.make_key(
        tmp_path / "old", "old", "faked-system-time 20240101T000000", expires="20240601T000000"
    )
    root, package = shop.signed(tmp_path, key)
    ring = assemble_ring(POLICY, (("old", key.public),))
    _, signature, files = examine(root, ring)
    assert (short(signature), short(files)) == ("ok ok", "ok ok")
    assert any(item.name == "key_expired_since" for item in signature.evidence)
    assert [deb_maker.ask_gpgv(package, key, tool) for tool in ("gpgv", "sqv")] == [0, 0]


def test_p6_revoked_key(shop: Workshop, tmp_path: Path) -> None:
    key = rpm_maker.make_key(tmp_path / "revoked", "revoked")
    _, package = shop.signed(tmp_path, key)
    source = next((key.home / "openpgp-revocs.d").iterdir()).read_text()
    (tmp_path / "revocation").write_text(source[source.index(":-----BEGIN") + 1 :])
    rpm_maker.run("gpg", "--batch", "--import", tmp_path / "revocation", home=key.home)
    assert deb_maker.ask_gpgv(package, key) == 0
    assert deb_maker.ask_gpgv(package, key, "sqv") == 1
    with pytest.raises(Exception, match="revoked"):
        assemble_ring(POLICY, (("key", key.public),))


def test_p7_weak_digest(shop: Workshop, tmp_path: Path) -> None:
    root, package = shop.signed(tmp_path, shop.key, "--digest-algo", "SHA1")
    _, signature, files = examine(root, shop.ring)
    assert (short(signature), short(files)) == ("warn weak-digest", "ok ok")
    assert [deb_maker.ask_gpgv(package, shop.key, tool) for tool in ("gpgv", "sqv")] == [0, 1]


def test_p8_sha1_self_signature_on_the_key(shop: Workshop, tmp_path: Path) -> None:
    key = rpm_maker.make_key(tmp_path / "sha1", "sha1", "cert-digest-algo SHA1")
    root, package = shop.signed(tmp_path, key, "--digest-algo", "SHA256")
    ring = assemble_ring(POLICY, (("sha1", key.public),))
    assert short(examine(root, ring)[1]) == "ok ok"
    assert [deb_maker.ask_gpgv(package, key, tool) for tool in ("gpgv", "sqv")] == [0, 1]


@pytest.mark.parametrize("where", [0, 70, 200, 0.5, -1])
def test_p9_flipped_byte_of_the_package(shop: Workshop, tmp_path: Path, where: float) -> None:
    root = shop.copy(tmp_path)
    path = root / SHELF / NAME
    content = bytearray(path.read_bytes())
    at = int(len(content) * where) if isinstance(where, float) else where
    content[at] ^= 1
    path.write_bytes(content)
    _, signature, files = examine(root, shop.ring)
    assert (short(signature), short(files)) == ("unknown no-package", "unknown no-package")
    assert ("offer-refused", True) in [
        (item.reason, f"/{SHELF}/{NAME}" in item.message) for item in signature.findings
    ]
    shutil.copy(shop.package.with_name(f"{NAME}.sig"), root / SHELF)
    assert [deb_maker.ask_gpgv(path, shop.key, tool) for tool in ("gpgv", "sqv")] == [1, 1]


def test_the_archives_of_dpkg_deb_are_read_too(shop: Workshop, tmp_path: Path) -> None:
    """Member names without a slash, as dpkg-deb writes them; xz is refused, and told."""
    root = shop.copy(tmp_path)
    tree = tmp_path / "tree"
    rpm_maker.run("dpkg-deb", "-R", shop.package, tree)
    path = root / SHELF / NAME
    for method, expected in (("gzip", "ok ok"), ("xz", "unknown no-package")):
        rpm_maker.run(
            "dpkg-deb", "--nocheck", f"-Z{method}", "--root-owner-group", "-b", tree, path
        )
        deb_maker.sign(path, shop.key)
        _, signature, files = examine(root, shop.ring)
        assert short(signature) == expected, signature
        assert short(files) == expected
        assert ("control.tar.xz" in signature.message) is (method == "xz")


def test_nothing_to_be_had_is_unknown_with_what_to_do(shop: Workshop, tmp_path: Path) -> None:
    root = shop.copy(tmp_path)
    shutil.rmtree(root / SHELF)
    _, signature, files = examine(root, shop.ring)
    assert (short(signature), short(files)) == ("unknown no-package", "unknown no-package")
    arch = deb_maker.architecture()
    assert f"/{VERSION}/debian_{arch}/{NAME}" in signature.fixes[0].command
    assert "offline" in signature.message


def test_the_versioned_folder_of_a_mirror_is_found(shop: Workshop, tmp_path: Path) -> None:
    root = shop.copy(tmp_path)
    put(root, shop.older)
    put(root, shop.package, f"{SHELF}/{VERSION}/debian_{deb_maker.architecture()}")
    assert short(examine(root, shop.ring)[2]) == "ok ok"


def test_the_updaters_package_is_used_where_its_signature_is_there(
    shop: Workshop, tmp_path: Path
) -> None:
    root = shop.copy(tmp_path)
    shutil.rmtree(root / SHELF)
    put(root, shop.package, f"var/lib/amazon/ssm/update/amazon-ssm-agent/{VERSION}")
    facts, _, files = examine(root, shop.ring)
    assert short(files) == "ok ok"
    assert "/update/" in facts.packages[0].source


def test_a_refused_offer_is_told_where_another_proves(shop: Workshop, tmp_path: Path) -> None:
    root, _ = shop.signed(tmp_path, shop.attacker)
    put(root, shop.package, f"var/lib/amazon/ssm/update/amazon-ssm-agent/{VERSION}")
    _, signature, files = examine(root, shop.ring)
    assert (short(signature), short(files)) == ("warn offer-refused", "ok ok")


def test_kept_manifest_serves_without_the_package(shop: Workshop, tmp_path: Path) -> None:
    root = shop.copy(tmp_path)
    state = FakeState()
    examine(root, shop.ring, state=state)
    assert state.contents.keys() == {"/state/manifests.json"}
    shutil.rmtree(root / SHELF)
    facts, signature, files = examine(root, shop.ring, state=state)
    assert (short(signature), short(files)) == ("ok ok", "ok ok")
    assert facts.packages[0].source.startswith("manifests.json, verified from /srv")
    flip(root / AGENT)
    assert short(examine(root, shop.ring, state=state)[2]) == "crit digest"


def test_kept_manifest_lives_and_dies_with_its_key(shop: Workshop, tmp_path: Path) -> None:
    root = shop.copy(tmp_path)
    state = FakeState()
    examine(root, shop.ring, state=state)
    shutil.rmtree(root / SHELF)
    distrusting = replace(POLICY, distrust=((shop.key.fingerprint, None),))
    for ring in (KeyRing(()), assemble_ring(distrusting, (("signer", shop.key.public),))):
        _, signature, files = examine(root, ring, state=state)
        assert (short(signature), short(files)) == ("unknown no-package", "unknown no-package")
        assert "no longer believed" in signature.message


def test_damaged_manifest_is_set_aside_and_said(shop: Workshop, tmp_path: Path) -> None:
    root = shop.copy(tmp_path)
    state = FakeState({"/state/manifests.json": b"{}"})
    _, signature, _ = examine(root, shop.ring, state=state)
    assert short(signature) == "ok ok"
    notes = next(item.value for item in signature.evidence if item.name == "notes")
    assert "set aside as /state/manifests.json.damaged" in str(notes)
    assert state.contents["/state/manifests.json.damaged"] == b"{}"


def test_three_versions_are_kept(shop: Workshop, tmp_path: Path) -> None:
    state = FakeState()
    for number in range(4):
        folder = tmp_path / str(number)
        package = deb_maker.sign(deb_maker.build(folder, f"3.3.{number}.0"), shop.key)
        root = deb_maker.install(folder / "root", package)
        put(root, package)
        assert short(examine(root, shop.ring, state=state)[1]) == "ok ok"
    text = state.contents["/state/manifests.json"]
    assert isinstance(text, bytes)
    assert [f"_3.3.{number}.0-1_".encode() in text for number in range(4)] == [
        False,
        True,
        True,
        True,
    ]


def test_late_is_unknown_timeout(shop: Workshop, tmp_path: Path) -> None:
    root = shop.copy(tmp_path)
    _, signature, files = examine(root, shop.ring, replace(SHELVES, limit_s=0))
    assert (short(signature), short(files)) == ("unknown timeout", "unknown timeout")
    assert "--deadline" in signature.fixes[0].command


def test_copies_by_hand(shop: Workshop, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    programs = shop.package.parent / "source/usr/bin"
    for name in ("amazon-ssm-agent", "ssm-agent-worker"):
        shutil.copy2(programs / name, root / "usr/bin" / name)
    _, signature, files = examine(root, shop.ring)
    assert (short(signature), short(files)) == ("unknown no-package", "unknown no-package")
    assert (
        "trust.package_dir" in examine(root, shop.ring, replace(SHELVES, package_dir=""))[1].message
    )
    (root / SHELF).mkdir(parents=True)
    archive = deb_maker.sign(deb_maker.pack(programs, root / SHELF / BINARIES), shop.key)
    assert [short(item) for item in examine(root, shop.ring)[1:]] == ["ok ok", "ok ok"]
    put(root, archive, f"srv/{VERSION}/linux_amd64")
    named = replace(SHELVES, package_dir=f"/srv/{VERSION}")
    assert examine(root, shop.ring, named)[0].packages[0].version == VERSION
    unit = root / "etc/systemd/system/amazon-ssm-agent.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/opt/evil\n")
    assert short(examine(root, shop.ring)[2]) == "crit start-overridden"
    unit.write_text("[Service]\nExecStart=/usr/bin/amazon-ssm-agent\n")
    flip(root / "usr/bin/ssm-agent-worker")
    assert short(examine(root, shop.ring)[2]) == "crit digest"
    flip(archive)
    refused = examine(root, shop.ring)[1]
    assert short(refused) == "unknown no-package"
    assert "offer-refused" in [item.reason for item in refused.findings]
