"""Start the built executable, exactly as ``python -m nodecheck`` starts the source."""

import nodecheck.__main__  # noqa: F401 - starts it
