"""The room in a volume of Windows."""

# ruff: noqa: E402 - the type checker must know the platform before the imports

from __future__ import annotations

import ctypes
import sys
from ctypes import wintypes
from typing import Final

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is

from nodecheck.host.windows_calls import KERNEL, must
from nodecheck.host.windows_paths import native
from nodecheck.model.storage import FileSystem

_READ_ONLY: Final = 0x8_0000
_ROOT_LIMIT: Final = 1024


def measure(path: str) -> FileSystem:
    """Return the volume that holds a path; NTFS makes what answers to inodes as it needs them.

    Raises:
        ProbeError: the path is not there, or its volume does not answer.
    """
    place = native(path)
    total, free = ctypes.c_ulonglong(), ctypes.c_ulonglong()
    must(KERNEL.GetDiskFreeSpaceExW(place, None, ctypes.byref(total), ctypes.byref(free)), path)
    root, flags = ctypes.create_unicode_buffer(_ROOT_LIMIT), wintypes.DWORD()
    must(KERNEL.GetVolumePathNameW(place, root, _ROOT_LIMIT), path)
    must(
        KERNEL.GetVolumeInformationW(root.value, None, 0, None, None, ctypes.byref(flags), None, 0),
        path,
    )
    return FileSystem(total.value, free.value, 0, 0, read_only=bool(flags.value & _READ_ONLY))
