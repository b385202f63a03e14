"""Files of a Windows node: bounded, never fooled by a link, never in the way of who writes them.

``FileState`` keeps its fields. ``mode`` and ``uid`` say of strangers what they say of others on a
POSIX system (model/access.py): 0 is an owner who stands as root does, SYSTEM, Administrators, the
installer of Windows, or the user of this very process. ``ctime_ns`` is the last change of anything.
"""

# ruff: noqa: E402 - the type checker must know the platform before the imports

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
import sys
from contextlib import contextmanager
from ctypes import wintypes
from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is

from nodecheck.host.windows_access import ITSELF, READ_CONTROL, access_by_handle, own_sid
from nodecheck.host.windows_calls import KERNEL, failure, must, opened
from nodecheck.host.windows_paths import native, plain
from nodecheck.host.windows_space import measure
from nodecheck.model.access import TRUSTED
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import FileDigest, FileKind, FileState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.host.door import LoopStatus
    from nodecheck.model.storage import FileSystem

CHUNK_BYTES: Final = 1 << 20
DIGEST_LIMIT_BYTES: Final = 1 << 30

_READ_DATA: Final = 0x1
_READ_ATTRIBUTES: Final = 0x80
_SEQUENTIAL: Final = 0x0800_0000
_FOLLOWED: Final = 0x0200_0000
_ON_DISK: Final = 1
_BASIC: Final = 0
_TAG: Final = 9
_NAME_SURROGATE: Final = 0x2000_0000
"""A reparse point that leads elsewhere; others are files that Windows stores in its own ways."""

_TICKS_TO_1970: Final = 116_444_736_000_000_000


class _Identity(ctypes.Structure):
    """BY_HANDLE_FILE_INFORMATION."""

    _fields_ = (
        ("attributes", wintypes.DWORD),
        ("times", wintypes.DWORD * 6),
        ("volume", wintypes.DWORD),
        ("size_high", wintypes.DWORD),
        ("size_low", wintypes.DWORD),
        ("links", wintypes.DWORD),
        ("index_high", wintypes.DWORD),
        ("index_low", wintypes.DWORD),
    )


class _Basic(ctypes.Structure):
    """FILE_BASIC_INFO."""

    _fields_ = (
        ("created", ctypes.c_longlong),
        ("accessed", ctypes.c_longlong),
        ("written", ctypes.c_longlong),
        ("changed", ctypes.c_longlong),
        ("attributes", wintypes.DWORD),
    )


@dataclass(frozen=True)
class _Status:
    """What a handle tells of the file behind it."""

    kind: FileKind
    device: int
    inode: int
    size: int
    links: int
    mtime_ns: int
    ctime_ns: int
    stored_apart: bool = False


class WindowsFiles:
    """Files by their handles; links in the last component are not followed unless asked to."""

    def __init__(self, own: frozenset[str] | None = None) -> None:
        """Take who stands as root does; by default the node's masters and this process's user."""
        self._own = TRUSTED | {own_sid()} if own is None else own

    def read(self, path: str, limit_bytes: int, *, follow: bool = False) -> bytes:
        """Return the content of a regular file."""
        return b"".join(self.chunks(path, limit_bytes, follow=follow))

    def chunks(self, path: str, limit_bytes: int, *, follow: bool = False) -> Iterator[bytes]:
        """Return the content of a regular file piece by piece."""
        left = limit_bytes
        with self._content(path, follow=follow) as handle:
            while chunk := _read(handle, min(CHUNK_BYTES, left + 1), path):
                left -= len(chunk)
                if left < 0:
                    msg = f"{path}: larger than {limit_bytes} bytes"
                    raise ProbeError(msg, "too-large")
                yield chunk

    def tail(self, path: str, limit_bytes: int) -> bytes:
        """Return the last bytes of a regular file."""
        with self._content(path) as handle:
            start = max(_status(handle, path).size - limit_bytes, 0)
            must(KERNEL.SetFilePointerEx(handle, start, None, 0), path)
            return _read(handle, limit_bytes, path)

    def state(self, path: str) -> FileState:
        """Return owner, mode, kind and identity of whatever is at this path."""
        with opened(path, _READ_ATTRIBUTES | READ_CONTROL, ITSELF) as handle:
            status = _status(handle, path)
            target = _target(path) if status.kind is FileKind.LINK else ""
            return self._state(path, handle, status, target)

    def resolve(self, path: str) -> str:
        """Return the path with every link in it followed; absence is an error."""
        try:
            return plain(os.path.realpath(native(path), strict=True))
        except OSError as exc:
            raise failure(path, exc.winerror) from exc

    def digest(self, path: str, algorithm: str, *, follow: bool = False) -> FileDigest:
        """Return the digest of a regular file; a file that changes while it is read raises."""
        digest = hashlib.new(algorithm, usedforsecurity=False)
        with self._content(path, follow=follow) as handle:
            before = _status(handle, path)
            if before.size > DIGEST_LIMIT_BYTES:
                msg = f"{path}: larger than {DIGEST_LIMIT_BYTES} bytes"
                raise ProbeError(msg, "too-large")
            while chunk := _read(handle, CHUNK_BYTES, path):
                digest.update(chunk)
            if _status(handle, path) != before:
                msg = f"{path}: changed while it was read"
                raise ProbeError(msg, "changed-while-read")
            state = self._state(path, handle, before)
        return FileDigest(state, algorithm, digest.hexdigest())

    def listing(self, path: str, limit: int) -> tuple[str, ...]:
        """Return the sorted names in a folder."""
        names: list[str] = []
        try:
            with os.scandir(native(path)) as entries:
                for entry in entries:
                    names.append(entry.name)
                    if len(names) > limit:
                        msg = f"{path}: more than {limit} entries"
                        raise ProbeError(msg, "too-large")
        except OSError as exc:
            raise failure(path, exc.winerror) from exc
        return tuple(sorted(names))

    def space(self, path: str) -> FileSystem:
        """Return the room in the volume that holds this path."""
        return measure(path)

    def loop_status(self, device_path: str) -> LoopStatus:
        """Say that there are none."""
        msg = f"{device_path}: not there"
        raise Absent(msg)

    def query_sqlite(
        self,
        path: str,
        query: str,  # noqa: ARG002 - the door's
        parameters: tuple[str | int, ...],  # noqa: ARG002
        limit_bytes: int,  # noqa: ARG002
    ) -> tuple[tuple[object, ...], ...]:
        """Say that no database of Windows is read."""
        msg = f"{path}: not there"
        raise Absent(msg)

    def _state(self, path: str, handle: int, status: _Status, target: str = "") -> FileState:
        access = access_by_handle(handle, path)
        mode = access.mode(self._own)
        return FileState(
            path=path,
            kind=status.kind,
            device=status.device,
            inode=status.inode,
            mode=mode if status.kind is FileKind.FOLDER else mode & ~stat.S_ISVTX,
            uid=access.uid(self._own),
            gid=0,
            size=status.size,
            links=status.links,
            mtime_ns=status.mtime_ns,
            ctime_ns=status.ctime_ns,
            target=target,
        )

    @contextmanager
    def _content(self, path: str, *, follow: bool = False) -> Iterator[int]:
        """Open a regular file and give its handle."""
        access = _READ_DATA | _READ_ATTRIBUTES | READ_CONTROL
        with opened(path, access, _SEQUENTIAL | (_FOLLOWED if follow else ITSELF)) as handle:
            status = _status(handle, path)
            if status.kind is not FileKind.FILE:
                is_link = status.kind is FileKind.LINK
                msg = f"{path}: {'is a symbolic link' if is_link else 'not a regular file'}"
                raise ProbeError(msg)
            if not status.stored_apart:
                yield handle
                return
        # Compressed, deduplicated or in a cloud: Windows itself must bring the content.
        with opened(path, access, _SEQUENTIAL | _FOLLOWED) as handle:
            found = _status(handle, path)
            if (found.device, found.inode) != (status.device, status.inode):
                msg = f"{path}: changed while it was read"
                raise ProbeError(msg, "changed-while-read")
            yield handle


def _status(handle: int, path: str) -> _Status:
    found, basic = _Identity(), _Basic()
    tag = (wintypes.DWORD * 2)()
    if KERNEL.GetFileType(handle) != _ON_DISK:
        return _Status(FileKind.OTHER, 0, 0, 0, 0, 0, 0)
    must(KERNEL.GetFileInformationByHandle(handle, ctypes.byref(found)), path)
    must(
        KERNEL.GetFileInformationByHandleEx(
            handle, _BASIC, ctypes.byref(basic), ctypes.sizeof(basic)
        ),
        path,
    )
    is_point = bool(found.attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)
    if is_point:
        size = ctypes.sizeof(tag)
        must(KERNEL.GetFileInformationByHandleEx(handle, _TAG, ctypes.byref(tag), size), path)
    kind = FileKind.FILE
    if is_point and tag[1] & _NAME_SURROGATE:
        kind = FileKind.LINK
    elif found.attributes & stat.FILE_ATTRIBUTE_DIRECTORY:
        kind = FileKind.FOLDER
    return _Status(
        kind=kind,
        device=found.volume,
        inode=found.index_high << 32 | found.index_low,
        size=0 if kind is FileKind.FOLDER else found.size_high << 32 | found.size_low,
        links=found.links,
        mtime_ns=(basic.written - _TICKS_TO_1970) * 100,
        ctime_ns=(basic.changed - _TICKS_TO_1970) * 100,
        stored_apart=is_point and kind is FileKind.FILE,
    )


def _target(path: str) -> str:
    try:
        return plain(os.readlink(native(path)))
    except (OSError, ValueError):  # of a kind that Python does not know
        return ""


def _read(handle: int, count: int, path: str) -> bytes:
    buffer, done = ctypes.create_string_buffer(count), wintypes.DWORD()
    must(KERNEL.ReadFile(handle, buffer, count, ctypes.byref(done), None), path)
    return buffer.raw[: done.value]
