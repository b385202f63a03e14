"""Search the agent's documents, scripts and logs for secrets in plain text.

The agent leaves on disk what it was sent: scripts after all parameters were filled in
(``_script.sh``, ``_script.ps1``), documents while and after they run (``document/state``,
``localcommands``), and both once more in its log (agent/docmanager and agent/fileutil of
https://github.com/aws/amazon-ssm-agent). Nothing is read unless the operator asks for it. What a
rule sees stays here: file, line and rule are all that is handed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.model.agent_place import place_of
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.hygiene import Leak, SecretFacts
from nodecheck.model.node import FileKind
from nodecheck.model.secret_rules import scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.host.door import Files, Host, LocalClock
    from nodecheck.model.agent_place import AgentPlace
    from nodecheck.model.secret_rules import Sighting

LIMIT_S: Final = 4.0
FILES_LIMIT: Final = 5000
FILE_BYTES: Final = 1 << 20
LOG_BYTES: Final = 64 << 20
LOG_TAIL_BYTES: Final = 4 << 20
PIECE_BYTES: Final = 256 << 10
OVERLAP_BYTES: Final = 4 << 10
ALL_BYTES: Final = 64 << 20
NAMES_LIMIT: Final = 20_000
DEPTH: Final = 5
SCRIPTS: Final = ("_script.sh", "_script.ps1")
STATES: Final = ("pending", "current", "completed", "corrupt")
LOCAL: Final = ("", "submitted", "invalid", "completed")
EXAMPLES_LIMIT: Final = 5


def look(host: Host) -> SecretFacts:
    """Return where secrets are; a place that was not searched is named.

    Raises:
        Denied: this user may not look at all.
    """
    search = _Search(host.files, host.clock)
    place = place_of(host.platform.system)
    try:
        for path in _paths(host.files, place):
            search.file(path)
        for path in (place.log, place.error_log):
            search.log(path)
    except ProbeError as exc:
        if isinstance(exc, Denied) and not search.count:
            raise
        search.unread.append(shown(str(exc)))
    return search.facts()


class _Search:
    """What was found so far, and what may still be read."""

    def __init__(self, files: Files, clock: LocalClock) -> None:
        self._files = files
        self._clock = clock
        self._ends_ns = clock.monotonic_ns() + int(LIMIT_S * 1e9)
        self._lines: dict[tuple[str, str], set[int]] = {}
        self._examples: dict[str, None] = {}
        self.count = 0
        self._size = 0
        self.unread: list[str] = []

    def facts(self) -> SecretFacts:
        """Return all of it."""
        leaks = [
            Leak(rule, path, min(lines), len(lines)) for (rule, path), lines in self._lines.items()
        ]
        return SecretFacts(
            asked=True,
            leaks=tuple(leaks),
            examples=tuple(self._examples)[:EXAMPLES_LIMIT],
            files=self.count,
            size=self._size,
            unread=tuple(self.unread),
        )

    def file(self, path: str) -> None:
        """Search a file that is read whole.

        Raises:
            ProbeError: there is no more time or room for any file.
        """
        self._check()
        try:
            content = self._files.read(path, FILE_BYTES)
        except Absent:  # the agent removes files while we search
            return
        except ProbeError as exc:
            self.unread.append(shown(str(exc)))
            return
        self._take(content, path, 0)
        self.count += 1

    def log(self, path: str) -> None:
        """Search the end of a log; lines are counted from its beginning.

        Raises:
            ProbeError: there is no more time or room for any file.
        """
        self._check()
        try:
            start = max(0, self._files.state(path).size - LOG_TAIL_BYTES)
            data, lines, at = b"", 0, 0
            for chunk in self._files.chunks(path, LOG_BYTES):
                skipped = min(max(0, start - at), len(chunk))
                lines += chunk.count(b"\n", 0, skipped)
                data += chunk[skipped:]
                at += len(chunk)
        except Absent:
            return
        except ProbeError as exc:
            self.unread.append(shown(str(exc)))
            return
        self._take(data, path, lines)
        self.count += 1

    def _check(self) -> None:
        if self._clock.monotonic_ns() > self._ends_ns:
            msg = f"not all files were searched: {LIMIT_S:.0f} s were over"
            raise ProbeError(msg, "timeout")
        if self.count >= FILES_LIMIT or self._size >= ALL_BYTES:
            msg = f"not all files were searched: more than {FILES_LIMIT} or {ALL_BYTES >> 20} MB"
            raise ProbeError(msg, "too-large")

    def _take(self, data: bytes, path: str, lines: int) -> None:
        """Search in pieces that overlap, so that time is looked at and nothing is torn."""
        self._size += len(data)
        start = 0
        while True:
            piece = data[start : start + PIECE_BYTES + OVERLAP_BYTES]
            self._note(scan(piece.decode("utf-8", "replace").replace("\0", "")), path, lines)
            if start + len(piece) >= len(data):
                return
            lines += data.count(b"\n", start, start + PIECE_BYTES)
            start += PIECE_BYTES
            self._check()

    def _note(self, seen: tuple[Sighting, ...], path: str, lines: int) -> None:
        for item in seen:
            if item.is_example:
                self._examples[f"{shown(path)} line {lines + item.line}"] = None
                continue
            self._lines.setdefault((item.rule, shown(path)), set()).add(lines + item.line)


def shown(text: str) -> str:
    """Return a path or sentence in printable characters; a name that is a secret is none."""
    clean = "".join(char if char.isprintable() else "?" for char in text)[:500]
    return "(a name that itself holds a secret)" if scan(clean) else clean


def _paths(files: Files, place: AgentPlace) -> Iterator[str]:
    """Yield scripts and documents, those of each node id that this installation has had.

    Raises:
        ProbeError: a folder could not be read.
    """
    for node in _names(files, place.instances):
        document = f"{place.instances}/{node}/document"
        for state in STATES:
            folder = f"{document}/state/{state}"
            yield from (f"{folder}/{name}" for name in _names(files, folder))
        yield from _scripts(files, f"{document}/orchestration", DEPTH)
    for inner in LOCAL:
        folder = f"{place.data}/localcommands/{inner}".rstrip("/")
        for name in _names(files, folder):
            if files.state(f"{folder}/{name}").kind is FileKind.FILE:
                yield f"{folder}/{name}"


def _scripts(files: Files, folder: str, depth: int) -> Iterator[str]:
    for name in _names(files, folder) if depth else ():
        if name in SCRIPTS:
            yield f"{folder}/{name}"
        else:
            yield from _scripts(files, f"{folder}/{name}", depth - 1)


def _names(files: Files, folder: str) -> tuple[str, ...]:
    """Return the names in a folder; a link, a file or nothing at all has none."""
    try:
        if files.state(folder).kind is not FileKind.FOLDER:
            return ()
        return files.listing(folder, NAMES_LIMIT)
    except Absent:
        return ()
