"""What nodecheck reads of a unit, held against what systemd itself reads (``systemd-analyze``)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nodecheck.host.unit_files import look_at_start
from nodecheck.model.unit_file import UNIT_FOLDERS, drop_in_names

if sys.platform != "win32":
    from nodecheck.host.posix_files import PosixFiles

if TYPE_CHECKING:
    from pathlib import Path

assert sys.platform != "win32"

ORACLE = shutil.which("systemd-analyze")
pytestmark = pytest.mark.skipif(not ORACLE, reason="needs systemd-analyze")

UNIT = "amazon-ssm-agent.service"
MARK = re.compile(r"^(\S+?):\d+: Unknown key '?X'?", re.MULTILINE)
NOT_ASKED = ("/run/systemd/transient", "/run/systemd/generator")
"""What a manager or its generators write; ``verify`` leaves those out of the search path."""


def ask(*arguments: str) -> str:
    assert ORACLE is not None
    done = subprocess.run(
        [ORACLE, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout + done.stderr


def write(root: Path, path: str, text: str = "[Service]\nX=1\n") -> None:
    target = root / path[1:]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def link(root: Path, path: str, target: str) -> None:
    (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
    (root / path[1:]).symlink_to(target)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "/usr/bin/amazon-ssm-agent", "#!/bin/sh\n")
    (tmp_path / "usr/bin/amazon-ssm-agent").chmod(0o755)
    write(
        tmp_path,
        f"/usr/lib/systemd/system/{UNIT}",
        "[Service]\nExecStart=/usr/bin/amazon-ssm-agent\nX=1\n",
    )
    return tmp_path


def both(root: Path) -> tuple[set[str], set[str]]:
    """Return the files that systemd reads of the unit, and those that nodecheck reads."""
    said = ask("verify", f"--root={root}", UNIT)
    if "--root" in said and "Unknown key" not in said:
        pytest.skip("this systemd-analyze verifies no other root")
    notes: list[str] = []
    proven = (f"/usr/lib/systemd/system/{UNIT}",)
    facts = look_at_start(PosixFiles(str(root)), UNIT, proven, notes)
    assert not notes
    systemd = {path.removeprefix(str(root)) for path in MARK.findall(said)}
    return systemd, {unit.path for unit in facts.units}


def test_the_search_path() -> None:
    folders = ask("unit-paths", "--system").split()
    assert set(folders) - {"/lib/systemd/system"} <= set(UNIT_FOLDERS)
    assert folders == [folder for folder in UNIT_FOLDERS if folder in folders]


def test_drop_ins_of_all_folders_and_of_aliases(root: Path) -> None:
    names = (*drop_in_names(UNIT), "other.service.d", "unrelated.service.d")
    asked = [folder for folder in UNIT_FOLDERS if not folder.startswith(NOT_ASKED)]
    for folder in asked:
        for name in names:
            write(root, f"{folder}/{name}/{folder.replace('/', '_')}-{name}.conf")
    link(root, "/etc/systemd/system/other.service", f"/usr/lib/systemd/system/{UNIT}")
    systemd, nodecheck = both(root)
    assert len(systemd) == len(asked) * (len(names) - 1) + 1
    assert nodecheck == systemd


def test_masks_and_replacements(root: Path) -> None:
    folder = f"/usr/lib/systemd/system/{UNIT}.d"
    for name in ("masked", "replaced", "kept"):
        write(root, f"{folder}/{name}.conf")
    link(root, f"/etc/systemd/system/{UNIT}.d/masked.conf", "/dev/null")
    write(root, f"/etc/systemd/system/{UNIT}.d/replaced.conf")
    systemd, nodecheck = both(root)
    assert nodecheck == systemd
    assert f"{folder}/kept.conf" in systemd
    assert f"{folder}/masked.conf" not in systemd


def test_a_unit_file_that_outranks(root: Path) -> None:
    own = f"/usr/lib/systemd/system/{UNIT}"
    write(root, f"/etc/systemd/system.attached/{UNIT}", (root / own[1:]).read_text())
    systemd, nodecheck = both(root)
    assert systemd == {f"/etc/systemd/system.attached/{UNIT}"}
    assert nodecheck == systemd | {own}  # the signed one is judged all the same
