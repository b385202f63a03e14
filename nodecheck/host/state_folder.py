"""The folder in which nodecheck keeps what must outlive a run, and the lock of a run."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from nodecheck.host.state_locks import StateLocks
from nodecheck.model.errors import Absent, Busy, ProbeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nodecheck.host.door import Files

assert sys.platform != "win32"  # noqa: S101 - tells the type checker which platform this is

SYSTEM_FOLDER: Final = "/var/lib/nodecheck"
USER_FOLDER: Final = "nodecheck"
FOLDER_MODE: Final = 0o700


class PosixState(StateLocks):
    """State in a folder that only its owner can write."""

    def __init__(self, files: Files, environment: Mapping[str, str], *, privileged: bool) -> None:
        """Take the files to read with, and what decides where this user keeps state."""
        self._files = files
        self._environment = environment
        self._privileged = privileged

    def default_folder(self) -> str:
        """Return the system's folder for root, else the XDG state folder; '' for neither."""
        if self._privileged:
            return SYSTEM_FOLDER
        base = self._environment.get("XDG_STATE_HOME", "")
        if base.startswith("/"):
            return f"{base}/{USER_FOLDER}"
        home = self._environment.get("HOME", "")
        return f"{home}/.local/state/{USER_FOLDER}" if home.startswith("/") else ""

    def take(self, folder: str, name: str) -> int:
        """Take a lock by flock(2)."""
        prepare(folder)
        path = f"{folder}/{name}"
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(path, flags, 0o600)
        except OSError as exc:
            msg = f"{path}: {exc.strerror}"
            raise ProbeError(msg, "no-state") from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.pread(descriptor, 64, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            msg = f"another run (process {holder or 'unknown'}) holds {path}"
            raise Busy(msg) from exc
        except OSError as exc:
            os.close(descriptor)
            msg = f"{path}: {exc.strerror}"
            raise ProbeError(msg, "no-state") from exc
        _write_holder(descriptor)
        return descriptor

    def read(self, folder: str, name: str, limit_bytes: int) -> bytes:
        """Return what was kept under this name.

        Raises:
            Absent: nothing was.
            ProbeError: others can write it, or it is too large.
        """
        if not folder:
            msg = f"{name}: there is no state folder"
            raise Absent(msg)
        path = f"{folder}/{name}"
        for place in (folder, path):
            state = self._files.state(place)
            if state.uid != os.geteuid() or state.mode & 0o022:
                msg = f"{place}: owner {state.uid}, mode {state.mode:04o}: others can write it"
                raise ProbeError(msg, "no-state")
        return self._files.read(path, limit_bytes)

    def write(self, folder: str, name: str, content: bytes) -> None:
        """Keep this content whole or not at all.

        Raises:
            ProbeError: it cannot be kept; what was there before still is.
        """
        prepare(folder)
        path = f"{folder}/{name}"
        temporary = f"{folder}/.{name}.new"  # always the same: what a killed run left goes first
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            try:
                with open(os.open(temporary, flags, 0o600), "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.rename(temporary, path)
            except OSError:
                with suppress(OSError):
                    os.unlink(temporary)
                raise
            _sync_folder(folder)
        except OSError as exc:
            msg = f"{path}: {exc.strerror}"
            raise ProbeError(msg, "no-state") from exc

    def append(self, folder: str, name: str, content: bytes) -> None:
        """Add to what is kept; a crash meanwhile may leave a part of it at the end.

        Raises:
            ProbeError: others can write the file, or it cannot be kept; then nothing was added.
        """
        prepare(folder)
        with _writing(f"{folder}/{name}", os.O_APPEND | os.O_CREAT) as (descriptor, size):
            try:
                _write_all(descriptor, content)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
            if not size:
                _sync_folder(folder)

    def erase(
        self, folder: str, name: str, spans: tuple[tuple[int, int], ...], size_bytes: int
    ) -> None:
        """Cut the content to a size, and put blanks over spans (start, length) of it, in place.

        That needs no room on the disk. A crash meanwhile leaves blanks in the front of a span.

        Raises:
            ProbeError: others can write the file, or it cannot be written.
        """
        with _writing(f"{folder}/{name}", 0) as (descriptor, _):
            for start, length in spans:
                os.pwrite(descriptor, b" " * length, start)
            os.ftruncate(descriptor, size_bytes)
            os.fsync(descriptor)

    def set_aside(self, folder: str, name: str) -> str:
        """Move a damaged file out of the way, over an earlier damaged one; return where it is.

        Raises:
            ProbeError: it cannot be moved.
        """
        path = f"{folder}/{name}.damaged"
        try:
            os.rename(f"{folder}/{name}", path)
        except OSError as exc:
            msg = f"{folder}/{name}: {exc.strerror}"
            raise ProbeError(msg, "no-state") from exc
        return path


def prepare(folder: str) -> None:
    """Make the folder (0700), or make sure that nobody else can write what is in it.

    Raises:
        ProbeError: it cannot be made, or belongs to somebody else.
    """
    if not folder:
        msg = "no state folder: neither XDG_STATE_HOME nor HOME is set"
        raise ProbeError(msg, "no-state")
    try:
        os.makedirs(folder, FOLDER_MODE, exist_ok=True)
        status = os.lstat(folder)
    except OSError as exc:
        msg = f"state folder {folder}: {exc.strerror}"
        raise ProbeError(msg, "no-state") from exc
    if not stat.S_ISDIR(status.st_mode):
        msg = f"state folder {folder}: not a folder"
        raise ProbeError(msg, "no-state")
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        mode = stat.S_IMODE(status.st_mode)
        msg = (
            f"state folder {folder}: owner {status.st_uid}, mode {mode:04o}: others can write it; "
            f"mend with: chown {os.geteuid()} {folder} && chmod 700 {folder}"
        )
        raise ProbeError(msg, "no-state")


@contextmanager
def _writing(path: str, flags: int) -> Iterator[tuple[int, int]]:
    """Open a file that only its owner can write; give its descriptor and size."""
    flags |= os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o600)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                msg = f"{path}: not a file"
                raise ProbeError(msg, "no-state")
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                mode = stat.S_IMODE(status.st_mode)
                msg = f"{path}: owner {status.st_uid}, mode {mode:04o}: others can write it"
                raise ProbeError(msg, "no-state")
            yield descriptor, status.st_size
        finally:
            os.close(descriptor)
    except OSError as exc:
        msg = f"{path}: {exc.strerror}"
        raise ProbeError(msg, "no-state") from exc


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_holder(descriptor: int) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError:  # a full disk: the lock holds all the same
        return
