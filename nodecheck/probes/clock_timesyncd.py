"""Find out from files what systemd-timesyncd has achieved; it is not asked by D-Bus.

It touches ``/run/systemd/timesync/synchronized`` whenever it has adjusted the clock, and sets the
kernel's maxerror to 0 (systemd, timesyncd-manager.c); of its servers no file tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.clock import Discipline
from nodecheck.model.discipline import DaemonWord
from nodecheck.model.errors import Absent

if TYPE_CHECKING:
    from nodecheck.host.door import Host

FOLDER: Final = "/run/systemd/timesync"
SYNCHRONISED: Final = f"{FOLDER}/synchronized"
ROOT_DISTANCE_S: Final = 5.0
"""It believes servers up to this root distance (RootDistanceMaxSec, timesyncd.conf(5))."""


def look(host: Host) -> DaemonWord:
    """Return what the files of timesyncd prove.

    Raises:
        Absent: it has not run since boot.
        ProbeError: the files cannot be looked at.
    """
    host.files.state(FOLDER)
    try:
        updated_ns = host.files.state(SYNCHRONISED).mtime_ns
    except Absent:
        updated_ns = 0
    return DaemonWord(
        discipline=Discipline.TIMESYNCD,
        asked=SYNCHRONISED,
        synchronised=updated_ns > 0,
        source="an NTP server of its configuration" if updated_ns > 0 else "",
        bound_s=ROOT_DISTANCE_S,
        updated_ns=updated_ns,
        lists_sources=False,
    )
