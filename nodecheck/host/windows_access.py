"""Access lists of Windows files, and who this process is."""

# ruff: noqa: E402 - the type checker must know the platform before the imports

from __future__ import annotations

import ctypes
import sys
from contextlib import contextmanager
from ctypes import wintypes
from typing import TYPE_CHECKING, Final

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is

from nodecheck.host.windows_calls import ADVAPI, KERNEL, failure, must, opened
from nodecheck.model.access import access_facts, parse_acl, sid_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.model.access import AccessFacts

READ_CONTROL: Final = 0x2_0000
ITSELF: Final = 0x0200_0000 | 0x0020_0000
"""FILE_FLAG_BACKUP_SEMANTICS, without which no folder opens, and FILE_FLAG_OPEN_REPARSE_POINT."""

_FILE_OBJECT: Final = 1
_OWNER_AND_LIST: Final = 0x1 | 0x4
_PROTECTED: Final = 0x1000
_TOKEN_USER: Final = 1
_TOKEN_ELEVATION: Final = 20
_TOKEN_QUERY: Final = 0x8
_TOKEN_LIMIT_BYTES: Final = 1024


class WindowsAccess:
    """``Access`` by GetSecurityInfo."""

    def of(self, path: str) -> AccessFacts:
        """Return who owns a path, and who may read, change or replace it.

        Raises:
            ProbeError: it cannot be opened, or its list is not understood.
        """
        with opened(path, READ_CONTROL, ITSELF) as handle:
            return access_by_handle(handle, path)


def access_by_handle(handle: int, path: str) -> AccessFacts:
    """Return the access of what is open; the path is only for words.

    Raises:
        ProbeError: the list cannot be read, or is not understood.
    """
    owner, acl, descriptor = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    code = ADVAPI.GetSecurityInfo(
        handle,
        _FILE_OBJECT,
        _OWNER_AND_LIST,
        ctypes.byref(owner),
        None,
        ctypes.byref(acl),
        None,
        ctypes.byref(descriptor),
    )
    what = f"{path}: access list"
    if code:
        raise failure(what, code)
    try:
        control, revision = wintypes.WORD(), wintypes.DWORD()
        must(
            ADVAPI.GetSecurityDescriptorControl(
                descriptor, ctypes.byref(control), ctypes.byref(revision)
            ),
            what,
        )
        entries = None
        if acl.value:
            size = wintypes.WORD.from_address(acl.value + 2).value
            entries = parse_acl(ctypes.string_at(acl.value, size))
        return access_facts(_sid_at(owner.value), entries, inherited=not control.value & _PROTECTED)
    finally:
        KERNEL.LocalFree(descriptor)


def _sid_at(address: int | None) -> str:
    """Return a security identifier in memory; without an owner there is none."""
    if not address:
        return ""
    return sid_text(ctypes.string_at(address, ADVAPI.GetLengthSid(address)))


def own_sid() -> str:
    """Return the user as whom this process runs.

    Raises:
        ProbeError: Windows does not tell.
    """
    with _token(KERNEL.GetCurrentProcess()) as token:
        return user_of(token)


def process_sid(process: int) -> str:
    """Return the user as whom a process runs that is open for limited queries.

    Raises:
        ProbeError: this user may not know.
    """
    with _token(process) as token:
        return user_of(token)


def is_elevated() -> bool:
    """Tell whether this process has the full rights of an administrator, or is SYSTEM."""
    with _token(KERNEL.GetCurrentProcess()) as token:
        return bool(wintypes.DWORD.from_buffer(_ask(token, _TOKEN_ELEVATION)).value)


def user_of(token: int) -> str:
    """Return the user of a token: TOKEN_USER begins with a pointer to the identifier."""
    answer = _ask(token, _TOKEN_USER)  # it also holds what the pointer leads to
    return _sid_at(ctypes.c_void_p.from_buffer(answer).value)


@contextmanager
def _token(process: int) -> Iterator[int]:
    token = wintypes.HANDLE()
    must(ADVAPI.OpenProcessToken(process, _TOKEN_QUERY, ctypes.byref(token)), "token of a process")
    try:
        yield token.value or 0
    finally:
        KERNEL.CloseHandle(token)


def _ask(token: int, kind: int) -> ctypes.Array[ctypes.c_char]:
    answer, size = ctypes.create_string_buffer(_TOKEN_LIMIT_BYTES), wintypes.DWORD()
    room = ctypes.sizeof(answer)
    must(
        ADVAPI.GetTokenInformation(token, kind, answer, room, ctypes.byref(size)),
        "token of a process",
    )
    return answer
