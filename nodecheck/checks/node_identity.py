"""Judge as whom the agent acts: which node, in which Region, of which account.

The agent takes the first identity that fits. What it acts as it writes down itself; every other
source is compared with that. ``ok`` needs an identity, every file seen and no source against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks import identity_problems as problems
from nodecheck.checks.proof import conclude
from nodecheck.model.acting import act, believed
from nodecheck.model.agent import Channel, Installation
from nodecheck.model.agent_config import DEFAULT_ORDER
from nodecheck.model.agent_place import LINUX, WINDOWS, is_windows
from nodecheck.model.errors import ProbeError
from nodecheck.model.identity import EC2, KIND_WORDS, MetadataFacts
from nodecheck.model.verdict import Evidence, SkipReason, Verdict

if TYPE_CHECKING:
    from nodecheck.model.acting import Acting, IdentityPolicy
    from nodecheck.model.agent_config import AgentConfig
    from nodecheck.model.agent_place import AgentPlace
    from nodecheck.model.identity import RegistrationFacts
    from nodecheck.model.install import InstallSurvey

ID: Final = "node.identity"
QUESTION: Final = "which managed node does the agent act as, in which account and Region?"
WHY: Final = (
    "A node that is nobody is not managed; one of another account is managed by somebody else."
)
EXPLANATION: Final = """\
WHAT IS JUDGED
  As whom the agent acts, from identity_config.json, which it writes at each start; where there is
  none, as whom it would act: by a stored hybrid registration before all, else as the EC2 instance.
  Compared with it are the hybrid registration (the file registration, and the manifest of the
  vault: its keys are never read, of their files only owner, mode and size), the board and the
  firmware, the instance metadata (IMDSv2, believed only where the firmware says Amazon EC2 and
  names the same instance) and Agent.Region of the agent's configuration. On Windows the firmware is
  what the registry has of it (SystemManufacturer), and access lists stand for owner and mode.
  node.expected_account and node.expected_region of the settings are what is allowed. The account
  of an EC2 instance is that of its metadata. A hybrid node's files name no account, and that of the
  instance beneath is not it: whoever holds an activation can register a node of somebody else.

LIMITS
  ok       one identity, every file seen, nothing against it, account and Region as expected
  warn     leftover-registration: a hybrid registration on an EC2 instance, which wins over it;
           cloned-identity: identity_config.json is that of another instance; identity-differs:
           registered anew since the agent started; registration-gone: cleared since it started;
           region-differs: another Region is configured; vault-exposed: owner or mode of a key's
           file is wrong, but a folder protects it; vault-incomplete: a lesser key is not there
  unknown  no-permission: run as root; not-understood: a file is damaged, or names an identity of no
           known type or form; not-observed;
           account-unknown, region-unknown: expected, but cannot be told here; offline;
           foreign-responder, and metadata-timeout, metadata-refused, metadata-unreachable,
           metadata-hop-limit, metadata-no-reply, metadata-disabled, metadata-v1-only,
           metadata-error, switched-off: see node.credentials
  crit     not-registered: the agent has no identity and can find none; wrong-account;
           wrong-region; vault-exposed: others can read a key; vault-incomplete: the key of the
           hybrid registration is gone
  Not applicable where no agent is installed. A second agent with a configuration and data of its
  own is not seen here: see agent.running.

HOW TO MEND
  hybrid   aws ssm create-activation --iam-role ROLE --region REGION (elsewhere), then on the node
           amazon-ssm-agent -register -code CODE -id ID -region REGION and restart the agent
  EC2      attach an instance profile with AmazonSSMManagedInstanceCore, or switch Default Host
           Management Configuration on for the Region; IMDSv2 must be reachable
  leftover amazon-ssm-agent -register -clear, then restart the agent
  images   register nothing before an image is made; nodecheck --ami finds what is left over
  wrong-account: treat the node as taken over; stop the agent, keep its logs, and find who
  registered it

SOURCES
  https://docs.aws.amazon.com/systems-manager/latest/userguide/hybrid-activation-managed-nodes.html
  https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-identity-documents.html
  common/identity, agent/managedInstances of https://github.com/aws/amazon-ssm-agent, and its
  issues 381 and 484 (clones); https://github.com/elastic/detection-rules/pull/6788 (misuse)
"""

LIMIT: Final = "one identity, as expected"
_ANY_AGENT: Final = Installation(Channel.RPM, "", "", "amazon-ssm-agent")


def judge(
    facts: RegistrationFacts,
    metadata: MetadataFacts | ProbeError | None,
    config: AgentConfig | ProbeError,
    survey: InstallSurvey | ProbeError,
    policy: IdentityPolicy,
) -> Verdict:
    """Return the verdict; ``metadata`` is None where nobody asked for it (offline)."""
    acting = act(facts, metadata)
    if is_without_agent(survey) and not acting.is_written:
        return Verdict.skip(ID, SkipReason.NOT_APPLICABLE, "no SSM Agent is installed")
    agent = _agent(survey)
    found = problems.unread(facts, config)
    if not acting.node_id:
        region = policy.region or policy.configured_region
        found += problems.nobody(facts, metadata, agent, region)
    elif acting.kind == EC2:
        found += problems.ec2(acting, facts, metadata, agent)
    found += problems.strange(acting)
    order = DEFAULT_ORDER if isinstance(config, ProbeError) else config.order
    found += problems.hybrid(acting, facts, order, agent)
    found += problems.keys(facts)
    found += problems.places(acting, facts, config, policy)
    return conclude(ID, describe(acting), tuple(found), _evidence(acting, facts, metadata), LIMIT)


def is_without_agent(survey: InstallSurvey | ProbeError) -> bool:
    """Tell whether it is proven that no agent is installed."""
    if isinstance(survey, ProbeError):
        return False
    return not survey.installations and not survey.unobserved and not survey.damaged


def _agent(survey: InstallSurvey | ProbeError) -> Installation:
    """Return the installed agent whose commands are printed."""
    found = () if isinstance(survey, ProbeError) else survey.installations
    return found[0] if found else _ANY_AGENT


def describe(acting: Acting) -> str:
    """Return an identity in words."""
    if not acting.node_id:
        return "not known"
    words = KIND_WORDS.get(acting.kind, acting.kind)
    where = f" in {acting.region}" if acting.region else ", Region not known on the node"
    account = f"account {acting.account}" if acting.account else "account not known on the node"
    start = "" if acting.is_written else "will act as "
    return f"{start}{acting.node_id} ({words}){where}, {account}"


def _evidence(
    acting: Acting, facts: RegistrationFacts, metadata: MetadataFacts | ProbeError | None
) -> tuple[Evidence, ...]:
    parts = [
        Evidence("node_id", acting.node_id or "none", acting.source),
        Evidence("identity_type", acting.kind or "none", acting.source),
        Evidence("region", acting.region or "not known"),
        Evidence("account", acting.account or "not known"),
        Evidence("firmware", facts.firmware.maker or "not readable", _firmware_source(facts)),
    ]
    if facts.firmware.board_id:
        parts.append(Evidence("board_id", facts.firmware.board_id, "asset tag of the board"))
    if facts.registration:
        stored = f"{facts.registration.node_id} in {facts.registration.region}"
        use = "" if facts.is_hybrid else ", whose key was cleared"
        parts.append(Evidence("registration", stored + use, _place(facts).registration))
    if facts.keys:
        names = tuple(f"{key.name}{'' if key.state else ' (missing)'}" for key in facts.keys)
        parts.append(Evidence("vault_keys", names, _place(facts).vault))
    if facts.unread:
        parts.append(Evidence("unseen", tuple(item.path for item in facts.unread)))
    return (*parts, *_metadata_evidence(metadata))


def _metadata_evidence(metadata: MetadataFacts | ProbeError | None) -> tuple[Evidence, ...]:
    if metadata is None:
        return ()
    if isinstance(metadata, ProbeError):
        return (Evidence("metadata", str(metadata)),)
    if believed(metadata) is None:
        return (Evidence("metadata", f"not believed: {metadata.doubt}"),)
    said = f"{metadata.node_id} in {metadata.region}, account {metadata.account}"
    return (Evidence("metadata", said, "instance identity document"),)


def _place(facts: RegistrationFacts) -> AgentPlace:
    return WINDOWS if is_windows(facts.data) else LINUX


def _firmware_source(facts: RegistrationFacts) -> str:
    return "registry" if is_windows(facts.data) else "DMI"
