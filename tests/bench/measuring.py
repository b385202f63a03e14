"""Programs measured side by side: in rounds, one run of each after the other."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

STARTER: Final = Path(__file__).with_name("starter.c")
WARMING: Final = 2
"""Rounds whose results are thrown away."""


@dataclass(frozen=True)
class Sample:
    """One run: milliseconds of wall and processor time, and peak memory in MB (10^6 bytes)."""

    wall_ms: float
    cpu_ms: float
    memory_mb: float


@dataclass
class Case:
    """A program to measure; ``codes`` are the exit codes of a run that did its work."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    codes: frozenset[int] = frozenset({0})
    samples: list[Sample] = field(default_factory=list)

    @property
    def wall_ms(self) -> float:
        """The least: what else the machine does only ever adds to it."""
        return min(sample.wall_ms for sample in self.samples)

    @property
    def median_ms(self) -> float:
        return median(sample.wall_ms for sample in self.samples)

    @property
    def cpu_ms(self) -> float:
        return min(sample.cpu_ms for sample in self.samples)

    @property
    def memory_mb(self) -> float:
        """The most."""
        return max(sample.memory_mb for sample in self.samples)


def make_starter(folder: Path) -> Path:
    """Build the program that starts and measures others."""
    starter = folder / "starter"
    words = ["gcc", "-O2", "-Wall", "-Werror", "-static", "-o", str(starter), str(STARTER)]
    subprocess.run(words, check=True)
    return starter


def measure(
    cases: Iterable[Case], starter: Path, rounds: int, do: Callable[[str], str], folder: str = "/"
) -> None:
    """Run each case once in every round; ``do`` runs a line of shell and returns its output.

    Raises:
        RuntimeError: a program did not do its work.
    """
    cases = tuple(cases)
    for number in range(-WARMING, rounds):
        for case in cases:
            set_to = [f"{name}={text}" for name, text in case.environment.items()]
            words = ["env", "-i", "-C", folder, *set_to, str(starter), *case.words]
            wall_us, cpu_us, memory_kib, code = map(int, do(shlex.join(words)).split())
            if code not in case.codes:
                msg = f"{case.name}: exit code {code}: {shlex.join(case.words)}"
                raise RuntimeError(msg)
            if number >= 0:
                sample = Sample(wall_us / 1e3, cpu_us / 1e3, memory_kib * 1024 / 1e6)
                case.samples.append(sample)
