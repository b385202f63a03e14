"""Copy Wine's server with LocalSystem as its one user: python system_user.py SERVER COPY.

Wine has one user, a person's, who owns all files and runs all services. nodecheck judges both, and
on a node both are SYSTEM's. The server (``server/token.c`` of Wine) has the identifier of its user
as a constant; the copy has that of SYSTEM in its place.
"""

import struct
import sys
from pathlib import Path


def sid(*parts: int) -> bytes:
    """Return S-1-5-..., padded to the size of the one that is replaced (MS-DTYP 2.4.2.2)."""
    head = struct.pack(">BBHI", 1, len(parts), 0, 5)
    return (head + struct.pack(f"<{len(parts)}I", *parts)).ljust(28, b"\0")


def main(server: str, copy: str) -> None:
    """Write the copy.

    Raises:
        SystemExit: the constant is not in that server once.
    """
    content = Path(server).read_bytes()
    person, system = sid(21, 0, 0, 0, 1000), sid(18)
    if content.count(person) != 1:
        sys.exit(f"nodecheck: {server} is of another Wine than the known ones: 8.0 and its like")
    target = Path(copy)
    target.unlink(missing_ok=True)  # one that runs cannot be written
    target.write_bytes(content.replace(person, system))
    target.chmod(0o755)


if __name__ == "__main__":
    main(*sys.argv[1:])
