"""How Windows is told to run the agent's service: its state, its start, what happens when it ends.

Source: winsvc.h, SERVICE_FAILURE_ACTIONS, as the service control manager keeps it in the registry.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import ProbeError
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.model.windows_service import WindowsService

ACTIONS_LIMIT: Final = 64
_HEAD: Final = struct.Struct("<IIIII")
_ACTION: Final = struct.Struct("<II")
_WORDS: Final = {0: "nothing", 1: "restart", 2: "reboot", 3: "run a command"}


@dataclass(frozen=True, slots=True)
class Recovery:
    """What Windows does when the service ends by itself: for each time an action and its delay."""

    actions: tuple[tuple[str, float], ...]
    reset_s: int

    @property
    def words(self) -> str:
        """Return it as ``sc qfailure`` would say it."""
        each = ", ".join(
            f"{action} after {delay_s:g} s" if action != "nothing" else action
            for action, delay_s in self.actions
        )
        return f"{each}; counted anew after {self.reset_s} s" if each else "nothing"


@dataclass(frozen=True, slots=True)
class ServiceSetup:
    """The agent's service.

    ``service`` None: there is none. ``delayed`` and ``recovery`` None: the registry does not tell.
    """

    service: WindowsService | None = None
    delayed: bool | None = None
    recovery: Recovery | None = None


def parse_recovery(where: str, data: bytes) -> Recovery:
    """Return what is in the value ``FailureActions`` of a service's key.

    >>> data = struct.pack("<IIIII", 86400, 0, 0, 2, 20) + struct.pack("<IIII", 1, 1000, 0, 0)
    >>> parse_recovery("x", data).words
    'restart after 1 s, nothing; counted anew after 86400 s'

    Raises:
        ProbeError: it is cut, or not understood.
    """
    if len(data) < _HEAD.size:
        raise _cut(where)
    reset_s, _, _, count, offset = _HEAD.unpack_from(data)
    if count > ACTIONS_LIMIT or len(data) < offset + count * _ACTION.size or offset < _HEAD.size:
        raise _cut(where)
    rows = (_ACTION.unpack_from(data, offset + at * _ACTION.size) for at in range(count))
    actions = tuple((_WORDS.get(kind, f"action {kind}"), delay / 1e3) for kind, delay in rows)
    return Recovery(actions, reset_s)


def _cut(where: str) -> ProbeError:
    return ProbeError(f"{where}: not understood", "not-understood")
