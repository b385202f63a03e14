"""Wait for a socket, by the kernel's monotonic clock and whatever the number of its descriptor."""

from __future__ import annotations

import math
import select
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

if sys.platform == "win32":

    def is_readable(waited: socket.socket, timeout_s: float) -> bool:
        """Tell whether there is something to read, waiting at most this long for it."""
        return bool(select.select([waited], [], [], max(timeout_s, 0))[0])

else:

    def is_readable(waited: socket.socket, timeout_s: float) -> bool:
        """Tell whether there is something to read, waiting at most this long for it.

        ``select`` would refuse descriptors above 1,023, which a parent may have left open.
        """
        poll = select.poll()
        poll.register(waited, select.POLLIN)
        return bool(poll.poll(math.ceil(max(timeout_s, 0) * 1000)))
