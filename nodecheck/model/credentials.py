"""Facts about files of credentials: where they are and who can read them, never what they hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.identity import SecretFile, Unread

SHARED: Final = "shared by the agent"
DEFAULT_HOST: Final = "of Default Host Management"
ROOTS: Final = "of root"

DEFAULT_PROFILE: Final = "default"
PROFILES_LIMIT: Final = 20
UNNAMED: Final = "(a name that is not shown)"

_NAME: Final = re.compile(r"(?!A[KS]IA)[A-Za-z0-9_.@+-]{1,32}")
_SECTION: Final = re.compile(r"\[([^\]]*)\]")
_KEY_ID: Final = "aws_access_key_id"
_SESSION: Final = "aws_session_token"


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile of a credentials file; static keys are those without a session token."""

    name: str
    is_static: bool


@dataclass(frozen=True, slots=True)
class CredentialsFile:
    """A credentials file and the names of its profiles; ``file.name`` says whose it is."""

    file: SecretFile
    profiles: tuple[Profile, ...] = ()


@dataclass(frozen=True, slots=True)
class CredentialFacts:
    """Every credentials file looked at, and the local clock, by which the agent decides."""

    files: tuple[CredentialsFile, ...]
    unread: tuple[Unread, ...]
    local_now: datetime


def read_profiles(text: str) -> tuple[Profile, ...]:
    r"""Return the profiles of a credentials file; values are not kept, only which keys there are.

    >>> read_profiles("[default]\naws_access_key_id = A\naws_secret_access_key = B\n")
    (Profile(name='default', is_static=True),)
    """
    found: dict[str, set[str]] = {}
    keys: set[str] = set()
    for line in text.splitlines():
        section = _SECTION.match(line.strip())
        if section is not None:
            name = section[1].strip()
            keys = found.setdefault(name if _NAME.fullmatch(name) else UNNAMED, set())
        else:
            keys.add(line.partition("=")[0].strip().lower())
    rows = list(found.items())[:PROFILES_LIMIT]
    return tuple(Profile(name, _KEY_ID in own and _SESSION not in own) for name, own in rows)
