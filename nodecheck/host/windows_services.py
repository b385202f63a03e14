"""Services of Windows, asked of its service control manager: any user may."""

# ruff: noqa: E402 - the type checker must know the platform before the imports

from __future__ import annotations

import ctypes
import sys
from contextlib import contextmanager
from ctypes import wintypes
from typing import TYPE_CHECKING, Final

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is

from nodecheck.host.windows_calls import ADVAPI, must
from nodecheck.model.errors import ProbeError
from nodecheck.model.windows_service import ServicePhase, StartType, WindowsService

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONNECT: Final = 0x1
_ENUMERATE: Final = 0x4
_QUERY: Final = 0x1 | 0x4
"""SERVICE_QUERY_CONFIG and SERVICE_QUERY_STATUS."""

_PROCESS_INFO: Final = 0
_WIN32_SERVICES: Final = 0x30
_ACTIVE: Final = 0x1
_MORE_DATA: Final = 234
_CONFIG_LIMIT_BYTES: Final = 8 * 1024
"""The most that QueryServiceConfigW ever needs, says its documentation."""

_LIST_LIMIT_BYTES: Final = 256 * 1024
"""The most that EnumServicesStatusExW fills at once, says its documentation."""


class _Config(ctypes.Structure):
    """QUERY_SERVICE_CONFIGW."""

    _fields_ = (
        ("type", wintypes.DWORD),
        ("start", wintypes.DWORD),
        ("error_control", wintypes.DWORD),
        ("command", wintypes.LPWSTR),
        ("group", wintypes.LPWSTR),
        ("tag", wintypes.DWORD),
        ("dependencies", ctypes.c_void_p),
        ("account", wintypes.LPWSTR),
        ("display_name", wintypes.LPWSTR),
    )


class _Status(ctypes.Structure):
    """SERVICE_STATUS_PROCESS."""

    _fields_ = (
        ("type", wintypes.DWORD),
        ("phase", wintypes.DWORD),
        ("accepted", wintypes.DWORD),
        ("exit_code", wintypes.DWORD),
        ("own_exit_code", wintypes.DWORD),
        ("check_point", wintypes.DWORD),
        ("wait_hint", wintypes.DWORD),
        ("pid", wintypes.DWORD),
        ("flags", wintypes.DWORD),
    )


class _Entry(ctypes.Structure):
    """ENUM_SERVICE_STATUS_PROCESSW."""

    _fields_ = (
        ("name", wintypes.LPWSTR),
        ("display_name", wintypes.LPWSTR),
        ("status", _Status),
    )


class WindowsServices:
    """``Services`` by advapi32."""

    def query(self, name: str) -> WindowsService:
        """Return the state and configuration of a service.

        Raises:
            ProbeError: it is not there, or may not be looked at.
        """
        from winreg import ExpandEnvironmentStrings

        where = f"service {name}"
        with _manager(_CONNECT) as manager, _service(manager, name) as service:
            status, size = _Status(), wintypes.DWORD()
            room = ctypes.sizeof(status)
            must(
                ADVAPI.QueryServiceStatusEx(
                    service, _PROCESS_INFO, ctypes.byref(status), room, ctypes.byref(size)
                ),
                where,
            )
            memory = ctypes.create_string_buffer(_CONFIG_LIMIT_BYTES)
            must(
                ADVAPI.QueryServiceConfigW(
                    service, memory, _CONFIG_LIMIT_BYTES, ctypes.byref(size)
                ),
                where,
            )
            config = _Config.from_buffer(memory)
            try:
                return WindowsService(
                    name=name,
                    phase=ServicePhase(status.phase),
                    start=StartType(config.start),
                    command=ExpandEnvironmentStrings(config.command or ""),
                    account=config.account or "",
                    pid=status.pid,
                    exit_code=status.exit_code,
                    own_exit_code=status.own_exit_code,
                )
            except ValueError as exc:
                msg = f"{where}: {exc}"
                raise ProbeError(msg, "not-understood") from exc

    def names_by_pid(self) -> dict[int, str]:
        """Return the name of the running service by its process, of the first where it has more.

        Raises:
            ProbeError: the list cannot be read.
        """
        found: dict[int, str] = {}
        resume = wintypes.DWORD()
        with _manager(_CONNECT | _ENUMERATE) as manager:
            is_complete = False
            while not is_complete:
                entries, is_complete = _entries(manager, resume)
                for pid, name in entries:
                    found.setdefault(pid, name)
        return found


def _entries(manager: int, resume: wintypes.DWORD) -> tuple[list[tuple[int, str]], bool]:
    """Return process and name of running services, and whether these were the last."""
    memory = ctypes.create_string_buffer(_LIST_LIMIT_BYTES)
    needed, count = wintypes.DWORD(), wintypes.DWORD()
    done = ADVAPI.EnumServicesStatusExW(
        manager,
        _PROCESS_INFO,
        _WIN32_SERVICES,
        _ACTIVE,
        memory,
        _LIST_LIMIT_BYTES,
        ctypes.byref(needed),
        ctypes.byref(count),
        ctypes.byref(resume),
        None,
    )
    has_more = ctypes.get_last_error() == _MORE_DATA and count.value > 0
    must(done or has_more, "services")
    rows = (_Entry * count.value).from_buffer(memory)
    return [(row.status.pid, row.name or "") for row in rows if row.status.pid], bool(done)


@contextmanager
def _manager(rights: int) -> Iterator[int]:
    manager = ADVAPI.OpenSCManagerW(None, None, rights)
    must(manager, "service control manager")
    try:
        yield manager
    finally:
        ADVAPI.CloseServiceHandle(manager)


@contextmanager
def _service(manager: int, name: str) -> Iterator[int]:
    service = ADVAPI.OpenServiceW(manager, name, _QUERY)
    must(service, f"service {name}")
    try:
        yield service
    finally:
        ADVAPI.CloseServiceHandle(service)
