"""The folder in which nodecheck keeps what must outlive a run on Windows, and the lock of a run.

Whoever may not do everything on the node anyway must not be able to write there, the user of this
process apart. Users may create folders in ``%ProgramData%``, so one may be waiting: it is believed
by its access list alone, and made together with that in one call.
"""

# ruff: noqa: E402 - the type checker must know the platform before the imports

from __future__ import annotations

import ctypes
import msvcrt
import os
import sys
from contextlib import contextmanager, suppress
from ctypes import wintypes
from typing import TYPE_CHECKING, Final

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is

from nodecheck.host.state_locks import StateLocks
from nodecheck.host.windows_access import own_sid
from nodecheck.host.windows_calls import ADVAPI, DENIED, KERNEL, LOCKED, failure, must
from nodecheck.host.windows_paths import native, plain
from nodecheck.model.access import TRUSTED
from nodecheck.model.errors import Absent, Busy, ProbeError
from nodecheck.model.node import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nodecheck.host.door import LocalClock
    from nodecheck.host.windows_access import WindowsAccess
    from nodecheck.host.windows_files import WindowsFiles

FOLDER: Final = "nodecheck"
LOCKED_BYTE: Final = 1 << 30
"""Windows lets nobody read what is locked: the holder's number is at the front."""

REPLACE_WAIT_S: Final = 0.5
REPLACE_STEP_S: Final = 0.02
"""A reader, or a virus scanner, may hold the file that is replaced for a moment."""

SECURITY: Final = "O:{owner}D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA){own}"
"""SYSTEM and Administrators alone, also in what is made below, and nothing from above."""

_EXISTS: Final = 183


class _Security(ctypes.Structure):
    """SECURITY_ATTRIBUTES."""

    _fields_ = (
        ("size", wintypes.DWORD),
        ("descriptor", ctypes.c_void_p),
        ("inherited", wintypes.BOOL),
    )


class WindowsState(StateLocks):
    """State in a folder that only this user, SYSTEM and Administrators can write."""

    def __init__(  # noqa: PLR0913 - what there is to look with
        self,
        files: WindowsFiles,
        access: WindowsAccess,
        clock: LocalClock,
        environment: Mapping[str, str],
        shared: str,
        *,
        privileged: bool,
    ) -> None:
        """Take what to look with, ``%ProgramData%``, and whose state this is."""
        self._files = files
        self._access = access
        self._clock = clock
        self._environment = environment
        self._shared = shared
        self._privileged = privileged
        self._user = own_sid()

    def default_folder(self) -> str:
        """Return the node's folder for an elevated process, else the user's; '' for neither."""
        if self._privileged:
            return f"{self._shared}/{FOLDER}"
        base = self._environment.get("LOCALAPPDATA", "")
        return f"{plain(base)}/{FOLDER}" if os.path.isabs(base) else ""

    def take(self, folder: str, name: str) -> int:
        """Take a lock of one byte."""
        self.prepare(folder)
        return _take_lock(f"{folder}/{name}")

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
            self._refuse_shared(place)
        return self._files.read(path, limit_bytes)

    def write(self, folder: str, name: str, content: bytes) -> None:
        """Keep this content whole or not at all.

        Raises:
            ProbeError: it cannot be kept; what was there before still is.
        """
        self.prepare(folder)
        path = f"{folder}/{name}"
        temporary = f"{folder}/.{name}.new"  # always the same: what a killed run left goes first
        with _errors(path):
            with suppress(FileNotFoundError):
                os.unlink(native(temporary))
            try:
                with open(native(temporary), "xb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                self._replace(temporary, path)
            except OSError:
                with suppress(OSError):
                    os.unlink(native(temporary))
                raise

    def append(self, folder: str, name: str, content: bytes) -> None:
        """Add to what is kept; a crash meanwhile may leave a part of it at the end.

        Raises:
            ProbeError: others can write the file, or it cannot be kept; then nothing was added.
        """
        self.prepare(folder)
        path = f"{folder}/{name}"
        with suppress(Absent):
            self._refuse_shared(path)
        with _errors(path), open(native(path), "ab", buffering=0) as stream:
            size = stream.tell()
            try:
                left = memoryview(content)
                while left:
                    left = left[stream.write(left) or 0 :]
                os.fsync(stream.fileno())
            except OSError:
                stream.truncate(size)
                raise

    def erase(
        self, folder: str, name: str, spans: tuple[tuple[int, int], ...], size_bytes: int
    ) -> None:
        """Cut the content to a size, and put blanks over spans (start, length) of it, in place.

        Raises:
            ProbeError: others can write the file, or it cannot be written.
        """
        path = f"{folder}/{name}"
        self._refuse_shared(path)
        with _errors(path), open(native(path), "r+b", buffering=0) as stream:
            for start, length in spans:
                stream.seek(start)
                stream.write(b" " * length)
            stream.truncate(size_bytes)
            os.fsync(stream.fileno())

    def set_aside(self, folder: str, name: str) -> str:
        """Move a damaged file out of the way, over an earlier damaged one; return where it is.

        Raises:
            ProbeError: it cannot be moved.
        """
        path = f"{folder}/{name}.damaged"
        with _errors(f"{folder}/{name}"):
            self._replace(f"{folder}/{name}", path)
        return path

    def prepare(self, folder: str) -> None:
        """Make the folder, or make sure that nobody else can write what is in it.

        Raises:
            ProbeError: it cannot be made, or others can write it.
        """
        if not folder:
            msg = "no state folder: LOCALAPPDATA is not set"
            raise ProbeError(msg, "no-state")
        with _errors(f"state folder {folder}"):
            os.makedirs(os.path.dirname(native(folder)), exist_ok=True)
        own = "" if self._privileged else f"(A;OICI;FA;;;{self._user})"
        owner = "BA" if self._privileged else self._user
        make_folder(folder, SECURITY.format(owner=owner, own=own))
        self._refuse_shared(folder, FileKind.FOLDER)

    def _refuse_shared(self, path: str, kind: FileKind | None = None) -> None:
        state = self._files.state(path)
        if state.kind is FileKind.LINK or kind not in {None, state.kind}:
            msg = f"{path}: not a {kind.value if kind else 'file'}"
            raise ProbeError(msg, "no-state")
        facts = self._access.of(path)
        own = TRUSTED | {self._user}
        strangers = facts.strangers((facts.owner_sid, *facts.writers), own)
        if strangers:
            msg = (
                f"{path}: others can write it ({', '.join(strangers)}); look at it with: "
                f'icacls "{path.replace("/", chr(92))}", and remove it where it is not yours'
            )
            raise ProbeError(msg, "no-state")

    def _replace(self, source: str, target: str) -> None:
        end_ns = self._clock.monotonic_ns() + int(REPLACE_WAIT_S * 1e9)
        while True:
            try:
                os.replace(native(source), native(target))
            except PermissionError as exc:
                is_held = exc.winerror in LOCKED | DENIED
                if not is_held or self._clock.monotonic_ns() >= end_ns:
                    raise
            else:
                return
            self._clock.pause(REPLACE_STEP_S)


def make_folder(folder: str, security: str) -> None:
    """Create a folder with its access list; one that is there stays as it is.

    Raises:
        ProbeError: it cannot be made.
    """
    descriptor = ctypes.c_void_p()
    what = f"state folder {folder}"
    must(
        ADVAPI.ConvertStringSecurityDescriptorToSecurityDescriptorW(
            security, 1, ctypes.byref(descriptor), None
        ),
        what,
    )
    try:
        attributes = _Security(ctypes.sizeof(_Security), descriptor, inherited=False)
        done = KERNEL.CreateDirectoryW(native(folder), ctypes.byref(attributes))
        must(done or ctypes.get_last_error() == _EXISTS, what)
    finally:
        KERNEL.LocalFree(descriptor)


@contextmanager
def _errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        found = failure(path, exc.winerror or None)
        raise ProbeError(str(found), "no-state") from exc


def _take_lock(path: str) -> int:
    """Return the descriptor that holds a lock until the process ends.

    Raises:
        Busy: another process holds it; the message names it.
        ProbeError: the lock file cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_BINARY | os.O_NOINHERIT
    with _errors(path):
        descriptor = os.open(native(path), flags, 0o600)
    try:
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as exc:
        os.lseek(descriptor, 0, os.SEEK_SET)
        holder = os.read(descriptor, 64).decode("ascii", "replace").strip()
        os.close(descriptor)
        msg = f"another run (process {holder or 'unknown'}) holds {path}"
        raise Busy(msg) from exc
    with suppress(OSError):  # a full disk: the lock holds all the same
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
