"""All that is judged of the agent's credentials, in one value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.acting import act
from nodecheck.model.identity import EC2
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.model.acting import Acting
    from nodecheck.model.agent_config import AgentConfig
    from nodecheck.model.credentials import CredentialFacts
    from nodecheck.model.errors import ProbeError
    from nodecheck.model.identity import MetadataFacts, RegistrationFacts, RuntimeIdentity

DHMC_SOURCE: Final = "SSM"
"""CredentialSource of an EC2 instance under Default Host Management."""


@dataclass(frozen=True, slots=True)
class Sight:
    """All that is judged; ``metadata`` is None where nobody asked, ``now`` where it is unknown."""

    registration: RegistrationFacts
    files: CredentialFacts
    metadata: MetadataFacts | ProbeError | None
    config: AgentConfig | ProbeError
    now: datetime | None

    @property
    def acting(self) -> Acting:
        """Return as whom the agent acts."""
        return act(self.registration, self.metadata)

    @property
    def runtime(self) -> RuntimeIdentity | None:
        """Return what the agent wrote at its start."""
        return self.registration.runtime

    @property
    def is_default_host(self) -> bool:
        """Tell whether the agent noted that its credentials come from Systems Manager itself."""
        runtime = self.runtime
        if runtime is None or runtime.kind != EC2:
            return False
        return runtime.credential_source == DHMC_SOURCE

    @property
    def is_valid_now(self) -> bool:
        """Tell whether the noted credentials are proven not to have expired."""
        expires_at = self.runtime.expires_at if self.runtime else None
        return self.now is not None and expires_at is not None and expires_at > self.now
