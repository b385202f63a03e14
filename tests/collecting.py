"""A plugin of pytest that leaves out modules of the other platform, which cannot be imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

OTHERS: Final = (
    'assert sys.platform == "win32"'
    if sys.platform != "win32"
    else 'assert sys.platform != "win32"'
)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave a module of the product out where its examples cannot run."""
    if collection_path.suffix != ".py" or "nodecheck" not in collection_path.parts[-3:]:
        return None
    return True if OTHERS in collection_path.read_text("utf-8") else None
