"""Values of the Windows registry, read as bytes and then taken for what they are."""

# ruff: noqa: E402 - the type checker must know the platform before the imports

from __future__ import annotations

import ctypes
import sys
import winreg
from contextlib import contextmanager
from ctypes import wintypes
from typing import TYPE_CHECKING, Final

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is

from nodecheck.host.windows_calls import ADVAPI, failure
from nodecheck.model.errors import ProbeError
from nodecheck.model.registry import (
    EXPAND_SZ,
    VALUE_LIMIT_BYTES,
    read_data,
    read_number,
    read_text,
    read_texts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.host.windows_door import Bits

_ROOTS: Final = {"HKLM": winreg.HKEY_LOCAL_MACHINE, "HKCU": winreg.HKEY_CURRENT_USER}
_VIEWS: Final = {32: winreg.KEY_WOW64_32KEY, 64: winreg.KEY_WOW64_64KEY}
_MORE_DATA: Final = 234


class WindowsRegistry:
    """``Registry`` by winreg."""

    def text(self, key: str, name: str, bits: Bits = 64) -> str:
        """Return a REG_SZ, or a REG_EXPAND_SZ with its variables expanded."""
        kind, data = _value(key, name, bits)
        found = read_text(_where(key, name, bits), kind, data)
        return winreg.ExpandEnvironmentStrings(found) if kind == EXPAND_SZ else found

    def texts(self, key: str, name: str, bits: Bits = 64) -> tuple[str, ...]:
        """Return a REG_MULTI_SZ."""
        return read_texts(_where(key, name, bits), *_value(key, name, bits))

    def number(self, key: str, name: str, bits: Bits = 64) -> int:
        """Return a REG_DWORD or REG_QWORD."""
        return read_number(_where(key, name, bits), *_value(key, name, bits))

    def data(self, key: str, name: str, bits: Bits = 64) -> bytes:
        """Return a REG_BINARY."""
        return read_data(_where(key, name, bits), *_value(key, name, bits))

    def subkeys(self, key: str, limit: int, bits: Bits = 64) -> tuple[str, ...]:
        """Return the sorted names of the keys below."""
        where = _where(key, "", bits)
        with _opened(key, bits, where) as handle:
            try:
                count, _, _ = winreg.QueryInfoKey(handle)
                if count > limit:
                    msg = f"{where}: more than {limit} keys"
                    raise ProbeError(msg, "too-large")
                return tuple(sorted(winreg.EnumKey(handle, at) for at in range(count)))
            except OSError as exc:  # one was deleted meanwhile
                msg = f"{where}: changed while it was read"
                raise ProbeError(msg, "changed-while-read") from exc


def _value(key: str, name: str, bits: Bits) -> tuple[int, bytes]:
    where = _where(key, name, bits)
    with _opened(key, bits, where) as handle:
        kind, data = wintypes.DWORD(), ctypes.create_string_buffer(VALUE_LIMIT_BYTES)
        size = wintypes.DWORD(VALUE_LIMIT_BYTES)
        code = ADVAPI.RegQueryValueExW(
            int(handle), name, None, ctypes.byref(kind), data, ctypes.byref(size)
        )
    if code == _MORE_DATA:
        msg = f"{where}: larger than {VALUE_LIMIT_BYTES} bytes"
        raise ProbeError(msg, "too-large")
    if code:
        raise failure(where, code)
    return kind.value, data.raw[: size.value]


@contextmanager
def _opened(key: str, bits: Bits, where: str) -> Iterator[winreg.HKEYType]:
    root, _, path = key.partition("\\")
    try:
        handle = winreg.OpenKey(_ROOTS[root], path, 0, winreg.KEY_READ | _VIEWS[bits])
    except OSError as exc:
        raise failure(where, exc.winerror) from exc
    with handle:
        yield handle


def _where(key: str, name: str, bits: Bits) -> str:
    path = f"{key}\\{name}" if name else key
    return path if bits == 64 else f"{path} (32 bit)"  # noqa: PLR2004 - bits
