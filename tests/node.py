"""A node to break: the machine's own files under overlays, in a mount namespace of its own.

What a script does to ``/etc``, ``/usr/bin``, ``/usr/local`` and ``/var/lib`` stays in the folder of
the node and is there again at its next start; the machine itself never changes. Needs root.
"""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDERS: Final = ("/etc", "/root", "/usr/bin", "/usr/local", "/var/lib")


class Node:
    """Runs shell scripts on the node."""

    def __init__(self, folder: Path, more: tuple[str, ...] = ()) -> None:
        """Lay ``more`` folders over as well."""
        self.folder = folder
        # faketime names its semaphore after its process: nodes of one machine must not share them.
        self._mounts = "mount -t tmpfs tmpfs /dev/shm\n"
        for number, target in enumerate((*FOLDERS, *more)):
            upper, work = folder / f"upper{number}", folder / f"work{number}"
            upper.mkdir(parents=True)
            work.mkdir()
            upper.chmod(0o755)
            options = f"lowerdir={target},upperdir={upper},workdir={work}"
            self._mounts += f"mount -t overlay overlay -o {shlex.quote(options)} {target}\n"

    def run(
        self,
        script: str,
        environment: Mapping[str, str] | None = None,
        *,
        prefix: tuple[str, ...] = (),
        timeout_s: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a script; its processes end with it (a PID namespace of its own).

        ``prefix`` goes before everything, for instance ``ip netns exec NAME``.
        """
        command = (*prefix, "unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
        shell = f"set -e\n{self._mounts}set +e\n{script}"
        return subprocess.run(
            (*command, "/bin/sh", "-c", shell),
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
