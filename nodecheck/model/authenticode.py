"""Facts about signed programs of Windows: what they say themselves, and what Windows says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.access import AccessFacts
    from nodecheck.model.node import FileState
    from nodecheck.model.windows_service import WindowsService

SERVICE: Final = "AmazonSSMAgent"
SERVICE_KEY: Final = rf"HKLM\SYSTEM\CurrentControlSet\Services\{SERVICE}"

CODE_SIGNING: Final = "1.3.6.1.5.5.7.3.3"
LIFETIME_SIGNING: Final = "1.3.6.1.4.1.311.10.3.13"
"""With this usage a timestamp does not outlive the certificate (wincrypt.h)."""

PUBLISHERS: Final = (
    "Amazon.com Services LLC",
    "Amazon Services LLC",
    "Amazon Web Services, Inc.",
    "Amazon.com, Inc.",
)
"""Organisations under which Amazon signs: the agent's installer asks for the first of them
(agent/setupcli/managers/configurationmanager of aws/amazon-ssm-agent), older and other tools of AWS
bear the rest."""

STRONG_DIGESTS: Final = frozenset({"sha256", "sha384", "sha512"})


@dataclass(frozen=True, slots=True)
class SignerCertificate:
    """The certificate that a program was signed with; ``sha256`` is that of the whole of it.

    ``usages`` are its extended key usages, dotted; empty where it names none.
    """

    organizations: tuple[str, ...]
    common_names: tuple[str, ...]
    issuer: str
    sha256: str
    valid_from: datetime
    valid_until: datetime
    usages: tuple[str, ...]
    self_issued: bool

    def is_valid_at(self, instant: datetime) -> bool:
        """Tell whether an instant lies in its validity."""
        return self.valid_from <= instant <= self.valid_until

    @property
    def names(self) -> str:
        """Return organisation and common name, as one reads them."""
        organization = " + ".join(self.organizations) or "nobody"
        return f"O={organization}, CN={' + '.join(self.common_names) or 'nobody'}"


@dataclass(frozen=True, slots=True)
class EmbeddedSignature:
    """A signature whose own parts fit one another: content, attributes, key and certificates.

    ``digest`` is the image digest that was signed, lower-case hex. ``timestamped`` says that it
    carries a countersignature, which only Windows judges. Nothing here says whom to trust.
    """

    digest_algorithm: str
    digest: str
    certificate: SignerCertificate
    timestamped: bool


@dataclass(frozen=True, slots=True)
class TrustAnswer:
    """What WinVerifyTrust said of one file, and what the state it left says besides.

    ``code`` is the return as an unsigned number, ``revocation`` the code of a first call that could
    not check revocation (0: it was checked). ``signer_sha256`` is the certificate of the primary
    signer ('' without one), ``chain_errors`` the error bits of its chain, None where no chain was
    built, ``countersigned_at`` the time of a countersignature that Windows accepted.
    """

    code: int
    revocation: int = 0
    signer_sha256: str = ""
    chain_errors: int | None = None
    countersigned_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProgramFact:
    """One executable of the agent. ``unobserved`` says why it was not seen, and then all is empty.

    ``refusal`` and ``detail`` are reason code and sentence of a file whose own bytes disprove it,
    '' where ``signature`` is whole and the image digest is the signed one. ``answer`` is None where
    Windows was not asked; ``unanswered`` says why.
    """

    path: str
    sha256: str = ""
    state: FileState | None = None
    refusal: str = ""
    detail: str = ""
    signature: EmbeddedSignature | None = None
    answer: TrustAnswer | None = None
    unanswered: str = ""
    unobserved: str = ""

    @property
    def name(self) -> str:
        """Return the file's own name."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Place:
    """Something whose access list is judged. ``above``: a folder above the agent's own.

    ``access`` is None where it was not seen, and ``unobserved`` says why; ``is_link`` tells of
    something that leads elsewhere.
    """

    path: str
    access: AccessFacts | None
    above: bool = False
    is_link: bool = False
    unobserved: str = ""


@dataclass(frozen=True, slots=True)
class WindowsInstall:
    """How the agent is set up on a Windows node; paths have forward slashes.

    ``executable`` is where the installer puts the agent, ``has_executable`` tells whether it is
    there. ``image`` is the program of the service, '' without one. ``version`` is that of the
    service key ('' where it has none), ``listed`` the versions under the uninstall keys, a hint.
    ``shadows`` are files that Windows would start before the program of an unquoted command.
    """

    executable: str
    has_executable: bool = False
    service: WindowsService | None = None
    image: str = ""
    version: str = ""
    listed: tuple[str, ...] = ()
    shadows: tuple[str, ...] = ()
    unobserved: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Return the folder of the agent's programs."""
        return self.executable.rpartition("/")[0]

    @property
    def is_service_elsewhere(self) -> bool:
        """Tell whether the service starts another path than the installer's, letters' case aside.

        >>> WindowsInstall("C:/A/x.exe", image="c:/a/X.exe").is_service_elsewhere
        False
        """
        return bool(self.image) and self.image.casefold() != self.executable.casefold()


@dataclass(frozen=True, slots=True)
class WindowsPrograms:
    """The agent's executables, and who may change them, their folders and their settings.

    ``missing`` are executables that are not there, ``reported`` is the version that the agent said
    itself after its signature was proven, ``note`` why it did not.
    """

    programs: tuple[ProgramFact, ...]
    missing: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    reported: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class PublisherPolicy:
    """Which organisations may have signed the agent."""

    publishers: tuple[str, ...] = PUBLISHERS
