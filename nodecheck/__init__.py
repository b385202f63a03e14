"""Tell, with proof, whether AWS Systems Manager can manage this node."""

from typing import Final

VERSION: Final = "0.1.0"
