"""Read when the agent got its credentials and when they expire; no key is in that file.

The core writes ``identity_config.json`` after each success
(common/runtimeconfig/identity_runtimeconfig.go of
https://github.com/aws/amazon-ssm-agent).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent_place import place_of
from nodecheck.model.channel import AgentCredentials
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.redaction import redact

if TYPE_CHECKING:
    from nodecheck.host.door import Host

CONFIG_BYTES: Final = 64 * 1024
SECONDS_CHARS: Final = 19
"""Of 2026-11-23T12:44:50.389712345Z: Go writes more digits than datetime reads."""


def look(host: Host) -> AgentCredentials:
    """Return the times of the agent's credentials; the file names whose they are, and no key."""
    path = place_of(host.platform.system).identity_config
    try:
        content = host.files.read(path, CONFIG_BYTES)
    except Absent:
        return AgentCredentials()
    except ProbeError as exc:
        return AgentCredentials(problem=str(exc))
    return read_credentials(content, path)


def read_credentials(content: bytes, path: str) -> AgentCredentials:
    """Return what the content of ``identity_config.json`` says."""
    import json

    try:
        document = json.loads(content.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return AgentCredentials(problem=f"{path}: not understood")
    if not isinstance(document, dict):
        return AgentCredentials(problem=f"{path}: not understood")
    source = document.get("CredentialSource")
    return AgentCredentials(
        source=redact(source, 20) if isinstance(source, str) else "",
        retrieved_s=_seconds(document.get("CredentialsRetrievedAt")),
        expires_s=_seconds(document.get("CredentialsExpiresAt")),
    )


def _seconds(value: object) -> float | None:
    """Return an instant as Go writes it, None where there is none: the year 1 is Go's zero."""
    if not isinstance(value, str):
        return None
    zone = value[SECONDS_CHARS:].lstrip(".0123456789")
    try:
        at = datetime.fromisoformat(value[:SECONDS_CHARS] + zone.replace("Z", "+00:00"))
    except ValueError:
        return None
    if at.tzinfo is None or at.year <= 1:
        return None
    return at.astimezone(UTC).timestamp()
