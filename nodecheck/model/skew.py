"""Read from AWS's own error texts how far a clock may be off, and what time the server had.

The text of a refused signature carries the limit it was judged by and the server's own UTC
(aws/amazon-ssm-agent#616, aws/aws-sdk-js#1652); S3 says its limit in XML (aws/aws-sdk-js-v3#2208):

    Signature expired: 20250205T072745Z is now earlier than 20250205T075620Z
        (20250205T080120Z - 5 min.)
    Signature not yet current: 20170731T092200Z is still later than 20170731T092115Z
        (20170731T091615Z + 5 min.)
    <Code>RequestTimeTooSkewed</Code> ... <MaxAllowedSkewMilliseconds>900000<

Logs are hostile input. A text whose stamps do not add up, or that grants more than AWS is known to
grant, is not believed: it could turn a refused clock into an accepted one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from nodecheck.records import dataclass

MOST_S = 900.0
"""The widest tolerance on record: S3, and older services (aws/aws-sdk-js#254)."""

_STAMP = r"([0-9]{8}T[0-9]{6}Z)"
_SIGNATURE = re.compile(
    rf"Signature (?:expired: {_STAMP} is now earlier|not yet current: {_STAMP} is still later)"
    rf" than {_STAMP} \({_STAMP} ([-+]) ([0-9]{{1,2}}) min\.\)"
)
_STORAGE = re.compile(r"RequestTimeTooSkewed.{0,1000}?<MaxAllowedSkewMilliseconds>([0-9]{1,7})<")


@dataclass(frozen=True, slots=True)
class SkewRefusal:
    """One signature that AWS refused, by the server's own time; ``is_slow``: the node's clock."""

    tolerance_s: float
    server_at: datetime
    is_slow: bool


@dataclass(frozen=True, slots=True)
class SkewFacts:
    """What the agent's logs say about the clock; the newest of each, None where there is none.

    ``newest_line`` is the stamp of the newest line, in local time by the clock under test.
    """

    refusal: SkewRefusal | None = None
    storage_tolerance_s: float | None = None
    newest_line: str = ""
    source: str = ""


def read_refusals(text: str) -> tuple[SkewRefusal, ...]:
    """Return every refusal in a text that is consistent in itself.

    >>> text = "Signature expired: 20250205T072745Z is now earlier than 20250205T075620Z "
    >>> [item.tolerance_s for item in read_refusals(text + "(20250205T080120Z - 5 min.)")]
    [300.0]
    """
    found = (_refusal(*match.groups()) for match in _SIGNATURE.finditer(text))
    return tuple(item for item in found if item is not None)


def _refusal(  # noqa: PLR0913, PLR0917 - one argument for each group of the pattern
    expired: str | None, early: str | None, limit: str, server: str, sign: str, minutes: str
) -> SkewRefusal | None:
    is_slow = expired is not None
    try:
        requested_at, limit_at, server_at = (
            _moment(item) for item in (expired or early, limit, server)
        )
        tolerance = timedelta(minutes=int(minutes))
        edge_at = server_at - tolerance if is_slow else server_at + tolerance
    except (ValueError, OverflowError):
        return None
    is_refused = requested_at < limit_at if is_slow else requested_at > limit_at
    adds_up = edge_at == limit_at and (sign == "-") is is_slow and is_refused
    if not adds_up or not 0 < tolerance.total_seconds() <= MOST_S:
        return None
    return SkewRefusal(tolerance.total_seconds(), server_at, is_slow)


def _moment(stamp: str | None) -> datetime:
    return datetime.strptime(stamp or "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def read_storage_tolerances(text: str) -> tuple[float, ...]:
    """Return every tolerance of S3 in a text, in seconds.

    >>> xml = "<Code>RequestTimeTooSkewed</Code><MaxAllowedSkewMilliseconds>900000</MaxAll"
    >>> read_storage_tolerances(xml)
    (900.0,)
    """
    found = (int(match[1]) / 1000 for match in _STORAGE.finditer(text))
    return tuple(item for item in found if 0 < item <= MOST_S)
