"""Keep back a bad verdict while an update of the agent is under way.

Files that are half replaced are neither proof of health nor of tampering, so what was judged bad is
``unknown`` then. The finding names the lock, who holds it and for how long, and the evidence keeps
what was judged: a lock that somebody holds for ever hides nothing. An ``ok`` stays, because it was
proven whatever else went on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.verdict import Evidence, Finding, Status, Verdict
from nodecheck.records import replace

if TYPE_CHECKING:
    from nodecheck.model.update_window import UpdateWindow

REASON: Final = "update-in-progress"


def temper(verdict: Verdict, window: UpdateWindow) -> Verdict:
    """Return the verdict, or ``unknown`` where it is bad and an update was under way."""
    if not verdict.findings:
        return verdict
    if not window.signs:
        notes = (Evidence("update_not_seen", window.unobserved),) if window.unobserved else ()
        return replace(verdict, evidence=(*verdict.evidence, *notes))
    signs = "; ".join(sign.text for sign in window.signs)
    text = f"judged {verdict.status.value} ({verdict.message}) during an update: {signs}"
    judged = tuple(f"{item.reason}: {item.message}" for item in verdict.findings)
    return Verdict.of(
        verdict.check_id,
        Status.UNKNOWN,
        (Finding(REASON, text),),
        evidence=(
            Evidence("judged", verdict.status.value),
            Evidence("judged_findings", judged),
            Evidence("update_signs", tuple(sign.subject for sign in window.signs)),
            *verdict.evidence,
        ),
        limit=verdict.limit,
    )
