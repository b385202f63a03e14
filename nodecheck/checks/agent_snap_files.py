"""Judge what surrounds the agent of a snap: its own files are those of the blob that is mounted.

The blob is read-only and proven whole (``agent_snap_signature``), so its programs are the signed
bytes. What snapd, systemd and the agent read besides nobody signs: the unit file that snapd writes,
its drop-ins, /etc/environment, and the agent's own configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks import agent_snap_signature
from nodecheck.checks.file_safety import judge_places
from nodecheck.checks.proof import Problem, conclude, problem
from nodecheck.checks.unit_start import judge_manager, judge_snap_unit
from nodecheck.model.verdict import Evidence, Finding, Fix, Status

if TYPE_CHECKING:
    from nodecheck.model.snap import SnapPolicy, SnapProofs
    from nodecheck.model.trust import FileFacts
    from nodecheck.model.verdict import Verdict

CHECK_ID: Final = "agent.files"
EXPLANATION: Final = """\
WHAT IS JUDGED OF A SNAP
  That its programs lie in the mounted blob that the store signed (agent.signature), and everything
  that is read besides: the unit file that snapd writes (ExecStart=/usr/bin/snap run
  amazon-ssm-agent), its drop-ins, /etc/environment, the agent's own configuration, and who may
  change snapd's programs /usr/bin/snap, snap-confine and snap-exec. These are the distribution's:
  that only root can change them is judged, what they are is not. What runs in the end is proven by
  agent.running.

LIMITS OF A SNAP
  As above; start-overridden: another ExecStart, or a variable that steers the loader, also in
  /etc/environment. unproven-digests: the blob or its mount is not proven.
"""

_LIMIT: Final = "in the signed blob; root's alone to change"


def judge(snaps: SnapProofs, policy: SnapPolicy, files: FileFacts) -> Verdict:
    """Return the verdict on the installed snaps of the agent and on what starts them."""
    signed = agent_snap_signature.signed_programs(snaps, policy)
    problems = [problem(Status.UNKNOWN, "not-observed", note) for note in files.unobserved]
    problems += [item for unit in files.start.units for item in judge_snap_unit(unit)]
    problems += [item for unit in files.start.manager for item in judge_manager(unit)]
    problems += judge_places(files)
    if signed is None:
        problems.append(_unproven(snaps, policy))
    elif not signed:
        problems.append(problem(Status.UNKNOWN, "no-files", "the snap holds no program"))
    units = tuple(unit.path for unit in files.start.units)
    evidence = (
        Evidence("packages", tuple(proof.label for proof in snaps.proofs), "snapd"),
        Evidence("programs", tuple(sorted(signed or ())), "mounted blob"),
        Evidence("units", units, "systemd unit folders"),
    )
    text = f"{len(signed or ())} programs are those of the signed snap"
    return conclude(CHECK_ID, text, tuple(problems), evidence, _LIMIT)


def _unproven(snaps: SnapProofs, policy: SnapPolicy) -> Problem:
    """Return that nothing is proven about the programs; as bad as the signature is."""
    verdict = agent_snap_signature.judge(snaps, policy, None)
    status = verdict.status if verdict.status is Status.CRIT else Status.UNKNOWN
    text = f"its programs are not proven to be the signed ones ({verdict.message})"
    fix = Fix("nodecheck --only agent.signature")
    return Problem(status, Finding("unproven-digests", text), fix)
