"""A file that grows by one line a run, for log shippers that follow it."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress

LIMIT_BYTES = 1_000_000


def append_line(path: str, line: bytes, limit_bytes: int = LIMIT_BYTES) -> None:
    """Append one line whole; a file that would grow beyond the limit becomes ``path.1`` before.

    A new file is its owner's alone (0600). Symbolic links are not followed.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    descriptor = _open(path)
    try:
        size = os.fstat(descriptor).st_size
        if size and size + len(line) > limit_bytes:
            os.replace(path, f"{path}.1")
            os.close(descriptor)
            descriptor = _open(path)
            size = os.fstat(descriptor).st_size
        if os.write(descriptor, line) < len(line):  # the disk is full
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    """Return the file, locked against other runs, which may just have renamed it."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    # NONBLOCK: opening a pipe that nobody reads must not wait.
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    while True:
        descriptor = os.open(path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file")
        _lock(descriptor)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        os.close(descriptor)


if sys.platform == "win32":

    def _lock(descriptor: int) -> None:
        """Do nothing: Windows does not rename a file that is open elsewhere."""

else:

    def _lock(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)
