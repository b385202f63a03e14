"""Where the hand-written parts stand."""

from __future__ import annotations

from pathlib import Path
from typing import Final

AWS: Final = Path(__file__).resolve().parents[1]
SOURCE: Final = AWS / "source"
QUERIES: Final = AWS / "queries"
DISTRIBUTOR: Final = AWS / "distributor"


def lines_of(name: str) -> list[str]:
    """Return the lines of a script, without what ends the last one."""
    return (SOURCE / name).read_text().splitlines()
