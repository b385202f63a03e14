"""Running processes of a Linux node, and the few children that nodecheck starts itself."""

from __future__ import annotations

import os
import selectors
import sys
from typing import TYPE_CHECKING, Final

from nodecheck.host.door import ToolOutput
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.node import ProcessState

if TYPE_CHECKING:
    import subprocess

    import psutil

    from nodecheck.host.door import Files, LocalClock

assert sys.platform != "win32"  # noqa: S101 - tells the type checker which platform this is

CHILD_ENVIRONMENT: Final = {
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
}
"""All that a child gets: a frozen program would else pass on its own library path."""

CGROUP_LIMIT_BYTES: Final = 64 * 1024
REAP_STEP_S: Final = 0.005
DELETED: Final = " (deleted)"


class PosixProcesses:
    """Processes by psutil, the executable link and control group by /proc."""

    def __init__(self, files: Files, clock: LocalClock) -> None:
        """Take the files to read /proc with and the clock to wait by."""
        self._files = files
        self._clock = clock

    def all(self) -> tuple[ProcessState, ...]:
        """Return every process that can be seen; one that ends meanwhile is left out."""
        import psutil

        found: list[ProcessState] = []
        top = self._cgroup(1)
        try:
            for process in psutil.process_iter():
                try:
                    found.append(self._state(process, top))
                except (psutil.NoSuchProcess, Absent):
                    continue
        except (psutil.Error, OSError, IndexError) as exc:  # psutil takes /proc to be never empty
            msg = f"process list: {exc}"
            raise ProbeError(msg) from exc
        return tuple(found)

    def _state(self, process: psutil.Process, top: str) -> ProcessState:
        with process.oneshot():
            image = _executable(process.pid)
            return ProcessState(
                pid=process.pid,
                parent_pid=process.ppid(),
                name=process.name(),
                uid=process.uids().effective,
                image=image.removesuffix(DELETED),
                image_deleted=image.endswith(DELETED),
                unit=service_unit(self._cgroup(process.pid), top),
                arguments=tuple(process.cmdline()),
            )

    def _cgroup(self, pid: int) -> str:
        try:
            text = self._files.read(f"/proc/{pid}/cgroup", CGROUP_LIMIT_BYTES)
        except (Absent, Denied):
            return ""
        return text.decode("utf-8", "replace")

    def run(self, argv: tuple[str, ...], timeout_s: float, limit_bytes: int) -> ToolOutput:
        """Run a tool and return its output; a timeout or too much output is a ProbeError."""
        import subprocess

        if not os.path.isabs(argv[0]):
            msg = f"not an absolute path: {argv[0]}"
            raise ValueError(msg)
        end_ns = self._clock.monotonic_ns() + int(timeout_s * 1e9)
        try:
            child = subprocess.Popen(  # noqa: S603 - absolute path, list of arguments, no shell
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=CHILD_ENVIRONMENT,
                cwd="/",
            )
        except FileNotFoundError as exc:
            msg = f"{argv[0]}: not there"
            raise Absent(msg) from exc
        except OSError as exc:
            msg = f"{argv[0]}: {exc.strerror}"
            raise ProbeError(msg) from exc
        with child:
            try:
                stdout, stderr = self._collect(child, argv[0], end_ns, limit_bytes)
                return ToolOutput(self._reap(child, argv[0], end_ns), stdout, stderr)
            except ProbeError:
                child.kill()
                raise

    def _collect(
        self, child: subprocess.Popen[bytes], name: str, end_ns: int, limit_bytes: int
    ) -> tuple[bytes, bytes]:
        if child.stdout is None or child.stderr is None:
            msg = f"{name}: started without pipes"
            raise ProbeError(msg)
        output = {child.stdout.fileno(): b"", child.stderr.fileno(): b""}
        with selectors.DefaultSelector() as selector:
            for descriptor in output:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select(self._left_s(name, end_ns)):
                    chunk = os.read(key.fd, 65536)
                    output[key.fd] += chunk
                    if not chunk:
                        selector.unregister(key.fd)
                    if len(output[key.fd]) > limit_bytes:
                        msg = f"{name}: more than {limit_bytes} bytes of output"
                        raise ProbeError(msg, "too-large")
        return output[child.stdout.fileno()], output[child.stderr.fileno()]

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


def service_unit(cgroup: str, top: str = "") -> str:
    """Return the service unit in the text of ``/proc/PID/cgroup``, '' where there is none.

    ``top`` is the text of process 1, whose group is where systemd's tree begins. Only slices lie
    between there and a unit: below a scope begins the tree of a container with a systemd of its
    own (systemd.unit(5), systemd.slice(5)).

    >>> service_unit("0::/system.slice/amazon-ssm-agent.service/worker")
    'amazon-ssm-agent.service'
    >>> service_unit("0::/system.slice/box.scope/system.slice/amazon-ssm-agent.service")
    ''
    """
    if ".service" not in cgroup:
        return ""
    starts = {number: path.removesuffix("/init.scope") for number, path in _groups(top)}
    for number, path in _groups(cgroup):
        start = starts.get(number, "").rstrip("/")
        parts = f"{path}/".removeprefix(f"{start}/").split("/")
        first = next((part for part in parts if not part.endswith(".slice")), "")
        if first.endswith(".service"):
            return first
    return ""


def _groups(cgroup: str) -> list[tuple[str, str]]:
    lines = [line.split(":", 2) for line in cgroup.splitlines()]
    return [(line[0], line[2]) for line in lines if len(line) > 2]  # noqa: PLR2004 - cgroups(7)


def _executable(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:  # a kernel thread, another user's process, or gone
        return ""
