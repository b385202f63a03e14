"""Ask the Region's bucket which release of the agent it offers.

``latest/VERSION`` names the newest release, ``ssm-agent-manifest.json`` lists every release with
AWS's mark (agent/updateutil and agent/updateutil/updatemanifest of aws/amazon-ssm-agent; decoding
there does not regard case). Neither holds a date, so the packages of the few releases that the
judgement needs are asked for their ``Last-Modified``. All of it is plain, unsigned HTTPS.
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Final

from nodecheck.aws.download import Downloads
from nodecheck.aws.release_places import places
from nodecheck.model.agent import Channel
from nodecheck.model.errors import ProbeError
from nodecheck.model.offer import Listed, Mark, ReleaseFacts, Reply, Stored
from nodecheck.model.version import AgentVersion
from nodecheck.records import replace

if TYPE_CHECKING:
    from datetime import datetime

    from nodecheck.host.door import Host
    from nodecheck.model.agent import Installation
    from nodecheck.model.agent_config import AgentConfig
    from nodecheck.model.moment import CorrectedTime
    from nodecheck.model.offer import Fetch

VERSION_LIMIT_BYTES: Final = 1024
MANIFEST_LIMIT_BYTES: Final = 8 * 1024 * 1024
HTTP_OK: Final = 200
FETCH_LIMIT_S: Final = 2.5
"""Time for one file: two that never come must leave time for the rest of the run."""

_ARCHITECTURES: Final = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "i686": "386",
    "armv7l": "arm",
}
_ARCHIVES: Final = {
    Channel.RPM: "amazon-ssm-agent-linux-{arch}.tar.gz",
    Channel.DEB: "amazon-ssm-agent-ubuntu-{arch}.tar.gz",
    Channel.SNAP: "amazon-ssm-agent-ubuntu-{arch}.tar.gz",
    Channel.BY_HAND: "amazon-ssm-agent-linux-{arch}.tar.gz",
    Channel.WINDOWS: "amazon-ssm-agent-windows-{arch}.zip",
}
"""Names of GenerateCompressedFileName in agent/updateutil/updateinfo/updateinfo.go."""

_PACKAGES: Final = {
    Channel.RPM: "linux_{arch}/amazon-ssm-agent.rpm",
    Channel.DEB: "debian_{arch}/amazon-ssm-agent.deb",
    Channel.SNAP: "debian_{arch}/amazon-ssm-agent.deb",
    Channel.BY_HAND: "linux_{arch}/amazon-ssm-agent.rpm",
    Channel.WINDOWS: "windows_{arch}/AmazonSSMAgentSetup.exe",
}


def ask(  # noqa: PLR0913 - where, by which clock, and for which agent
    host: Host,
    installed: Installation,
    corrected: CorrectedTime | None,
    *,
    setting: str,
    region: str,
    config: AgentConfig,
) -> ReleaseFacts:
    """Return what the first bucket that can be read offers; why others could not is kept.

    Raises:
        ProbeError: it is not known where to ask, or none of the buckets could be read.
    """
    bases = places(setting, region, config)
    unread: list[str] = []
    with Downloads(host, corrected) as downloads:

        def fetch(method: str, url: str, limit_bytes: int) -> Reply:
            reply = downloads.fetch(
                url, limit_bytes=limit_bytes, timeout_s=FETCH_LIMIT_S, method=method
            )
            return Reply(reply.status, reply.headers, reply.body)

        for base in bases:
            try:
                found = look(fetch, base, installed, host.platform.arch)
            except ProbeError as exc:
                unread.append(str(exc))
            else:
                return replace(found, unread=(*unread, *found.unread))
    raise ProbeError("; ".join(unread), "release-unreachable")


def look(fetch: Fetch, release_url: str, installed: Installation, arch: str) -> ReleaseFacts:
    """Return what the bucket offers to a node with this installation and architecture.

    Raises:
        ProbeError: neither VERSION nor the manifest could be read.
    """
    base = release_url.rstrip("/")
    arch = _ARCHITECTURES.get(arch.lower(), arch.lower())
    package = _PACKAGES[installed.channel].format(arch=arch)
    unread: list[str] = []

    manifest: tuple[Listed, ...] = ()
    manifest_url = f"{base}/ssm-agent-manifest.json"
    try:
        content = _get(fetch, manifest_url, MANIFEST_LIMIT_BYTES)
        manifest = parse_manifest(content, _ARCHIVES[installed.channel].format(arch=arch))
    except ProbeError as exc:
        unread.append(_failure(manifest_url, exc))
        manifest_url = ""

    offered_url = f"{base}/latest/VERSION"
    try:
        offered = parse_version(_get(fetch, offered_url, VERSION_LIMIT_BYTES))
    except ProbeError as exc:
        unread.append(_failure(offered_url, exc))
        offered, offered_url = _newest_active(manifest, unread), manifest_url

    stored: list[Stored] = []
    for version in _to_be_dated(installed, offered, manifest):
        url = f"{base}/{version}/{package}"
        try:
            stored.append(Stored(version, _last_modified(fetch, url)))
        except ProbeError as exc:
            unread.append(_failure(url, exc))
    return ReleaseFacts(
        offered,
        offered_url,
        manifest,
        manifest_url,
        tuple(stored),
        f"{base}/{offered}/{package}",
        tuple(unread),
    )


def parse_version(content: bytes) -> AgentVersion:
    """Return the version in the object ``VERSION``.

    Raises:
        ProbeError: the object holds anything else, such as the page of a captive portal.
    """
    try:
        return AgentVersion.parse(content.decode("ascii").strip())
    except ValueError as exc:
        raise ProbeError(str(exc), "not-understood") from exc


def parse_manifest(content: bytes, archive: str) -> tuple[Listed, ...]:
    """Return the releases that a manifest lists for one archive of the agent.

    Raises:
        ProbeError: not a manifest, or one without this archive.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as exc:
        msg = f"not JSON: {exc}"
        raise ProbeError(msg, "not-understood") from exc
    for package in _entries(document, "packages"):
        if _member(package, "name") != "amazon-ssm-agent":
            continue
        for file in _entries(package, "files"):
            if _member(file, "name") == archive:
                listed = (_listed(entry) for entry in _entries(file, "availableversions"))
                found = tuple(item for item in listed if item is not None)
                if found:
                    return found
    msg = f"the manifest lists no release of {archive}"
    raise ProbeError(msg, "not-understood")


def _listed(entry: object) -> Listed | None:
    """Return one entry, None where its version has not four numbers: that is on no node."""
    version, status = _member(entry, "version"), _member(entry, "status")
    if not isinstance(version, str) or not isinstance(status, str | None):
        msg = "a release in the manifest has no version or no text as status"
        raise ProbeError(msg, "not-understood")
    word = (status or Mark.ACTIVE.value).lower()
    mark = Mark(word) if word in {item.value for item in Mark} else Mark.OTHER
    try:
        return Listed(AgentVersion.parse(version), mark)
    except ValueError:
        return None


def _member(value: object, name: str) -> object:
    """Return a member of a JSON object, without regard to the case of its name."""
    if not isinstance(value, dict):
        msg = f"the manifest has something else where an object with {name!r} belongs"
        raise ProbeError(msg, "not-understood")
    return next((item for key, item in value.items() if key.lower() == name), None)


def _entries(value: object, name: str) -> list[object]:
    entries = _member(value, name)
    if not isinstance(entries, list):
        msg = f"the manifest has no list {name!r}"
        raise ProbeError(msg, "not-understood")
    return entries


def _newest_active(manifest: tuple[Listed, ...], unread: list[str]) -> AgentVersion:
    """Return what the updater calls latest (agent/updateutil/updatemanifest)."""
    active = [item.version for item in manifest if item.mark is Mark.ACTIVE]
    if not active:
        msg = "; ".join(unread) or "its manifest lists no active release"
        raise ProbeError(msg, "release-unreachable")
    return max(active)


def _to_be_dated(
    installed: Installation, offered: AgentVersion, manifest: tuple[Listed, ...]
) -> tuple[AgentVersion, ...]:
    """Return the releases whose days decide: installed, first newer, offered."""
    try:
        own = AgentVersion.parse(installed.version)
    except ValueError:
        return ()
    if own >= offered:
        return ()
    newer = [item.version for item in manifest if item.mark is Mark.ACTIVE and item.version > own]
    return tuple(dict.fromkeys((own, min(newer, default=offered), offered)))


def _get(fetch: Fetch, url: str, limit_bytes: int) -> bytes:
    return _checked(fetch("GET", url, limit_bytes)).body


def _last_modified(fetch: Fetch, url: str) -> datetime:
    from email.utils import parsedate_to_datetime  # 30 ms

    reply = _checked(fetch("HEAD", url, 0))
    value = next(
        (text for key, text in reply.headers.items() if key.lower() == "last-modified"), ""
    )
    try:
        return parsedate_to_datetime(value.replace("-0000", "+0000")).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        msg = f"no Last-Modified that is a time: {value[:60]!r}"
        raise ProbeError(msg, "not-understood") from exc


def _failure(url: str, exc: ProbeError) -> str:
    return str(exc) if url in str(exc) else f"{url}: {exc}"


def _checked(reply: Reply) -> Reply:
    if reply.status != HTTP_OK:
        msg = f"HTTP status {reply.status}"
        raise ProbeError(msg, "http-status")
    return reply
