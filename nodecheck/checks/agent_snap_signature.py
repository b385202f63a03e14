"""Judge whether the agent's snap is what Canonical's store signed for Amazon.

The chain of a snap ends at Canonical's root, not at Amazon's key: the store vouches that the blob
is a revision of a snap of a publisher. Which publisher is Amazon's nobody has published, so without
ids that the operator pinned the answer is never ``ok``, but ``unknown`` with the ids to compare.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from nodecheck.checks.proof import Problem, conclude, problem
from nodecheck.model.snap import SnapOutcome, SnapPin
from nodecheck.model.trust import AGENT_PACKAGE
from nodecheck.model.verdict import Evidence, Finding, Fix, Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from nodecheck.model.snap import SnapChain, SnapPolicy, SnapProof, SnapProofs
    from nodecheck.model.verdict import Verdict

CHECK_ID: Final = "agent.signature"
EXPLANATION: Final = """\
WHAT IS JUDGED OF A SNAP
  The assertions that snapd keeps, from Canonical's pinned root over the store's key to the
  snap-declaration (name, publisher) and the snap-revision (digest, size) of the blob in
  /var/lib/snapd/snaps; that this blob is what is mounted, read-only, and its programs too.

LIMITS OF A SNAP
  unknown  not-observed: an assertion, the blob or its loop device could not be read, or the blob
           was changed after it was mounted
           unsupported-signature: of a kind that nodecheck cannot check
           publisher-not-pinned: set trust.snap_ids to SNAP-ID@PUBLISHER-ID, as
           snap info --verbose and snap known snap-declaration show them on a node that you trust
  crit     bad-signature: an assertion is not what its key signed
           unsigned: no assertion for the blob: it was changed, or installed with --dangerous
           wrong-package, wrong-revision, wrong-publisher: signed, but not what is expected here
           dated-in-future: signed later than now
           mount: another blob or a folder is mounted
           blob-writable: others than root can change the blob
  The mount is bound to the blob by device and inode of the file behind its loop device. What the
  kernel keeps of a mount in memory is not read again: root can mount another blob, and then write
  the genuine bytes in place or exchange the file of the device. A blob that changed after the mount
  is told where the kernel still knows when the device was set up and the clock was not set back.
"""

_LIMIT: Final = "signed by the store for a pinned publisher, and mounted"
_GRACE: Final = timedelta(days=1)
_OTHERS_WRITE: Final = 0o022
_REINSTALL: Final = Fix(
    "snap remove amazon-ssm-agent && snap install amazon-ssm-agent --classic", disruptive=True
)
_OUTCOMES: Final = {
    SnapOutcome.REFUSED: (Status.CRIT, "bad-signature"),
    SnapOutcome.UNSIGNED: (Status.CRIT, "unsigned"),
    SnapOutcome.UNSUPPORTED: (Status.UNKNOWN, "unsupported-signature"),
    SnapOutcome.NOT_OBSERVED: (Status.UNKNOWN, "not-observed"),
}


def judge(snaps: SnapProofs, policy: SnapPolicy, now: datetime | None) -> Verdict:
    """Return the verdict on the installed snaps of the agent; ``now`` is corrected time."""
    problems = [
        found
        for proof in snaps.proofs
        for found in (*_judge_chain(proof, policy, now), *_judge_mount(proof))
    ]
    if not snaps.proofs:
        problems = [problem(Status.UNKNOWN, "not-observed", "no snap of the agent was looked at")]
    text = ", ".join(f"{proof.label} is signed by the store" for proof in snaps.proofs)
    evidence = tuple(item for proof in snaps.proofs for item in _evidence(proof))
    return conclude(CHECK_ID, text, tuple(problems), evidence, _LIMIT)


def signed_programs(snaps: SnapProofs, policy: SnapPolicy) -> Mapping[str, str] | None:
    """Return the SHA-256 of each program by path, None where a link of the proof is missing."""
    proven = [
        proof
        for proof in snaps.proofs
        if not _judge_chain(proof, policy, None) and not _judge_mount(proof)
    ]
    if not proven or len(proven) != len(snaps.proofs):
        return None
    return {path: sha256 for proof in proven for path, sha256 in proof.programs}


def _judge_chain(proof: SnapProof, policy: SnapPolicy, now: datetime | None) -> list[Problem]:
    if proof.chain is None:
        status, reason = _OUTCOMES.get(proof.outcome, (Status.UNKNOWN, "not-observed"))
        fix = _REINSTALL if status is Status.CRIT else None
        return [Problem(status, Finding(reason, f"{proof.label}: {proof.detail}"), fix)]
    found = [
        Problem(Status.CRIT, Finding(reason, f"{proof.label}: {text}"), _REINSTALL)
        for wrong, reason, text in _contradictions(proof, proof.chain, now)
        if wrong
    ]
    return [*found, *_judge_publisher(proof, proof.chain, policy)]


def _contradictions(
    proof: SnapProof, chain: SnapChain, now: datetime | None
) -> tuple[tuple[bool, str, str], ...]:
    installed = proof.label.rpartition("_")[2]
    return (
        (
            chain.name != AGENT_PACKAGE,
            "wrong-package",
            f"its blob is signed as {chain.name}",
        ),
        (
            str(chain.revision) != installed,
            "wrong-revision",
            f"its blob is signed as revision {chain.revision}",
        ),
        (
            now is not None and chain.signed_at > now + _GRACE,
            "dated-in-future",
            f"signed on {chain.signed_at:%Y-%m-%d}, true time is earlier",
        ),
    )


def _judge_publisher(proof: SnapProof, chain: SnapChain, policy: SnapPolicy) -> list[Problem]:
    pin = SnapPin(chain.snap_id, chain.publisher_id)
    if pin in policy.pins:
        return []
    ids = f"{pin.snap_id}@{pin.publisher_id}"
    if policy.pins:
        text = f"{proof.label}: is {ids}, which trust.snap_ids does not name"
        return [Problem(Status.CRIT, Finding("wrong-publisher", text), _REINSTALL)]
    text = f"{proof.label}: signed by the store, but nobody has pinned whose snap {ids} is"
    command = f"snap known snap-declaration snap-name={AGENT_PACKAGE}"
    fix = Fix(f'{command}   # compare, then set trust.snap_ids = ["{ids}"]')
    return [Problem(Status.UNKNOWN, Finding("publisher-not-pinned", text), fix)]


def _judge_mount(proof: SnapProof) -> list[Problem]:
    found: list[Problem] = []
    mount, blob = proof.mount, proof.blob
    if mount.outcome is not SnapOutcome.PROVEN:
        refused = mount.outcome is SnapOutcome.REFUSED
        status = Status.CRIT if refused else Status.UNKNOWN
        reason = "mount" if refused else "not-observed"
        found.append(problem(status, reason, f"{proof.label}: {mount.detail}"))
    for path in proof.foreign:
        text = f"{path}: is no file of the mounted blob"
        found.append(problem(Status.CRIT, "mount", text, path))
    if blob is not None and (blob.uid != 0 or blob.mode & _OTHERS_WRITE):
        text = f"{blob.path}: owner {blob.uid}, mode {blob.mode:04o}: others can write it"
        fix = Fix(f"chown root:root {blob.path} && chmod 600 {blob.path}")
        found.append(Problem(Status.CRIT, Finding("blob-writable", text, blob.path), fix))
    return found


def _evidence(proof: SnapProof) -> tuple[Evidence, ...]:
    found = [
        Evidence("package", proof.label, "snapd"),
        Evidence("signature", proof.outcome.value, "assertions of snapd"),
        Evidence("mount", proof.mount.detail, "/proc/self/mountinfo"),
    ]
    if proof.sha3_384:
        found.append(Evidence("blob_sha3_384", proof.sha3_384, proof.path))
    if proof.chain:
        chain = proof.chain
        found += [
            Evidence("snap_id", chain.snap_id, "snap-declaration"),
            Evidence("publisher_id", chain.publisher_id, "snap-declaration"),
            Evidence("signed_at", chain.signed_at.isoformat(), "snap-revision"),
            Evidence("keys", chain.keys, "account-key"),
        ]
    return tuple(found)
