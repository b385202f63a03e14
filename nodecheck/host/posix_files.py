"""Files of a POSIX node: bounded, never blocking on a pipe, never fooled by a link."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

from nodecheck.host import posix_loop, posix_space
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.node import FileDigest, FileKind, FileState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.host.door import LoopStatus
    from nodecheck.model.storage import FileSystem

assert sys.platform != "win32"  # noqa: S101 - tells the type checker which platform this is

CHUNK_BYTES: Final = 1 << 20
DIGEST_LIMIT_BYTES: Final = 1 << 30
BUSY_TIMEOUT_S: Final = 1.0
"""How long a locked database is waited for."""

_OPEN_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_KINDS: Final = {
    stat.S_IFREG: FileKind.FILE,
    stat.S_IFDIR: FileKind.FOLDER,
    stat.S_IFLNK: FileKind.LINK,
}


class PosixFiles:
    """Files below ``root``, which is ``/`` except in tests that lay out a node in a folder."""

    def __init__(self, root: str = "/") -> None:
        """Remember the root; every digest is computed once per file identity and run."""
        self._root = root.rstrip("/")
        self._digests: dict[tuple[object, ...], str] = {}
        self._locks: dict[tuple[object, ...], Lock] = {}
        self._guard = Lock()

    def read(self, path: str, limit_bytes: int, *, follow: bool = False) -> bytes:
        """Return the content of a regular file."""
        return b"".join(self.chunks(path, limit_bytes, follow=follow))

    def chunks(self, path: str, limit_bytes: int, *, follow: bool = False) -> Iterator[bytes]:
        """Return the content of a regular file piece by piece."""
        left = limit_bytes
        with self._open(path, follow=follow) as descriptor:
            while chunk := os.read(descriptor, min(CHUNK_BYTES, left + 1)):
                left -= len(chunk)
                if left < 0:
                    msg = f"{path}: larger than {limit_bytes} bytes"
                    raise ProbeError(msg, "too-large")
                yield chunk

    def tail(self, path: str, limit_bytes: int) -> bytes:
        """Return the last bytes of a regular file."""
        with self._open(path) as descriptor:
            size = os.fstat(descriptor).st_size
            return os.pread(descriptor, limit_bytes, max(size - limit_bytes, 0))

    def state(self, path: str) -> FileState:
        """Return owner, mode, kind and identity of whatever is at this path."""
        with _errors(path):
            status = os.lstat(self._root + path)
            target = os.readlink(self._root + path) if stat.S_ISLNK(status.st_mode) else ""
            return _state(path, status, target=target, capable=_capable(self._root + path))

    def resolve(self, path: str) -> str:
        """Return the path with every symbolic link in it followed; absence is an error."""
        with _errors(path):
            return os.path.realpath(self._root + path, strict=True).removeprefix(self._root)

    def digest(self, path: str, algorithm: str, *, follow: bool = False) -> FileDigest:
        """Return the digest of a regular file; a file that changes while it is read raises."""
        with self._open(path, follow=follow) as descriptor:
            before = os.fstat(descriptor)
            if before.st_size > DIGEST_LIMIT_BYTES:
                msg = f"{path}: larger than {DIGEST_LIMIT_BYTES} bytes"
                raise ProbeError(msg, "too-large")
            digest = self._digest_once(descriptor, before, algorithm)
            if _identity(os.fstat(descriptor)) != _identity(before):
                msg = f"{path}: changed while it was read"
                raise ProbeError(msg, "changed-while-read")
            state = _state(path, before, capable=_capable(descriptor))
            return FileDigest(state, algorithm, digest)

    def listing(self, path: str, limit: int) -> tuple[str, ...]:
        """Return the sorted names in a folder."""
        names: list[str] = []
        with _errors(path), os.scandir(self._root + path) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) > limit:
                    msg = f"{path}: more than {limit} entries"
                    raise ProbeError(msg, "too-large")
        return tuple(sorted(names))

    def space(self, path: str) -> FileSystem:
        """Return the room in the file system that holds this path, links followed."""
        with _errors(path):
            return posix_space.measure(self._root + path)

    def loop_status(self, device_path: str) -> LoopStatus:
        """Return what is behind a loop device; a node of another number raises."""
        with _errors(device_path):
            descriptor = os.open(self._root + device_path, _OPEN_FLAGS | os.O_NOFOLLOW)
            try:
                return posix_loop.ask(descriptor, device_path)
            finally:
                os.close(descriptor)

    def query_sqlite(
        self, path: str, query: str, parameters: tuple[str | int, ...], limit_bytes: int
    ) -> tuple[tuple[object, ...], ...]:
        """Return the rows of a query on a database that is only read.

        A journal or write-ahead log that holds pages means that a writer is at work or has crashed,
        and with a journal that the file itself may hold what was never committed: then the
        database is opened with its locks. Otherwise it is opened as immutable, because SQLite
        would else create files beside it; a change meanwhile raises.
        """
        before = self.state(path)
        if before.kind is not FileKind.FILE:
            msg = f"{path}: not a regular file"
            raise ProbeError(msg)
        with self._open(path):
            pass
        log_in_use = self._in_use(path)
        rows = self._query(path, query, parameters, limit_bytes, immutable=not log_in_use)
        if not log_in_use:
            after = self.state(path)
            same = (before.inode, before.size, before.mtime_ns) == (
                after.inode,
                after.size,
                after.mtime_ns,
            )
            if not same or self._in_use(path):
                msg = f"{path}: changed while it was read"
                raise ProbeError(msg, "changed-while-read")
        return rows

    def _query(
        self,
        path: str,
        query: str,
        parameters: tuple[str | int, ...],
        limit_bytes: int,
        *,
        immutable: bool,
    ) -> tuple[tuple[object, ...], ...]:
        import sqlite3
        from urllib.parse import quote

        mode = "mode=ro&immutable=1" if immutable else "mode=ro"
        uri = f"file:{quote(self._root + path)}?{mode}"
        try:
            database = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)
            try:
                database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limit_bytes)
                database.execute("pragma query_only = on")
                return tuple(tuple(row) for row in database.execute(query, parameters))
            finally:
                database.close()
        except (sqlite3.Error, sqlite3.Warning) as exc:
            msg = f"{path}: {exc}"
            raise ProbeError(msg) from exc

    def _in_use(self, path: str) -> bool:
        return self._size(path + "-wal") > 0 or self._size(path + "-journal") > 0

    def _size(self, path: str) -> int:
        try:
            return self.state(path).size
        except Absent:
            return 0

    @contextmanager
    def _open(self, path: str, *, follow: bool = False) -> Iterator[int]:
        flags = _OPEN_FLAGS if follow else _OPEN_FLAGS | os.O_NOFOLLOW
        with _errors(path):
            descriptor = os.open(self._root + path, flags)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    msg = f"{path}: not a regular file"
                    raise ProbeError(msg)
                yield descriptor
            finally:
                os.close(descriptor)

    def _digest_once(self, descriptor: int, status: os.stat_result, algorithm: str) -> str:
        key = (*_identity(status), algorithm)
        with self._guard:
            lock = self._locks.setdefault(key, Lock())
        with lock:
            if key not in self._digests:
                self._digests[key] = _hash(descriptor, algorithm)
            return self._digests[key]


def _hash(descriptor: int, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while count := os.readv(descriptor, [buffer]):
        digest.update(buffer[:count])
    return digest.hexdigest()


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _capable(path: str | int) -> bool:
    try:
        if isinstance(path, int):
            return bool(os.getxattr(path, "security.capability"))
        return bool(os.getxattr(path, "security.capability", follow_symlinks=False))
    except OSError as exc:
        if exc.errno in {errno.ENODATA, errno.ENOTSUP, errno.EPERM}:
            return False
        raise


def _state(
    path: str, status: os.stat_result, *, target: str = "", capable: bool = False
) -> FileState:
    return FileState(
        path=path,
        kind=_KINDS.get(stat.S_IFMT(status.st_mode), FileKind.OTHER),
        device=status.st_dev,
        inode=status.st_ino,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size,
        links=status.st_nlink,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        target=target,
        has_capabilities=capable,
    )


@contextmanager
def _errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise _translate(path, exc) from exc


def _translate(path: str, exc: OSError) -> ProbeError:
    if exc.errno in {errno.ENOENT, errno.ENOTDIR, errno.ESRCH}:  # the last: a process has ended
        return Absent(f"{path}: not there")
    if exc.errno in {errno.EACCES, errno.EPERM}:
        return Denied(f"{path}: permission denied")
    if exc.errno == errno.ELOOP:
        return ProbeError(f"{path}: is a symbolic link")
    return ProbeError(f"{path}: {exc.strerror or exc}")
