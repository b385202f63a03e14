"""Judge how long the pinned key ring will recognise Amazon's signatures.

Amazon's keys live 539 days, and each was made 8 to 41 days before its predecessor expired: 60 days
ahead is early enough to update nodecheck, 7 days is late. Days are judged at corrected time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel
from nodecheck.model.verdict import Evidence, Finding, Fix, SkipReason, Status, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.agent import InstallFacts
    from nodecheck.model.trust import KeyFacts, TrustPolicy

CHECK_ID: Final = "agent.signing-key"
QUESTION: Final = "how long until the newest pinned signing key expires?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  The expiry of the newest key in the ring that Amazon signs the SSM Agent with (the operator's
  newest where the pinned keys are switched off). Once it has expired, new releases are signed by a
  key that this nodecheck does not know. What is installed stays proven: there the date of the
  signature counts.

LIMITS
  ok       more than 60 days left, or the key never expires
  warn     expiring: 60 days or fewer are left
  unknown  time-not-known: the clock could not be measured
           empty-ring: the ring holds no key of Amazon or the operator
  crit     expiring: 7 days or fewer are left
           expired: the newest key has expired
  Not applicable to a node without an agent, to the snap (Canonical's keys) and to Windows
  (Authenticode).

HOW TO MEND
  Update nodecheck. Until then, take the new key from the first page below, compare its fingerprint,
  and name the file in trust.keys of /etc/nodecheck/config.toml. This is the same for rpm and deb.
  nodecheck keys shows the ring.

SOURCES
  https://docs.aws.amazon.com/systems-manager/latest/userguide/verify-agent-signature.html
  https://github.com/aws/amazon-ssm-agent/issues/676
  https://github.com/aws/eks-hybrid/issues/864 (what happens when nobody looks)
"""

_OPENPGP: Final = frozenset({Channel.RPM, Channel.DEB, Channel.BY_HAND})


def judge(
    install: InstallFacts, keys: KeyFacts, policy: TrustPolicy, now: datetime | None
) -> Verdict:
    """Return the verdict on the newest key of the ring; ``now`` is corrected time."""
    limit = f"more than {policy.warn_days} days left"
    if not install.unobserved and not _OPENPGP & {item.channel for item in install.installations}:
        message = "no agent here that Amazon's OpenPGP keys sign"
        return Verdict.skip(CHECK_ID, SkipReason.NOT_APPLICABLE, message)
    newest = keys.newest
    if newest is None:
        finding = Finding("empty-ring", "the ring holds no key of Amazon or the operator")
        return Verdict.of(CHECK_ID, Status.UNKNOWN, (finding,), limit=limit, fixes=_FIXES)
    evidence: tuple[Evidence, ...] = (Evidence("key", newest.fingerprint, newest.owner),)
    if newest.expires_at is None:
        return Verdict.ok(CHECK_ID, "the newest key never expires", evidence, limit)
    evidence += (Evidence("expires_at", newest.expires_at.isoformat(), "key ring"),)
    days_left = keys.days_left(now) if now else None
    if days_left is None:
        text = f"newest key expires at {newest.expires_at:%Y-%m-%d}, the true time is not known"
        finding = Finding("time-not-known", text)
        return Verdict.of(CHECK_ID, Status.UNKNOWN, (finding,), evidence=evidence, limit=limit)
    evidence += (
        Evidence("days_left", round(days_left, 1), "corrected time"),
        Evidence("judged_at", now.isoformat() if now else "not known", "corrected time"),
    )
    return _judge_days(days_left, policy, evidence, limit)


def _judge_days(
    days_left: float, policy: TrustPolicy, evidence: tuple[Evidence, ...], limit: str
) -> Verdict:
    text = f"newest pinned key expires in {int(days_left)} days"
    if days_left > policy.warn_days:
        return Verdict.ok(CHECK_ID, text, evidence, limit)
    reason, status = "expiring", Status.WARN
    text += f", warning limit {policy.warn_days}: update nodecheck"
    if days_left <= policy.crit_days:
        status = Status.CRIT
    if days_left < 0:
        reason = "expired"
        text = f"newest pinned key expired {int(-days_left)} days ago: update nodecheck"
    finding = Finding(reason, text)
    return Verdict.of(CHECK_ID, status, (finding,), evidence=evidence, limit=limit, fixes=_FIXES)


_FIXES: Final = (Fix("nodecheck keys"),)
