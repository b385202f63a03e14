"""What the kernel's files in ``/proc/PID`` say of one process, and which code is loaded into it.

Every function raises as the files do: ``Absent`` where the process has ended.

Sources: proc(5), namespaces(7), ld.so(8) (``/etc/ld.so.preload``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.install import CodeFile
from nodecheck.model.node import start_ticks
from nodecheck.model.process_text import mapped_code, preload_entries, read_status

if TYPE_CHECKING:
    from nodecheck.host.door import Files
    from nodecheck.model.process_text import ProcessStatus

PRELOAD: Final = "/etc/ld.so.preload"
TEXT_LIMIT_BYTES: Final = 64 * 1024
ENVIRONMENT_LIMIT_BYTES: Final = 4 * 1024 * 1024
MAPS_LIMIT_BYTES: Final = 4 * 1024 * 1024
CODE_LIMIT: Final = 256
"""The agent maps fewer than 20 libraries."""


def look_at_status(files: Files, pid: int) -> ProcessStatus:
    """Return owner, depth and tracer of a process."""
    return read_status(_text(files, f"/proc/{pid}/status", TEXT_LIMIT_BYTES))


def look_at_start(files: Files, pid: int) -> int:
    """Return when a process began, in clock ticks since boot."""
    return start_ticks(_text(files, f"/proc/{pid}/stat", TEXT_LIMIT_BYTES))


def look_at_environment(files: Files, pid: int) -> bytes:
    """Return the variables that a process was started with."""
    return files.read(f"/proc/{pid}/environ", ENVIRONMENT_LIMIT_BYTES)


def look_at_code(files: Files, pid: int, image: str) -> tuple[CodeFile, ...]:
    """Return the files that a process has mapped as code beside its image."""
    paths = mapped_code(_text(files, f"/proc/{pid}/maps", MAPS_LIMIT_BYTES), image)
    if len(paths) > CODE_LIMIT:
        msg = f"{len(paths)} files are mapped as code, at most {CODE_LIMIT} are looked at"
        raise ProbeError(msg, "too-large")
    return tuple(_code_file(files, path) for path in paths)


def look_at_preloads(files: Files) -> tuple[CodeFile, ...]:
    """Return the libraries that the loader puts into every program; no file names none."""
    try:
        text = files.read(PRELOAD, TEXT_LIMIT_BYTES, follow=True)
    except Absent:
        return ()
    entries = preload_entries(text.decode("utf-8", "replace"))
    return tuple(_code_file(files, path) for path in entries)


def mount_namespace(files: Files, pid: int) -> str:
    """Return the name of a process's mount namespace, '' where it cannot be seen."""
    try:
        return files.state(f"/proc/{pid}/ns/mnt").target
    except ProbeError:
        return ""


def _code_file(files: Files, path: str) -> CodeFile:
    """Return a file of code; a bare name, which the loader looks for itself, has no state."""
    try:
        return CodeFile(path, files.state(files.resolve(path)) if path.startswith("/") else None)
    except Absent:
        return CodeFile(path, None)


def _text(files: Files, path: str, limit_bytes: int) -> str:
    return files.read(path, limit_bytes).decode("utf-8", "replace")
