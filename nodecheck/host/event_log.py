"""The event log of Windows: one text with a number and a kind."""

from __future__ import annotations

import sys
from enum import Enum

LOG = "Application"
SOURCE = "nodecheck"


class EventKind(Enum):
    """How bad an event is (winnt.h, EVENTLOG_*_TYPE)."""

    ERROR = 1
    WARNING = 2
    INFORMATION = 4


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    from nodecheck.host.windows_calls import ADVAPI

    _P, _W = ctypes.c_void_p, wintypes.WORD
    ADVAPI.RegisterEventSourceW.restype = wintypes.HANDLE
    ADVAPI.RegisterEventSourceW.argtypes = [wintypes.LPCWSTR, wintypes.LPCWSTR]
    ADVAPI.ReportEventW.restype = wintypes.BOOL
    ADVAPI.ReportEventW.argtypes = [
        wintypes.HANDLE,
        _W,
        _W,
        wintypes.DWORD,
        _P,
        _W,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.LPCWSTR),
        _P,
    ]
    ADVAPI.DeregisterEventSource.restype = wintypes.BOOL
    ADVAPI.DeregisterEventSource.argtypes = [wintypes.HANDLE]

    def write_event(number: int, kind: EventKind, text: str) -> None:
        """Write one event; without a registered source the viewer adds words of its own.

        Raises:
            OSError: Windows did not take it.
        """
        log = ADVAPI.RegisterEventSourceW(None, SOURCE)
        if not log:
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            strings = (wintypes.LPCWSTR * 1)(text)
            if not ADVAPI.ReportEventW(log, kind.value, 0, number, None, 1, 0, strings, None):
                raise ctypes.WinError(ctypes.get_last_error())
        finally:
            ADVAPI.DeregisterEventSource(log)

else:

    def write_event(number: int, kind: EventKind, text: str) -> None:  # noqa: ARG001 - as above
        """Say that there is none."""
        msg = "this platform has none"
        raise OSError(msg)
