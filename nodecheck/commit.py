"""The commit this nodecheck was made from, its time, and more; the build replaces the values."""

from typing import Final

COMMIT: Final = "source"

BUILT_AT: Final = 0
"""Seconds since 1970, from the commit, so that the same sources give the same bytes."""

BUILT_WITH: Final = ""
"""``name version, name version`` of parts that cannot tell it themselves."""
