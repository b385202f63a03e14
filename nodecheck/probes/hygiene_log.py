"""Read from the agent's log which associations of interest began to run, and on which schedule.

For each run of an association that begins, the log has an entry at INFO whose text is "Next
scheduled association is " and indented JSON with its document, parameters and schedule
(agent/association/schedulemanager and agent/association/model of
https://github.com/aws/amazon-ssm-agent). Only an entry that begins so counts: the same words inside
a sentence, a document or the output of a command are what somebody else wrote. A log that others
than root can write proves nothing.

The log is rolled at 30 MB, five are kept (seelog_unix.xml). They are read from the newest to the
oldest until enough is known or time is up; what was read is without a gap.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent_log import read_lines, set_straight, zone_of
from nodecheck.model.agent_place import place_of
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.hygiene import (
    DAY_NS,
    LATE_DAYS,
    PATCH_DOCUMENTS,
    SCAN_REACH_DAYS,
    UPDATE_DOCUMENT,
    Association,
    AssociationFacts,
    Work,
)
from nodecheck.model.redaction import redact
from nodecheck.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nodecheck.host.door import Files, Host, LocalClock

FILE_BYTES: Final = 64 << 20
TAIL_BYTES: Final = 8 << 20
END_BYTES: Final = 64 << 10
BLOCK_BYTES: Final = 4 << 20
ENTRY_BYTES: Final = 512 << 10
"""A document has 64 KB at most; its text stands in the entry with each quote escaped."""

HEAD_BYTES: Final = 1000
ROLLED: Final = 5
READ_LIMIT_S: Final = 2.5
_OTHERS_WRITE: Final = 0o022

_NEEDLE: Final = b"Next scheduled association is {"
_HEAD: Final = re.compile(
    rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:[.,]\d{1,9})? INFO (?:\[[^\]\n]{1,200}\] )*"
)
_STAMP: Final = re.compile(
    rb"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:[.,]\d{1,9})? [A-Z]+ ", re.MULTILINE
)
_WANTED: Final = re.compile(rb"pdateS[Ss][Mm]Agent|PatchBaseline")
_UPDATES: Final = re.compile(r'"action"\s*:\s*"aws:updateSsmAgent"|"aws:updateSsmAgent"\s*:')
_ID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_POLICY: Final = re.compile("quicksetup-patchpolicy", re.IGNORECASE)
TEXT_CHARS: Final = 200


def look(host: Host) -> AssociationFacts:
    """Return what the logs tell; one that could not be read is named.

    Raises:
        Denied: this user may not read them.
    """
    place = place_of(host.platform.system)
    log = _Log(host.files, host.clock)
    log.read_all(place.logs, place.log)
    return AssociationFacts(
        log.associations,
        log.begins_ns,
        host.clock.wall_ns(),
        tuple(log.read),
        tuple(log.unobserved),
        log.strange,
    )


class _Log:
    """The agent's main log, with those that were rolled."""

    def __init__(self, files: Files, clock: LocalClock) -> None:
        self._files = files
        self._clock = clock
        self._ends_ns = clock.monotonic_ns() + int(READ_LIMIT_S * 1e9)
        self._zone_s: int | None = None
        self._latest: dict[str, Association] = {}
        self.begins_ns: int | None = None
        self.read: list[str] = []
        self.unobserved: list[str] = []
        self.strange = 0

    @property
    def associations(self) -> tuple[Association, ...]:
        return tuple(self._latest.values())

    def read_all(self, folder: str, path: str) -> None:
        """Read the log and then the rolled ones, as far as they can be read."""
        try:
            self._zone_s = self._zone(path)
            names = [path, *self._rolled(folder, path)]
            while names and not self._is_enough() and self._read(names.pop(0)):
                pass
        except Denied:
            if not self.read:
                raise
            self.unobserved.append(f"{path}: not all rolled logs can be read")
        except ProbeError as exc:
            self.unobserved.append(str(exc))
        if self.strange and not self._latest:
            self.unobserved.append(f"{path}: {self.strange} entries are not understood")

    def _is_enough(self) -> bool:
        """Tell whether an older log could not change a verdict; a day is to spare."""
        if self.begins_ns is None:
            return False
        days = (self._clock.wall_ns() - self.begins_ns) / DAY_NS - 1
        updates = any(item.work is Work.UPDATE for item in self.associations)
        return days >= (SCAN_REACH_DAYS if updates else LATE_DAYS)

    def _zone(self, path: str) -> int | None:
        lines = set_straight(read_lines(self._files.tail(path, END_BYTES)))
        return zone_of(lines, self._files.state(path).mtime_ns / 1e9)

    def _rolled(self, folder: str, path: str) -> list[str]:
        pattern = re.compile(re.escape(path.rpartition("/")[2]) + r"\.\d{1,6}", re.ASCII)
        names = [name for name in self._files.listing(folder, 1000) if pattern.fullmatch(name)]
        found = [(self._files.state(f"{folder}/{name}").mtime_ns, name) for name in names]
        return [f"{folder}/{name}" for _, name in sorted(found, reverse=True)[:ROLLED]]

    def _read(self, path: str) -> bool:
        """Read one log, and tell whether the one before it belongs to what is known."""
        state = self._files.state(path)
        if state.uid != 0 or state.mode & _OTHERS_WRITE:
            mode = f"owner {state.uid}, mode {state.mode:04o}"
            msg = f"{path}: {mode}: others can write it, so that it proves nothing"
            raise ProbeError(msg, "not-trusted")
        is_whole = state.size <= FILE_BYTES
        pieces: Iterable[bytes] = (
            self._files.chunks(path, FILE_BYTES)
            if is_whole
            else (self._files.tail(path, TAIL_BYTES),)
        )
        first: bytes | None = None
        for at, block, limit in _blocks(pieces):
            if self._clock.monotonic_ns() > self._ends_ns:
                return False
            if first is None:
                first = next((match[1] for match in _STAMP.finditer(block)), b"")
            self._take(block, at, limit, path)
        if first:
            self.begins_ns = self._instant_ns(first.decode())
            self.read.append(path)
        return is_whole

    def _take(self, block: bytes, start: int, limit: int, path: str) -> None:
        """Take the entries that begin between two places of a block."""
        at = block.find(_NEEDLE, start, limit + len(_NEEDLE) - 1)
        while at >= 0:
            line = block.rfind(b"\n", max(0, at - HEAD_BYTES), at) + 1
            head = _HEAD.fullmatch(block, line, at)
            if head is not None:
                self._take_entry(_entry(block, at + len(_NEEDLE) - 1), head[1].decode(), path)
            at = block.find(_NEEDLE, at + 1, limit + len(_NEEDLE) - 1)

    def _take_entry(self, text: bytes, at: str, path: str) -> None:
        if not _WANTED.search(text) and text.rstrip().endswith(b"}"):
            return
        found = read_entry(text)
        if found is None:
            self.strange += 1
            return
        if not isinstance(found, Association):
            return
        dated = replace(found, at=at, at_ns=self._instant_ns(at), place=path)
        known = self._latest.get(found.association_id)
        if known is None or known.at <= at:
            self._latest[found.association_id] = dated

    def _instant_ns(self, stamp: str) -> int | None:
        """Return a local stamp as nanoseconds since 1970 by the node's clock."""
        try:
            local = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            return None
        return None if self._zone_s is None else int(local.timestamp() - self._zone_s) * 10**9


def _blocks(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes, int]]:
    """Yield blocks with the span of each in which entries may begin; they overlap by an entry."""
    block, start = b"", 0
    for piece in pieces:
        block += piece
        if len(block) >= BLOCK_BYTES + ENTRY_BYTES:
            limit = len(block) - ENTRY_BYTES
            yield start, block, limit
            keep = max(0, limit - HEAD_BYTES)
            block, start = block[keep:], limit - keep
    yield start, block, len(block)


def _entry(block: bytes, at: int) -> bytes:
    """Return the text of JSON that begins here: to its last line, or to the end of this line."""
    is_indented = block[at + 1 : at + 3].lstrip(b"\r")[:1] == b"\n"
    end = block.find(b"\n}" if is_indented else b"\n", at, at + ENTRY_BYTES)
    if end < 0:
        return block[at : at + ENTRY_BYTES]
    return block[at : end + 2] if is_indented else block[at:end]


def read_entry(text: bytes) -> Association | bool | None:
    """Return the association in the JSON of an entry, False for another, None for no such JSON."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found = document.get("Association") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        return None
    name, owner = found.get("Name"), found.get("AssociationId")
    if not isinstance(name, str) or not isinstance(owner, str) or not _ID.fullmatch(owner):
        return None
    work = _work(name, document.get("Document"))
    if work is None:
        return False
    return Association(
        owner.lower(),
        _text(name),
        _text(found.get("ScheduleExpression")),
        work,
        status=_text(found.get("DetailedStatus")),
        ran_at=_text(found.get("LastExecutionDate")),
        operation=_text(_parameter(found, "Operation")),
        is_policy=_is_policy(found),
        node_id=_text(found.get("InstanceId")),
    )


def _work(name: str, content: object) -> Work | None:
    short = name.rpartition("/")[2]  # a document of another account is named by its ARN
    if short in PATCH_DOCUMENTS:
        return Work.PATCH
    is_update = isinstance(content, str) and _UPDATES.search(content) is not None
    return Work.UPDATE if short == UPDATE_DOCUMENT or is_update else None


def _is_policy(association: Mapping[str, object]) -> bool:
    """Tell whether a patch policy of Quick Setup made this: by its name, or its baselines in S3."""
    texts = (association.get("AssociationName"), _parameter(association, "BaselineOverride"))
    return any(isinstance(text, str) and _POLICY.search(text) for text in texts)


def _parameter(association: Mapping[str, object], name: str) -> object:
    parameters = association.get("Parameters")
    values = parameters.get(name) if isinstance(parameters, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _text(value: object) -> str:
    return redact(value, TEXT_CHARS) if isinstance(value, str) else ""
