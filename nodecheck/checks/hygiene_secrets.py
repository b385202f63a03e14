"""Judge whether the agent's documents, scripts or logs hold secrets in plain text.

Whoever can read these files (root, backups, log shippers) has the secret, and it was sent in plain
text to get there. The value is known to nobody here: rule, file and line are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.verdict import Evidence, Finding, Fix, SkipReason, Status, Verdict

if TYPE_CHECKING:
    from nodecheck.model.hygiene import Leak, SecretFacts

ID: Final = "hygiene.secrets"
QUESTION: Final = "do the agent's documents, scripts or logs hold secrets in plain text?"
EXPLANATION: Final = """\
WHAT IS JUDGED
  Only if hygiene.scan_secrets is true, because nodecheck reads such secrets to find them. Scripts
  (_script.sh, _script.ps1: all parameters filled in), documents (document/state, localcommands) and
  the last 4 MB of amazon-ssm-agent.log and errors.log are searched for secret access keys of AWS,
  private keys, tokens of GitHub and Slack, JWTs, passwords in addresses, and values written out
  beside names such as password, client_secret, api_key. Rule, file and first line are reported; the
  value is not, nor any part of it. At most 5000 files, 64 MB and 4 s are spent; a file over 1 MB
  counts as not searched. The keys of AWS's documentation (AKIAIOSFODNN7EXAMPLE) are allowed, and
  named as evidence.

LIMITS
  ok       everything was searched, and no rule saw anything; a secret in another form stays unseen
  warn     plain-secret: one for each rule and file
  unknown  not-searched: a file or folder could not be read, or a limit came first; no-permission:
           this user may see none of them
  skip     by-request: hygiene.scan_secrets is false, the default; not-applicable: there is nothing
           to search

HOW TO MEND
  change   the secret first: it has been where others could read it
  keep     aws ssm put-parameter --name /APP/NAME --type SecureString --value file://SECRET
  use      in the script, not in a parameter of the document:
           aws ssm get-parameter --name /APP/NAME --with-decryption --query Parameter.Value
           --output text
           {{ssm:NAME}} takes no SecureString, and what it resolves is written to disk;
           {{ssm-secure:NAME}} is resolved by some plugins only, not by aws:runShellScript. A
           CloudFormation template takes {{resolve:ssm-secure:NAME}}
  clean    the agent removes runs of associations after 24 hours and of commands after 14 days; at
           once with "OrchestrationDirectoryCleanup": "clean-success-failed" in
           /etc/amazon/ssm/amazon-ssm-agent.json. Logs stay until they are rolled away

SOURCES
  https://docs.aws.amazon.com/systems-manager/latest/userguide/systems-manager-best-practices.html
  https://docs.aws.amazon.com/systems-manager/latest/userguide/
    secure-string-parameter-kms-encryption.html
  https://docs.aws.amazon.com/systems-manager/latest/userguide/security-best-practices.html
  https://github.com/aws/amazon-ssm-agent, README (OrchestrationDirectoryCleanup)
"""

SETTING: Final = "hygiene.scan_secrets"
FINDINGS_LIMIT: Final = 20
_FIXES: Final = (
    Fix("aws ssm put-parameter --name /APP/NAME --type SecureString --value file://SECRET"),
    Fix(
        "aws ssm get-parameter --name /APP/NAME --with-decryption --query Parameter.Value"
        " --output text"
    ),
)


def judge(facts: SecretFacts) -> Verdict:
    """Return the verdict."""
    if not facts.asked:
        return Verdict.skip(ID, SkipReason.BY_REQUEST, f"not searched: {SETTING} is false")
    if not facts.files and not facts.unread:
        text = "the agent has left no script, document or log here"
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, text)
    evidence = _evidence(facts)
    findings = [_finding(leak) for leak in facts.leaks[:FINDINGS_LIMIT]]
    if len(facts.leaks) > FINDINGS_LIMIT:
        text = f"{len(facts.leaks) - FINDINGS_LIMIT} more files and rules"
        findings.append(Finding("plain-secret", text))
    unread = tuple(Finding("not-searched", text) for text in facts.unread[:FINDINGS_LIMIT])
    if findings:
        found = (*findings, *unread)
        return Verdict.of(ID, Status.WARN, found, evidence=evidence, fixes=_FIXES)
    if unread:
        return Verdict.of(ID, Status.UNKNOWN, unread, evidence=evidence)
    text = f"no rule saw a secret in {facts.files} files ({facts.size / 1e6:.1f} MB)"
    return Verdict.ok(ID, text, evidence)


def _finding(leak: Leak) -> Finding:
    more = f" ({leak.count} lines)" if leak.count > 1 else ""
    return Finding("plain-secret", f"{leak.rule} in {leak.path} line {leak.line}{more}", leak.path)


def _evidence(facts: SecretFacts) -> tuple[Evidence, ...]:
    found = (
        Evidence("files_searched", facts.files),
        Evidence("bytes_searched", facts.size),
        Evidence("documentation_examples", facts.examples, "keys of AWS's documentation"),
        Evidence("not_searched", facts.unread[:FINDINGS_LIMIT]),
    )
    return tuple(entry for entry in found if entry.value != ())
