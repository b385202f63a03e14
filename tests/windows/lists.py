"""Give a file or folder an access list, as its owner may."""

from __future__ import annotations

import ctypes
import sys

assert sys.platform == "win32"  # for the type checker

EVERYONE_MAY = "D:P(A;;FA;;;WD)"


def set_list(path: str, sddl: str) -> None:
    advapi = ctypes.WinDLL("advapi32", use_last_error=True)
    descriptor = ctypes.c_void_p()
    convert = advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW
    assert convert(sddl, 1, ctypes.byref(descriptor), None)
    if not advapi.SetFileSecurityW(path, 4, descriptor):
        raise ctypes.WinError(ctypes.get_last_error())
