"""The name of this boot: readings of the monotonic clock compare within one boot only."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from nodecheck.host.door import Files

BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
BOOT_ID_LENGTH: Final = 36


def boot_id(files: Files) -> str:
    """Return what the kernel calls this boot.

    Raises:
        ProbeError: it has no such name.
    """
    try:
        text = files.read(BOOT_ID, 4096).decode("ascii", "replace").strip()
    except ProbeError:
        if sys.platform == "win32":
            return _boot_of_windows()
        raise
    if len(text) != BOOT_ID_LENGTH:
        msg = f"{BOOT_ID}: not understood"
        raise ProbeError(msg)
    return text


if sys.platform == "win32":
    _TIME_OF_DAY: Final = 3
    """SystemTimeOfDayInformation; winternl.h, and the members as in Windows Internals."""

    def _boot_of_windows() -> str:
        """Return when this boot began by the clock of that moment, whatever set it since."""
        import ctypes

        class TimeOfDay(ctypes.Structure):
            _fields_ = (
                ("booted", ctypes.c_longlong),
                ("now", ctypes.c_longlong),
                ("zone", ctypes.c_longlong),
                ("zone_id", ctypes.c_ulong),
                ("reserved", ctypes.c_ulong),
                ("bias", ctypes.c_ulonglong),  # how far setting the clock has moved ``booted``
                ("sleep_bias", ctypes.c_ulonglong),
            )

        found = TimeOfDay()
        query = ctypes.WinDLL("ntdll").NtQuerySystemInformation
        code = query(_TIME_OF_DAY, ctypes.byref(found), ctypes.sizeof(found), None)
        if code or not found.booted:
            msg = f"the boot of this Windows cannot be told (status {code & 0xFFFFFFFF:08X})"
            raise ProbeError(msg)
        return f"{(found.booted - found.bias) & 0xFFFFFFFFFFFFFFFF:016x}"
