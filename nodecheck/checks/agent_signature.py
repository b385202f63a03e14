"""Judge whether the agent's package metadata is signed by a pinned key.

The date of the signature decides: it must lie in the key's validity (RFC 4880 section 5.2.3.6). A
key that has expired since is evidence, no finding. A signature by a key that is not pinned is crit,
unless the ring itself is due for Amazon's next key: then nodecheck cannot tell, and says so.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from nodecheck.checks.proof import (
    Problem,
    conclude,
    not_judged,
    problem,
    reinstall_fix,
    survey_problems,
)
from nodecheck.model.trust import AGENT_PACKAGE, SignatureOutcome
from nodecheck.model.verdict import Evidence, Finding, Fix, Status

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.agent import InstallFacts
    from nodecheck.model.trust import (
        KeyFacts,
        RpmFacts,
        RpmPackage,
        SignatureFact,
        TrustPolicy,
    )
    from nodecheck.model.verdict import Verdict

CHECK_ID: Final = "agent.signature"
QUESTION: Final = "is the package metadata of the SSM Agent signed by a pinned Amazon key?"
EXPLANATION: Final = """\
What is judged
    The header that rpm keeps of the installed agent: its immutable region, byte for byte as Amazon
    signed it, against the RSA signature beside it and the keys pinned in nodecheck. The rpm keyring
    of the node, rpm's own verdict and everything in the unsigned part of the header are not
    believed: root can change all of them, and rpm -V then stays silent.

Limits
    ok       signed by a pinned key, while that key was valid
    warn     weak-digest: signed over SHA-1 by a pinned key (Amazon's rpms up to about 2024)
    unknown  not-observed, unsupported-signature (for example RPM 6 without an RSA signature),
             channel-not-verified (deb, snap, Windows and copies by hand), key-ring-due (signed by
             an unknown key while the pinned ring expires within 60 days, or at an unknown time)
    crit     bad-signature, unsigned, malformed-signature, key-not-pinned, key-distrusted,
             dated-before-key, dated-after-expiry, dated-in-future, wrong-package
    A key that has expired since it signed is no finding. Dates in the future are judged at
    corrected time, with one day of grace.
    Whoever is root now can deceive any program that runs on the node. What this proves is that the
    node holds what Amazon signed, not that nobody is root.

How to mend
    rpm      keep a copy of the file for the investigation, then install the package again:
             rpm -U --force https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent/latest/\
linux_amd64/amazon-ssm-agent.rpm
             Amazon Linux repositories: yum reinstall -y amazon-ssm-agent
             Amazon's next key: update nodecheck, or add the key file to trust.keys
    deb      gpg --verify amazon-ssm-agent.deb.sig amazon-ssm-agent.deb, then dpkg --verify
    snap     snap info amazon-ssm-agent; snapd checks the assertions of what it installs
    windows  Get-AuthenticodeSignature on amazon-ssm-agent.exe

Sources
    https://docs.aws.amazon.com/systems-manager/latest/userguide/verify-agent-signature.html
    https://rpm-software-management.github.io/rpm/manual/format_v4.html
    RFC 4880 sections 5.2.3, 5.2.4 and 12.2; RFC 8017 section 8.2.2
"""

_LIMIT: Final = "signed by a pinned key while it was valid"
_GRACE: Final = timedelta(days=1)
_SAID: Final = {
    "dated-before-key": "is dated before its key was made",
    "dated-after-expiry": "is dated after its key had expired",
    "key-distrusted": "is by a key that is no longer believed at that date",
}
_REFUSED: Final = {
    SignatureOutcome.BAD: "bad-signature",
    SignatureOutcome.UNSIGNED: "unsigned",
    SignatureOutcome.MALFORMED: "malformed-signature",
}


def judge(
    install: InstallFacts,
    rpm: RpmFacts,
    keys: KeyFacts,
    policy: TrustPolicy,
    now: datetime | None,
) -> Verdict:
    """Return the verdict on the signature of the installed package; ``now`` is corrected time."""
    skipped = not_judged(CHECK_ID, install, rpm)
    if skipped:
        return skipped
    problems = list(survey_problems(install, rpm))
    for package in rpm.packages:
        found = _judge_package(package, keys, policy, now)
        problems += [found] if found else []
    signers = ", ".join(_signer(package.signature) for package in rpm.packages)
    evidence = tuple(item for package in rpm.packages for item in _evidence(package, now))
    return conclude(CHECK_ID, f"signed by {signers}", tuple(problems), evidence, _LIMIT)


def _signer(fact: SignatureFact) -> str:
    if fact.key is None or fact.created_at is None:
        return "nobody"
    return f"{fact.key.owner}, key ...{fact.key.fingerprint[-16:]}, on {fact.created_at:%Y-%m-%d}"


def _judge_package(
    package: RpmPackage, keys: KeyFacts, policy: TrustPolicy, now: datetime | None
) -> Problem | None:
    fact, label = package.signature, package.label
    if fact.outcome is SignatureOutcome.UNSUPPORTED:
        return problem(Status.UNKNOWN, "unsupported-signature", f"{label}: {fact.detail}")
    if fact.outcome is SignatureOutcome.UNKNOWN_KEY:
        return _judge_stranger(package, keys, policy, now)
    reason, text = _refuse(package, now)
    if reason:
        return Problem(Status.CRIT, Finding(reason, text), reinstall_fix(package))
    if fact.weak:
        text = f"{label}: signed over {fact.algorithm}, allowed are SHA-2 digests"
        return Problem(Status.WARN, Finding("weak-digest", text), reinstall_fix(package))
    return None


def _refuse(package: RpmPackage, now: datetime | None) -> tuple[str, str]:
    """Return reason and sentence of a signature that proves nothing, '' and '' of a good one."""
    fact, label = package.signature, package.label
    if fact.outcome in _REFUSED:
        return _REFUSED[fact.outcome], f"{label}: {fact.detail}"
    signed = f"signature of {fact.created_at:%Y-%m-%d %H:%M:%S} UTC" if fact.created_at else ""
    if fact.refusal:
        return fact.refusal, f"{label}: {signed} {_SAID[fact.refusal]}"
    if package.name != AGENT_PACKAGE:
        return "wrong-package", f"{label}: stands in the database as {AGENT_PACKAGE}"
    if now is not None and fact.created_at is not None and fact.created_at > now + _GRACE:
        return "dated-in-future", f"{label}: {signed}, true time is {now:%Y-%m-%d %H:%M:%S} UTC"
    return "", ""


def _judge_stranger(
    package: RpmPackage, keys: KeyFacts, policy: TrustPolicy, now: datetime | None
) -> Problem:
    text = f"{package.label}: signed by key {package.signature.key_id}, which is not pinned"
    due = _ring_problem(keys, policy, now)
    if due:
        finding = Finding("key-ring-due", f"{text}; {due}: update nodecheck or add the key")
        return Problem(Status.UNKNOWN, finding, Fix("nodecheck keys"))
    return Problem(Status.CRIT, Finding("key-not-pinned", text), reinstall_fix(package))


def _ring_problem(keys: KeyFacts, policy: TrustPolicy, now: datetime | None) -> str:
    """Return why the ring may lack Amazon's current key, '' if it cannot."""
    if keys.newest is None:
        return "the ring holds no key of Amazon or the operator"
    if now is None:
        return "the true time is not known, so the ring may be outdated"
    left = keys.days_left(now)
    if left is not None and left <= policy.warn_days:
        return f"the newest pinned key has {left:.0f} days left, limit {policy.warn_days}"
    return ""


def _evidence(package: RpmPackage, now: datetime | None) -> tuple[Evidence, ...]:
    fact, source = package.signature, package.source
    found = [
        Evidence("package", package.label, source),
        Evidence("signature", fact.outcome.value, source),
        Evidence("judged_at", now.isoformat() if now else "not known", "corrected time"),
    ]
    if fact.key_id:
        found.append(Evidence("key", fact.key_id, source))
    if fact.algorithm:
        found.append(Evidence("digest", fact.algorithm, source))
    if fact.created_at:
        found.append(Evidence("signed_at", fact.created_at.isoformat(), source))
    if fact.key and fact.key.expires_at:
        expires_at = fact.key.expires_at
        found.append(Evidence("key_expires_at", expires_at.isoformat(), "key ring"))
        if now is not None and now > expires_at:
            found.append(Evidence("key_expired_since", value=True, source="key ring"))
    return tuple(found)
