"""Tell whether the installed version is proven completely, so that it may be remembered.

Completely means: one package, its signature believed and over SHA-2 digests, and each of its
programs on the node with the signed digest. Modes, owners and unit files do not matter here: what
is remembered are bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.model.history import VerifiedVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.model.agent import Installation
    from nodecheck.model.trust import FileFacts, SignedPackage


def verified_version(
    packages: tuple[SignedPackage, ...], files: FileFacts
) -> VerifiedVersion | None:
    """Return the installed version with its programs, None where its proof has a gap."""
    if len(packages) != 1 or not packages[0].proven or packages[0].signature.weak:
        return None
    package = packages[0]
    programs = tuple(file for file in package.files if file.mode & 0o111 and file.digest)
    found = {
        file.expected.path: file.digest
        for file in files.files
        if file.expected.algorithm == "sha256"
    }
    if not programs or any(found.get(file.path) != file.digest for file in programs):
        return None
    return VerifiedVersion(package.version, tuple((file.path, file.digest) for file in programs))


def verified_snap(
    installations: tuple[Installation, ...], signed: Mapping[str, str] | None
) -> VerifiedVersion | None:
    """Return the one installed snap with the programs of its proven blob, None without proof."""
    if len(installations) != 1 or not signed:
        return None
    return VerifiedVersion(installations[0].version, tuple(sorted(signed.items())))
