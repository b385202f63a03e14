"""Prove that the mounted snap of the agent is a blob that the store signed.

snapd keeps the blob in ``/var/lib/snapd/snaps`` and the assertions in files named after their
primary keys. The kernel tells what is mounted where (``/proc/self/mountinfo``) and which file backs
a loop device: by name (``/sys/block/loopN/loop/backing_file``, with ``(deleted)`` where it was
replaced), which another file can bear too, and by device and inode (LOOP_GET_STATUS64).
Assertions choose the names of further files, so these names are checked before they are used.

Sources: asserts/fsbackstore.go of snapcore/snapd; proc_pid_mountinfo(5); drivers/block/loop.c.
"""

from __future__ import annotations

import base64
import posixpath
import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.install import EXECUTABLES, SnapFacts
from nodecheck.model.node import device_number
from nodecheck.model.snap import SnapMount, SnapOutcome, SnapProof, SnapProofs
from nodecheck.records import replace
from nodecheck.trust.packets import TrustError
from nodecheck.trust.snap_assertions import ASSERTION_LIMIT_BYTES, Assertion, read_assertion
from nodecheck.trust.snap_chain import KEYS_LIMIT, SERIES, prove_blob, read_roots
from nodecheck.trust.snap_roots import ROOTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.host.door import Files, LoopStatus
    from nodecheck.model.agent import Installation
    from nodecheck.model.node import FileDigest, FileState
    from nodecheck.model.snap import SnapChain
    from nodecheck.trust.snap_assertions import AccountKey

BLOBS: Final = "/var/lib/snapd/snaps"
ASSERTIONS: Final = "/var/lib/snapd/assertions/asserts-v0"
MOUNTINFO: Final = "/proc/self/mountinfo"
MOUNTINFO_LIMIT_BYTES: Final = 4 * 1024 * 1024
TEXT_LIMIT_BYTES: Final = 8 * 1024
VERSIONS_LIMIT: Final = 16

_LOOP_MAJOR: Final = 7
_ACTIVE: Final = re.compile(r"active(\.[0-9]{1,3})?")
_SNAP_ID: Final = re.compile(r"[A-Za-z0-9]{1,64}")
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{64}")
_MOUNT: Final = re.compile(
    r"[0-9]+ [0-9]+ ([0-9]{1,9}):([0-9]{1,9}) (\S+) (\S+) (\S+)(?: [a-z_]+:[0-9]+)* - (\S+) .*"
)


def look(files: Files, snaps: SnapFacts, roots: tuple[str, ...] = ROOTS) -> SnapProofs:
    """Return what is proven about each mounted snap of the agent.

    Raises:
        TrustError: a root is damaged, which is a bug.
    """
    if not snaps.installations:
        return SnapProofs(())
    trusted = read_roots(roots)
    return SnapProofs(tuple(_prove(files, item, trusted) for item in snaps.installations))


def _prove(files: Files, install: Installation, roots: Mapping[str, AccountKey]) -> SnapProof:
    path = f"{BLOBS}/{install.package}.snap"
    folder = posixpath.dirname(install.executable)
    blob: FileDigest | None = None
    chain: SnapChain | None = None
    try:
        blob = files.digest(path, "sha3_384")
        chain = _follow(files, blob, roots)
        outcome, detail = SnapOutcome.PROVEN, "signed by the store"
    except TrustError as exc:
        outcome = SnapOutcome.UNSUPPORTED if exc.unsupported else SnapOutcome.REFUSED
        detail = str(exc)
    except Absent as exc:
        outcome = SnapOutcome.UNSIGNED if blob else SnapOutcome.NOT_OBSERVED
        detail = f"no assertion for its digest: {exc}" if blob else str(exc)
    except ProbeError as exc:
        outcome, detail = SnapOutcome.NOT_OBSERVED, str(exc)
    mount = _look_at_mount(files, folder, path, blob.state if blob else None)
    programs, foreign = _read_programs(files, folder, mount.device)
    return SnapProof(
        label=install.package,
        path=path,
        blob=blob.state if blob else None,
        sha3_384=blob.hex if blob else "",
        outcome=outcome,
        detail=detail,
        chain=chain,
        mount=mount,
        programs=programs,
        foreign=foreign,
    )


def _follow(files: Files, blob: FileDigest, roots: Mapping[str, AccountKey]) -> SnapChain:
    """Fetch the assertions from the blob's digest up to a root, and prove them."""
    name = base64.urlsafe_b64encode(bytes.fromhex(blob.hex)).decode()
    revision = _fetch(files, "snap-revision", name)
    snap_id = revision.text("snap-id")
    if not _SNAP_ID.fullmatch(snap_id):
        msg = f"unusual snap-id {snap_id[:64]!r}"
        raise TrustError(msg, unsupported=True)
    declaration = _fetch(files, "snap-declaration", f"{SERIES}/{snap_id}")
    keys: dict[str, Assertion] = {}
    for assertion in (revision, declaration):
        key_id = assertion.text("sign-key-sha3-384")
        while key_id not in {*roots, *keys} and len(keys) < 2 * KEYS_LIMIT:
            if not _KEY_ID.fullmatch(key_id):
                msg = f"unusual key id {key_id[:64]!r}"
                raise TrustError(msg)
            keys[key_id] = _fetch(files, "account-key", key_id)
            key_id = keys[key_id].text("sign-key-sha3-384")
    return prove_blob(blob.hex, blob.state.size, (revision, declaration), keys, roots)


def _fetch(files: Files, kind: str, name: str) -> Assertion:
    """Return the newest stored revision of an assertion; each format has a file of its own."""
    folder = f"{ASSERTIONS}/{kind}/{name}"
    found = [
        read_assertion(files.read(f"{folder}/{entry}", ASSERTION_LIMIT_BYTES), kind)
        for entry in files.listing(folder, VERSIONS_LIMIT)
        if _ACTIVE.fullmatch(entry)
    ]
    if not found:
        msg = f"{folder}: holds no assertion"
        raise Absent(msg)
    return max(found, key=lambda item: item.number("revision") if "revision" in item.headers else 0)


def _look_at_mount(files: Files, folder: str, path: str, blob: FileState | None) -> SnapMount:
    device = 0
    try:
        mountinfo = files.read(MOUNTINFO, MOUNTINFO_LIMIT_BYTES).decode("utf-8", "replace")
        mount = judge_mount(mountinfo, folder, path, _backing_file(files, mountinfo, folder))
        device = mount.device
        found = _find_mount(mountinfo, folder)
        if mount.outcome is not SnapOutcome.PROVEN or found is None:
            return mount
        if blob is None:
            return replace(mount, outcome=SnapOutcome.NOT_OBSERVED, detail=f"{path}: not read")
        loop = f"loop{int(found[2])}"
        status = files.loop_status(f"/dev/{loop}")
        bound_ns = files.state(f"/sys/block/{loop}/loop").ctime_ns
        return judge_loop(mount, blob, status, bound_ns)
    except ProbeError as exc:
        return SnapMount(SnapOutcome.NOT_OBSERVED, str(exc), device)


def judge_loop(mount: SnapMount, blob: FileState, loop: LoopStatus, bound_ns: int) -> SnapMount:
    """Return the mount, proven only where its loop device holds the whole blob that was read.

    ``bound_ns`` is when the kernel was first asked about the file of the device, at the earliest
    when it was set up: a blob that changed later may differ from what the kernel keeps in memory.
    """
    if (loop.device, loop.inode, loop.offset, loop.size_limit) != (blob.device, blob.inode, 0, 0):
        text = f"the file behind the mount is not the one at {blob.path}, or a part of it"
        return replace(mount, outcome=SnapOutcome.REFUSED, detail=text)
    if blob.ctime_ns >= bound_ns:  # the same: within one tick of the kernel's clock
        text = (
            f"{blob.path} was changed after it was mounted: what runs may be older; mount it anew"
        )
        return replace(mount, outcome=SnapOutcome.NOT_OBSERVED, detail=text)
    return mount


def _backing_file(files: Files, mountinfo: str, folder: str) -> str:
    found = _find_mount(mountinfo, folder)
    if found is None or int(found[1]) != _LOOP_MAJOR:
        return ""
    path = f"/sys/block/loop{int(found[2])}/loop/backing_file"
    return files.read(path, TEXT_LIMIT_BYTES).decode("utf-8", "replace").removesuffix("\n")


def judge_mount(mountinfo: str, folder: str, blob: str, backing: str) -> SnapMount:
    """Return whether a folder is a read-only mount of this blob; ``backing`` is its loop's file.

    Raises:
        ProbeError: the table of mounts is not understood.
    """
    found = _find_mount(mountinfo, folder)
    if found is None:
        return SnapMount(SnapOutcome.REFUSED, f"{folder} is no mount")
    device = device_number(int(found[1]), int(found[2]))
    if found[6].startswith("fuse"):
        text = f"{folder} is a {found[6]} mount, whose backing the kernel does not tell"
        return SnapMount(SnapOutcome.UNSUPPORTED, text, device)
    read_only = "ro" in found[5].split(",")
    if found[6] != "squashfs" or found[3] != "/" or not read_only or not backing:
        text = f"{folder} is no read-only squashfs of a loop device, but {found[6]} ({found[5]})"
        return SnapMount(SnapOutcome.REFUSED, text, device)
    if backing != blob:
        text = f"{folder} is mounted from {backing}, expected {blob}"
        return SnapMount(SnapOutcome.REFUSED, text, device)
    return SnapMount(SnapOutcome.PROVEN, f"{folder} is mounted from {blob}", device)


def _find_mount(mountinfo: str, folder: str) -> re.Match[str] | None:
    """Return the last mount on a folder: it covers the earlier ones.

    Raises:
        ProbeError: a line that names the folder is not understood.
    """
    found: re.Match[str] | None = None
    for line in mountinfo.split("\n"):
        if folder not in line.split(" "):
            continue
        match = _MOUNT.fullmatch(line)
        if match is None or not mountinfo.endswith("\n"):
            msg = f"{MOUNTINFO}: not understood: {line[:100]!r}"
            raise ProbeError(msg, "not-understood")
        found = match if match[4] == folder else found
    return found


def _read_programs(
    files: Files, folder: str, device: int
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    programs: list[tuple[str, str]] = []
    foreign: list[str] = []
    for path in (f"{folder}/{name}" for name in EXECUTABLES if device):
        try:
            found = files.digest(path, "sha256")
        except ProbeError:
            continue  # what is not there does not run; what runs is read from its process
        if found.state.device == device:
            programs.append((path, found.hex))
        else:
            foreign.append(path)
    return tuple(programs), tuple(foreign)
