"""Read what the agent's logs say about the clock: signatures that AWS refused, and the last line.

Lines are stamped in local time by the clock under test and are not in time order, since each
process of the agent buffers (agent/log, seelog_unix.xml). Only the ends of the files are read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent_place import place_of
from nodecheck.model.errors import ProbeError
from nodecheck.model.skew import SkewFacts, read_refusals, read_storage_tolerances

if TYPE_CHECKING:
    from nodecheck.host.door import Host

TAIL_BYTES: Final = 256 * 1024
"""More than a thousand lines; the agent rolls its logs at 30 MB and 10 MB."""

STAMP: Final = re.compile(
    r"^(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})(?:\.\d+)? ", re.MULTILINE | re.ASCII
)


def look(host: Host) -> SkewFacts:
    """Return what the ends of the logs say; a log that cannot be read says nothing."""
    place = place_of(host.platform.system)
    logs = (place.error_log, place.log)
    texts = {path: text for path in logs if (text := _tail(host, path))}
    refused = [(item, path) for path, text in texts.items() for item in read_refusals(text)]
    stored = [item for text in texts.values() for item in read_storage_tolerances(text)]
    stamps = [stamp for text in texts.values() for stamp in STAMP.findall(text)]
    refusal, source = max(refused, key=lambda item: item[0].server_at, default=(None, ""))
    return SkewFacts(
        refusal=refusal,
        storage_tolerance_s=stored[-1] if stored else None,
        newest_line=max(stamps, default=""),
        source=source,
    )


def _tail(host: Host, path: str) -> str:
    try:
        return host.files.tail(path, TAIL_BYTES).decode("utf-8", "replace")
    except ProbeError:
        return ""
