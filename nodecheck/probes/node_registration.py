"""Look at what the agent's files say of its identity, without reading a secret.

Of the vault only the manifests are read, which name its keys; of the files that hold the keys only
owner, mode and size are looked at.
"""

from __future__ import annotations

import json
from posixpath import dirname
from typing import TYPE_CHECKING, Final

from nodecheck.host.firmware import look_at_firmware
from nodecheck.model.agent_place import is_windows, place_of
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.identity import (
    REGION,
    Registration,
    RegistrationFacts,
    RuntimeIdentity,
    SecretFile,
    Unread,
    is_node_id,
    parse_time,
)
from nodecheck.model.moment import instant
from nodecheck.model.node import FileKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.host.door import Files, Host
    from nodecheck.model.agent_place import AgentPlace
    from nodecheck.model.node import FileState

LIMIT_BYTES: Final = 64 * 1024
MANIFESTS: Final = ("Manifest", "EC2Manifest")
KEYS_LIMIT: Final = 20


def look(host: Host) -> RegistrationFacts:
    """Return what the files say; what cannot be seen is told in ``unread``."""
    place = place_of(host.platform.system)
    reader = _Reader(host.files, place, [])
    return RegistrationFacts(
        data=place.data,
        firmware=look_at_firmware(host),
        runtime=reader.runtime(),
        registration=reader.registration(),
        keys=reader.keys(),
        unread=tuple(reader.unread),
        privileged=host.privileged,
    )


class _Reader:
    """Reads one file after the other and notes what cannot be seen."""

    def __init__(self, files: Files, place: AgentPlace, unread: list[Unread]) -> None:
        self._files = files
        self._place = place
        self.unread = unread

    def runtime(self) -> RuntimeIdentity | None:
        path = self._place.identity_config
        members = self._members(path)
        state = self._state(path) if members is not None else None
        if members is None or state is None:
            return None
        node_id, kind = _text(members, "InstanceId"), _text(members, "IdentityType")
        if not node_id or not kind:
            self._note(path, ProbeError(f"{path}: names no node and identity", "not-understood"))
            return None
        return RuntimeIdentity(
            node_id=_printable(node_id),
            kind=_printable(kind),
            share_file=_text(members, "ShareFile"),
            share_profile=_printable(_text(members, "ShareProfile")),
            credential_source=_printable(_text(members, "CredentialSource")),
            expires_at=parse_time(_text(members, "CredentialsExpiresAt")),
            retrieved_at=parse_time(_text(members, "CredentialsRetrievedAt")),
            written_at=instant(state.mtime_ns),
        )

    def registration(self) -> Registration | None:
        path = self._place.registration
        members = self._members(path)
        if members is None:
            return None
        node_id, region = _text(members, "ManagedInstanceID"), _text(members, "Region")
        if not is_node_id(node_id) or REGION.fullmatch(region) is None:
            self._note(path, ProbeError(f"{path}: names no node and Region", "not-understood"))
            return None
        return Registration(node_id, region)

    def keys(self) -> tuple[SecretFile, ...]:
        """Return the keys that the manifests name."""
        vault = self._place.vault
        found: list[SecretFile] = []
        for name in MANIFESTS:
            path = f"{vault}/{name}"
            members = self._members(path) or {}
            for key in sorted(members)[:KEYS_LIMIT]:
                stored = _text(members, key).replace("\\", "/")
                if not self._is_in(f"{vault}/Store", stored) or not stored.isprintable():
                    text = f"{path}: the file of {_printable(key)} lies outside the vault"
                    self._note(path, ProbeError(text, "not-understood"))
                    continue
                try:
                    state = self._files.state(stored)
                    folders = self._folders(vault)
                except Absent:
                    state, folders = None, ()
                except ProbeError as exc:
                    self._note(stored, exc)
                    continue
                if state and state.kind is not FileKind.FILE:
                    self._note(stored, ProbeError(f"{stored}: not a file", "not-understood"))
                    continue
                found.append(SecretFile(_printable(key), stored, state, folders))
        return tuple(found)

    def _is_in(self, folder: str, path: str) -> bool:
        """Tell whether a path is right below a folder; Windows does not tell cases apart."""
        if is_windows(folder):
            return dirname(path).lower() == folder.lower()
        return dirname(path) == folder

    def _folders(self, vault: str) -> tuple[FileState, ...]:
        return tuple(self._files.state(path) for path in (f"{vault}/Store", vault, dirname(vault)))

    def _state(self, path: str) -> FileState | None:
        try:
            return self._files.state(path)
        except ProbeError as exc:
            self._note(path, exc)
            return None

    def _members(self, path: str) -> Mapping[str, object] | None:
        """Return the members of a JSON object; None where the file is not there, or is noted."""
        try:
            return _parse(self._files.read(path, LIMIT_BYTES), path)
        except Absent:
            return None
        except ProbeError as exc:
            self._note(path, exc)
            return None

    def _note(self, path: str, exc: ProbeError) -> None:
        reason = exc.reason if not isinstance(exc, Denied) else "no-permission"
        self.unread.append(Unread(path, reason, str(exc)))


def _parse(content: bytes, path: str) -> Mapping[str, object]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as exc:
        msg = f"{path}: not JSON, or cut in the middle"
        raise ProbeError(msg, "not-understood") from exc
    if not isinstance(document, dict):
        msg = f"{path}: not a JSON object"
        raise ProbeError(msg, "not-understood")
    return document


def _text(members: Mapping[str, object], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, text))[:80]
