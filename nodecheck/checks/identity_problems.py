"""What can be wrong with an identity, each as a problem with its fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks import windows_fix
from nodecheck.checks.file_safety import quote
from nodecheck.checks.proof import Problem, problem
from nodecheck.model.acting import believed
from nodecheck.model.agent import Channel
from nodecheck.model.agent_place import is_windows
from nodecheck.model.errors import ProbeError
from nodecheck.model.identity import (
    EC2,
    HYBRID_KEY,
    KIND_WORDS,
    ON_PREM,
    MetadataFacts,
    is_node_id,
)
from nodecheck.model.remedy import restart_fix
from nodecheck.model.verdict import Finding, Fix, Status

if TYPE_CHECKING:
    from nodecheck.model.acting import Acting, IdentityPolicy
    from nodecheck.model.agent import Installation
    from nodecheck.model.agent_config import AgentConfig
    from nodecheck.model.identity import RegistrationFacts, SecretFile

PROVEN_FAULTS: Final = frozenset(
    {"metadata-refused", "metadata-disabled", "metadata-hop-limit", "metadata-v1-only"}
    | {"foreign-responder"}
)
"""What the service, or this node's own network, answered; a reply that is late proves nothing."""


def is_proven(facts: RegistrationFacts, metadata: MetadataFacts | ProbeError | None) -> bool:
    """Tell whether the agent cannot reach the service either: rules may differ for other users."""
    fault = isinstance(metadata, ProbeError) and metadata.reason in PROVEN_FAULTS
    return fault and facts.privileged


def unread(facts: RegistrationFacts, config: AgentConfig | ProbeError) -> list[Problem]:
    """Return what could not be seen, as one problem: each could hold another identity."""
    notes = [(item.reason, item.message) for item in facts.unread]
    if isinstance(config, ProbeError):
        notes.append((config.reason, str(config)))
    if not notes:
        return []
    reasons = [reason for reason, _ in notes]
    reason = "no-permission" if "no-permission" in reasons else reasons[0]
    more = f" (and {len(notes) - 1} more)" if len(notes) > 1 else ""
    advice = "; run as root to see it" if reason == "no-permission" else ""
    text = "as whom the agent acts cannot be seen: "
    return [problem(Status.UNKNOWN, reason, f"{text}{notes[0][1]}{more}{advice}")]


def nobody(
    facts: RegistrationFacts,
    metadata: MetadataFacts | ProbeError | None,
    agent: Installation,
    region: str,
) -> list[Problem]:
    """Return that there is no identity, or that none was proven."""
    if facts.unread:
        return []  # told as such
    if facts.is_hybrid:
        text = "the key of a hybrid registration is stored, but not of which node: it did not end,"
        return [problem(Status.UNKNOWN, "not-observed", f"{text} or no agent started since")]
    if facts.firmware.is_other:
        maker = facts.firmware.maker
        text = (
            "not registered: no identity and no hybrid registration is stored, and this is no EC2"
            f" instance (firmware: {maker}); create an activation (aws ssm create-activation) and"
            " register with its id and code"
        )
        finding = Finding("not-registered", text)
        return [Problem(Status.CRIT, finding, _register_fix(agent, region))]
    if not facts.firmware.is_ec2:
        text = "not registered, as far as can be seen: the firmware does not tell whether this is"
        return [problem(Status.UNKNOWN, "not-observed", f"{text} an EC2 instance")]
    status = Status.CRIT if is_proven(facts, metadata) else Status.UNKNOWN
    reason, text = _why_not(metadata)
    reason = "not-registered" if status is Status.CRIT else reason
    return [problem(status, reason, f"no identity of this EC2 instance: {text}")]


def ec2(
    acting: Acting,
    facts: RegistrationFacts,
    metadata: MetadataFacts | ProbeError | None,
    agent: Installation,
) -> list[Problem]:
    """Return what is wrong where the agent acts as the instance that it runs on."""
    service = believed(metadata)
    true_id = service.node_id if service else facts.firmware.board_id
    if true_id and true_id != acting.node_id:
        text = f"identity_config.json names {acting.node_id}, but this instance is {true_id}"
        why = ": left over in an image; the agent did not start since"
        finding = Finding("cloned-identity", text + why)
        return [Problem(Status.WARN, finding, restart_fix(agent.channel))]
    if true_id:
        return []
    if facts.firmware.is_other:
        text = (
            f"the agent acts as EC2 instance {acting.node_id}, but the firmware says"
            f" {facts.firmware.maker}, not Amazon EC2"
        )
        return [problem(Status.WARN, "cloned-identity", text)]
    reason, why = _why_not(metadata)
    text = f"the agent acts as {acting.node_id}, but that this is that instance is not proven"
    return [problem(Status.UNKNOWN, reason, f"{text}: {why}")]


def strange(acting: Acting) -> list[Problem]:
    """Return that the agent acts in a way that is not known here, or under no id of a node."""
    if not acting.node_id or (
        acting.kind in KIND_WORDS
        and (acting.kind not in {EC2, ON_PREM} or is_node_id(acting.node_id))
    ):
        return []
    text = f"the agent acts as {acting.node_id!r} of the type {acting.kind!r} ({acting.source})"
    return [problem(Status.UNKNOWN, "not-understood", f"{text}: what that is, is not known here")]


def hybrid(
    acting: Acting, facts: RegistrationFacts, order: tuple[str, ...], agent: Installation
) -> list[Problem]:
    """Return what is wrong with a hybrid registration, in use or left over."""
    found: list[Problem] = []
    stored = facts.registration.node_id if facts.registration else "a managed node"
    if facts.firmware.is_ec2 and (acting.kind == ON_PREM or _will_win(facts, order)):
        verb = "acts" if acting.kind == ON_PREM else "will act after its next start"
        who = acting.node_id if acting.kind == ON_PREM and acting.node_id else stored
        text = f"the agent {verb} as {who} by a hybrid registration, although this is an EC2"
        finding = Finding("leftover-registration", f"{text} instance: it wins over the instance")
        found.append(Problem(Status.WARN, finding, _clear_fix(agent)))
    if acting.kind != ON_PREM or not acting.is_written:
        return found
    if facts.registration and facts.registration.node_id != acting.node_id:
        text = f"the agent acts as {acting.node_id}, but {stored} is registered here since"
        finding = Finding("identity-differs", text)
        found.append(Problem(Status.WARN, finding, restart_fix(agent.channel)))
    elif not facts.is_hybrid and not facts.unread:
        text = f"the agent acts as {acting.node_id}, but no registration is stored any more"
        finding = Finding("registration-gone", f"{text}: it loses this identity when it restarts")
        found.append(Problem(Status.WARN, finding))
    return found


def _will_win(facts: RegistrationFacts, order: tuple[str, ...]) -> bool:
    ranks = [order.index(kind) if kind in order else len(order) for kind in (ON_PREM, EC2)]
    return facts.is_hybrid and ranks[0] < ranks[1]


def keys(facts: RegistrationFacts) -> list[Problem]:
    """Return what is wrong with the files of the vault."""
    found = [_missing(key) for key in facts.keys if key.state is None]
    for key in facts.keys:
        if key.laxity:
            status = Status.CRIT if key.is_open else Status.WARN
            who = "every user can read it" if key.is_open else "a closed folder still protects it"
            text = f"{key.path} {key.laxity}: {who}"
            finding = Finding("vault-exposed", text, key.path)
            found.append(Problem(status, finding, close_fix(key.path)))
    return found


def close_fix(path: str) -> Fix:
    """Return the command that leaves a file to root; its name may be anybody's invention."""
    if is_windows(path):
        return windows_fix.close(path)
    word = quote(path)
    return Fix(f"chown root:root {word} && chmod 600 {word}")


def _missing(key: SecretFile) -> Problem:
    status = Status.CRIT if key.name == HYBRID_KEY else Status.WARN
    text = f"the vault names {key.name}, but {key.path} is not there"
    return problem(status, "vault-incomplete", text, key.path)


def places(
    acting: Acting,
    facts: RegistrationFacts,
    config: AgentConfig | ProbeError,
    policy: IdentityPolicy,
) -> list[Problem]:
    """Return Regions that disagree, and what the operator does not allow."""
    found: list[Problem] = []
    others = {"node.region": policy.configured_region}
    if not isinstance(config, ProbeError):
        others["Agent.Region of the agent's configuration"] = config.region
    for source, region in others.items():
        if region and acting.region and region != acting.region:
            text = f"{acting.node_id} is registered in {acting.region}, but {source} is {region}"
            found.append(problem(Status.WARN, "region-differs", text))
    is_proven_so = acting.is_written or not facts.unread
    found += _expected("region", acting.region, policy.region, acting, is_proven_so)
    found += _expected("account", acting.account, policy.account, acting, is_proven_so)
    return found


def _expected(
    what: str,
    value: str,
    allowed: str,
    acting: Acting,
    is_proven_so: bool,  # noqa: FBT001 - told by one caller
) -> list[Problem]:
    if not allowed or value == allowed:
        return []
    who, limit = acting.node_id or "the node", f"allowed is {allowed} (node.expected_{what})"
    if value:
        status = Status.CRIT if is_proven_so else Status.UNKNOWN
        return [problem(status, f"wrong-{what}", f"{who} belongs to {what} {value}, {limit}")]
    finding = Finding(f"{what}-unknown", f"the {what} of {who} cannot be told here, {limit}")
    fix = _ask_fix(acting, allowed) if what == "account" else None
    return [Problem(Status.UNKNOWN, finding, fix)]


def _ask_fix(acting: Acting, account: str) -> Fix | None:
    """Return the question that only the account itself can answer."""
    if not is_node_id(acting.node_id):
        return None
    region = acting.region or "REGION"
    filters = f"--filters Key=InstanceIds,Values={acting.node_id}"
    command = f"aws ssm describe-instance-information {filters} --region {region}"
    return Fix(f"{command}   # elsewhere, as account {account}: it lists its own nodes")


def _why_not(metadata: MetadataFacts | ProbeError | None) -> tuple[str, str]:
    if metadata is None:
        return "offline", "the instance metadata was not asked (--offline)"
    if isinstance(metadata, ProbeError):
        return metadata.reason, str(metadata)
    return "foreign-responder", f"the instance metadata is not believed: {metadata.doubt}"


def _register_fix(agent: Installation, region: str) -> Fix:
    """Return the command of Amazon's page on installing the agent on hybrid nodes."""
    return _run(agent, f"-register -code CODE -id ID -region {region or 'REGION'}")


def _clear_fix(agent: Installation) -> Fix:
    return _run(agent, "-register -clear")


def _run(agent: Installation, arguments: str) -> Fix:
    restart = restart_fix(agent.channel)
    if agent.channel is Channel.WINDOWS:
        command = f"& '{agent.executable}' {arguments}; {restart.command}"
    else:
        command = f"{agent.executable} {arguments} && {restart.command}"
    return Fix(command, restart.shell, disruptive=True)
