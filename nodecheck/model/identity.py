"""Facts about who the agent acts as: what its files, the firmware and the instance metadata say.

Sources: common/identity/identity_selector.go, common/runtimeconfig/identity_runtimeconfig.go and
agent/managedInstances/vault/fsvault/fsvault.go of https://github.com/aws/amazon-ssm-agent.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent_place import is_windows
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.node import FileState

ON_PREM: Final = "OnPrem"
EC2: Final = "EC2"
KIND_WORDS: Final = {
    ON_PREM: "hybrid registration",
    EC2: "EC2 instance",
    "ECS": "ECS task",
    "CustomIdentity": "identity fixed in the agent's configuration",
}
"""Values of IdentityType in identity_config.json."""

HYBRID_KEY: Final = "RegistrationKey"
"""What the vault calls the private key of a hybrid registration."""

LEAST_KEY_BYTES: Final = 512
"""An RSA key of 2048 bits takes 1.6 KB; a registration that was cleared leaves 150 bytes."""

NODE_ID: Final = re.compile(r"m?i-[0-9a-f]{8,17}")
ACCOUNT: Final = re.compile(r"[0-9]{12}")
REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")

_OTHERS: Final = 0o077
_ANY_READ: Final = 0o004
_ANY_SEARCH: Final = 0o001


def is_node_id(text: str) -> bool:
    """Tell whether a text is the id of a managed node."""
    return NODE_ID.fullmatch(text) is not None


def parse_time(text: str) -> datetime | None:
    """Return a time as Go writes it (RFC 3339), None where the text is no time.

    >>> parse_time("2026-11-23T13:44:50.123456789+01:00")
    datetime.datetime(2026, 11, 23, 12, 44, 50, 123456, tzinfo=datetime.timezone.utc)
    """
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else None
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that could not be seen, and why."""

    path: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RuntimeIdentity:
    """``identity_config.json``: as whom the agent acts, written at each of its starts.

    A time is None where the file holds none; the year 1 means: never.
    """

    node_id: str
    kind: str
    share_file: str
    share_profile: str
    credential_source: str
    expires_at: datetime | None
    retrieved_at: datetime | None
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Registration:
    """A hybrid registration, as its file without a key says; '' is what it does not say."""

    node_id: str
    region: str


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file that holds a secret, and the folders above it; what is in it is not read.

    ``state`` is None where the file is proven not to be there.
    """

    name: str
    path: str
    state: FileState | None
    folders: tuple[FileState, ...]

    @property
    def laxity(self) -> str:
        """Return what is wrong with owner and mode, '' where only root may read it."""
        if self.state is None:
            return ""
        if is_windows(self.path):
            return self._laxity_on_windows(self.state)
        if self.state.uid:
            return f"belongs to user {self.state.uid}, allowed is root"
        if self.state.mode & _OTHERS:
            return f"has mode {self.state.mode:04o}, allowed is 0600"
        return ""

    def _laxity_on_windows(self, state: FileState) -> str:
        """Return it of an access list: owner and mode stand for that there (``model.access``)."""
        allowed = "allowed are SYSTEM and administrators"
        if state.uid:
            return f"belongs to another user, {allowed}"
        is_open = state.mode & _OTHERS
        return f"is open to other users by its access list, {allowed}" if is_open else ""

    @property
    def is_open(self) -> bool:
        """Tell whether another user can read it: the file allows it, and so does every folder."""
        if self.state is None:
            return False
        lets = bool(self.state.uid) or bool(self.state.mode & _ANY_READ)
        return lets and all(folder.mode & _ANY_SEARCH for folder in self.folders)


@dataclass(frozen=True, slots=True)
class Firmware:
    """Whose machine the firmware says this is; ``maker`` '' where it could not be read.

    ``board_id`` is the instance id that Nitro systems hold as the asset tag of the board.
    """

    is_ec2: bool
    maker: str
    board_id: str = ""

    @property
    def is_other(self) -> bool:
        """Tell whether this is proven to be no machine of Amazon EC2."""
        return not self.is_ec2 and bool(self.maker)


@dataclass(frozen=True, slots=True)
class RegistrationFacts:
    """What the agent's files and the firmware say; None is what is proven not to be there.

    ``keys`` are the names in the vault's manifests, ``data`` is the agent's data folder.
    """

    data: str
    firmware: Firmware
    runtime: RuntimeIdentity | None
    registration: Registration | None
    keys: tuple[SecretFile, ...]
    unread: tuple[Unread, ...]
    privileged: bool

    @property
    def is_hybrid(self) -> bool:
        """Tell whether the key of a hybrid registration is stored.

        ``amazon-ssm-agent -register -clear`` leaves both files behind, the key's without a key.
        """
        return any(
            key.name == HYBRID_KEY and key.state and key.state.size >= LEAST_KEY_BYTES
            for key in self.keys
        )


@dataclass(frozen=True, slots=True)
class MetadataFacts:
    """What the instance metadata service says of the instance and of its role; '' for nothing.

    ``role_code`` is ``Success`` or the error that AWS met with the role. ``doubt`` says why the
    answers are not believed, '' where they are.
    """

    node_id: str
    region: str
    account: str
    server: str
    profile: str = ""
    role: str = ""
    role_code: str = ""
    role_expires_at: datetime | None = None
    role_problem: str = ""
    doubt: str = ""
