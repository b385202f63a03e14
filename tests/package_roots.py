"""A Debian of its own to install packages in: made by debootstrap once, then kept as a tarball.

It is the oldest Debian that is served, so a portable build also shows that it runs there; a build
for this machine's C library gets this machine's Debian. What a test does stays in an overlay.
Needs root.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

OLDEST: Final = ("bullseye", (2, 31))
"""Debian 11 and its C library."""

KEPT: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nodecheck"
NAMESPACE: Final = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")


def missing() -> str:
    """Return what is missing to make one, '' where nothing is."""
    absent = [tool for tool in ("debootstrap", "dpkg-deb", "rpm", "tar") if not shutil.which(tool)]
    is_root = sys.platform != "win32" and os.geteuid() == 0
    return ", ".join(absent) or ("" if is_root else "root")


def suite_for(glibc: str) -> str:
    """Return the oldest suite whose C library is as new as this."""
    needed = tuple(int(part) for part in glibc.split("."))
    return (
        OLDEST[0] if needed <= OLDEST[1] else platform.freedesktop_os_release()["VERSION_CODENAME"]
    )


def needed_glibc(package: Path) -> str:
    """Return the C library that a deb asks for."""
    asked = subprocess.run(
        ["dpkg-deb", "--field", str(package), "Depends"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"libc6 \(>= ([0-9.]+)\)", asked)
    assert found, asked
    return found[1]


def unpack(suite: str, folder: Path) -> Path:
    """Return the root folder of a fresh Debian."""
    tarball = KEPT / f"debian-{suite}-{platform.machine()}.tar"
    if not tarball.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        made, new = folder / "made", tarball.with_suffix(f".{os.getpid()}")
        command = ["debootstrap", "--variant=minbase", suite, str(made)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
        shutil.rmtree(made / "var/cache/apt")
        shutil.rmtree(made / "var/lib/apt/lists")
        subprocess.run(["tar", "-cf", str(new), "-C", str(made), "."], check=True)
        shutil.rmtree(made)
        new.rename(tarball)
    root = folder / "root"
    root.mkdir()
    subprocess.run(["tar", "-xf", str(tarball), "-C", str(root)], check=True)
    return root


class Machine:
    """A machine with a root of its own; what is done to it stays in ``folder``."""

    def __init__(self, root: Path, folder: Path) -> None:
        """Lay an overlay over the root."""
        self._changes, self._work, self.top = folder / "changes", folder / "work", folder / "top"
        for path in (self._changes, self._work, self.top):
            path.mkdir(parents=True)
        self._changes.chmod(0o755)
        self._options = f"lowerdir={root},upperdir={self._changes},workdir={self._work}"

    def run(self, script: str, *, outside: str = "") -> subprocess.CompletedProcess[str]:
        """Run a shell script in the root, after one ``outside`` that finds the root at ``$top``."""
        mounts = (
            'set -e; mount -t overlay overlay -o "$options" "$top"\n'
            'mount -t proc proc "$top/proc"\n'
            f'{outside}\nexec chroot "$top" /bin/sh -c "$script"'
        )
        return subprocess.run(
            [*NAMESPACE, "/bin/sh", "-c", mounts],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "options": self._options,
                "top": str(self.top),
                "script": f"unset options top script\n{script}",
            },
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def must(self, script: str, *, outside: str = "") -> str:
        """Run a script that has to succeed, and return what it prints."""
        done = self.run(script, outside=outside)
        assert done.returncode == 0, done
        return done.stdout

    def files(self) -> set[str]:
        """Return every path but those of the package managers' own books."""
        found = self.must("find / -xdev -path /proc -prune -o -print").splitlines()
        books = re.compile(
            r"/var/(lib/(dpkg|rpm)|cache|log/(dpkg|alternatives))|/(run|tmp|root/\.rpmdb)\b"
        )
        return {path for path in found if not books.match(path)}
