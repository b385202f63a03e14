"""Look which credentials files there are, whose they are, and who can read them.

Sources: agent/managedInstances/sharedCredentials and agent/appconfig of
https://github.com/aws/amazon-ssm-agent; the order in which SDKs look for credentials. Of a file's
content only the names of profiles and keys are kept.
"""

from __future__ import annotations

from posixpath import dirname
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent_place import is_windows, place_of
from nodecheck.model.credentials import (
    DEFAULT_HOST,
    ROOTS,
    SHARED,
    CredentialFacts,
    CredentialsFile,
    read_profiles,
)
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.identity import SecretFile, Unread
from nodecheck.model.moment import instant

if TYPE_CHECKING:
    from nodecheck.host.door import Files, Host
    from nodecheck.model.identity import RegistrationFacts
    from nodecheck.model.node import FileState

LIMIT_BYTES: Final = 64 * 1024
DEPTH: Final = 3
"""Folders above a file that are looked at: those of the agent, and those of a home."""


def look(host: Host, registration: RegistrationFacts) -> CredentialFacts:
    """Return the files that are there; one that the agent names but is not there has no state."""
    shared = registration.runtime.share_file if registration.runtime else ""
    shared = shared.replace("\\", "/") if is_windows(shared) else shared
    if not (shared.startswith("/") or is_windows(shared)) or not shared.isprintable():
        shared = ""
    place = place_of(host.platform.system)
    places = {f"{place.home}/.aws/credentials": ROOTS, place.credentials: DEFAULT_HOST}
    places |= {shared: SHARED} if shared else {}
    files: list[CredentialsFile] = []
    unread: list[Unread] = []
    for path, whose in places.items():
        try:
            files.append(_read(host.files, path, whose))
        except Absent:
            if whose == SHARED:
                files.append(CredentialsFile(SecretFile(whose, path, None, ())))
        except ProbeError as exc:
            unread.append(Unread(path, exc.reason, str(exc)))
    return CredentialFacts(tuple(files), tuple(unread), instant(host.clock.wall_ns()))


def _read(files: Files, path: str, whose: str) -> CredentialsFile:
    state, folders = files.state(path), _folders(files, path)
    text = files.read(path, LIMIT_BYTES).decode("utf-8", "replace")
    return CredentialsFile(SecretFile(whose, path, state, folders), read_profiles(text))


def _folders(files: Files, path: str) -> tuple[FileState, ...]:
    found: list[FileState] = []
    folder = dirname(path)
    while folder != "/" and dirname(folder) and len(found) < DEPTH:
        found.append(files.state(folder))
        folder = dirname(folder)
    return tuple(found)
