"""Facts about signatures, pinned keys and signed files, and the operator's policy on them."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from nodecheck.model.node import FileKind
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.agent import Channel, Installation
    from nodecheck.model.node import FileState
    from nodecheck.model.unit_file import StartFacts

AGENT_PACKAGE: Final = "amazon-ssm-agent"
"""The name of the package, of its main executable and of its systemd unit."""

WEAK_DIGESTS: Final = frozenset({"md5", "sha1"})
"""Digests with known collisions; a second preimage is out of reach for both."""


class Trust(Enum):
    """On whose word a key is pinned."""

    SSM_AGENT = "ssm-agent"
    AMAZON_LINUX = "amazon-linux"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """One key of the ring. ``fingerprint`` is 40 upper-case hex digits, ``expires_at`` None: never.

    Signatures made at or after ``distrusted_after`` are not believed (None: all are).
    """

    fingerprint: str
    trust: Trust
    owner: str
    created_at: datetime
    expires_at: datetime | None
    distrusted_after: datetime | None = None

    def refusal(self, signed_at: datetime) -> str:
        """Return the reason code why a signature of this date is not believed, '' if it is.

        What counts is the date of the signature. That the key has expired since is no reason.
        """
        if signed_at < self.created_at:
            return "dated-before-key"
        if self.expires_at is not None and signed_at > self.expires_at:
            return "dated-after-expiry"
        if self.distrusted_after is not None and signed_at >= self.distrusted_after:
            return "key-distrusted"
        return ""


class SignatureOutcome(Enum):
    """What became of one signature. Only ``good`` proves anything."""

    GOOD = "good"
    BAD = "bad"
    UNSIGNED = "unsigned"
    UNKNOWN_KEY = "unknown-key"
    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class SignatureFact:
    """One signature. ``key`` is the pinned key that it names, ``key_id`` what it names itself.

    ``algorithm`` is the digest's name (``sha256``); '' where the signature could not be read.
    """

    outcome: SignatureOutcome
    detail: str
    key_id: str = ""
    algorithm: str = ""
    created_at: datetime | None = None
    key: PinnedKey | None = None

    def __post_init__(self) -> None:
        """Refuse a good signature without a key or a date."""
        if self.outcome is SignatureOutcome.GOOD and (self.key is None or self.created_at is None):
            msg = "a good signature needs a pinned key and a date"
            raise ValueError(msg)

    @property
    def weak(self) -> bool:
        """Tell whether the signature was made over a digest with known collisions."""
        return self.algorithm in WEAK_DIGESTS

    @property
    def refusal(self) -> str:
        """Return the reason code why its date rules it out, '' if it does not."""
        if self.key is None or self.created_at is None:
            return ""
        return self.key.refusal(self.created_at)

    @property
    def believed(self) -> bool:
        """Tell whether what it signs may be believed: good, and made while its key was valid."""
        return self.outcome is SignatureOutcome.GOOD and not self.refusal


@dataclass(frozen=True, slots=True)
class SignedFile:
    """One file as the signed header describes it. ``mode`` holds the 12 permission bits only.

    ``digest`` is lower-case hex, '' for what has none (folders, links, ghosts). ``optional`` files
    (documentation, licences) may be left out by the package manager's own settings.
    """

    path: str
    kind: FileKind
    mode: int
    digest: str
    algorithm: str
    target: str
    owner: str
    config: bool
    ghost: bool
    optional: bool

    @property
    def editable(self) -> bool:
        """Tell whether an administrator may change its content: a configuration, no program."""
        return self.config and not self.mode & 0o111

    @property
    def is_program(self) -> bool:
        """Tell whether this is a file with signed content that may be executed."""
        return self.kind is FileKind.FILE and bool(self.digest) and bool(self.mode & 0o111)


@dataclass(frozen=True, slots=True)
class SignedPackage:
    """The metadata of one package, of whatever channel, and what its signature proves about it.

    Every field but ``channel``, ``signature`` and ``source`` is a claim of what was signed, and of
    nothing else. ``version`` has four numbers, ``label`` is how the package manager names it.
    """

    channel: Channel
    name: str
    version: str
    label: str
    arch: str
    files: tuple[SignedFile, ...]
    signature: SignatureFact
    source: str

    @property
    def proven(self) -> bool:
        """Tell whether its claims may be believed: pinned signature, and over this package."""
        return self.signature.believed and self.name == AGENT_PACKAGE


@dataclass(frozen=True, slots=True)
class RpmFacts:
    """What the rpm databases of the node hold about the agent, and what could not be read."""

    packages: tuple[SignedPackage, ...]
    installations: tuple[Installation, ...]
    unobserved: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class InstalledFile:
    """One signed file as it is on the node.

    ``state`` is None where nothing is at its path, or where ``unobserved`` says why it was not
    seen. ``digest`` is None where there is none to compare.
    """

    expected: SignedFile
    state: FileState | None
    digest: str | None
    unobserved: str = ""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The agent's files, the folders above them, and ``shadows``: what is found before them.

    ``start`` is what systemd reads before it starts the agent. ``extras`` are programs that the
    package manager counts among the agent's, but nobody signed; ``settings`` the agent's own
    configuration in force, which nobody signs either, ``settings_place`` the folder for it.
    """

    files: tuple[InstalledFile, ...]
    folders: tuple[FileState, ...]
    start: StartFacts
    shadows: tuple[FileState, ...]
    unobserved: tuple[str, ...]
    extras: tuple[FileState, ...] = ()
    settings: tuple[FileState, ...] = ()
    settings_place: FileState | None = None


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """Every key of the ring."""

    keys: tuple[PinnedKey, ...]

    @property
    def newest(self) -> PinnedKey | None:
        """Return the key that will sign the agent longest: Amazon's, else the operator's.

        A distrusted key is none. None: the ring holds neither.
        """
        for trust in (Trust.SSM_AGENT, Trust.OPERATOR):
            keys = [key for key in self.keys if key.trust is trust and not key.distrusted_after]
            if keys:
                return max(keys, key=_expiry_rank)
        return None

    def days_left(self, now: datetime) -> float | None:
        """Return the days until the newest key expires, negative once it has; None: never."""
        newest = self.newest
        if newest is None or newest.expires_at is None:
            return None
        return (newest.expires_at - now).total_seconds() / 86400


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Whom the operator believes, and when the ring is due for a new key.

    Amazon shows its next key at most six weeks before the current one expires
    (https://github.com/aws/amazon-ssm-agent/issues/676, and the overlaps of the pinned five).
    """

    key_files: tuple[str, ...] = ()
    builtin_keys: bool = True
    distrust: tuple[tuple[str, datetime | None], ...] = ()
    warn_days: int = 60
    crit_days: int = 7


def _expiry_rank(key: PinnedKey) -> tuple[bool, datetime]:
    return (key.expires_at is None, key.expires_at or key.created_at)
