"""Facts about updates that the agent's own updater tried, and how its records are read.

The audit file of a day holds one line for each finished try, in fields (``PrepareHealthStatus`` and
``WriteEvent``: agent/update/processor and agent/log/logger of
https://github.com/aws/amazon-ssm-agent), and its name holds the day:

    agent_update_result UpdateFailed_ErrorInstallFailed-3.3.1142.0 3.3.987.0 12:44:50

The updater's log holds sentences, of which only those that the updater itself writes are known
here. Both are in the node's local time without a zone.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from nodecheck.model.redaction import redact
from nodecheck.records import dataclass, replace

SAME_TRY: Final = timedelta(minutes=10)
"""The audit line and the end of the log are written within seconds; a try takes minutes."""


class Outcome(Enum):
    """What became of one try. ``unfinished``: it has begun, and nothing says that it ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ROLLED_BACK = "failed and was rolled back"
    ROLLBACK_FAILED = "failed, and so did the rollback"
    SKIPPED = "skipped"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class UpdateTry:
    """One try. ``at`` is local time as recorded, '' where there is none; versions may be ''.

    ``code`` is the updater's own word for the error, ``text`` its sentence, without secrets.
    ``changed_ns`` is when an unfinished try last left a trace, by the node's clock.
    """

    at: str
    source: str
    target: str
    outcome: Outcome
    place: str
    code: str = ""
    text: str = ""
    changed_ns: int | None = None


@dataclass(frozen=True, slots=True)
class UpdateFacts:
    """The last finished try, what is unfinished, and which records could be read.

    ``wall_ns`` is the node's clock when it was looked at: traces are as old as it says, unless it
    was set since.
    """

    last: UpdateTry | None
    unfinished: tuple[UpdateTry, ...]
    wall_ns: int
    read: tuple[str, ...]
    unobserved: tuple[str, ...] = ()


_VERSION: Final = r"[0-9]{1,9}(?:\.[0-9]{1,9}){3}"
_AUDIT: Final = re.compile(
    rf"agent_update_result Update(?P<word>Succeeded|Failed)(?:_SelfUpdate)?"
    rf"(?:_(?P<code>[A-Za-z0-9_]{{1,80}}))?(?:-(?P<target>{_VERSION}|[A-Za-z]{{1,20}}))?"
    rf"(?:-NoAlarm)? (?P<source>{_VERSION}) (?P<time>[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}})"
)
_AUDIT_START: Final = "agent_update_result "
_STAMPED: Final = re.compile(
    r"(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?"
    r" (?:[A-Z]+) (?:\[[^\]]{1,200}\] )*"
)
_BEGIN: Final = "SSM Agent Updater - "
_NAME: Final = "amazon-ssm-agent"
_FROM_TO: Final = re.compile(
    rf"(?:Attemp(?:t)?ing to upgrade|Updating {_NAME}) from (?P<source>{_VERSION})"
    rf" to (?P<target>{_VERSION}|latest)"
)
_TO: Final = re.compile(rf"Initiating {_NAME} update to (?P<target>{_VERSION})")
_ENDS: Final = (
    (re.compile(rf"{_NAME} updated successfully to {_VERSION}"), Outcome.SUCCEEDED),
    (re.compile(rf"rolledback {_NAME} to {_VERSION}"), Outcome.ROLLED_BACK),
    (re.compile(rf"failed to rollback {_NAME} .*"), Outcome.ROLLBACK_FAILED),
    (re.compile(rf"Failed to update {_NAME} to .*"), Outcome.FAILED),
    (re.compile(r"(?:.* )?update skipped"), Outcome.SKIPPED),
)


def read_audit(day: str, text: str, place: str) -> tuple[UpdateTry | None, tuple[str, ...]]:
    """Return the last try of a day's audit file, and the lines that are not understood."""
    last: UpdateTry | None = None
    strange: list[str] = []
    for line in text.splitlines():
        if not line.startswith(_AUDIT_START):
            continue
        match = _AUDIT.fullmatch(" ".join(line.split()))
        if match is None:
            strange.append(f"{place}: not understood: {redact(line)}")
            continue
        code = match["code"] or ""
        outcome = _audit_outcome(match["word"], code)
        at, target = f"{day} {match['time']}", match["target"] or ""
        last = UpdateTry(at, match["source"], target, outcome, place, code)
    return last, tuple(strange)


def _audit_outcome(word: str, code: str) -> Outcome:
    if word == "Succeeded":  # with a code: an inactive version, so that nothing was done
        return Outcome.SKIPPED if code else Outcome.SUCCEEDED
    if code.endswith("ErrorAttempToDowngrade"):  # sic; the Region offers an older version
        return Outcome.SKIPPED
    if code.endswith("ErrorUpdateFailRollbackSuccess"):
        return Outcome.ROLLED_BACK
    if code.startswith(("InstallRollback_", "VerificationRollback_")):
        return Outcome.ROLLBACK_FAILED
    return Outcome.FAILED


def read_log(text: str, place: str, changed_ns: int) -> UpdateTry | None:
    """Return the last try in the end of an updater's log, None where there is none."""
    lines = text.splitlines()
    starts = [at for at, line in enumerate(lines) if _BEGIN in line]
    ends = [*starts[1:], len(lines)]
    sections = [lines[start:end] for start, end in zip(starts, ends, strict=False)]
    if not starts or starts[0] > 0:
        sections.insert(0, lines[: starts[0]] if starts else lines)
    for section in reversed(sections):
        found = _read_section(section, place, changed_ns)
        if found is not None:
            return found
    return None


def _read_section(lines: list[str], place: str, changed_ns: int) -> UpdateTry | None:
    at = source = target = text = ""
    outcome: Outcome | None = None
    before = ""
    for line in lines:
        stamp = _STAMPED.match(line)
        at = stamp["at"] if stamp else at
        said = line[stamp.end() :] if stamp else line
        if begun := _FROM_TO.fullmatch(said):
            source, target = begun["source"], begun["target"]
        elif begun := _TO.fullmatch(said):
            target = begun["target"]
        if end := _end_of(said):
            outcome = _graver(outcome, end)
            text = text or (before if end is Outcome.FAILED else "")
        if said.startswith("failed to ") and not text:
            text = said
        before = said
    if outcome is None and not target:
        return None
    if outcome in {Outcome.SUCCEEDED, Outcome.SKIPPED}:
        text = ""
    outcome = outcome or Outcome.UNFINISHED
    since_ns = changed_ns if outcome is Outcome.UNFINISHED else None
    return UpdateTry(at, source, target, outcome, place, "", redact(text), since_ns)


def _end_of(said: str) -> Outcome | None:
    return next((outcome for form, outcome in _ENDS if form.fullmatch(said)), None)


def _graver(known: Outcome | None, new: Outcome) -> Outcome:
    """Return what both sentences together mean: a rollback is followed by that it failed."""
    return known if known and new is Outcome.FAILED and known is not Outcome.SUCCEEDED else new


def latest(audit: UpdateTry | None, log: UpdateTry | None) -> UpdateTry | None:
    """Return the later of two records, as one where both are of the same try.

    The audit file knows the outcome and the code, the log has the sentence.
    """
    if audit is None or log is None or not log.at:
        return audit or log
    apart = _moment(log.at) - _moment(audit.at)
    if abs(apart) <= SAME_TRY and log.outcome is not Outcome.UNFINISHED:
        return replace(audit, text=log.text, target=audit.target or log.target)
    return log if apart > timedelta() else audit


def _moment(stamp: str) -> datetime:
    """Return local time as recorded; both records are of the same zone."""
    try:
        return datetime.fromisoformat(stamp)
    except ValueError:  # digits that are no date
        return datetime.min  # noqa: DTZ901 - compared with local times without a zone
