"""What can run under the agent's unit: made inside namespaces, then looked at and judged.

    python -m tests.running_cases CASE GROUP FOLDER

GROUP is the unit's control group, FOLDER an empty folder. Prints one line of JSON. Runs as root in
mount, PID and cgroup namespaces of its own (``tests/integration/test_running_image.py``).
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from nodecheck.checks.agent_running import judge
from nodecheck.host.here import this_host
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.history import History, VerifiedVersion
from nodecheck.probes import agent_process

assert sys.platform != "win32"

SLEEP = Path("/bin/sleep").resolve()
UNIT = "amazon-ssm-agent.service"
INVOCATIONS = Path(agent_process.INVOCATIONS)
TRACEME = 0


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Scene:
    """The installed agent, what is signed, and the processes of its unit."""

    def __init__(self, group: Path, folder: Path) -> None:
        self.group = group
        self.folder = folder
        self.agent = folder / "amazon-ssm-agent"
        self.make(self.agent, b"new")
        self.signed = {str(self.agent): sha256(self.agent)}
        self.history = History()
        self.started: list[subprocess.Popen[bytes]] = []
        INVOCATIONS.mkdir(parents=True)
        (INVOCATIONS / f"invocation:{UNIT}").symlink_to("now")

    def make(self, path: Path, tail: bytes) -> str:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(SLEEP.read_bytes() + tail)
        path.chmod(0o755)
        return sha256(path)

    def start(  # noqa: PLR0913 - how a process can differ
        self,
        image: Path | None = None,
        name: str = "",
        *,
        run: str = "now",
        uid: int = 0,
        trace: bool = False,
        preload: str = "",
    ) -> int:
        """Start an image in the unit's group, as its service manager does."""

        def enter() -> None:
            (self.group / "cgroup.procs").write_text("0")
            os.setuid(uid)
            if trace:
                ctypes.CDLL(None).ptrace(TRACEME, 0, 0, 0)

        image = image or self.agent
        child = subprocess.Popen(
            [name or str(image), "300"],
            executable=image,
            env={"INVOCATION_ID": run, "LD_PRELOAD": preload},
            preexec_fn=enter,  # noqa: PLW1509 - one thread
        )
        self.started.append(child)
        time.sleep(0.05)
        return child.pid

    def replace(self, tail: bytes) -> None:
        """Replace the installed file by rename, as rpm and dpkg do."""
        self.make(self.folder / "update", tail)
        (self.folder / "update").rename(self.agent)

    def look(self) -> dict[str, object]:
        facts = agent_process.look(this_host(), (str(self.agent),))
        install = Installation(Channel.RPM, "3.3.200.0", "", str(self.agent))
        verdict = judge(InstallFacts((install,), ()), facts, self.signed, self.history)
        for child in self.started:
            child.kill()
            child.wait()
        return {
            "verdict": f"{verdict.status.value} {verdict.reason}",
            "message": verdict.message,
            "reasons": [item.reason for item in verdict.findings],
            "main": facts.main_pid,
            "started": [child.pid for child in self.started],
            "evidence": {item.name: item.value for item in verdict.evidence},
        }


def normal(scene: Scene) -> None:
    scene.start()


def other_bytes(scene: Scene) -> None:
    scene.make(scene.agent, b"evil")
    scene.start()


def deleted_same_bytes(scene: Scene) -> None:
    scene.start()
    scene.replace(b"new")


def deleted_known(scene: Scene) -> None:
    old = scene.make(scene.agent, b"old")
    scene.history = History((VerifiedVersion("3.3.100.0", ((str(scene.agent), old),)),))
    scene.start()
    scene.replace(b"new")


def deleted_unknown(scene: Scene) -> None:
    scene.make(scene.agent, b"evil")
    scene.start()
    scene.replace(b"new")


def other_path(scene: Scene) -> None:
    elsewhere = scene.folder / "other" / "amazon-ssm-agent"
    scene.make(elsewhere, b"new")
    scene.start(elsewhere)


def other_path_deleted(scene: Scene) -> None:
    other_path(scene)
    (scene.folder / "other" / "amazon-ssm-agent").unlink()


def memory_image(scene: Scene) -> None:
    memory = os.memfd_create("kworker")
    os.write(memory, SLEEP.read_bytes())
    scene.start(Path(f"/proc/{os.getpid()}/fd/{memory}"), "kworker/0:1")


def memory_image_with_decoy(scene: Scene) -> None:
    memory_image(scene)
    scene.start()


def renamed_image_with_decoy(scene: Scene) -> None:
    evil = scene.folder / "kworker"
    scene.make(evil, b"evil")
    scene.start(evil)
    time.sleep(0.05)  # younger by at least a clock tick
    scene.start()


def bind_mount(scene: Scene) -> None:
    genuine = scene.folder / "genuine"
    scene.make(genuine, b"new")
    scene.make(scene.agent, b"evil")
    scene.start()
    subprocess.run(["mount", "--bind", genuine, scene.agent], check=True)


def left_over_script(scene: Scene) -> None:
    scene.start(SLEEP, "sh", run="before")
    scene.start()


def another_user(scene: Scene) -> None:
    scene.start(uid=65534)


def traced(scene: Scene) -> None:
    scene.start(trace=True)


def preloaded(scene: Scene) -> None:
    library = next(Path("/usr/lib").rglob("libm.so.6")).resolve()
    shutil.copy(library, scene.folder / "evil.so")
    scene.start(preload=str(scene.folder / "evil.so"))


def preload_file(scene: Scene) -> None:
    library = next(Path("/usr/lib").rglob("libm.so.6")).resolve()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/etc"], check=True)
    Path("/etc/ld.so.preload").write_text(f"# watch\n{library}\n")
    scene.start()


def leave_unit(scene: Scene) -> None:
    scene.group = scene.group.parent


def contained(scene: Scene, *flags: str) -> None:
    """Start a genuine copy at the agent's path, where another root file system has it."""
    script = 'cp "$1" "$1.copy"; mount --bind "$1.copy" "$1"; exec "$1" 300'
    words = ["unshare", "--mount", *flags, "sh", "-c", script, "sh", str(scene.agent)]

    def enter() -> None:
        (scene.group / "cgroup.procs").write_text("0")

    environment = {**os.environ, "INVOCATION_ID": "now"}
    child = subprocess.Popen(words, env=environment, preexec_fn=enter)  # noqa: PLW1509 - one thread
    scene.started.append(child)
    time.sleep(0.3)


def stopped_but_contained(scene: Scene) -> None:
    leave_unit(scene)
    contained(scene)


def stopped_but_contained_deeper(scene: Scene) -> None:
    leave_unit(scene)
    contained(scene, "--pid", "--fork", "--kill-child")


def unit_in_another_root(scene: Scene) -> None:
    contained(scene)


def stopped_but_another_user_has_one(scene: Scene) -> None:
    leave_unit(scene)
    scene.start(uid=65534)


def stopped_but_another_program_has_the_name(scene: Scene) -> None:
    tool = scene.folder / "ssm-cli"
    scene.signed[str(tool)] = scene.make(tool, b"tool")
    leave_unit(scene)
    scene.start(tool, "amazon-ssm-agent")


def unit_runs_another_signed_program(scene: Scene) -> None:
    tool = scene.folder / "ssm-cli"
    scene.signed[str(tool)] = scene.make(tool, b"tool")
    scene.start(tool, "amazon-ssm-agent")


def stopped_but_started_by_hand(scene: Scene) -> None:
    scene.start(SLEEP, "sh", run="before")  # a command that the stopped agent left behind
    leave_unit(scene)
    scene.start()


def healthy_beside_strangers(scene: Scene) -> None:
    scene.start()
    scene.start(SLEEP, "amazon-ssm-agent", uid=65534)  # a user in a session of the agent
    leave_unit(scene)
    scene.start(SLEEP, "amazon-ssm-agent", uid=65534)
    contained(scene)
    contained(scene, "--pid", "--fork", "--kill-child")


def outside_the_unit(scene: Scene) -> None:
    scene.start()
    scene.group = scene.group.parent
    evil = scene.folder / "other" / "amazon-ssm-agent"
    scene.make(evil, b"evil")
    scene.start(evil)


def hidden_process(scene: Scene) -> None:
    scene.start()
    pid = scene.start(SLEEP, "x")
    (scene.folder / "empty").mkdir()
    subprocess.run(["mount", "--bind", scene.folder / "empty", f"/proc/{pid}"], check=True)


CASES = {
    case.__name__: case
    for case in (
        normal,
        other_bytes,
        deleted_same_bytes,
        deleted_known,
        deleted_unknown,
        other_path,
        other_path_deleted,
        memory_image,
        memory_image_with_decoy,
        renamed_image_with_decoy,
        bind_mount,
        left_over_script,
        another_user,
        traced,
        preloaded,
        preload_file,
        stopped_but_contained,
        stopped_but_contained_deeper,
        unit_in_another_root,
        stopped_but_another_user_has_one,
        stopped_but_another_program_has_the_name,
        unit_runs_another_signed_program,
        stopped_but_started_by_hand,
        healthy_beside_strangers,
        outside_the_unit,
        hidden_process,
    )
}


if __name__ == "__main__":
    scene = Scene(Path(sys.argv[2]), Path(sys.argv[3]))
    CASES[sys.argv[1]](scene)
    sys.stdout.write(json.dumps(scene.look()) + "\n")
