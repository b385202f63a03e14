"""A wrong clock for one process and its children, by libfaketime."""

from __future__ import annotations

import shutil
from typing import Final

# faketime names its semaphore and its memory after its process and does not start where the names
# exist. A faketime that a signal ended leaves them to whoever gets its number next: as ours is the
# number, what bears it now is such a rest.
_START: Final = (
    'rm -f "/dev/shm/faketime_shm_$$" "/dev/shm/sem.faketime_sem_$$"; exec faketime -f "$0" "$@"'
)


def wrong_clock(clock: str) -> tuple[str, ...]:
    """Return what goes before a command to start it under a clock, given in libfaketime's words.

    Not for a PID namespace that shares ``/dev/shm`` with another: there numbers are not unique.
    """
    assert shutil.which("faketime"), "the Debian package faketime is needed"
    return ("/bin/sh", "-c", _START, clock)
