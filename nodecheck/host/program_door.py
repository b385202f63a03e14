"""What may be asked of a program of Windows: its bytes, and whom Windows says it is signed by."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

from nodecheck.model.errors import Absent

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from nodecheck.model.authenticode import TrustAnswer


class Program(Protocol):
    """A file that is open: nobody can write to it meanwhile, or put another in its place."""

    @property
    def size(self) -> int:
        """Return its size in bytes."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Return these bytes, fewer only at the end of the file."""

    def ask(self) -> TrustAnswer:
        """Return what WinVerifyTrust says of this very file: no window, no network, no catalog."""


class Programs(Protocol):
    """Programs of Windows on a local disk; links are not followed."""

    def open(self, path: str) -> AbstractContextManager[Program]:
        """Open a program, so that what is judged is what is read."""


class NoPrograms:
    """A system whose programs carry no Authenticode signature."""

    def open(self, path: str) -> AbstractContextManager[Program]:
        """Say so."""
        with nullcontext():
            msg = f"{path}: only Windows has such programs"
            raise Absent(msg)
