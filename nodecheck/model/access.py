"""Who may read, change or replace a file or folder of Windows, as its access list says.

Only entries that allow count: one that denies can make the truth narrower, never wider. Security
identifiers (SIDs) are compared, never names, which are translated on each node.

Source: MS-DTYP 2.4.2 (SID), 2.4.4 (ACE), 2.4.5 (ACL).
"""

from __future__ import annotations

import struct
from typing import Final

from nodecheck.model.errors import ProbeError
from nodecheck.records import dataclass

SYSTEM: Final = "S-1-5-18"
ADMINISTRATORS: Final = "S-1-5-32-544"
TRUSTED_INSTALLER: Final = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
EVERYONE: Final = "S-1-1-0"
OWNER_RIGHTS: Final = "S-1-3-4"
"""What the owner may do; the owner is counted by itself."""

TRUSTED: Final = frozenset({SYSTEM, ADMINISTRATORS, TRUSTED_INSTALLER})
"""Who may do everything on the node anyway, as root may."""

_READ: Final = 0x1 | 0x8000_0000 | 0x1000_0000
"""FILE_READ_DATA (FILE_LIST_DIRECTORY), GENERIC_READ, GENERIC_ALL."""

_REPLACE: Final = 0x40 | 0x1_0000 | 0x4_0000 | 0x8_0000 | 0x1000_0000
"""FILE_DELETE_CHILD, DELETE, WRITE_DAC, WRITE_OWNER, GENERIC_ALL."""

_WRITE: Final = _REPLACE | 0x2 | 0x4 | 0x10 | 0x100 | 0x4000_0000
"""And FILE_WRITE_DATA, FILE_APPEND_DATA (add a file, a folder), attributes, GENERIC_WRITE."""

_SID_HEAD: Final = 8
_ACL_HEAD: Final = struct.Struct("<4xH2x")
_ACE_HEAD: Final = struct.Struct("<BBHI")
_INHERIT_ONLY: Final = 0x8
_ALLOWED: Final = frozenset({0, 9})
_DENIED: Final = frozenset({1, 10})
"""With and without a condition, which is taken as met."""


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One entry of an access list: its type, flags, rights and whom it is for."""

    kind: int
    flags: int
    mask: int
    sid: str


@dataclass(frozen=True, slots=True)
class AccessFacts:
    """Who may do what with one path; each tuple is sorted, and includes the node's own masters.

    ``writers`` may change it, or add to a folder; ``replacers``, who are among them, may delete or
    rename it or what is in it, or give themselves the right to. ``inherited``: the folder above has
    a say in the list.
    """

    owner_sid: str
    readers: tuple[str, ...]
    writers: tuple[str, ...]
    replacers: tuple[str, ...]
    inherited: bool

    def strangers(self, sids: tuple[str, ...], own: frozenset[str] = TRUSTED) -> tuple[str, ...]:
        """Return those of these SIDs that do not stand as root does."""
        return tuple(sid for sid in sids if sid not in own)

    def mode(self, own: frozenset[str] = TRUSTED) -> int:
        """Return the permission bits that say of strangers what POSIX says of group and others.

        A folder in which strangers may add, but not replace, is one with the sticky bit.
        """
        found = 0o700
        if self.strangers(self.readers, own):
            found |= 0o055
        if self.strangers(self.writers, own):
            found |= 0o022
            found |= 0 if self.strangers(self.replacers, own) else 0o1000
        return found

    def uid(self, own: frozenset[str] = TRUSTED) -> int:
        """Return 0 where the owner stands as root does, else the last number of its SID, or -1."""
        last = self.owner_sid.rpartition("-")[2]
        return 0 if self.owner_sid in own else int(last or 0) or -1


def access_facts(
    owner_sid: str, entries: tuple[AccessEntry, ...] | None, *, inherited: bool
) -> AccessFacts:
    """Return the facts in an access list; None is no list, which lets everyone do everything.

    Raises:
        ProbeError: an entry is of a kind that is not known here.
    """
    if entries is None:
        entries = (AccessEntry(0, 0, 0x1000_0000, EVERYONE),)
    allowing: list[AccessEntry] = []
    for entry in entries:
        if entry.flags & _INHERIT_ONLY or entry.kind in _DENIED:
            continue
        if entry.kind not in _ALLOWED:
            msg = f"access list: entry of kind {entry.kind} is not known"
            raise ProbeError(msg, "not-understood")
        if entry.sid != OWNER_RIGHTS:
            allowing.append(entry)

    def those(mask: int) -> tuple[str, ...]:
        return tuple(sorted({entry.sid for entry in allowing if entry.mask & mask}))

    return AccessFacts(owner_sid, those(_READ), those(_WRITE), those(_REPLACE), inherited)


def sid_text(data: bytes) -> str:
    """Return the text of the security identifier with which these bytes begin.

    >>> sid_text(bytes.fromhex("0102000000000005200000002002000000"))
    'S-1-5-32-544'

    Raises:
        ProbeError: there is none.
    """
    if len(data) < _SID_HEAD or data[0] != 1 or len(data) < _SID_HEAD + 4 * data[1]:
        msg = "access list: a security identifier is not understood"
        raise ProbeError(msg, "not-understood")
    authority = int.from_bytes(data[2:_SID_HEAD])
    parts = struct.unpack_from(f"<{data[1]}I", data, _SID_HEAD)
    return "-".join(("S-1", str(authority), *map(str, parts)))


def parse_acl(data: bytes) -> tuple[AccessEntry, ...]:
    """Return the entries of an access list.

    Raises:
        ProbeError: it is cut, or not understood.
    """
    if len(data) < _ACL_HEAD.size:
        raise _cut()
    found: list[AccessEntry] = []
    (count,) = _ACL_HEAD.unpack_from(data)
    at = _ACL_HEAD.size
    for _ in range(count):
        if len(data) < at + _ACE_HEAD.size:
            raise _cut()
        kind, flags, size, mask = _ACE_HEAD.unpack_from(data, at)
        if size < _ACE_HEAD.size or len(data) < at + size:
            raise _cut()
        known = kind in _ALLOWED
        sid = sid_text(data[at + _ACE_HEAD.size : at + size]) if known else ""
        found.append(AccessEntry(kind, flags, mask, sid))
        at += size
    return tuple(found)


def _cut() -> ProbeError:
    return ProbeError("access list: cut in the middle", "not-understood")
