"""Judge whether each executable of the agent on Windows is signed by a publisher that is Amazon.

The file's own bytes are judged first, more strictly than Windows does: what they disprove, no
answer of Windows mends. Trust is Windows' to judge: its roots, its list of what is distrusted, its
revocation lists. Its good answer counts only with the state behind it, which must show the same
certificate and a chain without errors. Validity is judged at the time of the countersignature that
Windows accepted, and at corrected time where there is none: never at the node's own clock.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from nodecheck.checks.authenticode_codes import judge_code
from nodecheck.checks.proof import Problem, conclude, problem
from nodecheck.model.agent import Channel
from nodecheck.model.authenticode import (
    CODE_SIGNING,
    LIFETIME_SIGNING,
    STRONG_DIGESTS,
)
from nodecheck.model.remedy import install_fix
from nodecheck.model.trust_codes import Code, effective_code
from nodecheck.model.verdict import Evidence, Finding, Fix, SkipReason, Status, Verdict
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from nodecheck.model.authenticode import (
        EmbeddedSignature,
        ProgramFact,
        PublisherPolicy,
        TrustAnswer,
        WindowsPrograms,
    )

CHECK_ID: Final = "agent.signature"
EXPLANATION: Final = """\
WHAT IS JUDGED ON WINDOWS
  The Authenticode signature in each of amazon-ssm-agent.exe, ssm-agent-worker.exe,
  ssm-document-worker.exe, ssm-session-worker.exe and ssm-session-logger.exe in the agent's folder,
  and in the program that the service starts. A catalog signature is not accepted. First by
  nodecheck itself: that the certificate table holds one signature and nothing else and ends the
  file, that the image digest is the signed one, that the signature is by the key of its certificate
  and each certificate by the one above it. Then by Windows (WinVerifyTrust, without a window,
  without the network): whether the chain is trusted here. Organisation and common name of the
  signer must both be named by trust.publishers. Other programs in that folder, such as ssm-cli.exe
  and the plug-ins, are not judged.

LIMITS ON WINDOWS
  unknown  not-observed: an executable could not be read
           unsupported-signature: of a kind that nodecheck cannot read
           untrusted-root: the chain ends in a root that this node does not have; Windows fetches
           roots only when it is asked by a program that may use the network
           chain-incomplete: a certificate of the chain is missing
           not-verified: Windows did not judge, or its answer has no certificate or chain behind it
           timestamp-not-verified: only its timestamp could make an expired certificate good, and
           Windows did not confirm the timestamp
           clock-wrong: Windows finds it expired or revoked, by a clock that is wrong or unmeasured
           time-not-known: without a timestamp it is valid only at a time that was not measured
  crit     unsigned: no signature in the file
           bad-digest: the content is not what was signed
           bad-signature: the signature, or one in its chain, is by another key, or by a certificate
           that may not sign others
           malformed-signature, malformed-program, truncated, kind: nothing that could be verified
           appended-data: bytes that nobody signed, after the signature or after the table
           (CVE-2013-3900), or a second entry in the table
           weak-digest: MD5 or SHA-1, allowed are SHA-256 and longer
           self-issued: the certificate names itself as its issuer
           wrong-publisher: signed by another organisation
           wrong-usage: a certificate that is not for code signing
           signer-differs: Windows judged another certificate than the one in the file
           expired, not-yet-valid: at the time of its timestamp, or without one at corrected time
           dated-in-future: countersigned later than now
           revoked, distrusted, refused-by-policy, bad-timestamp: says Windows
  Where Windows has no revocation list at hand the signature is judged without, and the evidence
  says so (revocation_not_checked). A certificate for lifetime signing is not prolonged by its
  timestamp. Under Wine WinVerifyTrust judges no trust at all; the chain behind its answer does.

HOW TO MEND ON WINDOWS
  Get-AuthenticodeSignature FILE shows what Windows thinks, and fetches a missing root. Anything
  worse: copy the file for the investigation, then run a verified AmazonSSMAgentSetup.exe again.

SOURCES ON WINDOWS
  "Windows Authenticode Portable Executable Signature Format", "PE Format", WinVerifyTrust and
  WINTRUST_DATA on learn.microsoft.com; CVE-2013-3900
"""

_LIMIT: Final = "signed by an allowed publisher, SHA-256 or longer, nothing appended"
_GRACE: Final = timedelta(days=1)
_UNKNOWN_REFUSALS: Final = frozenset({"unsupported-signature"})


@dataclass(frozen=True, slots=True)
class Timing:
    """Corrected time, None where it was not measured, and whether the node's clock fits it."""

    now: datetime | None
    is_clock_right: bool


def judge(programs: WindowsPrograms, policy: PublisherPolicy, timing: Timing) -> Verdict:
    """Return the verdict on the signatures of the agent's executables."""
    facts = programs.programs
    if not facts:
        text = "no executable of the SSM Agent is installed"
        return Verdict.skip(CHECK_ID, SkipReason.NOT_APPLICABLE, text)
    problems = [found for fact in facts if (found := judge_program(fact, policy, timing))]
    signers = {fact.signature.certificate.names for fact in facts if fact.signature}
    text = f"{len(facts)} executables are signed by {', '.join(sorted(signers))}"
    return conclude(CHECK_ID, text, tuple(problems), _evidence(facts, timing), _LIMIT)


def judge_program(fact: ProgramFact, policy: PublisherPolicy, timing: Timing) -> Problem | None:
    """Return what is wrong with one executable, None where it is proven."""
    if fact.unobserved:
        return problem(Status.UNKNOWN, "not-observed", fact.unobserved, fact.path)
    if fact.refusal:
        is_unknown = fact.refusal in _UNKNOWN_REFUSALS
        status = Status.UNKNOWN if is_unknown else Status.CRIT
        fix = None if is_unknown else install_fix(Channel.WINDOWS)
        return Problem(status, Finding(fact.refusal, fact.detail, fact.path), fix)
    if fact.signature is None:
        return problem(Status.UNKNOWN, "not-verified", f"{fact.path}: was not read", fact.path)
    reason, said = _judge_signer(fact.signature, policy)
    if reason:
        return _crit(fact, reason, f"{fact.path}: {said}")
    if fact.answer is None:
        text = f"{fact.path}: Windows was not asked ({fact.unanswered or 'no reason given'})"
        return problem(Status.UNKNOWN, "not-verified", text, fact.path)
    return _judge_answer(fact, fact.signature, fact.answer, timing)


def proven_programs(
    programs: WindowsPrograms, policy: PublisherPolicy, timing: Timing
) -> Mapping[str, str] | None:
    """Return the SHA-256 of each proven executable by path, None where one cannot be judged."""
    proven: dict[str, str] = {}
    for fact in programs.programs:
        found = judge_program(fact, policy, timing)
        if found is None:
            proven[fact.path] = fact.sha256
        elif found.status is not Status.CRIT:
            return None
    return proven


def _crit(fact: ProgramFact, reason: str, text: str) -> Problem:
    finding = Finding(reason, text, fact.path)
    return Problem(Status.CRIT, finding, install_fix(Channel.WINDOWS))


def _judge_signer(signature: EmbeddedSignature, policy: PublisherPolicy) -> tuple[str, str]:
    """Return reason and sentence of a signer that is not allowed, '' and '' of one that is."""
    certificate, algorithm = signature.certificate, signature.digest_algorithm
    if algorithm not in STRONG_DIGESTS:
        return "weak-digest", f"signed over {algorithm}, allowed are SHA-256 and longer"
    if certificate.self_issued:
        return "self-issued", f"its certificate vouches for itself ({certificate.names})"
    names = (certificate.organizations, certificate.common_names)
    if any(len(texts) != 1 or texts[0] not in policy.publishers for texts in names):
        allowed = "; ".join(policy.publishers) or "nobody"
        return "wrong-publisher", f"signed by {certificate.names}, allowed: {allowed}"
    if CODE_SIGNING not in certificate.usages:
        return "wrong-usage", "its certificate is not for code signing"
    return "", ""


def _judge_answer(
    fact: ProgramFact, signature: EmbeddedSignature, answer: TrustAnswer, timing: Timing
) -> Problem | None:
    code = effective_code(answer)
    if code != Code.GOOD:
        status, reason, said = judge_code(code, is_clock_right=timing.is_clock_right)
        text = f"{fact.path}: {said} (WinVerifyTrust {answer.code:#010x})"
        if status is Status.CRIT:
            return _crit(fact, reason, text)
        return Problem(status, Finding(reason, text, fact.path), _ask_fix(reason, fact.path))
    if not answer.signer_sha256 or answer.chain_errors is None:
        text = f"{fact.path}: Windows names no certificate, or no chain, behind its good answer"
        return problem(Status.UNKNOWN, "not-verified", text, fact.path)
    if answer.signer_sha256 != signature.certificate.sha256:
        text = f"{fact.path}: Windows judged another certificate than the one in the file"
        return _crit(fact, "signer-differs", text)
    return _judge_time(fact, signature, answer, timing.now)


def _judge_time(
    fact: ProgramFact, signature: EmbeddedSignature, answer: TrustAnswer, now: datetime | None
) -> Problem | None:
    certificate, signed_at = signature.certificate, answer.countersigned_at
    lasts = LIFETIME_SIGNING not in certificate.usages
    if signed_at is not None and now is not None and signed_at > now + _GRACE:
        text = f"{fact.path}: countersigned on {signed_at:%Y-%m-%d}, true time is {now:%Y-%m-%d}"
        return _crit(fact, "dated-in-future", text)
    instant = signed_at if lasts and signed_at is not None else now
    if instant is None:
        text = f"{fact.path}: has no timestamp that counts, and the true time is not known"
        return problem(Status.UNKNOWN, "time-not-known", text, fact.path)
    if certificate.is_valid_at(instant):
        return None
    span = f"{certificate.valid_from:%Y-%m-%d} to {certificate.valid_until:%Y-%m-%d}"
    text = f"{fact.path}: certificate valid from {span}, judged at {instant:%Y-%m-%d}"
    if lasts and signed_at is None and signature.timestamped:
        text += "; Windows did not confirm its timestamp"
        return problem(Status.UNKNOWN, "timestamp-not-verified", text, fact.path)
    reason = "not-yet-valid" if instant < certificate.valid_from else "expired"
    return _crit(fact, reason, text)


def _ask_fix(reason: str, path: str) -> Fix | None:
    """Return the command that has Windows fetch what it has not got."""
    if reason not in {"untrusted-root", "chain-incomplete"}:
        return None
    quoted = path.replace("/", "\\").replace("'", "''")
    return Fix(f"Get-AuthenticodeSignature '{quoted}' | Format-List", "powershell")


def _evidence(facts: tuple[ProgramFact, ...], timing: Timing) -> tuple[Evidence, ...]:
    signed = [(fact, fact.signature) for fact in facts if fact.signature]
    asked = [(fact, fact.answer) for fact in facts if fact.answer]
    certificates = dict.fromkeys(signature.certificate for _, signature in signed)
    unchecked = tuple(
        f"{fact.name} {answer.revocation:#010x}" for fact, answer in asked if answer.revocation
    )
    times = tuple(
        f"{fact.name} {answer.countersigned_at.isoformat()}"
        for fact, answer in asked
        if answer.countersigned_at
    )
    source = "certificate in the file"
    parts = (
        Evidence("executables", tuple(fact.path for fact in facts)),
        Evidence("signer", tuple(item.names for item in certificates), source),
        Evidence("issuer", tuple(dict.fromkeys(item.issuer for item in certificates)), source),
        Evidence("certificate_sha256", tuple(item.sha256 for item in certificates), source),
        Evidence("digest", tuple(sorted({item.digest_algorithm for _, item in signed})), source),
        Evidence(
            "answers",
            tuple(
                f"{fact.name} {answer.code:#010x} chain {answer.chain_errors or 0:#x}"
                for fact, answer in asked
            ),
            "WinVerifyTrust",
        ),
        Evidence("countersigned_at", times, "WinVerifyTrust"),
        Evidence("revocation_not_checked", unchecked, "WinVerifyTrust"),
        Evidence(
            "judged_at", timing.now.isoformat() if timing.now else "not known", "corrected time"
        ),
    )
    return tuple(part for part in parts if part.value not in {None, "", ()})
