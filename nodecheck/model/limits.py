"""The operator's limits, as far as a format tells them beside the values."""

from __future__ import annotations

from nodecheck.records import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What the checks judge against; ``fail_on`` is the mildest verdict that exits non-zero."""

    clock_warn_s: float
    behind_warn_days: float
    behind_crit_days: float
    key_warn_days: float
    key_crit_days: float
    fail_on: str = "warn"
