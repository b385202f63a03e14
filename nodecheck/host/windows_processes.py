"""Running processes of a Windows node, and the few children that nodecheck starts itself."""

# ruff: noqa: E402 - the type checker must know the platform before the imports

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import contextmanager, suppress
from ctypes import wintypes
from functools import partial
from typing import TYPE_CHECKING, Final

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is

from nodecheck.host.door import ToolOutput
from nodecheck.host.mailbox import Mailbox
from nodecheck.host.windows_access import process_sid
from nodecheck.host.windows_calls import KERNEL, failure, must
from nodecheck.host.windows_paths import native, plain
from nodecheck.model.access import SYSTEM
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import ProcessState

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from typing import IO

    from nodecheck.host.door import Files, LocalClock
    from nodecheck.host.windows_door import Services

REAP_STEP_S: Final = 0.01
KILL_WAIT_S: Final = 0.5
_PROCESSES: Final = 0x2
_LIMITED: Final = 0x1000
_PATH_LIMIT: Final = 32 * 1024
_NO_MORE_FILES: Final = 18


class _Entry(ctypes.Structure):
    """PROCESSENTRY32W."""

    _fields_ = (
        ("size", wintypes.DWORD),
        ("usage", wintypes.DWORD),
        ("pid", wintypes.DWORD),
        ("heap", ctypes.c_void_p),
        ("module", wintypes.DWORD),
        ("threads", wintypes.DWORD),
        ("parent", wintypes.DWORD),
        ("priority", wintypes.LONG),
        ("flags", wintypes.DWORD),
        ("name", wintypes.WCHAR * 260),
    )


class WindowsProcesses:
    """Processes by a snapshot; ``uid`` is 0 for SYSTEM, -1 where it could not be seen."""

    def __init__(self, files: Files, clock: LocalClock, services: Services, root: str) -> None:
        """Take what to look with, and the folder of Windows, which children are told."""
        self._files = files
        self._clock = clock
        self._services = services
        self._root = root

    def all(self) -> tuple[ProcessState, ...]:
        """Return every process; ``unit`` is the service whose own process it is."""
        units = self._services.names_by_pid()
        return tuple(self._state(row, units) for row in _snapshot())

    def _state(self, row: tuple[int, int, str], units: dict[int, str]) -> ProcessState:
        pid, parent, name = row
        image, uid = _look_into(pid)
        return ProcessState(
            pid=pid,
            parent_pid=parent,
            name=name,
            uid=uid,
            image=image,
            image_deleted=bool(image) and self._is_gone(image),
            unit=units.get(pid, ""),
        )

    def _is_gone(self, image: str) -> bool:
        try:
            self._files.state(image)
        except Absent:
            return True
        except ProbeError:
            return False
        return False

    def run(self, argv: tuple[str, ...], timeout_s: float, limit_bytes: int) -> ToolOutput:
        """Run a tool and return its output; a timeout or too much output is a ProbeError."""
        import subprocess

        native(argv[0])  # no name that Windows would search for
        end_ns = self._clock.monotonic_ns() + int(timeout_s * 1e9)
        system = f"{self._root}\\System32"
        try:
            child = subprocess.Popen(  # noqa: S603 - absolute path, list of arguments, no shell
                argv,
                bufsize=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={"SystemRoot": self._root, "PATH": system},
                cwd=system,
                creationflags=subprocess.CREATE_NO_WINDOW,
            )
        except OSError as exc:
            raise failure(argv[0], exc.winerror) from exc
        try:
            stdout, stderr = self._collect(child, argv[0], end_ns, limit_bytes)
            return ToolOutput(self._reap(child, argv[0], end_ns), stdout, stderr)
        except ProbeError:
            child.kill()
            with suppress(subprocess.TimeoutExpired):
                child.wait(KILL_WAIT_S)
            raise

    def _collect(
        self, child: subprocess.Popen[bytes], name: str, end_ns: int, limit_bytes: int
    ) -> tuple[bytes, bytes]:
        """Read both pipes in threads: Windows cannot wait for a pipe with a limit of time."""
        output: dict[str, object] = {}
        with Mailbox() as box:
            for key, stream in (("stdout", child.stdout), ("stderr", child.stderr)):
                box.start(key, partial(_drain, stream, limit_bytes))
            while len(output) < 2:  # noqa: PLR2004 - the two pipes
                output |= dict(box.wait(self._left_s(name, end_ns)))
        stdout, stderr = output["stdout"], output["stderr"]
        if not isinstance(stdout, bytes) or not isinstance(stderr, bytes):
            msg = f"{name}: more than {limit_bytes} bytes of output"
            raise ProbeError(msg, "too-large")
        return stdout, stderr

    def _reap(self, child: subprocess.Popen[bytes], name: str, end_ns: int) -> int:
        while (code := child.poll()) is None:
            self._clock.pause(min(REAP_STEP_S, self._left_s(name, end_ns)))
        return code

    def _left_s(self, name: str, end_ns: int) -> float:
        left_s = (end_ns - self._clock.monotonic_ns()) / 1e9
        if left_s <= 0:
            msg = f"{name}: no answer in time"
            raise ProbeError(msg, "timeout")
        return left_s


def _drain(stream: IO[bytes] | None, limit_bytes: int) -> bytes | None:
    """Return all of a pipe, None where it is more than the limit; this must not raise.

    The thread that reads closes it: to close it meanwhile would wait for the reader.
    """
    if stream is None:
        return None
    found = b""
    with stream, suppress(OSError):
        while len(found) <= limit_bytes and (chunk := stream.read(65536)):
            found += chunk
    return found if len(found) <= limit_bytes else None


def _snapshot() -> list[tuple[int, int, str]]:
    """Return process, parent and name of every process but the idle one."""
    found: list[tuple[int, int, str]] = []
    with _closing(KERNEL.CreateToolhelp32Snapshot(_PROCESSES, 0)) as snapshot:
        entry = _Entry(size=ctypes.sizeof(_Entry))
        more = KERNEL.Process32FirstW(snapshot, ctypes.byref(entry))
        while more:
            if entry.pid:
                found.append((entry.pid, entry.parent, entry.name))
            more = KERNEL.Process32NextW(snapshot, ctypes.byref(entry))
        must(ctypes.get_last_error() == _NO_MORE_FILES, "process list")
    return found


def _look_into(pid: int) -> tuple[str, int]:
    """Return image and user of a process, as far as this user may know them."""
    path, size = ctypes.create_unicode_buffer(_PATH_LIMIT), wintypes.DWORD(_PATH_LIMIT)
    handle = KERNEL.OpenProcess(_LIMITED, False, pid)  # noqa: FBT003 - not to be inherited
    if not handle:
        return "", -1
    with _closing(handle):
        done = KERNEL.QueryFullProcessImageNameW(handle, 0, path, ctypes.byref(size))
        image = plain(path.value) if done else ""
        try:
            sid = process_sid(handle)
        except ProbeError:
            return image, -1
        return image, 0 if sid == SYSTEM else int(sid.rpartition("-")[2] or 0) or -1


@contextmanager
def _closing(handle: int | None) -> Iterator[int]:
    must(handle not in {None, ctypes.c_void_p(-1).value}, "process list")
    try:
        yield handle or 0
    finally:
        KERNEL.CloseHandle(handle)


def windows_folder() -> str:
    """Return the folder of Windows; no variable of the environment decides it."""
    path = ctypes.create_unicode_buffer(_PATH_LIMIT)
    must(KERNEL.GetSystemWindowsDirectoryW(path, _PATH_LIMIT), "folder of Windows")
    return os.path.normpath(path.value)
