"""The commit this nodecheck was made from; the build replaces this file's value."""

from typing import Final

COMMIT: Final = "source"
