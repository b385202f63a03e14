"""Start the built executable, exactly as ``python -m nodecheck`` starts the source."""

import warnings

# requests says so where charset_normalizer is missing, which is not shipped.
warnings.filterwarnings("ignore", message="Unable to find acceptable character detection")

import nodecheck.__main__  # noqa: E402, F401 - starts it
