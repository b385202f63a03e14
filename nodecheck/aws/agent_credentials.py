"""The SSM Agent's own temporary credentials, which it leaves in a file for root.

On a hybrid node they are in the file and profile that ``identity_config.json`` names (ShareFile,
ShareProfile), under default host management in a file of their own. A maintainer calls them "not
designed to be used by other processes" (https://github.com/aws/amazon-ssm-agent/pull/654), so they
are taken only where the operator says so, and only where nobody but root can write them.
"""

from __future__ import annotations

import json
import re
from configparser import ConfigParser
from configparser import Error as ConfigError
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent_place import place_of
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import FileKind
from nodecheck.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.host.door import Files, Host

LIMIT_BYTES: Final = 65_536
_OTHERS_WRITE: Final = 0o022
_ABSOLUTE: Final = re.compile(r"/|[A-Za-z]:[/\\]")


@dataclass(frozen=True, slots=True)
class AgentCredentials:
    """Temporary credentials; ``source`` names the file and profile they are from."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str = field(repr=False)
    source: str


def find(host: Host) -> AgentCredentials | None:
    """Return the agent's credentials, None where it has left none.

    Raises:
        ProbeError: a file of them is there, and cannot be read or believed.
    """
    place = place_of(host.platform.system)
    candidates = [*_shared(host.files, place.identity_config), (place.credentials, "default")]
    for path, profile in candidates:
        try:
            return _read(host.files, path, profile)
        except Absent:
            continue
    return None


def _shared(files: Files, path: str) -> Iterator[tuple[str, str]]:
    """Return the file and profile that the agent says it shares, if it says any."""
    try:
        config = json.loads(_own(files, path))
    except Absent:
        return
    except (ValueError, RecursionError) as exc:
        msg = f"{path}: not understood"
        raise ProbeError(msg, "not-understood") from exc
    if not isinstance(config, dict):
        return
    file, profile = config.get("ShareFile"), config.get("ShareProfile")
    if isinstance(file, str) and _ABSOLUTE.match(file):
        yield (
            file.replace("\\", "/"),
            profile if isinstance(profile, str) and profile else "default",
        )


def _read(files: Files, path: str, profile: str) -> AgentCredentials:
    parser = ConfigParser(interpolation=None, strict=False, default_section="")
    try:
        parser.read_string(_own(files, path))
    except ConfigError:  # its text holds lines of the file, so it goes no further
        msg = f"{path}: not a file of credentials"
        raise ProbeError(msg, "not-understood") from None
    if not parser.has_section(profile):
        msg = f"{path}: there is no profile {profile!r} in it"
        raise Absent(msg)
    section = parser[profile]
    access_key, secret_key = (
        section.get(name, "").strip() for name in ("aws_access_key_id", "aws_secret_access_key")
    )
    if not access_key or not secret_key:
        msg = f"{path}: the profile {profile!r} holds no credentials"
        raise ProbeError(msg, "not-understood")
    token = section.get("aws_session_token", "").strip()
    return AgentCredentials(
        access_key, secret_key, token, f"the SSM Agent ({path}, profile {profile})"
    )


def _own(files: Files, path: str) -> str:
    """Return a text file that nobody but root can write."""
    state = files.state(path)
    if state.kind is not FileKind.FILE or state.uid != 0 or state.mode & _OTHERS_WRITE:
        msg = f"{path}: owner {state.uid}, mode {state.mode:04o}: not the agent's own"
        raise ProbeError(msg, "no-credentials")
    return files.read(path, LIMIT_BYTES).decode("utf-8", "replace")
