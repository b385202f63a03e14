"""Find out which node this is: managed node id, kind, Region, account.

The first source that answers wins (files: common/identity and core/agent_parser.go of
aws/amazon-ssm-agent). For the Region: the setting, ``AWS_REGION``, ``AWS_SSM_REGION_NAME`` (set by
the agent for what it runs), the hybrid registration, the instance metadata. For the node id:
``identity_config.json`` (what the agent acts as), the hybrid registration, ``AWS_SSM_INSTANCE_ID``,
the instance metadata, the asset tag of the board. The vault with the private key is never read. The
instance metadata is asked only where the firmware says Amazon EC2: elsewhere somebody else may
listen at that address.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Protocol

from nodecheck.aws.endpoints import is_region
from nodecheck.host.firmware import DMI, look_at_firmware
from nodecheck.model.agent_place import place_of
from nodecheck.model.errors import ProbeError
from nodecheck.model.identity import ACCOUNT, is_node_id
from nodecheck.model.node import NodeFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from nodecheck.host.door import Files, Host

DOCUMENT: Final = "/latest/dynamic/instance-identity/document"
LIMIT_BYTES: Final = 64 * 1024

_KINDS: Final = {"OnPrem": "hybrid", "EC2": "ec2", "ECS": "ecs", "CustomIdentity": "custom"}
"""Values of IdentityType in identity_config.json."""


class Metadata(Protocol):
    """The instance metadata service, asked by IMDSv2 with its own short time limit."""

    def __call__(self, path: str) -> bytes:
        """Return the text at this path; no answer is a ProbeError."""


def look(host: Host, configured_region: str, metadata: Metadata | None = None) -> NodeFacts:
    """Return who this node is, as far as this user can see; nothing found is ''."""
    environment = host.environment
    place = place_of(host.platform.system)
    identity = _json(host.files, place.identity_config)
    registration = _json(host.files, place.registration)
    firmware = look_at_firmware(host)
    is_ec2 = firmware.is_ec2
    document = _document(metadata) if is_ec2 and metadata is not None else {}
    region, region_source = _first(
        is_region,
        (
            (configured_region, "setting node.region"),
            (environment.get("AWS_REGION", ""), "AWS_REGION"),
            (environment.get("AWS_DEFAULT_REGION", ""), "AWS_DEFAULT_REGION"),
            (environment.get("AWS_SSM_REGION_NAME", ""), "AWS_SSM_REGION_NAME"),
            (registration.get("Region", ""), place.registration),
            (document.get("region", ""), "instance metadata"),
        ),
    )
    node_id, _ = _first(
        is_node_id,
        (
            (identity.get("InstanceId", ""), place.identity_config),
            (registration.get("ManagedInstanceID", ""), place.registration),
            (environment.get("AWS_SSM_INSTANCE_ID", ""), "AWS_SSM_INSTANCE_ID"),
            (document.get("instanceId", ""), "instance metadata"),
            (firmware.board_id, DMI),
        ),
    )
    account, _ = _first(_is_account, ((document.get("accountId", ""), "instance metadata"),))
    kind = _KINDS.get(identity.get("IdentityType", ""), "") or _kind(node_id)
    return NodeFacts(node_id, kind, region, region_source, account, is_ec2)


def _first(is_valid: Callable[[str], bool], values: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Return the first value of the right form with its source."""
    return next(((value, source) for value, source in values if is_valid(value)), ("", ""))


def _is_account(text: str) -> bool:
    return ACCOUNT.fullmatch(text) is not None


def _kind(node_id: str) -> str:
    if not node_id:
        return ""
    return "hybrid" if node_id.startswith("mi-") else "ec2"


def _json(files: Files, path: str) -> Mapping[str, str]:
    try:
        return parse(files.read(path, LIMIT_BYTES))
    except ProbeError:
        return {}


def _document(metadata: Metadata) -> Mapping[str, str]:
    try:
        return parse(metadata(DOCUMENT))
    except ProbeError:
        return {}


def parse(content: bytes) -> Mapping[str, str]:
    """Return the texts in a JSON object; whatever is not one holds none."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {key: value for key, value in document.items() if isinstance(value, str)}
