"""What is no trouble yet: a node before its registration, and an image that is being built.

On a node everything counts. Before registration (``preflight``) what only a registered agent can
have is left out; in an image (``image``) as well, and the agent may be stopped there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.verdict import SkipReason
from nodecheck.records import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.model.verdict import Verdict

ALL: Final = frozenset[str]()
"""Whatever the check finds is left out."""

NO_WORKER: Final = ("worker-starting", "worker-missing")
"""The core starts its worker once it has credentials; an instance without a role never has any."""
NO_IDENTITY: Final = ("auto-restart", "restart-loop", "recently-restarted")
"""Without an identity the core ends, and systemd starts it anew every 90 s."""

UNREGISTERED: Final[Mapping[str, frozenset[str]]] = {
    "node.identity": frozenset({"not-registered"}),
    "node.credentials": frozenset({"no-identity", "not-started", "no-instance-profile"}),
    "agent.channel": ALL,
    "hygiene.agent-update": ALL,
    "hygiene.patch-scan": ALL,
    "agent.running": frozenset({"not-running"}),
    "agent.service": frozenset({"not-running", *NO_WORKER}),
}
EXCUSED: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "node": {},
    "preflight": {
        **UNREGISTERED,
        "agent.installed": frozenset({"not-installed"}),
        "agent.service": frozenset({"not-running", *NO_WORKER, *NO_IDENTITY}),
    },
    "image": UNREGISTERED,
}
WORDS: Final = {"preflight": "before registration", "image": "in an image"}


def excuse(verdict: Verdict, stage: str) -> Verdict:
    """Return the verdict, or a skip where all that it found is to be expected at this stage."""
    excused = EXCUSED[stage].get(verdict.check_id)
    found = {item.reason for item in verdict.findings}
    if excused is None or "internal-error" in found:
        return verdict
    if excused and (not found or not found <= excused):
        return verdict
    text = f"not judged {WORDS[stage]}: {verdict.message}"
    return replace(
        verdict,
        status=verdict.status.SKIP,
        message=text,
        findings=(),
        fixes=(),
        skip_reason=SkipReason.NOT_APPLICABLE,
    )
