"""Look for the agent among the snaps.

snapd mounts revision N of a snap at ``/snap/NAME/N`` and points ``/snap/NAME/current`` to it; some
distributions use ``/var/lib/snapd/snap`` instead. ``meta/snap.yaml`` inside holds name and
version. A blob in ``/var/lib/snapd/snaps`` without a mount belongs to a snap that is disabled.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent import Channel, Installation
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.install import Damage, SnapFacts

if TYPE_CHECKING:
    from nodecheck.host.door import Files

MOUNTS: Final = ("/snap/amazon-ssm-agent", "/var/lib/snapd/snap/amazon-ssm-agent")
BLOBS: Final = "/var/lib/snapd/snaps"
BLOB_LIMIT: Final = 10_000
YAML_LIMIT_BYTES: Final = 64 * 1024

_REVISION: Final = re.compile(r"x?[0-9]{1,9}")
_BLOB: Final = re.compile(r"amazon-ssm-agent_x?[0-9]{1,9}\.snap")
_ENTRY: Final = re.compile(
    r"^(name|version):[ \t]+(['\"]?)([^'\"\s#]+)\2[ \t]*(?:#.*)?$", re.MULTILINE
)
_VERSION: Final = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")


def look(files: Files) -> SnapFacts:
    """Return the mounted snap of the agent, or one that is there without being mounted.

    Raises:
        ProbeError: what is mounted is not understood or cannot be read.
    """
    for mount in MOUNTS:
        try:
            target = files.state(f"{mount}/current").target
        except Absent:
            continue
        return _mounted(files, mount, target)
    return SnapFacts((), _blobs(files))


def parse(content: bytes) -> str:
    """Return the version in a ``snap.yaml`` of the agent, '' where it has not four numbers.

    Raises:
        ProbeError: the text does not name the agent and one version.
    """
    entries = [
        (match[1], match[3]) for match in _ENTRY.finditer(content.decode("utf-8", "replace"))
    ]
    found = dict(entries)
    if len(entries) != len(found) or found.get("name") != "amazon-ssm-agent":
        msg = "snap.yaml is not that of amazon-ssm-agent"
        raise ProbeError(msg, "not-understood")
    if "version" not in found:
        msg = "snap.yaml of amazon-ssm-agent names no version"
        raise ProbeError(msg, "not-understood")
    return found["version"] if _VERSION.fullmatch(found["version"]) else ""


def _mounted(files: Files, mount: str, revision: str) -> SnapFacts:
    if not _REVISION.fullmatch(revision):
        msg = f"{mount}/current does not lead to a revision: {revision[:60]!r}"
        raise ProbeError(msg, "not-understood")
    folder = f"{mount}/{revision}"
    package = f"amazon-ssm-agent_{revision}"
    try:
        version = parse(files.read(f"{folder}/meta/snap.yaml", YAML_LIMIT_BYTES))
    except Absent:
        return SnapFacts((), (Damage(Channel.SNAP, package, "not mounted"),))
    executable = f"{folder}/amazon-ssm-agent"
    return SnapFacts((Installation(Channel.SNAP, version, package, executable),))


def _blobs(files: Files) -> tuple[Damage, ...]:
    try:
        names = files.listing(BLOBS, BLOB_LIMIT)
    except Absent:
        return ()
    return tuple(
        Damage(Channel.SNAP, name.removesuffix(".snap"), "not mounted")
        for name in names
        if _BLOB.fullmatch(name)
    )
