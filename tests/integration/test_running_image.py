"""The process rows of the acceptance table, on real processes in a real control group.

Each case runs in mount, PID and cgroup namespaces of its own, once with the hierarchy of version 2
and once with systemd's own of version 1, so that nothing is seen of the machine and nothing stays.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform == "win32":
    pytest.skip("images of Linux processes", allow_module_level=True)

TOP = Path(__file__).parents[2]
UNIT = "system.slice/amazon-ssm-agent.service"
MOUNTS = {
    "version 2": "mount -t cgroup2 cgroup2 /sys/fs/cgroup; group=/sys/fs/cgroup",
    "version 1": "mount -t tmpfs tmpfs /sys/fs/cgroup && mkdir /sys/fs/cgroup/systemd"
    " && mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd"
    "; group=/sys/fs/cgroup/systemd",
}
HIERARCHIES = {
    "version 2": [Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")],
    "version 1": [Path("/sys/fs/cgroup/systemd")],
}

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare"
)


@pytest.fixture(params=MOUNTS)
def hierarchy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A control group of its own, which becomes the root inside the namespace."""
    version: str = request.param
    found = [path for path in HIERARCHIES[version] if (path / "cgroup.procs").exists()]
    if not found:
        pytest.skip(f"no control groups of {version} here")
    group = found[0] / f"nodecheck-{tmp_path.name}-{os.getpid()}"
    group.mkdir()
    yield version, group
    for folder in sorted(group.rglob("*"), reverse=True):
        if folder.is_dir():
            folder.rmdir()
    group.rmdir()


def look(hierarchy: tuple[str, Path], case: str) -> dict[str, Any]:
    version, group = hierarchy
    inner = (
        f"{MOUNTS[version]}; mkdir -p $group/{UNIT} && mount -t tmpfs tmpfs /run"
        " && mount -t tmpfs -o mode=755 tmpfs /mnt"
        f' && exec "$0" -m tests.running_cases {case} $group/{UNIT} /mnt'
    )
    outer = (
        'echo 0 > "$1/cgroup.procs"; exec unshare --mount --cgroup --pid --fork --mount-proc'
        ' --kill-child /bin/sh -c "$2" "$0"'
    )
    done = subprocess.run(
        ["/bin/sh", "-c", outer, sys.executable, group, inner],
        cwd=TOP,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


ROWS = [
    ("normal", "ok ok"),  # R0
    ("other_bytes", "crit image-not-signed"),  # R1
    ("deleted_same_bytes", "ok ok"),  # R2
    ("deleted_known", "warn restart-pending"),
    ("deleted_unknown", "crit image-replaced"),
    ("other_path", "crit other-path"),  # R3
    ("other_path_deleted", "crit other-path"),
    ("memory_image", "crit image-replaced"),  # R4
    ("memory_image_with_decoy", "crit image-replaced"),
    ("renamed_image_with_decoy", "crit image-not-signed"),
    ("bind_mount", "crit image-not-signed"),  # R5
    ("left_over_script", "ok ok"),
    ("another_user", "crit not-root"),
    ("traced", "ok ok"),
    ("preloaded", "crit preloaded"),
    ("preload_file", "warn preload-file"),
    ("stopped_but_contained", "crit not-running"),
    ("stopped_but_contained_deeper", "crit not-running"),
    ("unit_in_another_root", "crit other-path"),
    ("stopped_but_another_user_has_one", "crit not-running"),
    ("stopped_but_another_program_has_the_name", "crit not-running"),
    ("unit_runs_another_signed_program", "crit not-running"),
    ("stopped_but_started_by_hand", "crit image-not-signed"),
    ("healthy_beside_strangers", "ok ok"),
    ("outside_the_unit", "crit image-not-signed"),
    ("hidden_process", "unknown hidden-process"),
]


MAIN_IS_LAST = {"left_over_script"}
WITHOUT_MAIN = {row[0] for row in ROWS if row[0].startswith("stopped")}
# Words in the message, reasons and evidence of some cases, beside their verdict.
TOLD = {
    "deleted_same_bytes": ("harmless", "replaced_on_disk"),
    "deleted_known": ("3.3.100.0",),
    "bind_mount": ("other_inode_on_disk",),
    "traced": ("traced",),
    "preloaded": ("foreign-code", "loader_variables", "/evil.so"),
    "preload_file": ("/libm.so.6", "preloads"),
    "stopped_but_contained": ("another mount namespace", "ignored_processes"),
    "stopped_but_contained_deeper": ("PID namespace of its own", "ignored_processes"),
    "unit_in_another_root": ("copy of", "another mount namespace"),
    "stopped_but_another_user_has_one": ("of user 65534", "ignored_processes"),
    "stopped_but_another_program_has_the_name": ("/ssm-cli",),
    "unit_runs_another_signed_program": ("/ssm-cli",),
    "stopped_but_started_by_hand": ("not-running",),
    "healthy_beside_strangers": ("ignored_processes", "of user 65534", "namespace"),
}


@pytest.mark.parametrize(("case", "verdict"), ROWS, ids=[row[0] for row in ROWS])
def test_row(hierarchy: tuple[str, Path], case: str, verdict: str) -> None:
    found = look(hierarchy, case)
    assert found["verdict"] == verdict, found
    started, told = found["started"], json.dumps(found)
    for words in TOLD.get(case, ()):
        assert words in told
    if case in WITHOUT_MAIN:
        assert found["main"] == 0
    else:
        assert found["main"] == (started[-1] if case in MAIN_IS_LAST else started[0])
    if case == "healthy_beside_strangers":
        assert (found["evidence"]["processes"], found["evidence"]["ignored"]) == (1, 4)
