"""The node that nodecheck runs on."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from nodecheck.host.door import Host
from nodecheck.host.local_clock import SystemClock
from nodecheck.host.network import SocketNetwork
from nodecheck.model.errors import ProbeError
from nodecheck.model.node import Platform

if TYPE_CHECKING:
    from nodecheck.host.door import Files

OS_RELEASE_FILES: Final = ("/etc/os-release", "/usr/lib/os-release")
OS_RELEASE_LIMIT_BYTES: Final = 64 * 1024


def this_host() -> Host:
    """Return the door to this node."""
    if sys.platform == "win32":
        from nodecheck.host.windows_here import this_windows

        return this_windows()
    else:  # noqa: RET505 - the type checker knows by this which platform it is
        from nodecheck.host.posix_files import PosixFiles
        from nodecheck.host.posix_processes import PosixProcesses
        from nodecheck.host.posix_steering import PosixSteering
        from nodecheck.host.state_folder import PosixState

        files, clock, privileged = PosixFiles(), SystemClock(), os.geteuid() == 0
        return Host(
            files=files,
            clock=clock,
            network=SocketNetwork(os.environ),
            processes=PosixProcesses(files, clock),
            state=PosixState(files, os.environ, privileged=privileged),
            environment=os.environ,
            platform=Platform("linux", os_name(files), os.uname().machine),
            privileged=privileged,
            steering=PosixSteering(clock),
        )


def os_name(files: Files) -> str:
    """Return name and version of the distribution, as os-release gives them."""
    for path in OS_RELEASE_FILES:
        try:
            text = files.read(path, OS_RELEASE_LIMIT_BYTES, follow=True)
        except ProbeError:
            continue
        fields = dict(
            line.split("=", 1)
            for line in text.decode("utf-8", "replace").splitlines()
            if "=" in line
        )
        name, version = fields.get("NAME", "Linux"), fields.get("VERSION_ID", "")
        return f"{name.strip(chr(34))} {version.strip(chr(34))}".strip()
    return "Linux"
