"""What the kernel says of a loop device (``LOOP_GET_STATUS64`` of linux/loop.h)."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import sys
from typing import Final

from nodecheck.host.door import LoopStatus
from nodecheck.model.errors import ProbeError

assert sys.platform != "win32"  # noqa: S101 - tells the type checker which platform this is

_GET_STATUS64: Final = 0x4C05
_INFO64: Final = struct.Struct("=5Q4I176x")
"""``struct loop_info64`` up to its flags."""
_READ_ONLY: Final = 1


def ask(descriptor: int, device_path: str) -> LoopStatus:
    """Return what is behind an open loop device; nothing is set.

    The kernel tells the device of the file by ``huge_encode_dev``, which is ``st_dev``.

    Raises:
        OSError: the device does not answer.
        ProbeError: it is no loop device, or one of another number.
    """
    if not stat.S_ISBLK(os.fstat(descriptor).st_mode):
        msg = f"{device_path}: not a block device"
        raise ProbeError(msg)
    found = bytearray(_INFO64.size)
    fcntl.ioctl(descriptor, _GET_STATUS64, found)
    device, inode, _, offset, size_limit, number, *_, flags = _INFO64.unpack(found)
    if device_path != f"/dev/loop{number}":
        msg = f"{device_path}: is loop device {number}"
        raise ProbeError(msg)
    return LoopStatus(device, inode, offset, size_limit, bool(flags & _READ_ONLY))
