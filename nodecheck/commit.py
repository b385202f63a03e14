"""The commit this nodecheck was made from, and its time; the build replaces both values."""

from typing import Final

COMMIT: Final = "source"

BUILT_AT: Final = 0
"""Seconds since 1970, from the commit, so that the same sources give the same bytes."""
