"""Values of the Windows registry, out of their bytes.

A value of another type than the one asked for is an error that names key and type: what is written
there by hand, or by another program, is not guessed at. Source: winnt.h, REG_*.
"""

from __future__ import annotations

from typing import Final

from nodecheck.model.errors import ProbeError

SZ: Final = 1
EXPAND_SZ: Final = 2
BINARY: Final = 3
DWORD: Final = 4
MULTI_SZ: Final = 7
QWORD: Final = 11

VALUE_LIMIT_BYTES: Final = 64 * 1024
"""More than any value that is read here; Windows itself has no limit."""

_NAMES: Final = {
    0: "REG_NONE",
    SZ: "REG_SZ",
    EXPAND_SZ: "REG_EXPAND_SZ",
    BINARY: "REG_BINARY",
    DWORD: "REG_DWORD",
    5: "REG_DWORD_BIG_ENDIAN",
    6: "REG_LINK",
    MULTI_SZ: "REG_MULTI_SZ",
    QWORD: "REG_QWORD",
}
_SIZES: Final = {DWORD: 4, QWORD: 8}


def read_text(where: str, kind: int, data: bytes) -> str:
    """Return a REG_SZ or REG_EXPAND_SZ up to its first NUL; it need not end in one.

    Raises:
        ProbeError: it is of another type.
    """
    if kind not in {SZ, EXPAND_SZ}:
        raise _wrong_type(where, kind, "REG_SZ")
    return _characters(data).partition("\0")[0]


def read_texts(where: str, kind: int, data: bytes) -> tuple[str, ...]:
    """Return a REG_MULTI_SZ; an empty text ends it.

    Raises:
        ProbeError: it is of another type.
    """
    if kind != MULTI_SZ:
        raise _wrong_type(where, kind, "REG_MULTI_SZ")
    found = _characters(data).split("\0")
    return tuple(found[: found.index("")] if "" in found else found)


def read_number(where: str, kind: int, data: bytes) -> int:
    """Return a REG_DWORD or REG_QWORD.

    Raises:
        ProbeError: it is of another type, or not as long as its type says.
    """
    if kind not in _SIZES:
        raise _wrong_type(where, kind, "REG_DWORD")
    if len(data) != _SIZES[kind]:
        msg = f"{where}: {_NAMES[kind]} of {len(data)} bytes, not {_SIZES[kind]}"
        raise ProbeError(msg, "not-understood")
    return int.from_bytes(data, "little")


def read_data(where: str, kind: int, data: bytes) -> bytes:
    """Return a REG_BINARY.

    Raises:
        ProbeError: it is of another type.
    """
    if kind != BINARY:
        raise _wrong_type(where, kind, "REG_BINARY")
    return data


def _characters(data: bytes) -> str:
    return data[: len(data) & ~1].decode("utf-16-le", "replace")


def _wrong_type(where: str, kind: int, expected: str) -> ProbeError:
    found = _NAMES.get(kind, f"type {kind}")
    return ProbeError(f"{where}: is {found}, expected {expected}", "wrong-type")
