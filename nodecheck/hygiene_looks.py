"""The probes of good practice: what runs again and again, and what lies about in plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.hygiene import AssociationFacts, RunFolders, SecretFacts
from nodecheck.plan import Probe
from nodecheck.probes import hygiene_folders, hygiene_log, hygiene_secrets

if TYPE_CHECKING:
    from nodecheck.plan import Look


def _look_for_secrets(look: Look) -> SecretFacts:
    """Read nothing unless the operator asks for it."""
    if not look.settings.switch("hygiene.scan_secrets"):
        return SecretFacts(asked=False)
    return hygiene_secrets.look(look.host)


HYGIENE_PROBES: Final[tuple[Probe, ...]] = (
    Probe(AssociationFacts, lambda look: hygiene_log.look(look.host), limit_s=4),
    Probe(RunFolders, lambda look: hygiene_folders.look(look.host), limit_s=2),
    Probe(SecretFacts, _look_for_secrets, limit_s=6),
)
