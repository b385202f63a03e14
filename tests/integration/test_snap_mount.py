"""The proof of a snap on a real squashfs mount, in a root file system of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.platform == "win32":
    pytest.skip("mounts of Linux", allow_module_level=True)

TOP = Path(__file__).parents[2]
MISSING = [tool for tool in ("mksquashfs", "unshare", "chroot") if not shutil.which(tool)]

pytestmark = pytest.mark.skipif(
    bool(MISSING) or os.geteuid() != 0 or not Path("/dev/loop-control").exists(),
    reason=f"needs root, loop devices{''.join(f' and {tool}' for tool in MISSING)}",
)

SCRIPT = """
set -e
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
for folder in /proc /sys /dev "$2" "$3" "$4"; do
    mkdir -p "$1/root$folder"
    mount --rbind "$folder" "$1/root$folder"
done
mount -t tmpfs tmpfs "$1/root/snap" 2>/dev/null || mkdir -p "$1/root/snap"
exec chroot "$1/root" /bin/sh -c 'cd "$1" && exec "$2" -m tests.snap_cases' sh "$2" "$5"
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("snap").resolve()
    words = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "/bin/sh"]
    places = [str(path) for path in (folder, TOP, sys.prefix, sys.base_prefix, sys.executable)]
    done = subprocess.run(
        [*words, "-c", SCRIPT, "sh", *places],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(
    ("case", "signature", "running"),
    [
        ("genuine", "ok ok", "ok ok"),
        ("flipped byte", "crit unsigned", "unknown unproven"),
        ("another blob", "crit mount", "unknown unproven"),
        ("blob replaced", "crit mount", "unknown unproven"),
        ("covered by a folder", "crit mount", "unknown unproven"),
        ("program covered", "crit mount", "unknown unproven"),
        ("plain folder", "crit mount", "unknown unproven"),
        ("path of a detached blob", "crit mount", "unknown unproven"),
        ("folder of the blob covered", "crit mount", "unknown unproven"),
        ("blob rewritten in place", "unknown not-observed", "unknown unproven"),
    ],
)
def test_case(found: dict[str, dict[str, Any]], case: str, signature: str, running: str) -> None:
    assert (found[case]["signature"], found[case]["running"]) == (signature, running), found[case]


@pytest.mark.parametrize(
    ("case", "files"),
    [
        ("genuine", "ok ok"),
        ("flipped byte", "crit unproven-digests"),
        ("covered by a folder", "crit unproven-digests"),
        ("blob rewritten in place", "unknown unproven-digests"),
        ("proxy in a drop-in", "ok ok"),
        ("another start", "crit start-overridden"),
        ("loader in a drop-in", "crit start-overridden"),
        ("loader in the environment", "crit start-overridden"),
        ("path in the environment", "crit start-overridden"),
        ("no unit file", "unknown not-observed"),
        ("unit that others can write", "crit writable"),
    ],
)
def test_what_surrounds_the_snap(found: dict[str, dict[str, Any]], case: str, files: str) -> None:
    assert found[case]["files"] == files, found[case]["files_message"]


def test_the_process_runs_from_the_mounted_blob(found: dict[str, dict[str, Any]]) -> None:
    assert found["genuine"]["on_device"] == [True]
    assert found["program covered"]["on_device"] == [False]
    assert found["genuine"]["unpinned"] == "publisher-not-pinned"
