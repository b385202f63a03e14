"""What can be wrong with the instance metadata service and the role that it hands out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.checks.clock_words import human
from nodecheck.checks.identity_problems import is_proven
from nodecheck.checks.proof import Problem, problem
from nodecheck.model.errors import ProbeError
from nodecheck.model.identity import is_node_id
from nodecheck.model.verdict import Finding, Fix, Status

if TYPE_CHECKING:
    from nodecheck.model.acting import Acting
    from nodecheck.model.credential_sight import Sight
    from nodecheck.model.identity import MetadataFacts

SERVER: Final = "EC2ws"
"""How the instance metadata service names itself."""

SUCCESS: Final = "Success"


def service(sight: Sight) -> list[Problem]:
    """Return what is wrong with the instance metadata service, for an EC2 instance."""
    metadata, acting = sight.metadata, sight.acting
    if metadata is None:
        return []
    if isinstance(metadata, ProbeError):
        status = Status.CRIT if is_proven(sight.registration, metadata) else Status.UNKNOWN
        fix = _service_fix(metadata.reason, acting)
        return [Problem(status, Finding(metadata.reason, str(metadata)), fix)]
    if metadata.doubt:
        status = Status.CRIT if sight.registration.firmware.is_ec2 else Status.WARN
        text = f"another answers for the instance metadata: {metadata.doubt}"
        return [problem(status, "foreign-responder", text)]
    found = role(metadata, sight)
    if metadata.server != SERVER:
        name = metadata.server or "nobody"
        text = f"the instance metadata answers as {name} instead of {SERVER}: something stands"
        found.append(problem(Status.WARN, "foreign-responder", f"{text} in between"))
    return found


def role(metadata: MetadataFacts, sight: Sight) -> list[Problem]:
    """Return what is wrong with the role of the instance profile."""
    if metadata.role_problem:
        return [problem(Status.UNKNOWN, "role-not-observed", metadata.role_problem)]
    if sight.is_default_host and sight.is_valid_now:
        return []  # a missing or refused profile is why Default Host Management is used
    if not metadata.role:
        return [_without_role(sight)]
    return _lease(metadata, sight)


def _lease(metadata: MetadataFacts, sight: Sight) -> list[Problem]:
    """Return what is wrong with the credentials that the role gives."""
    if metadata.role_code not in {SUCCESS, ""}:
        text = f"AWS refuses the role {metadata.role} of the instance: {metadata.role_code}"
        return [problem(Status.CRIT, "role-refused", text)]
    if metadata.role_expires_at is None:
        text = f"the instance metadata does not say when the credentials of {metadata.role} expire"
        return [problem(Status.UNKNOWN, "role-not-observed", text)]
    if sight.now is not None and metadata.role_expires_at <= sight.now:
        ago = human((sight.now - metadata.role_expires_at).total_seconds())
        text = f"the instance metadata hands out credentials that expired {ago} ago"
        return [problem(Status.CRIT, "expired", text)]
    return []


def _without_role(sight: Sight) -> Problem:
    is_cut_off = sight.acting.is_written and not sight.is_valid_now and sight.now is not None
    text = "the instance has no instance profile, and no credentials came from Default Host"
    finding = Finding("no-instance-profile", f"{text} Management")
    status = Status.CRIT if is_cut_off else Status.WARN
    command = (
        f"aws ec2 associate-iam-instance-profile {_instance(sight.acting)}"
        " --iam-instance-profile Name=PROFILE"
    )
    return Problem(status, finding, Fix(command))


def _service_fix(reason: str, acting: Acting) -> Fix | None:
    options = {
        "metadata-hop-limit": "--http-put-response-hop-limit 2",
        "metadata-disabled": "--http-endpoint enabled",
        "metadata-timeout": "--http-endpoint enabled",
        "metadata-unreachable": "--http-endpoint enabled",
        "metadata-no-reply": "--http-endpoint enabled --http-put-response-hop-limit 2",
    }
    if reason not in options:
        return None
    instance = _instance(acting)
    return Fix(f"aws ec2 modify-instance-metadata-options {instance} {options[reason]}")


def _instance(acting: Acting) -> str:
    known = acting.node_id if is_node_id(acting.node_id) else "INSTANCE-ID"
    return f"--instance-id {known} --region {acting.region or 'REGION'}"
