"""The room in a file system, as statvfs(3) tells it."""

from __future__ import annotations

import os
import sys

from nodecheck.model.storage import FileSystem

assert sys.platform != "win32"  # noqa: S101 - tells the type checker which platform this is


def measure(path: str) -> FileSystem:
    """Return the file system that holds a path; free is what root, and so the agent, may take.

    Raises:
        OSError: the path is not there, or its file system does not answer.
    """
    found = os.statvfs(path)
    return FileSystem(
        total_bytes=found.f_blocks * found.f_frsize,
        free_bytes=found.f_bfree * found.f_frsize,
        total_inodes=found.f_files,
        free_inodes=found.f_ffree,
        read_only=bool(found.f_flag & os.ST_RDONLY),
    )
