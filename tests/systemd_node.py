"""A real systemd on a node of its own: PID 1 of namespaces, with nothing but the agent's units.

The agent is a copy of the shell that runs ``/run/core.sh``, its worker a copy of ``sleep``. What
systemd writes stays in overlays and tmpfs, ``/proc/sys`` is read-only, and ending the node kills
everything in it. Needs root, and control groups of version 2.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, Self

TOP: Final = Path(__file__).parents[1]
SYSTEMD: Final = Path("/lib/systemd/systemd")
UNIT: Final = "amazon-ssm-agent.service"
SNAP_UNIT: Final = "snap.amazon-ssm-agent.amazon-ssm-agent.service"
GROUPS: Final = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
BOOT_S: Final = 20.0

UNIT_TEXT: Final = """\
[Service]
Type=simple
ExecStart=/usr/bin/amazon-ssm-agent /run/core.sh
KillMode=process
Restart=always
RestartPreventExitStatus=194
RestartSec=90
[Install]
WantedBy=multi-user.target
"""
WITH_WORKER: Final = "/usr/bin/ssm-agent-worker 1000 & wait"

BOOT: Final = """
set -e
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,ro,bind /proc/sys
mount -t tmpfs -o mode=755 tmpfs /run
for folder in /etc /root /usr/bin /usr/local /var/lib /var/log; do
    upper=/run/over$folder work=/run/work$folder
    mkdir -p $upper $work
    mount -t overlay overlay -o lowerdir=$folder,upperdir=$upper,workdir=$work $folder
done
cp /bin/sh /usr/bin/amazon-ssm-agent
cp /bin/sleep /usr/bin/ssm-agent-worker
mkdir /run/units /run/none
for unit in basic sysinit shutdown multi-user; do
    cp /lib/systemd/system/$unit.target /run/units
done
cp /run/units/multi-user.target /run/units/default.target
mount --bind /run/units /lib/systemd/system
for folder in /etc/systemd /var/lib/systemd; do
    [ -d $folder ] && mount -t tmpfs -o mode=755 tmpfs $folder
done
mkdir /etc/systemd/system
{prepare}
exec env -i PATH=/usr/bin:/bin container=nodecheck SYSTEMD_LOG_TARGET=null \
    /lib/systemd/systemd --system --show-status=no
"""


def missing() -> str:
    """Return what is missing for such a node, '' where nothing is."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return "root"
    if not SYSTEMD.exists() or not shutil.which("systemctl"):
        return "systemd"
    return "" if any(_is_group(path) for path in GROUPS) else "control groups of version 2"


def _is_group(path: Path) -> bool:
    return (path / "cgroup.controllers").exists() and (path / "cgroup.procs").exists()


class SystemdNode:
    """A node with systemd as its process 1; a context manager."""

    def __init__(self, prepare: str = "") -> None:
        """Take shell lines that are run before systemd starts."""
        self._boot = BOOT.format(prepare=prepare)
        top = next(path for path in GROUPS if _is_group(path))
        self._group = top / f"nodecheck-systemd-{os.getpid()}-{time.monotonic_ns()}"

    def __enter__(self) -> Self:
        self._group.mkdir()
        script = (
            'echo 0 > "$1/cgroup.procs"; exec unshare --mount --cgroup --pid --ipc --uts --net'
            ' --fork --mount-proc --kill-child /bin/sh -c "$2"'
        )
        self._outer = subprocess.Popen(
            ["/bin/sh", "-c", script, "sh", str(self._group), self._boot],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            self._await_boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._outer.kill()
        self._outer.communicate(timeout=10)
        deadline = time.monotonic() + 10
        while (self._group / "cgroup.events").read_text().startswith("populated 1"):
            assert time.monotonic() < deadline, "processes of the node are left"
            time.sleep(0.02)
        for folder in sorted(self._group.rglob("*"), reverse=True):
            if folder.is_dir():
                folder.rmdir()
        self._group.rmdir()

    def _await_boot(self) -> None:
        deadline = time.monotonic() + BOOT_S
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        while time.monotonic() < deadline and self._outer.poll() is None:
            self._pid = children.read_text().strip() if children.exists() else ""
            if self._pid and self.run("systemctl is-system-running").stdout.strip() == "running":
                return
            time.sleep(0.05)
        self._outer.kill()
        words = self._outer.stderr.read().decode() if self._outer.stderr else ""
        msg = f"systemd did not boot: {words}"
        raise AssertionError(msg)

    def run(self, script: str, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a shell script on the node."""
        return subprocess.run(
            ["nsenter", "-t", self._pid, "-m", "-p", "-C", "-n", "/bin/sh", "-c", script],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(TOP)},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def reset(self, core: str = WITH_WORKER, drop_in: str = "") -> None:
        """Make the node healthy again, but for the core's script and a drop-in of its unit."""
        done = self.run(
            f"umount /usr/bin/systemctl 2>/dev/null\n"
            f"systemctl stop {UNIT} {SNAP_UNIT}; systemctl unmask {UNIT}\n"
            "for exe in /proc/[0-9]*/exe; do case $(readlink $exe) in\n"
            "*/amazon-ssm-agent|*/ssm-agent-worker) pid=${exe%/exe}; kill -9 ${pid#/proc/};;\n"
            "esac; done\n"
            f"rm -rf /run/units/{SNAP_UNIT} /run/units/*.wants\n"
            "rm -rf /run/systemd/system/* /etc/systemd/system/*\n"
            f"printf '%s' '{UNIT_TEXT}' > /run/units/{UNIT}\n"
            f"printf '%s\\n' '{core}' > /run/core.sh\n"
            f"mkdir /etc/systemd/system/{UNIT}.d\n"
            f"printf '[Service]\\n{drop_in}\\n' > /etc/systemd/system/{UNIT}.d/test.conf\n"
            f"systemctl daemon-reload; systemctl reset-failed; systemctl enable {UNIT}\n"
            f"test -e /etc/systemd/system/multi-user.target.wants/{UNIT}"
        )
        assert done.returncode == 0, done.stderr

    def check(self) -> dict[str, Any]:
        """Run nodecheck on the node and return what it says of the agent's service."""
        done = self.run(
            f"NODECHECK_STATE_DIR=/run/state {sys.executable} -m nodecheck --offline"
            " --only agent.service --format json -v"
        )
        report = json.loads(done.stdout.splitlines()[0])
        found: dict[str, Any] = report["checks"][0]
        return found
