"""The chain from a root over the store to a blob: what holds, and every link that does not."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.agent_snap_signature import EXPLANATION, judge, signed_programs
from nodecheck.host.door import LoopStatus
from nodecheck.model.agent import Channel, Installation
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.install import SnapFacts
from nodecheck.model.moment import EPOCH
from nodecheck.model.node import FileState, device_number
from nodecheck.model.snap import SnapOutcome, SnapPin, SnapPolicy, SnapProof, SnapProofs
from nodecheck.probes import agent_snap_proof
from nodecheck.records import replace
from nodecheck.trust.packets import TrustError
from nodecheck.trust.snap_assertions import read_account_key, read_assertion
from nodecheck.trust.snap_chain import prove_blob, read_roots
from nodecheck.trust.snap_roots import CANONICAL, ROOTS
from tests.fake_host import FakeFiles, file_state
from tests.snap_maker import (
    ATTACKER,
    ATTACKER_STORE,
    FOLDER,
    PUBLISHER,
    ROOT,
    SNAP_ID,
    STORE,
    SnapKey,
    Store,
    coded,
    declaration,
    digest_name,
    revision,
    root_text,
)
from tests.trust_maker import make_key

if TYPE_CHECKING:
    from nodecheck.model.verdict import Verdict

BLOB = b"hsqs" + bytes(range(256)) * 64
PATH = "/var/lib/snapd/snaps/amazon-ssm-agent_7993.snap"
MOUNT = "/snap/amazon-ssm-agent/7993"
CORE = f"{MOUNT}/amazon-ssm-agent"
DEVICE = device_number(7, 3)
LOOP = LoopStatus(1, 4711, 0, 0, read_only=True)
BOUND = "/sys/block/loop3/loop"
SNAPS = SnapFacts((Installation(Channel.SNAP, "3.3.1.0", "amazon-ssm-agent_7993", CORE),))
MOUNTINFO = f"""\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
90 22 7:3 / {MOUNT} ro,nodev,relatime shared:48 - squashfs /dev/loop3 ro,errors=continue
"""
PINNED = SnapPolicy((SnapPin(SNAP_ID, PUBLISHER),))
REVISION = f"snap-revision/{digest_name(BLOB)}/active"
DECLARATION = f"snap-declaration/16/{SNAP_ID}/active.4"
STORE_KEY = f"account-key/{STORE.key_id}/active"


def node(
    parts: dict[str, bytes] | None = None, blob: bytes = BLOB, mountinfo: str = MOUNTINFO
) -> FakeFiles:
    contents: dict[str, bytes | ProbeError] = {
        PATH: blob,
        "/proc/self/mountinfo": mountinfo.encode(),
        "/sys/block/loop3/loop/backing_file": PATH.encode() + b"\n",
        CORE: b"agent",
        **Store(BLOB, parts or {}).files(),
    }
    states: dict[str, FileState | ProbeError] = {
        PATH: file_state(PATH, mode=0o600, size=len(blob), inode=LOOP.inode),
        BOUND: file_state(BOUND, ctime_ns=10**18),
        CORE: file_state(CORE, device=DEVICE),
    }
    return FakeFiles(contents, states, loops={"/dev/loop3": LOOP})


def prove(files: FakeFiles, *roots: str) -> SnapProof:
    (proof,) = agent_snap_proof.look(files, SNAPS, roots or (root_text(),)).proofs
    return proof


def verdict(files: FakeFiles, policy: SnapPolicy = PINNED) -> Verdict:
    return judge(SnapProofs((prove(files),)), policy, None)


def test_canonicals_root_is_the_published_one_and_signed_itself() -> None:
    (key,) = read_roots(ROOTS).values()
    assert key.key_id == "-CvQKAwRQ5h3Ffn10FILJoEZUXOv6km9FwA80-Rcj-f-6jadQ89VRswHNiEB9Lxk"
    assert key.public.modulus.bit_length() == 8192
    sha256 = "65afc7baf1d861ba61c32e6f404cc3a157e9ba503095a4dda9d7ee499a630d5d"
    assert hashlib.sha256(CANONICAL.encode()).hexdigest() == sha256
    with pytest.raises(TrustError, match="not signed"):
        read_roots((CANONICAL.replace("since: 2016", "since: 2015"),))
    with pytest.raises(TrustError, match="is not"):
        read_roots((CANONICAL.replace("-CvQ", "-DvQ"),))


def test_a_whole_chain_is_proven() -> None:
    proof = prove(node())
    assert (proof.outcome, proof.mount.outcome) == (SnapOutcome.PROVEN, SnapOutcome.PROVEN)
    assert proof.chain
    assert (proof.chain.snap_id, proof.chain.publisher_id) == (SNAP_ID, PUBLISHER)
    assert proof.chain.keys == (STORE.key_id, ROOT.key_id)
    assert proof.programs == ((CORE, hashlib.sha256(b"agent").hexdigest()),)
    proofs = SnapProofs((proof,))
    assert judge(proofs, PINNED, None).status.value == "ok"
    assert signed_programs(proofs, PINNED) == dict(proof.programs)


def test_without_a_pinned_publisher_it_is_never_ok() -> None:
    proofs = SnapProofs((prove(node()),))
    found = judge(proofs, SnapPolicy(), None)
    assert (found.status.value, found.reason) == ("unknown", "publisher-not-pinned")
    assert f"{SNAP_ID}@{PUBLISHER}" in found.message
    assert f'snap_ids = ["{SNAP_ID}@{PUBLISHER}"]' in found.fixes[0].command
    assert signed_programs(proofs, SnapPolicy()) is None
    other = SnapPolicy((SnapPin(SNAP_ID, "somebody"), SnapPin("c" * 32, PUBLISHER)))
    assert judge(proofs, other, None).reason == "wrong-publisher"
    assert signed_programs(proofs, other) is None


def test_one_proven_snap_does_not_vouch_for_another() -> None:
    bad = replace(prove(node()), label="amazon-ssm-agent_7992")
    proofs = SnapProofs((prove(node()), bad))
    assert judge(proofs, PINNED, None).reason == "wrong-revision"
    assert signed_programs(proofs, PINNED) is None


def attacker_parts() -> dict[str, bytes]:
    return {
        REVISION: revision(BLOB, ATTACKER_STORE),
        DECLARATION: declaration(ATTACKER_STORE),
        f"account-key/{ATTACKER_STORE.key_id}/active": ATTACKER.vouch(ATTACKER_STORE),
        f"account-key/{ATTACKER.key_id}/active": ATTACKER.vouch(ATTACKER),
    }


class OddKey(SnapKey):
    """A key whose id would lead out of the folder of keys."""

    @property
    def key_id(self) -> str:
        return "../../x"


ODD = OddKey(make_key(19))
LATE = SnapKey(make_key(24))
FOREIGN = SnapKey(make_key(25), "mallory")
LONG = [SnapKey(make_key(26 + number)) for number in range(5)]
EDITED = revision(BLOB).replace(b"snap-revision: 7993", b"snap-revision: 7994")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (attacker_parts(), "more than 4 keys"),  # vouches for itself, without end
        ({REVISION: revision(BLOB, ATTACKER_STORE)}, "not there"),
        ({REVISION: EDITED}, "not signed"),
        (
            {DECLARATION: declaration(publisher_id="x").replace(b": x\n", b": y\n")},
            "not signed",
        ),
        (
            {
                DECLARATION: declaration(ATTACKER_STORE),
                f"account-key/{ATTACKER_STORE.key_id}/active": ROOT.vouch(
                    STORE, public_key_sha3_384=ATTACKER_STORE.key_id
                ),
            },
            "is not",
        ),
        ({REVISION: revision(BLOB).replace(b"\n\nAcL", b"\n\nAUL", 1)}, "packet"),
        ({DECLARATION: declaration(snap_id="c" * 32)}, "another snap"),
        ({DECLARATION: declaration(series="18")}, "another snap"),
        ({DECLARATION: revision(BLOB)}, "expected snap-declaration"),
        ({REVISION: revision(BLOB + b"x")}, "another blob"),
        ({REVISION: revision(BLOB, snap_size="5")}, "another blob"),
        ({REVISION: revision(BLOB, snap_size="-5")}, "no number"),
        ({REVISION: revision(BLOB, timestamp="2015-01-01T00:00:00Z")}, "validity"),
        ({REVISION: revision(BLOB, timestamp="yesterday")}, "no time"),
        ({REVISION: revision(BLOB, timestamp="")}, "without timestamp"),
        ({REVISION: STORE.vouch(LATE)}, "expected snap-revision"),
        ({REVISION: revision(BLOB, ODD)}, "unusual key id"),
        ({DECLARATION: b"", f"snap-declaration/16/{SNAP_ID}/other": b"x"}, "holds no assertion"),
        ({REVISION: revision(BLOB, timestamp="2023-02-31T00:00:00Z")}, "no time"),
        ({REVISION: revision(BLOB, authority_id="mallory")}, "is of 'mallory'"),
        ({STORE_KEY: ROOT.vouch(STORE, until="2020-01-01T00:00:00Z")}, "validity"),
        ({STORE_KEY: ROOT.vouch(STORE, constraints="x")}, "constraints"),
        ({STORE_KEY: ROOT.vouch(LATE)}, "another signing key"),
        ({STORE_KEY: ROOT.vouch(STORE, public_key_sha3_384=LATE.key_id)}, "is not"),
        ({STORE_KEY: ATTACKER.vouch(STORE)}, "not there"),
        (
            {
                REVISION: revision(BLOB, FOREIGN),
                f"account-key/{FOREIGN.key_id}/active": ROOT.vouch(FOREIGN),
            },
            "key of account 'mallory'",
        ),
        (
            {
                REVISION: revision(BLOB, LONG[0]),
                **{
                    f"account-key/{key.key_id}/active": signer.vouch(key)
                    for key, signer in zip(LONG, [*LONG[1:], ROOT], strict=True)
                },
            },
            "more than 4 keys",
        ),
    ],
)
def test_a_broken_link_is_refused(parts: dict[str, bytes], words: str) -> None:
    proof = prove(node(parts))
    assert proof.chain is None
    assert words in proof.detail
    assert judge(SnapProofs((proof,)), PINNED, None).status.value in {"crit", "unknown"}
    assert signed_programs(SnapProofs((proof,)), PINNED) is None


def test_the_attackers_root_is_believed_only_where_it_is_pinned() -> None:
    files = node(attacker_parts())
    assert prove(files, root_text(ATTACKER)).outcome is SnapOutcome.PROVEN
    assert prove(files).outcome is SnapOutcome.REFUSED
    assert prove(files, *ROOTS).outcome is SnapOutcome.REFUSED
    assert prove(node(), *ROOTS).chain is None


def test_a_signature_over_another_digest_is_unsupported() -> None:
    content = revision(BLOB).rpartition(b"\n\n")[0]
    headers = dict(line.split(": ") for line in content.decode().splitlines()[:-1])
    weak = STORE.sign(headers, algorithm="sha1")
    assert prove(node({REVISION: weak})).outcome is SnapOutcome.UNSUPPORTED


def test_a_flipped_byte_of_the_blob_has_no_assertion() -> None:
    blob = bytearray(BLOB)
    blob[100] ^= 1
    found = verdict(node(blob=bytes(blob)))
    assert (found.status.value, found.reason) == ("crit", "unsigned")


@pytest.mark.parametrize("snap_id", ["../../x", "..", "a/b", "x" * 65])
def test_an_assertion_does_not_choose_where_to_read(snap_id: str) -> None:
    proof = prove(node({REVISION: revision(BLOB, snap_id=snap_id)}))
    assert "unusual snap-id" in proof.detail


def test_the_newest_revision_of_an_assertion_counts() -> None:
    older = {f"snap-declaration/16/{SNAP_ID}/active": declaration(publisher_id="old")}
    newer = {DECLARATION: declaration(revision="3")}
    proof = prove(node(older | newer))
    assert proof.chain
    assert proof.chain.publisher_id == PUBLISHER


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({DECLARATION: declaration(snap_name="core22")}, "wrong-package"),
        ({REVISION: revision(BLOB, snap_revision="8000")}, "wrong-revision"),
    ],
)
def test_a_good_signature_over_something_else(parts: dict[str, bytes], reason: str) -> None:
    assert verdict(node(parts)).reason == reason


def test_a_signature_of_the_future() -> None:
    found = judge(SnapProofs((prove(node()),)), PINNED, EPOCH)
    assert found.reason == "dated-in-future"


def mounted(line: str) -> str:
    return MOUNTINFO.splitlines()[0] + "\n" + line + "\n"


GOOD_LINE = MOUNTINFO.splitlines()[1]


@pytest.mark.parametrize(
    ("mountinfo", "status"),
    [
        (mounted(""), "crit"),
        (mounted(GOOD_LINE.replace(" ro,", " rw,")), "crit"),
        (mounted(GOOD_LINE.replace("squashfs", "ext4")), "crit"),
        (mounted(GOOD_LINE.replace("7:3 / ", "7:3 /other ")), "crit"),
        (mounted(GOOD_LINE.replace("7:3", "254:1")), "crit"),
        (mounted(GOOD_LINE.replace("squashfs", "fuse.squashfuse")), "unknown"),
        (mounted(GOOD_LINE.replace("7:3", "7:4")), "unknown"),  # its backing file is not told
        # covered by another mount, also by one that names no source, or an odd one
        (MOUNTINFO + f"91 90 0:9 / {MOUNT} rw - tmpfs  rw\n", "crit"),
        (MOUNTINFO + f"91 90 0:9 / {MOUNT} rw - tmpfs a b c rw\n", "crit"),
        (MOUNTINFO + f"91 90 0:9 / {MOUNT} rw odd! - tmpfs x rw\n", "unknown"),
        (MOUNTINFO + f"91 90 254:1 /evil {MOUNT} rw - ext4 /dev/vda1 rw\n", "crit"),
    ],
)
def test_another_mount_is_no_proof(mountinfo: str, status: str) -> None:
    files = node(mountinfo=mountinfo)
    found = verdict(files)
    assert found.status.value == status
    assert signed_programs(SnapProofs((prove(files),)), PINNED) is None


@pytest.mark.parametrize(
    "backing",
    [PATH + " (deleted)", "/tmp/evil.snap", PATH.replace("7993", "7994"), ""],  # noqa: S108
)
def test_another_backing_file_is_no_proof(backing: str) -> None:
    files = node()
    files.contents["/sys/block/loop3/loop/backing_file"] = backing.encode()
    assert verdict(files).reason == "mount"


@pytest.mark.parametrize(
    "loop",
    [
        replace(LOOP, device=2),
        replace(LOOP, inode=4712),
        replace(LOOP, offset=512),
        replace(LOOP, size_limit=512),
    ],
)
def test_another_file_of_the_same_name_is_no_proof(loop: LoopStatus) -> None:
    files = node()
    files.loops["/dev/loop3"] = loop
    assert (verdict(files).status.value, verdict(files).reason) == ("crit", "mount")
    assert signed_programs(SnapProofs((prove(files),)), PINNED) is None


@pytest.mark.parametrize("changed_ns", [10**18 - 1, 10**18, 10**18 + 1])
def test_a_blob_that_changed_after_the_mount_is_unknown(changed_ns: int) -> None:
    files = node()
    blob = files.states[PATH]
    assert isinstance(blob, FileState)
    files.states[PATH] = replace(blob, ctime_ns=changed_ns)
    late = changed_ns >= 10**18
    assert verdict(files).status.value == ("unknown" if late else "ok")
    assert (signed_programs(SnapProofs((prove(files),)), PINNED) is None) is late
    assert ("changed after it was mounted" in verdict(files).message) is late


@pytest.mark.parametrize("error", [Denied("denied"), ProbeError("no ioctl")])
def test_a_loop_device_that_cannot_be_asked_is_unknown(error: ProbeError) -> None:
    for silent in ("loops", "states"):
        files = node()
        if silent == "loops":
            files.loops["/dev/loop3"] = error
        else:
            files.states[BOUND] = error
        assert (verdict(files).status.value, verdict(files).reason) == ("unknown", "not-observed")
        assert signed_programs(SnapProofs((prove(files),)), PINNED) is None


def test_a_program_from_another_device_is_told() -> None:
    files = node()
    files.states[CORE] = file_state(CORE, device=5)
    found = verdict(files)
    assert (found.reason, found.findings[0].path) == ("mount", CORE)


def test_a_blob_that_others_can_write() -> None:
    for change in ({"mode": 0o666}, {"uid": 1000}):
        files = node()
        blob = files.states[PATH]
        assert isinstance(blob, FileState)
        files.states[PATH] = replace(blob, **change)  # type: ignore[arg-type]
        assert verdict(files).reason == "blob-writable"


def test_what_cannot_be_read_is_unknown() -> None:
    for path in (PATH, f"{FOLDER}/{REVISION}", "/proc/self/mountinfo"):
        files = node()
        files.contents[path] = Denied(f"{path}: permission denied")
        assert (verdict(files).status.value, verdict(files).reason) == ("unknown", "not-observed")
    gone = node()
    del gone.contents[PATH], gone.states[PATH]
    assert verdict(gone).reason == "not-observed"
    assert judge(SnapProofs(()), PINNED, None).status.value == "unknown"
    assert agent_snap_proof.look(FakeFiles(), SnapFacts(())) == SnapProofs(())
    assert signed_programs(SnapProofs(()), PINNED) is None


GOOD = revision(BLOB)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"type: snap-revision\n",
        GOOD[:-400],
        GOOD.rpartition(b"\n\n")[0],
        b"\xff" + GOOD,
        GOOD.replace(b"snap-id:", b"snap-id :"),
        GOOD.replace(b"snap-id:", b"Snap-Id:"),
        GOOD.replace(b"snap-id:", b"  snap-id:"),
        GOOD.replace(b"type:", b"type: x\ntype:"),
        GOOD.replace(b"\n\n", b"\n\nbody\n\n"),
        GOOD.replace(b"type:", b"body-length: 5\ntype:"),
        GOOD.replace(b"type:", b"body-length: x\ntype:"),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD + GOOD,
        b"x" * 600_000,
        GOOD.rpartition(b"\n\n")[0] + b"\n\n" + base64.b64encode(b"\x02xx"),
        GOOD.rpartition(b"\n\n")[0] + b"\n\n!!!!",
        GOOD.rpartition(b"\n\n")[0] + b"\n\nM\xc3\xb6glich",
    ],
)
def test_a_damaged_assertion_is_refused(data: bytes) -> None:
    with pytest.raises(TrustError):
        read_assertion(data, "snap-revision")
    assert prove(node({REVISION: data or b" "})).chain is None


def test_nested_headers_are_signed_but_not_read() -> None:
    nested = "\n  allow-auto-connection:\n    -\n      on-store: x"
    signed = STORE.sign(
        {"type": "snap-declaration", "plugs": nested.join(("", "")) or "x", "series": "16"}
    ).replace(b"plugs: \n", b"plugs:\n")
    assertion = read_assertion(signed, "snap-declaration")
    assert (assertion.headers["plugs"], assertion.text("series")) == ("", "16")


def test_a_key_body_of_two_packets_is_refused() -> None:
    twice = STORE.packed + STORE.packed
    headers = {
        "type": "account-key",
        "public-key-sha3-384": digest_name(b"\x01" + twice),
        "account-id": "canonical",
        "since": "2016-04-01T00:00:00Z",
    }
    assertion = read_assertion(ROOT.sign(headers, coded(twice)), "account-key")
    with pytest.raises(TrustError, match="exactly one"):
        read_account_key(assertion)


def test_a_key_that_is_not_at_hand() -> None:
    parts = tuple(
        read_assertion(data, data[6:].split(b"\n")[0].decode())
        for data in (revision(BLOB), declaration())
    )
    sha3_384 = hashlib.sha3_384(BLOB).hexdigest()
    with pytest.raises(TrustError, match="neither a root"):
        prove_blob(sha3_384, len(BLOB), (parts[0], parts[1]), {}, read_roots(ROOTS))


def test_explains_every_reason_code() -> None:
    source = Path(agent_snap_signature_file()).read_text("utf-8")
    for code in ("publisher-not-pinned", "wrong-publisher", "wrong-revision", "blob-writable"):
        assert code in EXPLANATION
        assert f'"{code}"' in source


def agent_snap_signature_file() -> str:
    from nodecheck.checks import agent_snap_signature

    return agent_snap_signature.__file__
