"""A real squashfs on a real loop device, as snapd mounts it, and what can be wrong with it.

    python -m tests.snap_cases

Prints one JSON object: verdict of agent.signature and of agent.running for each case. Runs as root
in a root file system of its own (``tests/integration/test_snap_mount.py``).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nodecheck.checks import agent_running, agent_snap_files, agent_snap_signature
from nodecheck.host.here import this_host
from nodecheck.model.agent import InstallFacts
from nodecheck.model.snap import SnapPin, SnapPolicy
from nodecheck.probes import agent_files, agent_process, agent_snap, agent_snap_proof
from tests.snap_maker import FOLDER, PUBLISHER, SNAP_ID, Store, root_text

if TYPE_CHECKING:
    from collections.abc import Callable

BLOB = Path("/var/lib/snapd/snaps/amazon-ssm-agent_7993.snap")
MOUNT = Path("/snap/amazon-ssm-agent/7993")
CORE = MOUNT / "amazon-ssm-agent"
UNIT = Path("/etc/systemd/system/snap.amazon-ssm-agent.amazon-ssm-agent.service")
DROP_IN = UNIT.with_name(f"{UNIT.name}.d") / "more.conf"
ENVIRONMENT = Path("/etc/environment")
UNIT_TEXT = """\
[Unit]
# Auto-generated, DO NOT EDIT
Description=Service for snap application amazon-ssm-agent.amazon-ssm-agent
Requires=snap-amazon\\x2dssm\\x2dagent-7993.mount
Wants=network.target
After=snap-amazon\\x2dssm\\x2dagent-7993.mount network.target snapd.apparmor.service
X-Snappy=yes

[Service]
EnvironmentFile=-/etc/environment
ExecStart=/usr/bin/snap run amazon-ssm-agent
SyslogIdentifier=amazon-ssm-agent.amazon-ssm-agent
Restart=always
WorkingDirectory=/var/snap/amazon-ssm-agent/7993
TimeoutStopSec=30
Type=simple

[Install]
WantedBy=multi-user.target
"""
USUAL_PATH = (
    'PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games:'
    '/usr/local/games:/snap/bin"\n'
)
YAML = "name: amazon-ssm-agent\nversion: 3.3.200.0\n"
POLICY = SnapPolicy((SnapPin(SNAP_ID, PUBLISHER),))


def run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL)


def build(target: Path, tail: bytes) -> None:
    tree = target.with_suffix(".tree")
    (tree / "meta").mkdir(parents=True)
    (tree / "meta/snap.yaml").write_text(YAML)
    (tree / CORE.name).write_bytes(Path("/bin/sleep").read_bytes() + tail)
    (tree / CORE.name).chmod(0o755)
    run("mksquashfs", tree, target, "-noappend", "-no-progress", "-quiet", "-comp", "xz")
    target.chmod(0o600)


def install() -> None:
    """Make the blob, its assertions and the mount point."""
    BLOB.parent.mkdir(parents=True)
    MOUNT.mkdir(parents=True)
    (MOUNT.parent / "current").symlink_to("7993")
    build(BLOB, b"genuine")
    build(Path("/evil.snap"), b"evil")
    for path, data in Store(BLOB.read_bytes()).files().items():
        Path(path).parent.mkdir(parents=True)
        Path(path).write_bytes(data)
    assert Path(FOLDER).is_dir()


def mount(blob: Path = BLOB) -> None:
    time.sleep(0.05)  # times of files have a grain; snapd mounts later than that, too
    run("mount", "-t", "squashfs", "-o", "ro,loop", blob, MOUNT)


def flip() -> None:
    data = bytearray(BLOB.read_bytes())
    data[8] ^= 1  # the time at which it was made: it mounts all the same
    BLOB.write_bytes(data)
    mount()


def replace() -> None:
    mount()
    shutil.copy(BLOB, "/copy.snap")
    shutil.move("/copy.snap", BLOB.with_name("new"))
    BLOB.with_name("new").rename(BLOB)


def cover() -> None:
    mount()
    shutil.copytree(MOUNT, "/tree")
    run("mount", "--bind", "/tree", MOUNT)


def cover_program() -> None:
    mount()
    shutil.copy(CORE, "/program")
    run("mount", "--bind", "/program", CORE)


def unpack() -> None:
    mount()
    shutil.copytree(MOUNT, "/plain")
    run("umount", MOUNT)
    shutil.copytree("/plain", MOUNT, dirs_exist_ok=True)


def detach() -> None:
    """Mount another blob whose path in its detached file system is that of the genuine one."""
    top = Path("/detached")
    top.mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", top)
    evil = top / BLOB.relative_to("/")
    evil.parent.mkdir(parents=True)
    shutil.copy("/evil.snap", evil)
    mount(evil)
    run("umount", "-l", top)


def cover_blob() -> None:
    """Mount another blob, then cover its folder by one that holds the genuine blob."""
    shutil.copytree(BLOB.parent, "/genuine")
    shutil.copy("/evil.snap", BLOB)
    mount()
    run("mount", "--bind", "/genuine", BLOB.parent)


def rewrite() -> None:
    """Mount another blob and read it, then write the genuine bytes into its file."""
    genuine = BLOB.read_bytes()
    shutil.copy("/evil.snap", BLOB)
    mount()
    CORE.read_bytes()
    with BLOB.open("r+b") as blob:
        blob.write(genuine)
        blob.truncate()


def with_environment(text: str) -> Callable[[], None]:
    def prepare() -> None:
        mount()
        ENVIRONMENT.write_text(USUAL_PATH + text)

    return prepare


def with_drop_in(text: str) -> Callable[[], None]:
    def prepare() -> None:
        mount()
        DROP_IN.parent.mkdir()
        DROP_IN.write_text(text)

    return prepare


def without_unit() -> None:
    mount()
    UNIT.unlink()


def writable_unit() -> None:
    mount()
    UNIT.chmod(0o664)


def start_over() -> None:
    """Write what snapd and the distribution write."""
    UNIT.write_text(UNIT_TEXT)
    UNIT.chmod(0o644)
    ENVIRONMENT.write_text(USUAL_PATH)
    shutil.rmtree(DROP_IN.parent, ignore_errors=True)


PROXY = "[Service]\nEnvironment=HTTPS_PROXY=http://squid:3128\n"
OTHER_START = "[Service]\nExecStart=\nExecStart=/usr/bin/snap run --shell amazon-ssm-agent\n"
CASES: dict[str, Callable[[], None]] = {
    "genuine": mount,
    "flipped byte": flip,
    "another blob": lambda: mount(Path("/evil.snap")),
    "blob replaced": replace,
    "covered by a folder": cover,
    "program covered": cover_program,
    "plain folder": unpack,
    "path of a detached blob": detach,
    "folder of the blob covered": cover_blob,
    "blob rewritten in place": rewrite,
    "proxy in a drop-in": with_drop_in(PROXY),
    "another start": with_drop_in(OTHER_START),
    "loader in a drop-in": with_drop_in("[Service]\nEnvironment=LD_PRELOAD=/tmp/x.so\n"),
    "loader in the environment": with_environment("export LD_PRELOAD=/tmp/x.so\n"),
    "path in the environment": with_environment("PATH=/tmp:/usr/bin\n"),
    "no unit file": without_unit,
    "unit that others can write": writable_unit,
}


def look() -> dict[str, object]:
    host = this_host()
    with subprocess.Popen([CORE, "300"]) as process:
        time.sleep(0.05)
        snaps = agent_snap.look(host.files)
        proofs = agent_snap_proof.look(host.files, snaps, (root_text(),))
        running = agent_process.look(host, (str(CORE),))
        process.kill()
    signed = agent_snap_signature.signed_programs(proofs, POLICY)
    verdict = agent_snap_signature.judge(proofs, POLICY, None)
    run_verdict = agent_running.judge(InstallFacts(snaps.installations, ()), running, signed)
    around = agent_files.look_around_snap(host)
    files = agent_snap_files.judge(proofs, POLICY, around)
    (proof,) = proofs.proofs
    return {
        "signature": f"{verdict.status.value} {verdict.reason}",
        "message": verdict.message,
        "files": f"{files.status.value} {files.reason}",
        "files_message": files.message,
        "running": f"{run_verdict.status.value} {run_verdict.reason}",
        "on_device": [item.device == proof.mount.device for item in running.processes],
        "unpinned": agent_snap_signature.judge(proofs, SnapPolicy(), None).reason,
    }


if __name__ == "__main__":
    install()
    genuine = BLOB.read_bytes()
    found = {}
    for name, prepare in CASES.items():
        start_over()
        prepare()
        found[name] = look()
        for _ in range(2):
            subprocess.run(["umount", "-q", CORE], check=False, stderr=subprocess.DEVNULL)
            subprocess.run(["umount", "-q", MOUNT], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["umount", "-q", BLOB.parent], check=False, stderr=subprocess.DEVNULL)
        BLOB.write_bytes(genuine)
    sys.stdout.write(json.dumps(found) + "\n")
