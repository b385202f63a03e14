"""The locks of a state folder, alike on all platforms but for how one is taken."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOCK_NAME: Final = "lock"


class StateLocks(ABC):
    """Locks that end with the process at the latest."""

    @abstractmethod
    def take(self, folder: str, name: str) -> int:
        """Make the folder where it is missing, and return the descriptor that holds a lock in it.

        Raises:
            Busy: another process holds it; the message names it.
            ProbeError: the folder is not ours alone, or the file of the lock cannot be opened.
        """

    @contextmanager
    def run_lock(self, folder: str, note: Callable[[str], None]) -> Iterator[None]:
        """Hold the lock of a run; where there can be none, note why and go on without.

        Raises:
            Busy: another run holds it.
        """
        try:
            descriptor = self.take(folder, LOCK_NAME)
        except ProbeError as exc:
            note(f"{exc}; this run takes no lock")
            yield
            return
        try:
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def lock(self, folder: str, name: str) -> Iterator[None]:
        """Hold a lock of this name.

        Raises:
            Busy: another process holds it.
            ProbeError: there can be no lock.
        """
        descriptor = self.take(folder, name)
        try:
            yield
        finally:
            os.close(descriptor)
