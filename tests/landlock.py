"""Deny this process, and what it starts, all files but some, root too: as SELinux would.

``python tests/landlock.py FOLDER:FOLDER... PROGRAM ARGUMENTS...`` (landlock(7)).
"""

from __future__ import annotations

import ctypes
import os
import sys

CREATE, ADD, RESTRICT = 444, 445, 446
"""System calls, the same on every architecture."""

EVERYTHING = (1 << 13) - 1
"""All rights of the first version of the interface; what is not granted is refused with EACCES."""

BENEATH = 1
NO_NEW_PRIVILEGES = 38
UNSUPPORTED = 77


class Rule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def main() -> None:
    if sys.platform != "linux":
        sys.exit(UNSUPPORTED)
    libc = ctypes.CDLL(None, use_errno=True)
    handled = ctypes.c_uint64(EVERYTHING)
    rules = libc.syscall(CREATE, ctypes.byref(handled), ctypes.sizeof(handled), 0)
    if rules < 0:
        sys.exit(UNSUPPORTED)
    for folder in sys.argv[1].split(":"):
        rule = Rule(EVERYTHING, os.open(folder, os.O_PATH))
        assert libc.syscall(ADD, rules, BENEATH, ctypes.byref(rule), 0) == 0
    assert libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    assert libc.syscall(RESTRICT, rules, 0) == 0
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - it takes the place of this process


if __name__ == "__main__":
    main()
