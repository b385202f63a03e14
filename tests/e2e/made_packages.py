"""The packages of the built executable, two releases of them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Packages:
    """A release of each kind, and the next."""

    deb: tuple[Path, Path]
    rpm: tuple[Path, Path]


def make(built: Path, folder: Path) -> Packages:
    """Make them side by side."""
    wanted = {"first": ("--release", "1"), "next": ("--quick", "--release", "2")}
    started = {
        name: subprocess.Popen(
            [TOP / "scripts/package", *words, "--from", built, folder / name],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, words in wanted.items()
    }
    found: dict[str, tuple[Path, Path]] = {}
    for name, process in started.items():
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 0, said
        (deb,), (rpm,) = (folder / name).glob("*.deb"), (folder / name).glob("*.rpm")
        found[name] = (deb, rpm)
    debs, rpms = zip(found["first"], found["next"], strict=True)
    return Packages(debs, rpms)
