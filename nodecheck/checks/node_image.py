"""Judge whether a machine image is free of what belongs to the node that it was built on.

Every node started from an image has what was baked into it: a hybrid registration makes all of them
act as one managed node, credentials are shared with whoever starts it, and the agent's logs and
orchestration folders hold documents and their parameters in plain text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks import windows_fix
from nodecheck.model.agent_place import WINDOWS, is_windows
from nodecheck.model.image import Baked
from nodecheck.model.verdict import Evidence, Finding, Fix, SkipReason, Status, Verdict

if TYPE_CHECKING:
    from nodecheck.model.image import ImageFacts, Leftover

ID: Final = "node.image"
QUESTION: Final = "is this image free of registrations, credentials and logs of its builder?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  Only with --ami (run.stage = "image"), as a gate before an image is taken: files that belong to
  the node on which it was built. They are found by name and never read.

LIMITS
  ok       nothing of the kind is there, and every place could be looked at
  warn     logs-baked-in: logs of the agent, which hold documents and parameters in plain text;
           node-data-baked-in: folders of a node id, identity_config.json. While Systems Manager
           itself builds the image the agent writes them until the end: remove them in the last
           step, or let this gate fail only on crit (--fail-on crit)
  unknown  not-observed: a place could not be looked at
  crit     registration-baked-in: registration or vault of a node: every clone acts as that node;
           credentials-baked-in: credentials of the agent or of root
  At most 20 paths are listed, the rest is counted.
  With --ami the checks that need a registration are skipped, and an agent that does not run, or
  waits for credentials without a worker, is no problem; whether the image's agent is genuine,
  recent and enabled is judged as on a node.

HOW TO MEND
  Stop the agent, then remove its registration, data and logs; it makes them anew on the new node.

SOURCES
  https://docs.aws.amazon.com/systems-manager/latest/userguide/ami-preinstalled-agent.html
  https://github.com/aws/amazon-ssm-agent, issues 381 and 484 (one identity on many nodes)
"""

LISTED: Final = 20
RANKS: Final = {
    Baked.REGISTRATION: Status.CRIT,
    Baked.CREDENTIALS: Status.CRIT,
    Baked.DATA: Status.WARN,
    Baked.LOGS: Status.WARN,
}
WORDS: Final = {
    Baked.REGISTRATION: "belongs to the registration of the node that built this image",
    Baked.CREDENTIALS: "holds credentials, or says where they are",
    Baked.DATA: "belongs to the node that built this image",
    Baked.LOGS: "is a log of the node that built this image",
}


def judge(facts: ImageFacts, *, is_image: bool) -> Verdict:
    """Return the verdict; on a node that is no image being built nothing is judged."""
    if not is_image:
        text = "no image is being built here (--ami)"
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, text)
    ranked = sorted(facts.leftovers, key=lambda item: -RANKS[item.kind].severity)
    findings = [_finding(item) for item in ranked[:LISTED]]
    if len(ranked) > LISTED:
        more = f"{len(ranked) - LISTED} more paths of the same kinds"
        findings.append(Finding(ranked[-1].kind.value, more))
    findings += [Finding("not-observed", f"could not look: {text}") for text in facts.unread]
    evidence = (
        Evidence("leftovers", len(ranked)),
        Evidence("looked_at", facts.looked_at),
    )
    if not findings:
        return Verdict.ok(ID, "nothing of the building node is left", evidence)
    statuses = [RANKS[item.kind] for item in ranked] + [Status.UNKNOWN for _ in facts.unread]
    status = max(statuses, key=lambda item: item.severity)
    if status is Status.UNKNOWN:
        findings.sort(key=lambda item: item.reason != "not-observed")
    fixes = _fixes(facts.leftovers)
    return Verdict.of(ID, status, tuple(findings), evidence=evidence, fixes=fixes)


def _finding(item: Leftover) -> Finding:
    return Finding(item.kind.value, f"{item.path} {WORDS[item.kind]}", item.path)


def _fixes(leftovers: tuple[Leftover, ...]) -> tuple[Fix, ...]:
    kinds = {item.kind for item in leftovers}
    if any(is_windows(item.path) for item in leftovers):
        return _windows_fixes(leftovers)
    removed = []
    if kinds & {Baked.REGISTRATION, Baked.DATA}:
        removed.append("/var/lib/amazon/ssm/*")
    if Baked.LOGS in kinds:
        removed.append("/var/log/amazon/ssm/*")
    removed += [item.path for item in leftovers if item.kind is Baked.CREDENTIALS]
    if not removed:
        return ()
    stop = "systemctl stop 'amazon-ssm-agent*' 'snap.amazon-ssm-agent*'"
    return (Fix(f"{stop}; rm -rf {' '.join(dict.fromkeys(removed))}", disruptive=True),)


def _windows_fixes(leftovers: tuple[Leftover, ...]) -> tuple[Fix, ...]:
    kinds = {item.kind for item in leftovers}
    removed = [item.path for item in leftovers if item.kind is Baked.CREDENTIALS]
    if kinds & {Baked.REGISTRATION, Baked.DATA}:
        removed += [f"{WINDOWS.instances}/*", f"{WINDOWS.data}/runtimeconfig/*"]
    if Baked.LOGS in kinds:
        removed.append(f"{WINDOWS.logs}/*")
    return (windows_fix.remove(tuple(removed)),) if removed else ()
