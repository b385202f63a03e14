"""Nodes for the tests of identity and credentials: their files, and what was seen of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from nodecheck.model.acting import IdentityPolicy
from nodecheck.model.agent import Channel, Installation
from nodecheck.model.agent_config import AgentConfig
from nodecheck.model.errors import ProbeError
from nodecheck.model.identity import (
    Firmware,
    MetadataFacts,
    Registration,
    RegistrationFacts,
    RuntimeIdentity,
    SecretFile,
)
from nodecheck.model.install import InstallSurvey
from nodecheck.records import replace
from tests.fake_host import file_state

if TYPE_CHECKING:
    from nodecheck.model.node import FileState

DATA = "/var/lib/amazon/ssm"
HYBRID = "mi-0123456789abcdef0"
INSTANCE = "i-0123456789abcdef0"
OTHER = "i-0fedcba9876543210"
ACCOUNT = "123456789012"
REGION = "eu-west-1"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NEVER = datetime(1, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

NITRO = Firmware(is_ec2=True, maker="Amazon EC2", board_id=INSTANCE)
XEN = Firmware(is_ec2=True, maker="Xen")
QEMU = Firmware(is_ec2=False, maker="QEMU")
UNSEEN = Firmware(is_ec2=False, maker="")

SERVICE = MetadataFacts(
    INSTANCE,
    REGION,
    ACCOUNT,
    "EC2ws",
    f"arn:aws:iam::{ACCOUNT}:instance-profile/P",
    "NodeRole",
    "Success",
    NOW + HOUR,
)
AGENT = Installation(Channel.DEB, "3.3.0.0", "amazon-ssm-agent", "/usr/bin/amazon-ssm-agent")
INSTALLED = InstallSurvey((AGENT,), ())
NOT_INSTALLED = InstallSurvey((), ())


def fault(reason: str) -> ProbeError:
    return ProbeError(f"instance metadata at 169.254.169.254: {reason}", reason)


def runtime(kind: str = "OnPrem", **changes: object) -> RuntimeIdentity:
    acting = RuntimeIdentity(
        node_id=HYBRID if kind == "OnPrem" else INSTANCE,
        kind=kind,
        share_file="/root/.aws/credentials" if kind == "OnPrem" else "",
        share_profile="",
        credential_source="SSM" if kind == "OnPrem" else "EC2",
        expires_at=NOW + HOUR / 2,
        retrieved_at=NOW - HOUR / 2,
        written_at=NOW - 2 * HOUR,
    )
    return replace(acting, **changes)  # type: ignore[arg-type]


def folders(*modes: int) -> tuple[FileState, ...]:
    return tuple(file_state(f"/f{n}", mode=mode) for n, mode in enumerate(modes))


def key(name: str = "RegistrationKey", **changes: object) -> SecretFile:
    path = f"{DATA}/Vault/Store/{name}"
    state = file_state(path, **({"mode": 0o600, "size": 2100} | changes))
    return SecretFile(name, path, state, folders(0o600, 0o600, 0o700))


def files_say(**changes: object) -> RegistrationFacts:
    """Return a healthy hybrid node, with changes."""
    facts = RegistrationFacts(
        data=DATA,
        firmware=QEMU,
        runtime=runtime(),
        registration=Registration(HYBRID, REGION),
        keys=(key(), key("InstanceFingerprint", size=300)),
        unread=(),
        privileged=True,
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def instance_says(**changes: object) -> RegistrationFacts:
    """Return a healthy EC2 instance, with changes."""
    ec2 = files_say(firmware=NITRO, runtime=runtime("EC2"), registration=None, keys=())
    return replace(ec2, **changes)  # type: ignore[arg-type]


CONFIG = AgentConfig()
ANYWHERE = IdentityPolicy()


def text(**members: object) -> bytes:
    return json.dumps(members).encode()
