r"""Paths of Windows: forward slashes everywhere but in front of the operating system.

There they become ``\\?\C:\...``, which may be longer than 260 characters and is taken as it is: no
device names, no blanks or dots cut off at the end.
"""

from __future__ import annotations

import ntpath

from nodecheck.model.errors import ProbeError


def native(path: str) -> str:
    r"""Return an absolute path as the operating system takes it.

    >>> native("C:/Program Files/Amazon/../x")
    '\\\\?\\C:\\Program Files\\x'
    >>> native("//server/share/x")
    '\\\\?\\UNC\\server\\share\\x'

    Raises:
        ProbeError: not absolute, or not the path of a file (``C:/file:stream``).
    """
    if path.startswith(("\\\\?\\", "//?/", "\\\\.\\", "//./")):
        path = _short(path)
    drive, rest = ntpath.splitdrive(path)
    if not drive or rest[:1] not in {"/", "\\"} or ":" in rest or "\0" in path:
        msg = f"{path}: not an absolute path of Windows"
        raise ProbeError(msg)
    path = ntpath.normpath(path)
    if path.startswith("\\\\"):
        return "\\\\?\\UNC" + path[1:]
    return "\\\\?\\" + path


def plain(path: str) -> str:
    r"""Return a path of the operating system as nodecheck spells it.

    >>> plain(r"\\?\C:\ProgramData\nodecheck"), plain("\\\\?\\UNC\\server\\share\\x")
    ('C:/ProgramData/nodecheck', '//server/share/x')
    """
    return _short(path).replace("\\", "/")


def _short(path: str) -> str:
    path = path.replace("/", "\\")
    if path.startswith("\\\\?\\UNC\\"):
        return "\\\\" + path[8:]
    return path.removeprefix("\\\\?\\")
