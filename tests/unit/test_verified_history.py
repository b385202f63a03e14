"""What is remembered of verified versions, and what is not believed of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.verified import verified_snap, verified_version
from nodecheck.model.agent import Channel, Installation
from nodecheck.model.errors import ProbeError
from nodecheck.model.history import History, VerifiedVersion
from nodecheck.model.node import FileKind
from nodecheck.model.trust import (
    AGENT_PACKAGE,
    FileFacts,
    InstalledFile,
    PinnedKey,
    SignatureFact,
    SignatureOutcome,
    SignedFile,
    SignedPackage,
    Trust,
)
from nodecheck.model.unit_file import StartFacts
from nodecheck.probes import verified_history
from nodecheck.records import replace
from tests.fake_host import FakeState

if TYPE_CHECKING:
    from pathlib import Path

from datetime import UTC, datetime

DAY = datetime(2026, 6, 1, tzinfo=UTC)
PATH = "/usr/bin/amazon-ssm-agent"


def version(number: int, digit: str = "a") -> VerifiedVersion:
    return VerifiedVersion(f"3.3.{number}.0", ((PATH, digit * 64),))


def stored(state: FakeState) -> tuple[VerifiedVersion, ...]:
    return verified_history.parse(state.read("/state", verified_history.NAME, 99999))


def test_remembers_the_last_three_newest_first() -> None:
    state = FakeState()
    for number in (1, 2, 3, 4):
        history = verified_history.look(state, "/state", version(number))
        assert history.versions[0] == version(number)
    assert stored(state) == (version(4), version(3), version(2))
    assert verified_history.look(state, "/state", None).versions == stored(state)
    again = verified_history.look(state, "/state", version(2, "b"))
    assert again.versions == (version(2, "b"), version(4), version(3))
    assert again.note == ""


def test_a_run_that_proves_nothing_writes_nothing() -> None:
    state = FakeState()
    assert verified_history.look(state, "/state", None) == History()
    assert state.contents == {}


def test_an_unchanged_history_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    state = FakeState()
    verified_history.look(state, "/state", version(1))
    written = dict(state.contents)
    state.contents["/state/" + verified_history.NAME] = written.popitem()[1]
    monkeypatch.setattr(FakeState, "write", None)
    assert verified_history.look(state, "/state", version(1)).versions == (version(1),)


def test_finds_the_version_of_a_file() -> None:
    history = History((version(2, "b"), version(1, "a")))
    assert history.version_of(PATH, "a" * 64) == "3.3.1.0"
    assert history.version_of(PATH, "c" * 64) == ""
    assert history.version_of("/opt/x", "a" * 64) == ""


GOOD = json.loads(verified_history.dump((version(1),)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"schema": "nodecheck-verified/1"}',
        json.dumps(GOOD | {"schema": "nodecheck-verified/2"}).encode(),
        json.dumps(GOOD | {"versions": GOOD["versions"] * 4}).encode(),
        json.dumps(GOOD | {"versions": [{"version": "3.3.1.0", "files": {}}]}).encode(),
        json.dumps(GOOD | {"versions": [{"version": 3, "files": {PATH: "a" * 64}}]}).encode(),
        json.dumps(GOOD | {"versions": [{"version": "3.3", "files": {PATH: "a" * 64}}]}).encode(),
        json.dumps(
            GOOD | {"versions": [{"version": "3.3.1.0", "files": {"x": "a" * 64}}]}
        ).encode(),
        json.dumps(
            GOOD | {"versions": [{"version": "3.3.1.0", "files": {PATH: "A" * 64}}]}
        ).encode(),
        json.dumps(GOOD | {"versions": [{"version": "3.3.1.0", "files": {PATH: None}}]}).encode(),
        json.dumps(GOOD | {"versions": [{"version": "3.3.1.0", "files": [PATH]}]}).encode(),
        json.dumps(GOOD | {"versions": ["3.3.1.0"]}).encode(),
        verified_history.dump((version(1),))[:-20],
        b" " * 70_000,
    ],
)
def test_a_damaged_file_is_set_aside_and_told(content: bytes) -> None:
    state = FakeState({"/state/verified.json": content})
    history = verified_history.look(state, "/state", None)
    assert history.versions == ()
    assert "set aside as /state/verified.json.damaged" in history.note
    assert "/state/verified.json" not in state.contents
    assert verified_history.look(state, "/state", version(1)).note == ""


def test_a_file_that_others_can_write_is_neither_believed_nor_moved() -> None:
    state = FakeState({"/state/verified.json": ProbeError("mode 0777", "no-state")})
    history = verified_history.look(state, "/state", None)
    assert (history.versions, history.note) == (
        (),
        "earlier verified versions are not believed: mode 0777",
    )
    assert list(state.contents) == ["/state/verified.json"]


class FullDisk(FakeState):
    def write(self, folder: str, name: str, content: bytes) -> None:
        msg = f"{folder}/{name}: no space left on device"
        raise ProbeError(msg, "no-state")

    def set_aside(self, folder: str, name: str) -> str:
        msg = f"{folder}/{name}: read-only file system"
        raise ProbeError(msg, "no-state")


def test_a_full_disk_is_told_and_takes_nothing_away() -> None:
    history = verified_history.look(FullDisk(), "/state", version(1))
    assert history.versions == (version(1),)
    assert "no space left" in history.note
    damaged = FullDisk({"/state/verified.json": b"x"})
    assert "read-only" in verified_history.look(damaged, "/state", None).note


@pytest.mark.skipif("sys.platform == 'win32'")
def test_owner_and_mode_of_the_real_folder_count(tmp_path: Path) -> None:
    from nodecheck.host.here import this_host

    state, folder = this_host().state, str(tmp_path / "state")
    verified_history.look(state, folder, version(1))
    assert verified_history.look(state, folder, None).versions == (version(1),)
    (tmp_path / "state/verified.json").chmod(0o666)
    refused = verified_history.look(state, folder, None)
    assert refused.versions == ()
    assert "others can write it" in refused.note


def signed(path: str = PATH, digest: str = "a" * 64, algorithm: str = "sha256") -> SignedFile:
    kind, flags = FileKind.FILE, {"config": False, "ghost": False, "optional": False}
    return SignedFile(path, kind, 0o755, digest, algorithm, "", "root", **flags)


KEY = PinnedKey("A" * 40, Trust.SSM_AGENT, "x", DAY, None)
PROOF = SignatureFact(SignatureOutcome.GOOD, "", "A" * 16, "sha256", DAY, KEY)
PACKAGE = SignedPackage(
    Channel.RPM, AGENT_PACKAGE, "3.3.1.0", "x", "x86_64", (signed(),), PROOF, "database"
)


def files(*found: tuple[SignedFile, str | None]) -> FileFacts:
    return FileFacts(
        tuple(InstalledFile(item, None, digest) for item, digest in found), (), StartFacts(), (), ()
    )


def test_what_verified_completely_is_remembered() -> None:
    assert verified_version((PACKAGE,), files((signed(), "a" * 64))) == version(1)


@pytest.mark.parametrize(
    ("packages", "found"),
    [
        ((), files((signed(), "a" * 64))),
        ((PACKAGE, PACKAGE), files((signed(), "a" * 64))),
        ((PACKAGE,), files()),
        ((PACKAGE,), files((signed(), "b" * 64))),
        ((PACKAGE,), files((signed(), None))),
        ((PACKAGE,), files((signed(algorithm="sha1"), "a" * 64))),
        ((replace(PACKAGE, files=()),), files()),
        ((replace(PACKAGE, name="other"),), files((signed(), "a" * 64))),
        (
            (replace(PACKAGE, signature=replace(PROOF, outcome=SignatureOutcome.BAD)),),
            files((signed(), "a" * 64)),
        ),
        (
            (replace(PACKAGE, signature=replace(PROOF, algorithm="sha1")),),
            files((signed(), "a" * 64)),
        ),
        (
            (replace(PACKAGE, files=(signed(), signed("/usr/bin/ssm-cli"))),),
            files((signed(), "a" * 64)),
        ),
    ],
)
def test_a_gap_in_the_proof_is_not_remembered(
    packages: tuple[SignedPackage, ...], found: FileFacts
) -> None:
    assert verified_version(packages, found) is None


def test_a_proven_snap_is_remembered_by_the_programs_of_its_blob() -> None:
    installed = Installation(Channel.SNAP, "3.3.200.0", "amazon-ssm-agent_7993", PATH)
    found = verified_snap((installed,), {PATH: "a" * 64})
    assert found == VerifiedVersion("3.3.200.0", ((PATH, "a" * 64),))
    assert verified_snap((installed,), None) is None
    assert verified_snap((installed,), {}) is None
    assert verified_snap((installed, installed), {PATH: "a" * 64}) is None
