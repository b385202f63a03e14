"""Look at the agent's own configuration in force, and at who may change, replace or add it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.host.folders import find_place, look_above, look_behind, without_links
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection

    from nodecheck.host.door import Files
    from nodecheck.model.node import FileState

FOLDER: Final = "/etc/amazon/ssm"
SETTINGS: Final = (f"{FOLDER}/amazon-ssm-agent.json", f"{FOLDER}/seelog.xml")
"""What the agent reads at its start (agent/appconfig and agent/log of its source)."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The files that are there, the folders above them, and the one in which more may be put."""

    files: tuple[FileState, ...]
    folders: tuple[FileState, ...]
    place: FileState | None


def look_at_settings(files: Files, signed: Collection[str], unobserved: list[str]) -> AgentSettings:
    """Return the settings that are not among the signed files."""
    found = tuple(
        state
        for path in SETTINGS
        if path not in signed and (state := look_behind(files, path, unobserved))
    )
    place = find_place(files, FOLDER, unobserved)
    above = (*SETTINGS, *(state.path for state in found))
    return AgentSettings(found, without_links(look_above(files, above, unobserved)), place)
