"""The file that ships where a node takes something away: every run ends in a verdict.

What is taken away must show as ``unknown`` or ``skip``, never as ``ok``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Done, Executable

OFFLINE: Final = ("run", "--offline", "--format", "json", "-v")
LANDLOCK: Final = Path(__file__).parents[1] / "landlock.py"
UNSUPPORTED: Final = 77
SPACES: Final = "unshare -rm"

# What is done to the mount name space of the run, which is its own.
TAKEN: Final = {
    "read-only file system": "mount -o remount,ro,bind /",
    "noexec /tmp": 'mount -t tmpfs -o noexec,nosuid,nodev none "$TMPDIR"',  # its /tmp
    "no /sys": "mount -t tmpfs none /sys",
    "no /proc": "mount -t tmpfs none /proc",
    "no /dev": "mount -t tmpfs none /dev",
    "no /run": "mount -t tmpfs none /run",
    "no /etc": "mount -t tmpfs none /etc",
    "no /var": "mount -t tmpfs none /var",
    "read-only /var": "mount --bind /var /var && mount -o remount,ro,bind /var",
}
NEEDS_PROC: Final = {"agent.running"}

# Children, the checks that start them, and what makes nodecheck need them.
CHILDREN: Final = {
    "rpm": (
        "agent.installed",
        "mount -t tmpfs none /var/lib/rpm && touch /var/lib/rpm/Packages.db",
    ),
    "systemctl": ("agent.service", "mkdir -p /run/systemd/system"),
}
ALLOWED: Final = {"LC_ALL", "PATH", "PWD", "OLDPWD", "SHLVL", "_"}


def judged(done: Done) -> dict[str, Any]:
    """Return the checks of a run that has an end, by id."""
    report = done.report
    assert report["exit"] == done.code
    assert report["checks"]
    assert not [item for item in report["checks"] if item["reason"] == "internal-error"]
    return {item["id"]: item for item in report["checks"]}


@pytest.fixture
def spaces() -> None:
    """Skip where this user may not make name spaces."""
    if subprocess.run([*SPACES.split(), "true"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not make name spaces")


@pytest.mark.usefixtures("spaces")
@pytest.mark.parametrize("taken", TAKEN)
def test_ends_in_a_verdict_without(nodecheck: Executable, taken: str) -> None:
    inner = f'{TAKEN[taken]} && exec "$0" "$@"'
    found = judged(nodecheck(*OFFLINE, script=f"""exec {SPACES} /bin/sh -c '{inner}' "$0" "$@" """))
    if taken == "no /proc":
        assert {found[name]["status"] for name in NEEDS_PROC} <= {"unknown", "skip"}


@pytest.mark.parametrize("variables", [{}, {"HOME": "/nonexistent"}, {"HOME": ""}])
def test_runs_without_a_home(
    nodecheck: Executable, variables: dict[str, str], tmp_path: Path
) -> None:
    state = {"NODECHECK_STATE_DIR": str(tmp_path / "state")}
    judged(nodecheck(*OFFLINE, env=state | variables))


@pytest.mark.parametrize("umask", ["077", "000", "777"])
def test_runs_with_any_umask_and_lets_nobody_write_its_state(
    nodecheck: Executable, umask: str, tmp_path: Path
) -> None:
    judged(nodecheck(*OFFLINE, script=f'umask {umask} && exec "$0" "$@"'))
    for path in (tmp_path / "state").rglob("*"):
        assert not path.stat().st_mode & 0o022, path


def test_runs_where_files_are_denied_to_root_too(nodecheck: Executable) -> None:
    allowed = ["/usr", "/etc", "/dev", "/tmp", str(nodecheck.path.parent)]  # noqa: S108
    allowed += [path for path in ("/lib", "/lib64") if Path(path).is_dir()]
    words = [sys.executable, str(LANDLOCK), ":".join(allowed)]
    probe = subprocess.run(
        [*words, "/bin/cat", "/proc/self/stat"], check=False, capture_output=True
    )
    if probe.returncode == UNSUPPORTED:
        pytest.skip("this kernel has no landlock")
    assert b"denied" in probe.stderr
    script = " ".join(["exec", *words, '"$0" "$@"'])
    found = judged(nodecheck(*OFFLINE, script=script))
    for name in ("agent.installed", "agent.running", "agent.files", "agent.storage"):
        assert found[name]["status"] != "ok", found[name]
    # What cannot be looked at is not absent.
    assert found["agent.installed"]["status"] == "unknown"


@pytest.mark.usefixtures("spaces")
@pytest.mark.parametrize("child", CHILDREN)
def test_no_child_inherits_the_library_path(
    nodecheck: Executable, child: str, tmp_path: Path
) -> None:
    check_id, prepare = CHILDREN[child]
    if not Path(f"/usr/bin/{child}").exists():
        pytest.skip(f"no {child} here")
    noted = tmp_path / "noted"
    stand_in = tmp_path / "temporary" / child
    stand_in.write_text(f"#!/bin/sh\nenv >>{noted}\nexit 3\n")
    stand_in.chmod(0o755)
    inner = (
        f'mount -t tmpfs none /run && {prepare} && mount --bind "$TMPDIR/{child}" /usr/bin/{child}'
        ' && exec "$0" "$@"'
    )
    script = f"""exec {SPACES} /bin/sh -c '{inner}' "$0" "$@" """
    planted = {"LD_LIBRARY_PATH": "/nonexistent", "_PYI_TEST": "1", "LD_DEBUG_OUTPUT": "/x"}
    environment = {**nodecheck.environment, **planted}
    judged(nodecheck(*OFFLINE, "--only", check_id, script=script, env=environment))
    names = {line.partition("=")[0] for line in noted.read_text().splitlines()}
    assert names <= ALLOWED


def test_knows_whether_it_is_root(nodecheck: Executable) -> None:
    is_root = nodecheck.path.parent.stat().st_uid == 0 and os.access("/root", os.R_OK)
    assert nodecheck(*OFFLINE).report["run"]["privileged"] is is_root
