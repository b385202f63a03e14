"""One check's answer: status, findings, evidence, the limit it was judged against, and the fix."""

from __future__ import annotations

from enum import Enum

from nodecheck.records import dataclass, replace

BEYOND_RECORDS = "beyond-retention"
"""The reason of a question about weeks of which the node keeps no record."""

Value = str | int | float | bool | tuple[str, ...] | None


class Status(Enum):
    """What one check concluded. The order of severity is ``ok < warn < unknown < crit``."""

    OK = "ok"
    WARN = "warn"
    UNKNOWN = "unknown"
    CRIT = "crit"
    SKIP = "skip"

    @property
    def severity(self) -> int:
        """Return the rank of this status; ``skip`` ranks below ``ok`` and never counts."""
        return {"skip": -1, "ok": 0, "warn": 1, "unknown": 2, "crit": 3}[self.value]


class SkipReason(Enum):
    """Why a check was not judged."""

    NOT_APPLICABLE = "not-applicable"
    BY_REQUEST = "by-request"
    NO_PERMISSION = "no-permission"
    OFFLINE = "offline"
    WAIVED = "waived"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why a check is not ok: a stable code and a sentence with value and limit."""

    reason: str
    message: str
    path: str | None = None

    def __post_init__(self) -> None:
        """Refuse a finding that says nothing."""
        if not self.reason or not self.message:
            msg = "a finding needs a reason code and a sentence"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observed value. Its unit is in its name (``offset_s``), its source beside it."""

    name: str
    value: Value
    source: str = ""


@dataclass(frozen=True, slots=True)
class Fix:
    """A command that mends a finding. nodecheck prints it and never runs it."""

    command: str
    shell: str = "sh"
    disruptive: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The status of one check, with everything that supports it.

    ``message`` is the line that a person reads, ``limit`` names what the value was judged against,
    ``why`` says what a problem leads to.
    """

    check_id: str
    status: Status
    message: str
    findings: tuple[Finding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    limit: str = ""
    fixes: tuple[Fix, ...] = ()
    skip_reason: SkipReason | None = None
    caused_by: str | None = None
    why: str = ""
    duration_ms: int = 0

    def __post_init__(self) -> None:
        """Refuse nonsense: an ok with findings, a problem without one, a skip without a reason."""
        judged_bad = self.status in {Status.WARN, Status.UNKNOWN, Status.CRIT}
        if judged_bad != bool(self.findings):
            msg = f"{self.check_id}: {self.status.value} with {len(self.findings)} findings"
            raise ValueError(msg)
        if (self.status is Status.SKIP) != (self.skip_reason is not None):
            msg = f"{self.check_id}: a skip, and nothing but a skip, has a skip reason"
            raise ValueError(msg)

    @classmethod
    def ok(
        cls, check_id: str, message: str, evidence: tuple[Evidence, ...], limit: str = ""
    ) -> Verdict:
        """Return an ``ok``; it needs evidence, because an ok without proof is the worst bug."""
        if not evidence:
            msg = f"{check_id}: ok without evidence"
            raise ValueError(msg)
        return cls(check_id, Status.OK, message, evidence=evidence, limit=limit)

    @classmethod
    def of(  # noqa: PLR0913 - one keyword for each part of a verdict
        cls,
        check_id: str,
        status: Status,
        findings: tuple[Finding, ...],
        *,
        evidence: tuple[Evidence, ...] = (),
        limit: str = "",
        fixes: tuple[Fix, ...] = (),
    ) -> Verdict:
        """Return a verdict that is not ok; its line is that of the first finding."""
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        message = findings[0].message + more if findings else ""
        return cls(check_id, status, message, findings, evidence, limit, fixes)

    @classmethod
    def skip(cls, check_id: str, reason: SkipReason, message: str) -> Verdict:
        """Return a verdict on a check that was not judged."""
        return cls(check_id, Status.SKIP, message, skip_reason=reason)

    @property
    def reason(self) -> str:
        """Return the stable reason code of this outcome."""
        if self.skip_reason is not None:
            return self.skip_reason.value
        return self.findings[0].reason if self.findings else "ok"

    @property
    def weight(self) -> Status:
        """Return what this check adds to the verdict of the run.

        What no record on the node reaches back to says nothing about the node today: it stays
        ``unknown`` and makes neither a healthy node unknown nor a run that judged nothing ok.
        """
        is_beyond = self.status is Status.UNKNOWN and self.reason == BEYOND_RECORDS
        return Status.SKIP if is_beyond else self.status

    def completed(self, why: str, duration_ms: int) -> Verdict:
        """Return this verdict with what a problem leads to, and the time it took."""
        return replace(self, why=why if self.findings else "", duration_ms=duration_ms)

    def explained_by(self, cause: str) -> Verdict:
        """Return this verdict linked to the check that explains it."""
        return replace(self, caused_by=cause)


def worst(statuses: tuple[Status, ...]) -> Status:
    """Return the verdict of a run: the worst status, and ``unknown`` where nothing was judged.

    >>> worst((Status.OK, Status.SKIP)).value
    'ok'
    >>> worst((Status.SKIP,)).value
    'unknown'
    """
    judged = [status for status in statuses if status is not Status.SKIP]
    return max(judged, key=lambda status: status.severity, default=Status.UNKNOWN)
