"""Calls of the Windows API, each with the types of its arguments: a handle is wider than an int."""

# ruff: noqa: E402 - the type checker must know the platform before the imports

from __future__ import annotations

import ctypes
import sys
from contextlib import contextmanager
from ctypes import wintypes
from typing import TYPE_CHECKING, Final

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is

from nodecheck.host.windows_paths import native
from nodecheck.model.errors import Absent, Denied, ProbeError

if TYPE_CHECKING:
    from collections.abc import Iterator

KERNEL: Final = ctypes.WinDLL("kernel32", use_last_error=True)
ADVAPI: Final = ctypes.WinDLL("advapi32", use_last_error=True)

_P: Final = ctypes.c_void_p
_H: Final = wintypes.HANDLE
_D: Final = wintypes.DWORD
_W: Final = wintypes.LPCWSTR
_B: Final = wintypes.BOOL
_L: Final = wintypes.LONG

_KERNEL: Final = {
    "CloseHandle": (_B, _H),
    "CreateDirectoryW": (_B, _W, _P),
    "CreateToolhelp32Snapshot": (_H, _D, _D),
    "CreateFileW": (_H, _W, _D, _D, _P, _D, _D, _H),
    "GetCurrentProcess": (_H,),
    "GetDiskFreeSpaceExW": (_B, _W, _P, _P, _P),
    "GetFileInformationByHandle": (_B, _H, _P),
    "GetFileInformationByHandleEx": (_B, _H, ctypes.c_int, _P, _D),
    "GetFileType": (_D, _H),
    "GetStdHandle": (_H, _D),
    "GetConsoleMode": (_B, _H, _P),
    "GetConsoleOutputCP": (wintypes.UINT,),
    "SetConsoleMode": (_B, _H, _D),
    "GetSystemWindowsDirectoryW": (wintypes.UINT, wintypes.LPWSTR, wintypes.UINT),
    "GetVolumeInformationW": (_B, _W, _P, _D, _P, _P, _P, _P, _D),
    "GetVolumePathNameW": (_B, _W, wintypes.LPWSTR, _D),
    "LocalFree": (_P, _P),
    "OpenProcess": (_H, _D, _B, _D),
    "Process32FirstW": (_B, _H, _P),
    "Process32NextW": (_B, _H, _P),
    "QueryFullProcessImageNameW": (_B, _H, _D, wintypes.LPWSTR, _P),
    "ReadFile": (_B, _H, _P, _D, _P, _P),
    "SetFilePointerEx": (_B, _H, ctypes.c_longlong, _P, _D),
}
_ADVAPI: Final = {
    "CloseServiceHandle": (_B, _P),
    "ConvertStringSecurityDescriptorToSecurityDescriptorW": (_B, _W, _D, _P, _P),
    "EnumServicesStatusExW": (_B, _P, ctypes.c_int, _D, _D, _P, _D, _P, _P, _P, _W),
    "GetLengthSid": (_D, _P),
    "GetSecurityDescriptorControl": (_B, _P, _P, _P),
    "GetSecurityInfo": (_D, _H, ctypes.c_int, _D, _P, _P, _P, _P, _P),
    "GetTokenInformation": (_B, _H, ctypes.c_int, _P, _D, _P),
    "OpenProcessToken": (_B, _H, _D, _P),
    "OpenSCManagerW": (_P, _W, _W, _D),
    "OpenServiceW": (_P, _P, _W, _D),
    "QueryServiceConfigW": (_B, _P, _P, _D, _P),
    "QueryServiceStatusEx": (_B, _P, ctypes.c_int, _P, _D, _P),
    "RegQueryValueExW": (_L, _H, _W, _P, _P, _P, _P),
}
for _dll, _calls in ((KERNEL, _KERNEL), (ADVAPI, _ADVAPI)):
    for _name, (_result, *_arguments) in _calls.items():
        _call = getattr(_dll, _name)
        _call.restype, _call.argtypes = _result, _arguments

NOT_FOUND: Final = frozenset({2, 3, 53, 67, 123, 1060})
"""ERROR_FILE_NOT_FOUND, PATH_NOT_FOUND, BAD_NETPATH and _NAME, INVALID_NAME, no such service."""

DENIED: Final = frozenset({5, 1314})
"""ERROR_ACCESS_DENIED, PRIVILEGE_NOT_HELD."""

LOCKED: Final = frozenset({32, 33})
"""ERROR_SHARING_VIOLATION, LOCK_VIOLATION."""

_INVALID: Final = ctypes.c_void_p(-1).value


def failure(what: str, code: int | None = None) -> ProbeError:
    """Return the error that a Win32 code stands for, by default that of the last call.

    Its text is Windows's own, in the language of the node: for people only.
    """
    code = ctypes.get_last_error() if code is None else code
    if code in NOT_FOUND:
        return Absent(f"{what}: not there")
    if code in DENIED:
        return Denied(f"{what}: access denied")
    text = f"{what}: {ctypes.FormatError(code).strip()} (error {code})"
    return ProbeError(text, "locked" if code in LOCKED else "not-observed")


def must(result: object, what: str) -> None:
    """Make sure that the last call did not fail, which it says by zero.

    Raises:
        ProbeError: it did.
    """
    if not result:
        raise failure(what)


@contextmanager
def opened(path: str, access: int, flags: int) -> Iterator[int]:
    """Open what is at a path, letting others read, write, rename and delete it meanwhile.

    Raises:
        ProbeError: it cannot be opened.
    """
    share_all, open_existing = 0x7, 3
    handle = KERNEL.CreateFileW(native(path), access, share_all, None, open_existing, flags, None)
    must(handle not in {None, _INVALID}, path)
    try:
        yield handle
    finally:
        KERNEL.CloseHandle(handle)
