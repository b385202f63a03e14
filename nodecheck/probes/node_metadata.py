"""Ask the instance metadata service who the instance is, and which role it has.

Where the firmware says Amazon EC2 the answers are believed, if they agree with it. Elsewhere only
the identity document is asked for, to learn whether somebody else answers at that address. Of the
role's credentials the time at which they expire is kept, and nothing else.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-categories.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.identity import ACCOUNT, REGION, MetadataFacts, is_node_id, parse_time
from nodecheck.records import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.host.door import Host, Metadata
    from nodecheck.model.identity import Firmware

DOCUMENT: Final = "/latest/dynamic/instance-identity/document"
PROFILE: Final = "/latest/meta-data/iam/info"
ROLES: Final = "/latest/meta-data/iam/security-credentials/"
SERVER: Final = "EC2ws"
"""How the service names itself on every instance."""

NAME_LIMIT: Final = 64
"""Longest name of a role (IAM User Guide, quotas)."""


def look(host: Host, firmware: Firmware) -> MetadataFacts:
    """Return what the service says, with a doubt where it is not believed.

    Raises:
        ProbeError: it does not answer; the reason says why.
    """
    session = host.network.metadata_session()
    document = _members(session.ask(DOCUMENT))
    node_id, region, account = (
        document.get(name, "") for name in ("instanceId", "region", "accountId")
    )
    facts = MetadataFacts(
        node_id if is_node_id(node_id) else "",
        region if REGION.fullmatch(region) else "",
        account if ACCOUNT.fullmatch(account) else "",
        session.server,
    )
    if session.server == SERVER and not (facts.node_id and facts.region and facts.account):
        msg = "instance metadata: its identity document is not understood"
        raise ProbeError(msg, "metadata-error")
    facts = replace(facts, doubt=_doubt(facts, firmware))
    return facts if facts.doubt else _with_role(facts, session)


def _doubt(facts: MetadataFacts, firmware: Firmware) -> str:
    if not firmware.is_ec2:
        return f"the firmware says {firmware.maker or 'nothing readable'}, not Amazon EC2"
    if not facts.node_id or not facts.region or not facts.account:
        return "its identity document names no instance, Region and account"
    if firmware.board_id and firmware.board_id != facts.node_id:
        return f"it speaks of {facts.node_id}, but the board is that of {firmware.board_id}"
    return ""


def _with_role(facts: MetadataFacts, session: Metadata) -> MetadataFacts:
    """Add the instance profile and its role; a role that cannot be asked for is told."""
    try:
        profile = _members(session.ask(PROFILE))
        name = session.ask(ROLES).decode("ascii", "replace").strip().partition("\n")[0]
        if not name or len(name) > NAME_LIMIT or not name.isprintable():
            return replace(facts, role_problem="the service names no role that could be one")
        credentials = _members(session.ask(ROLES + name))
    except Absent:
        return facts
    except ProbeError as exc:
        return replace(facts, role_problem=str(exc))
    return replace(
        facts,
        profile=_printable(profile.get("InstanceProfileArn", "")),
        role=name,
        role_code=_printable(credentials.get("Code", "") or profile.get("Code", "")),
        role_expires_at=parse_time(credentials.get("Expiration", "")),
    )


def _members(content: bytes) -> Mapping[str, str]:
    """Return the texts in a JSON object; whatever is not one holds none."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {key: value for key, value in document.items() if isinstance(value, str)}


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, text))[:200]
