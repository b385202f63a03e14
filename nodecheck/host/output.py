"""Where a run's words go: stdout, stderr and files, any of which may be closed or full."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

if sys.platform == "win32":
    from nodecheck.host import windows_console
    from nodecheck.host.windows_paths import native
    from nodecheck.model.errors import ProbeError


def leave(code: int) -> NoReturn:
    """End the process at once: a probe that hangs in a system call must not be waited for.

    The interpreter's own end would also flush a full stdout again, and tear itself down under the
    threads of late probes.
    """
    for stream in (sys.stdout, sys.stderr):
        _write(stream, "")
    os._exit(code)


def write_out(text: str) -> str:
    """Write to stdout; return '' or why it could not be written."""
    return _write(sys.stdout, text)


def write_error(text: str) -> None:
    """Write to stderr, which is nobody's duty to read: failures are ignored."""
    _write(sys.stderr, text)


def _write(stream: TextIO | None, text: str) -> str:
    if stream is None:
        return "it is closed"
    try:
        if sys.platform == "win32":
            windows_console.prepare(stream)
        stream.write(text)
        stream.flush()
    except UnicodeEncodeError:
        return _write(stream, text.encode("ascii", "backslashreplace").decode("ascii"))
    except (OSError, ValueError) as exc:
        return getattr(exc, "strerror", None) or str(exc)
    return ""


def error_is_terminal() -> bool:
    """Tell whether somebody looks at stderr."""
    return sys.stderr is not None and sys.stderr.isatty()


def out_is_terminal() -> bool:
    """Tell whether somebody looks at stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def takes_colour() -> bool:
    """Tell whether somebody looks at stdout by a terminal that follows escape sequences."""
    return out_is_terminal() and _takes_escapes(sys.stdout)


def error_takes_escapes() -> bool:
    """Tell whether somebody looks at stderr by a terminal that follows escape sequences."""
    return error_is_terminal() and _takes_escapes(sys.stderr)


if sys.platform == "win32":

    def _takes_escapes(stream: TextIO) -> bool:
        return windows_console.takes_escapes(stream)

else:

    def _takes_escapes(_stream: TextIO) -> bool:
        return True


def terminal_width() -> int:
    """Return the width of the terminal on stdout, 0 where there is none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns if out_is_terminal() else 0
    except (OSError, ValueError):
        return 0


def reads_unicode(environment: Mapping[str, str]) -> bool:
    """Tell whether the locale of whoever reads this is a UTF-8 one (POSIX order of variables)."""
    if sys.platform == "win32":
        return windows_console.is_utf8(environment)
    names = (environment.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    locale = next((name for name in names if name), "").lower()
    return "utf-8" in locale or "utf8" in locale


def write_file(path: str, text: str, mode: int = 0o600) -> None:
    """Write a file so that a reader sees the old content or the new, never half of it.

    A device or pipe is written to as it is. The mode is that of the file replaced, else ``mode``.

    Raises:
        OSError: the file cannot be written; the old content is still there.
    """
    if path.startswith(("/dev/", "/proc/")):  # /dev/stdout may lead to a file that others write
        _write_through(path, text)
        return
    path = _real(path)
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            _write_through(path, text)
            return
        mode = stat.S_IMODE(status.st_mode)
    except FileNotFoundError:
        pass
    folder, name = os.path.split(path)
    # Always the same: what a killed run left goes first.
    temporary = os.path.join(folder, f".{name}.nodecheck")
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with open(
            descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n"
        ) as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


if sys.platform == "win32":

    def _real(path: str) -> str:
        """Return a path as Windows takes it at any length; a device such as NUL as it is."""
        try:
            path = native(os.path.abspath(path))
            return os.path.realpath(path)
        except (ProbeError, OSError):  # not every file system tells where a path leads to
            return path

else:

    def _real(path: str) -> str:
        return os.path.realpath(path)


def _write_through(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
        stream.write(text)
