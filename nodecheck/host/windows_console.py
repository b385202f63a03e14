"""The console of Windows, and what is written where there is none.

Redirected output is the same bytes as everywhere, UTF-8 with LF: Python would write the code page
of the node and CRLF. Who reads it through PowerShell decodes it by the console's code page.
"""

# ruff: noqa: E402 - the type checker must know the platform before the imports

from __future__ import annotations

import ctypes
import io
import sys
from ctypes import wintypes
from typing import TYPE_CHECKING, Final, TextIO

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is

from nodecheck.host.windows_calls import KERNEL

if TYPE_CHECKING:
    from collections.abc import Mapping

UTF_8: Final = 65001
_ESCAPES: Final = 0x4
"""ENABLE_VIRTUAL_TERMINAL_PROCESSING; consoles before Windows 10 1511 refuse it."""


def prepare(stream: TextIO) -> None:
    """Let a stream that is no console write UTF-8 and LF."""
    if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
        stream.reconfigure(encoding="utf-8", newline="\n")


def takes_escapes(stream: TextIO) -> bool:
    """Tell whether a console follows escape sequences, which it is asked to do."""
    import msvcrt

    mode = wintypes.DWORD()
    try:
        handle = msvcrt.get_osfhandle(stream.fileno())
    except (OSError, ValueError):
        return False
    if not KERNEL.GetConsoleMode(handle, ctypes.byref(mode)):
        return False
    return bool(mode.value & _ESCAPES or KERNEL.SetConsoleMode(handle, mode.value | _ESCAPES))


def is_utf8(environment: Mapping[str, str]) -> bool:
    """Tell whether whoever reads this takes UTF-8: by the console's code page, or the Terminal."""
    return KERNEL.GetConsoleOutputCP() == UTF_8 or bool(environment.get("WT_SESSION"))
