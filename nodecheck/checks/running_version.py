"""Tell which version of the agent runs, where that is proven.

A running image is the installed version where it is the installed file (device and inode). It is an
earlier version where its bytes belong to one that was verified while it was installed. Any other
image is of no known version: neither a name nor a log line proves one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.model.version import AgentVersion

if TYPE_CHECKING:
    from nodecheck.model.agent import InstallFacts
    from nodecheck.model.history import History
    from nodecheck.model.install import RunningFacts


def running_versions(
    install: InstallFacts, running: RunningFacts, history: History
) -> tuple[AgentVersion, ...]:
    """Return the proven versions of the agent's processes, each once, the oldest first."""
    found: set[AgentVersion] = set()
    for process in running.processes:
        version = history.version_of(process.image, process.sha256)
        if not process.deleted and process.is_at(running.on_disk):
            version = _installed_at(install, process.image) or version
        try:
            found.add(AgentVersion.parse(version))
        except ValueError:
            continue
    return tuple(sorted(found))


def _installed_at(install: InstallFacts, image: str) -> str:
    """Return the version of the installation that holds this file, '' where it is not certain."""
    folder = image.rpartition("/")[0]
    versions = {
        item.version
        for item in install.installations
        if item.executable.rpartition("/")[0] == folder
    }
    return versions.pop() if len(versions) == 1 else ""
