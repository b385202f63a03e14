"""What earlier runs verified: the only ground on which an image of an older version is believed."""

from __future__ import annotations

from nodecheck.records import dataclass


@dataclass(frozen=True, slots=True)
class VerifiedVersion:
    """A version all of whose signed programs were on the node: path and SHA-256 of each."""

    version: str
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class History:
    """The versions that verified completely, newest first; ``note``: what is wrong with the file.

    It holds what earlier runs kept and what this one proved itself.
    """

    versions: tuple[VerifiedVersion, ...] = ()
    note: str = ""

    def version_of(self, path: str, sha256: str) -> str:
        """Return the verified version to which this file belonged, '' where there is none."""
        owners = (item.version for item in self.versions if (path, sha256) in item.files)
        return next(owners, "")
