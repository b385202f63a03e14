"""Read what the agent's updater recorded: audit files, its log, its lock and its context.

Places: agent/log/logger/eventlog.go (a file for each day, 3 to 30 are kept), agent/update/updater
(the log), agent/appconfig (``update.lock``) and agent/update/processor/context.go (the context of
the 2.x updater) of https://github.com/aws/amazon-ssm-agent. Only the ends of the files are read.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from nodecheck.model.agent_place import place_of
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.redaction import redact
from nodecheck.model.update import (
    Outcome,
    UpdateFacts,
    UpdateTry,
    latest,
    read_audit,
    read_log,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.door import Files, Host
    from nodecheck.model.agent_place import AgentPlace

    Reader = Callable[[], UpdateTry | None]

TAIL_BYTES: Final = 256 * 1024
CONTEXT_LIMIT_BYTES: Final = 4 * 1024 * 1024
NAMES_LIMIT: Final = 1000
DAYS_LIMIT: Final = 30
"""The most that the agent keeps (Agent.AuditExpirationDay)."""

_DAY: Final = re.compile(r".*-([0-9]{4}-[0-9]{2}-[0-9]{2})", re.ASCII)


def look(host: Host) -> UpdateFacts:
    """Return what is recorded; a place that could not be read is named."""
    return _Records(host.files, place_of(host.platform.system)).facts(host.clock.wall_ns())


class _Records:
    """The records of one node, and what could not be read of them."""

    def __init__(self, files: Files, place: AgentPlace) -> None:
        self._files = files
        self._place = place
        self._read: list[str] = []
        self._unobserved: list[str] = []

    def facts(self, wall_ns: int) -> UpdateFacts:
        """Return the last finished try, and what is unfinished."""
        audit = self._guard(self._audit)
        log = self._guard(self._log)
        last = latest(audit, log)
        unfinished = [item for item in (self._guard(self._lock),) if item]
        if last and last.outcome is Outcome.UNFINISHED:
            unfinished.append(last)
            last = audit
        context = self._guard(self._context)
        if context and not (last and _versions(last) == _versions(context)):
            unfinished.append(context)
        return UpdateFacts(
            last, tuple(unfinished), wall_ns, tuple(self._read), tuple(self._unobserved)
        )

    def _guard(self, read: Reader) -> UpdateTry | None:
        try:
            return read()
        except Absent:
            return None
        except ProbeError as exc:
            self._unobserved.append(str(exc))
            return None

    def _audit(self) -> UpdateTry | None:
        folder = self._place.audits
        matches = [_DAY.fullmatch(name) for name in self._files.listing(folder, NAMES_LIMIT)]
        days = sorted(((match[1], match[0]) for match in matches if match), reverse=True)
        self._read.append(f"{folder} (days: {len(days)})")
        for day, name in days[:DAYS_LIMIT]:
            path = f"{folder}/{name}"
            try:
                text = self._tail(path)
            except Absent:  # removed since, as the oldest is each day
                continue
            last, strange = read_audit(day, text, path)
            self._unobserved += strange[:1]
            if last is not None:
                return last
        return None

    def _log(self) -> UpdateTry | None:
        path = self._place.update_log
        changed_ns = self._files.state(path).mtime_ns
        text = self._tail(path)
        found = read_log(text, path, changed_ns)
        if found is None and text.strip():
            msg = f"{path}: no update in it that is understood"
            raise ProbeError(msg, "not-understood")
        self._read.append(path)
        return found

    def _lock(self) -> UpdateTry | None:
        path = f"{self._place.data}/update.lock"
        state = self._files.state(path)
        return UpdateTry("", "", "", Outcome.UNFINISHED, path, changed_ns=state.mtime_ns)

    def _context(self) -> UpdateTry | None:
        path = f"{self._place.data}/update/updatecontext.json"
        return read_context(self._files.read(path, CONTEXT_LIMIT_BYTES), path)

    def _tail(self, path: str) -> str:
        return self._files.tail(path, TAIL_BYTES).decode("utf-8", "replace")


def _versions(item: UpdateTry) -> tuple[str, str]:
    return item.source, item.target


def read_context(content: bytes, path: str) -> UpdateTry | None:
    """Return the unfinished try in an update context, None where there is none.

    Raises:
        ProbeError: not such a document.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as exc:
        msg = f"{path}: not JSON"
        raise ProbeError(msg, "not-understood") from exc
    current = (document.get("Current") or {}) if isinstance(document, dict) else None
    state = (current.get("State") or "") if isinstance(current, dict) else None
    if not isinstance(current, dict) or not isinstance(state, str):
        msg = f"{path}: no context of an update"
        raise ProbeError(msg, "not-understood")
    if state in {"", "NotStarted", "Completed"}:
        return None
    source, target = (_text(current.get(name)) for name in ("SourceVersion", "TargetVersion"))
    started = _text(current.get("StartDateTime"))
    return UpdateTry(
        started, source, target, Outcome.UNFINISHED, path, changed_ns=_started_ns(started)
    )


def _text(value: object) -> str:
    return redact(value) if isinstance(value, str) else ""


def _started_ns(started: str) -> int | None:
    """Return an instant that Go wrote, None where it is none; year 1 is Go's word for that."""
    try:
        at = datetime.fromisoformat(re.sub(r"\.[0-9]+", "", started))
    except ValueError:
        return None
    if at.tzinfo is None or at.year <= 1970:  # noqa: PLR2004 - before it there is no agent
        return None
    return int(at.astimezone(UTC).timestamp()) * 10**9
