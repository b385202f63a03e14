"""The room in a file system, as statvfs(3) tells it."""

from __future__ import annotations

import os
import sys
from typing import Final

from nodecheck.model.storage import FileSystem

assert sys.platform != "win32"  # noqa: S101 - tells the type checker which platform this is

INIT_ROOT: Final = "/proc/1/root"
"""What process 1 sees: where a service manager confines nodecheck, all is read-only to it alone."""


def measure(path: str) -> FileSystem:
    """Return the file system that holds a path; free is what root, and so the agent, may take.

    Raises:
        OSError: the path is not there, or its file system does not answer.
    """
    found = os.statvfs(path)
    try:
        seen = os.statvfs(INIT_ROOT + os.path.realpath(path))
    except OSError:  # not root
        seen = found
    return FileSystem(
        total_bytes=found.f_blocks * found.f_frsize,
        free_bytes=found.f_bfree * found.f_frsize,
        total_inodes=found.f_files,
        free_inodes=found.f_ffree,
        read_only=bool(seen.f_flag & os.ST_RDONLY),
    )
