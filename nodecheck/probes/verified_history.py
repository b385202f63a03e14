"""Remember which versions of the agent were verified, and what earlier runs remembered.

After an update the old image runs on until the restart. That it is genuine can only be told from
what was proven while its package was installed, so each run that proves a version completely keeps
the digests of its programs in ``verified.json`` of the state folder, for the last three versions.
The file is worth what the folder is: only its owner may write there, and who is root on the node
can write it too. A damaged file is set aside and said so, never believed in part.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.history import History, VerifiedVersion

if TYPE_CHECKING:
    from nodecheck.host.door import State

NAME: Final = "verified.json"
SCHEMA: Final = "nodecheck-verified/1"
LIMIT_BYTES: Final = 64 * 1024
VERSIONS_LIMIT: Final = 3
FILES_LIMIT: Final = 100

_VERSION: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){3}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def look(state: State, folder: str, proven: VerifiedVersion | None) -> History:
    """Return every version verified so far, and keep the one that this run has proven, if any."""
    notes: list[str] = []
    known = _read(state, folder, notes)
    if proven is None or not _is_sound(proven):
        return History(known, "; ".join(notes))
    versions = (proven, *(item for item in known if item.version != proven.version))
    versions = versions[:VERSIONS_LIMIT]
    if versions != known:
        try:
            state.write(folder, NAME, dump(versions))
        except ProbeError as exc:
            notes.append(f"not remembered: {exc}")
    return History(versions, "; ".join(notes))


def dump(versions: tuple[VerifiedVersion, ...]) -> bytes:
    """Return the text of the file, newest version first."""
    entries = [{"version": item.version, "files": dict(item.files)} for item in versions]
    return json.dumps({"schema": SCHEMA, "versions": entries}, indent=1).encode() + b"\n"


def parse(content: bytes) -> tuple[VerifiedVersion, ...]:
    """Return the versions in the text of such a file.

    Raises:
        ProbeError: it is not exactly what ``dump`` writes.
    """
    try:
        document = json.loads(content.decode("ascii"))
        if document["schema"] != SCHEMA or len(document["versions"]) > VERSIONS_LIMIT:
            msg = f"{NAME}: another schema, or too many versions"
            raise ProbeError(msg, "not-understood")
        versions = tuple(
            VerifiedVersion(entry["version"], tuple(entry["files"].items()))
            for entry in document["versions"]
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        msg = f"{NAME}: {type(exc).__name__}"
        raise ProbeError(msg, "not-understood") from exc
    if not all(_is_sound(item) for item in versions):
        msg = f"{NAME}: a version, path or digest of another form"
        raise ProbeError(msg, "not-understood")
    return versions


def _read(state: State, folder: str, notes: list[str]) -> tuple[VerifiedVersion, ...]:
    try:
        return parse(state.read(folder, NAME, LIMIT_BYTES))
    except Absent:
        return ()
    except ProbeError as exc:
        notes.append(f"earlier verified versions are not believed: {exc}")
        if exc.reason not in {"not-understood", "too-large"}:
            return ()
    try:
        notes.append(f"set aside as {state.set_aside(folder, NAME)}")
    except ProbeError as exc:
        notes.append(str(exc))
    return ()


def _is_sound(item: VerifiedVersion) -> bool:
    """Tell whether every value has the form that it must have."""
    return (
        isinstance(item.version, str)
        and _VERSION.fullmatch(item.version) is not None
        and 0 < len(item.files) <= FILES_LIMIT
        and all(
            isinstance(sha256, str) and path.startswith("/") and _SHA256.fullmatch(sha256)
            for path, sha256 in item.files
        )
    )
