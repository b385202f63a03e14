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
    from nodecheck.model.package import PackageFacts
    from nodecheck.model.trust import KeyFacts, SignatureFact, SignedPackage, TrustPolicy
    from nodecheck.model.verdict import Verdict

CHECK_ID: Final = "agent.signature"
QUESTION: Final = "is the package metadata of the SSM Agent signed by a pinned Amazon key?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  The header that rpm keeps of the installed agent: its immutable region, byte for byte as Amazon
  signed it, against the RSA signature beside it and the keys pinned in nodecheck. The rpm keyring
  of the node, rpm's own verdict and everything in the unsigned part of the header are not believed:
  root can change all of them, and rpm -V then stays silent.

  dpkg keeps no signature. Of a deb the package itself is read once, all of it, with its detached
  signature; it must be the installed package, version and architecture. It is looked for, in this
  order: what an earlier run verified (manifests.json in the state folder), the folder of
  trust.package_dir, the updater's folder, a mirror that trust.package_dir names, the Region's
  bucket by exact version. A damaged package there says nothing of the installed one: it is named
  (offer-refused), and without a better one nothing is proven. A copy made by hand
  is compared with amazon-ssm-agent-binaries.tar.gz and its .sig in trust.package_dir: put the
  archive of that version there, because neither file says which version it is.

LIMITS
  ok       signed by a pinned key, while that key was valid
  warn     weak-digest: signed over SHA-1 by a pinned key (Amazon's rpms up to about 2024)
           offer-refused: one place offered a package that is not what was signed, another place
           the genuine one
  unknown  not-observed: the header or the database could not be read
           unsupported-signature: of a kind that nodecheck cannot check, such as RPM 6 without RSA
           channel-not-verified: this version does not verify an agent that came in this way
           key-ring-due: signed by an unknown key while the pinned ring expires within 60 days, or
           at a time that is not known
           no-package: no place had the installed package with its .sig
           timeout: the package was there and was not read to its end in time
           update-in-progress: the package is being replaced
  crit     bad-signature: the signature in the rpm database is not that of these bytes
           unsigned, malformed-signature: there is none, or it cannot be read as one
           key-not-pinned: signed by a key that is not Amazon's, nor the operator's
           key-distrusted: signed by a key that trust.distrust excludes at that date
           dated-before-key, dated-after-expiry: signed outside the validity of its key
           dated-in-future: signed later than now
           wrong-package: a signed package of another name stands in the agent's place
  A key that has expired since it signed is no finding. Dates in the future are judged at corrected
  time, with one day of grace.
  A deb is believed from manifests.json only while its key is in the ring and not distrusted and
  only the owner can write the file and its folder. Its signature cannot be checked again without
  the package: whoever was root since can have changed the file. Without it the package is read
  anew. Only archives packed by gzip are read, as Amazon's are.
  Whoever is root now can deceive any program that runs on the node. What this proves is that the
  node holds what Amazon signed, not that nobody is root.

HOW TO MEND
  rpm      keep a copy of the file for the investigation, then install the package again:
           rpm -U --force URL of amazon-ssm-agent.rpm (the command printed with the finding has it)
           Amazon Linux repositories: yum reinstall -y amazon-ssm-agent
           Amazon's next key: update nodecheck, or add the key file to trust.keys
  deb      no-package: fetch amazon-ssm-agent.deb and .sig of the installed version, name their
           folder by trust.package_dir. timeout: nodecheck --deadline 120 once; what it verified is
           kept. Anything worse: keep a copy, then verify the genuine package and dpkg -i it: see
           "nodecheck explain agent.files"
  by hand  fetch amazon-ssm-agent-binaries.tar.gz and .sig of its version, name their folder by
           trust.package_dir
  snap     snap info amazon-ssm-agent; snapd checks the assertions of what it installs
  Windows  see below

SOURCES
  https://docs.aws.amazon.com/systems-manager/latest/userguide/verify-agent-signature.html
  https://rpm-software-management.github.io/rpm/manual/format_v4.html
  deb(5), deb-control(5); Tools/src/create_deb.sh of github.com/aws/amazon-ssm-agent
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
    facts: PackageFacts,
    keys: KeyFacts,
    policy: TrustPolicy,
    now: datetime | None,
) -> Verdict:
    """Return the verdict on the signature of the installed package; ``now`` is corrected time."""
    skipped = not_judged(CHECK_ID, install, facts)
    if skipped:
        return skipped
    problems = list(survey_problems(install, facts))
    problems += [problem(Status.WARN, "offer-refused", text) for text in facts.refused]
    for package in facts.packages:
        found = _judge_package(package, keys, policy, now)
        problems += [found] if found else []
    signers = ", ".join(_signer(package.signature) for package in facts.packages)
    evidence = tuple(item for package in facts.packages for item in _evidence(package, now))
    if facts.notes:
        evidence += (Evidence("notes", facts.notes, facts.source),)
    return conclude(CHECK_ID, f"signed by {signers}", tuple(problems), evidence, _LIMIT)


def _signer(fact: SignatureFact) -> str:
    if fact.key is None or fact.created_at is None:
        return "nobody"
    return f"{fact.key.owner}, key ...{fact.key.fingerprint[-16:]}, on {fact.created_at:%Y-%m-%d}"


def _judge_package(
    package: SignedPackage, keys: KeyFacts, policy: TrustPolicy, now: datetime | None
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


def _refuse(package: SignedPackage, now: datetime | None) -> tuple[str, str]:
    """Return reason and sentence of a signature that proves nothing, '' and '' of a good one."""
    fact, label = package.signature, package.label
    if fact.outcome in _REFUSED:
        return _REFUSED[fact.outcome], f"{label}: {fact.detail}"
    signed = f"signature of {fact.created_at:%Y-%m-%d %H:%M:%S} UTC" if fact.created_at else ""
    if fact.refusal:
        return fact.refusal, f"{label}: {signed} {_SAID[fact.refusal]}"
    if package.name != AGENT_PACKAGE:
        return "wrong-package", f"{label}: stands in the place of {AGENT_PACKAGE}"
    if now is not None and fact.created_at is not None and fact.created_at > now + _GRACE:
        return "dated-in-future", f"{label}: {signed}, true time is {now:%Y-%m-%d %H:%M:%S} UTC"
    return "", ""


def _judge_stranger(
    package: SignedPackage, keys: KeyFacts, policy: TrustPolicy, now: datetime | None
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


def _evidence(package: SignedPackage, now: datetime | None) -> tuple[Evidence, ...]:
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
