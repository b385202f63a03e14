"""Judge which credentials the agent uses, and whether they are valid.

Times come from AWS and are judged at corrected time; only those of an instance profile the agent
notes by the node's own clock, so that these count as expired only where both clocks say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks import credential_problems as problems
from nodecheck.checks import metadata_problems
from nodecheck.checks.credential_problems import spell
from nodecheck.checks.node_identity import describe, is_without_agent
from nodecheck.checks.proof import Problem, conclude, problem
from nodecheck.model.acting import believed
from nodecheck.model.errors import ProbeError
from nodecheck.model.identity import EC2, ON_PREM
from nodecheck.model.verdict import Evidence, SkipReason, Status, Verdict

if TYPE_CHECKING:
    from nodecheck.model.credential_sight import Sight
    from nodecheck.model.credentials import CredentialsFile
    from nodecheck.model.install import InstallSurvey

ID: Final = "node.credentials"
QUESTION: Final = "which credentials does the agent use, and are they valid?"
WHY: Final = "An agent without valid credentials looks healthy on the node and is lost to AWS."
EXPLANATION: Final = """\
WHAT IS JUDGED
  Which source wins, by the identity that the agent acts as. A hybrid registration: a role token
  from Systems Manager, rotated at half its life and shared in the file that identity_config.json
  names. An EC2 instance: its instance profile, and where Systems Manager refuses that or there is
  none, Default Host Management (DHMC), whose credentials lie in the agent's data folder. The times
  in identity_config.json are judged at corrected time. Those of an instance profile the agent
  writes by the node's own clock: they are expired where that clock says so too.
  The instance metadata is asked by IMDSv2 for the instance profile, its role and when the role's
  credentials expire. Of credentials files the names of profiles, owner and mode are looked at (on
  Windows the access list, and of homes that of SYSTEM, config\\systemprofile in System32). No
  key, secret or token is kept, printed or sent.

LIMITS
  ok       one source, valid at corrected time, and only root can read its files
  warn     static-keys: a profile that SDKs prefer holds keys without an expiry;
           credentials-exposed: wrong owner or mode, but a folder protects the file;
           no-instance-profile: while earlier credentials are valid, or before the agent's first
           start; foreign-responder: the instance metadata is not named EC2ws, or answers where no
           EC2 instance is
  unknown  time-not-known: the clock could not be measured; no-permission: run as root;
           not-observed, not-understood; clock-disagrees: expired by one clock only; not-started;
           awaited: no credentials in the first 5 minutes; not-shared: Profile.ShareCreds is off;
           never-retrieved: on EC2, where the role may be refused; role-not-observed;
           source-not-judged: ECS, or an identity fixed in the configuration; no-identity: see
           node.identity;
           metadata-timeout, metadata-unreachable, metadata-no-reply, metadata-error: the instance
           metadata did not answer; switched-off: AWS_EC2_METADATA_DISABLED is set for nodecheck;
           metadata-refused and the like as another user than root: rules may differ for root
  crit     expired; never-retrieved: 5 minutes after the start of a hybrid agent; no-identity;
           shared-file-missing: the file that the agent's workers read;
           credentials-exposed: others can read a file of credentials;
           no-instance-profile: and no valid credentials; role-refused: AWS says why;
           metadata-refused: nothing listens, or a firewall; metadata-disabled: status 403;
           metadata-hop-limit: the connection stands and a wrong token is refused at once, but the
           reply with a token never comes (containers, hop limit 1); metadata-v1-only: no tokens;
           foreign-responder: what answers is not the service of this instance
  Offline this is skipped, unless the files alone prove the worst.

HOW TO MEND
  expired  correct the clock (clock.offset), look for the refusal in errors.log, then
           systemctl restart amazon-ssm-agent
  hop      aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2
  disabled aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled
  profile  aws ec2 associate-iam-instance-profile --instance-id ID --iam-instance-profile Name=NAME,
           with AmazonSSMManagedInstanceCore; or Default Host Management Configuration
  refused  the role must trust ec2.amazonaws.com
  foreign  remove the proxy or firewall rule for 169.254.169.254; no proxy may stand there
  keys     take long-lived keys out of the file: aws configure --profile NAME for people
  exposed  chown root:root FILE && chmod 600 FILE; rotate what others could read

SOURCES
  https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-returns.html
  AWS Systems Manager User Guide, "Managing EC2 instances automatically with Default Host
  Management Configuration"
  common/identity/credentialproviders, core/app/credentialrefresher of
  https://github.com/aws/amazon-ssm-agent, and its issues 134, 374, 543 and 609
"""

LIMIT: Final = "valid at corrected time"


def judge(sight: Sight, survey: InstallSurvey | ProbeError) -> Verdict:
    """Return the verdict."""
    acting = sight.acting
    if is_without_agent(survey) and not acting.is_written:
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, "no SSM Agent is installed")
    found = _unseen(sight) + _problems(sight)
    return conclude(ID, _message(sight), tuple(found), _evidence(sight), LIMIT)


def _unseen(sight: Sight) -> list[Problem]:
    """Return that a file of the identity could not be seen: another source may win."""
    if not sight.registration.unread:
        return []
    first = sight.registration.unread[0]
    advice = "; run as root to see it" if first.reason == "no-permission" else ""
    text = f"which credentials the agent uses cannot be seen: {first.message}{advice}"
    return [problem(Status.UNKNOWN, first.reason, text, first.path)]


def _problems(sight: Sight) -> list[Problem]:
    acting = sight.acting
    if acting.kind == EC2:
        found = [*problems.expiry(sight), *metadata_problems.service(sight)]
    elif acting.kind == ON_PREM:
        found = problems.expiry(sight)
    elif acting.kind:
        text = f"credentials of an agent that acts as {describe(acting)} cannot be judged here"
        found = [problem(Status.UNKNOWN, "source-not-judged", text)]
    else:
        found = _nobodys(sight)
    return found + problems.files(sight)


def _nobodys(sight: Sight) -> list[Problem]:
    registration = sight.registration
    if registration.unread:
        return []
    found = []
    is_proven = registration.firmware.is_other
    text = "no credentials, because the agent has no identity: mend node.identity first"
    found.append(problem(Status.CRIT if is_proven else Status.UNKNOWN, "no-identity", text))
    if is_proven and not isinstance(sight.metadata, ProbeError):
        found += metadata_problems.service(sight)
    return found


def _message(sight: Sight) -> str:
    """Return which source wins, and until when."""
    runtime = sight.runtime
    until = ""
    if runtime and runtime.expires_at and sight.is_valid_now:
        until = f", valid until {spell(runtime.expires_at)}"
    return f"{_source(sight)}{until}"


def _source(sight: Sight) -> str:
    service = believed(sight.metadata)
    if sight.acting.kind == ON_PREM:
        return "role token of the hybrid registration"
    if sight.is_default_host:
        refused = (
            f"; instance profile {service.role} is not used" if service and service.role else ""
        )
        return f"Default Host Management{refused}"
    role = f" (role {service.role})" if service and service.role else ""
    return f"instance profile{role}" if sight.acting.kind == EC2 else "none known"


def _evidence(sight: Sight) -> tuple[Evidence, ...]:
    parts = [Evidence("source", _source(sight)), Evidence("acts_as", describe(sight.acting))]
    runtime, service = sight.runtime, believed(sight.metadata)
    if runtime:
        noted = "identity_config.json"
        for name, time in (
            ("expires_at", runtime.expires_at),
            ("retrieved_at", runtime.retrieved_at),
        ):
            if time:
                parts.append(Evidence(name, time.isoformat(), noted))
        parts.append(Evidence("credential_source", runtime.credential_source or "not noted", noted))
    if service:
        role, expires_at = service.role or "none", service.role_expires_at
        parts.append(Evidence("instance_profile", service.profile or "none", "instance metadata"))
        parts.append(Evidence("role", role, "instance metadata"))
        if expires_at:
            parts.append(Evidence("role_expires_at", expires_at.isoformat(), "instance metadata"))
    elif isinstance(sight.metadata, ProbeError):
        parts.append(Evidence("metadata", str(sight.metadata)))
    parts += [_file_evidence(item) for item in sight.files.files]
    parts += [Evidence("unseen", item.message, item.path) for item in sight.files.unread]
    judged_at = sight.now.isoformat() if sight.now else "not known"
    return (*parts, Evidence("judged_at", judged_at, "corrected time"))


def _file_evidence(item: CredentialsFile) -> Evidence:
    if item.file.state is None:
        return Evidence("credentials_file", "not there", item.file.path)
    names = ", ".join(own.name + " (static)" * own.is_static for own in item.profiles) or "none"
    text = f"{item.file.name}, mode {item.file.state.mode:04o}, profiles: {names}"
    return Evidence("credentials_file", text, item.file.path)
