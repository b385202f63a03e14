"""Tell whether the agent started at boot before the clock was right.

Proof is AWS's own refusal: its text carries the server's time, and that lies in the first minutes
of this boot, while the agent's unit waits for no unit of time. That the order is missing is alone
no trouble: Amazon ships the unit without it, and most clocks are right at boot
(aws/amazon-ssm-agent issues 546 and 616).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from nodecheck.checks.clock_words import human
from nodecheck.model.clock import Discipline
from nodecheck.model.verdict import Finding, Fix

if TYPE_CHECKING:
    from nodecheck.model.clock import ClockFacts
    from nodecheck.model.discipline import DisciplineFacts
    from nodecheck.model.skew import SkewRefusal

EARLY: Final = timedelta(minutes=15)
"""The agent signs its first request when it starts, and then every five minutes."""

WAITERS: Final = {
    Discipline.CHRONY: "chrony-wait",
    Discipline.TIMESYNCD: "systemd-time-wait-sync",
    Discipline.NTPD: "ntpsec-wait",
}
"""What makes time-sync.target wait for the daemon (systemd.special(7))."""


def agent_before_time(
    facts: DisciplineFacts, clock: ClockFacts | None, refusal: SkewRefusal | None
) -> tuple[Finding, tuple[Fix, ...]] | None:
    """Return what to say of an agent that AWS refused right after boot; None: nothing proven."""
    estimate = clock.estimate if clock else None
    unit = facts.setup.agent_unit
    if estimate is None or refusal is None or not unit or facts.setup.agent_after:
        return None
    after_boot = refusal.server_at - estimate.corrected.at(0)
    if not timedelta(0) <= after_boot <= EARLY:
        return None
    side = "slow" if refusal.is_slow else "fast"
    waited = human(after_boot.total_seconds())
    text = (
        f"AWS refused the agent {waited} after boot, when its clock was still {side}: "
        f"{unit} does not wait for the time"
    )
    return Finding("agent-before-time", text), (_order(facts, unit),)


def _order(facts: DisciplineFacts, unit: str) -> Fix:
    """Return the command that makes the agent wait for the time, and something that tells it."""
    folder = f"/etc/systemd/system/{unit}.d"
    text = "[Unit]\\nWants=time-sync.target\\nAfter=time-sync.target\\n"
    write = f"mkdir -p {folder} && printf '{text}' > {folder}/time.conf"
    waiter = WAITERS.get(facts.main, "systemd-time-wait-sync")
    return Fix(f"{write} && systemctl daemon-reload && systemctl enable {waiter}")
