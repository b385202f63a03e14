"""Keep a short run small and quick."""

from __future__ import annotations

import gc
import sys

GARBAGE_THRESHOLD = 50_000
"""Instead of 700: a run imports a hundred modules, which leave no garbage to look for."""

M_ARENA_MAX = -8
"""Of glibc's malloc.h."""

ARENAS = 2
"""glibc gives each of the thirty threads of a run a heap of its own: 5 MB in all."""


def seldom_collect() -> None:
    """Look for garbage rarely: 20 ms less."""
    gc.set_threshold(GARBAGE_THRESHOLD)


def share_heaps() -> None:
    """Let threads share heaps, before there are any; other C libraries have their own ways."""
    if sys.platform != "linux":
        return
    import ctypes

    try:
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
    except (AttributeError, OSError):
        return
