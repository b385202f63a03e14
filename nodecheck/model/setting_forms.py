"""The forms that texts in the settings must have, each with its words for whoever errs."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Final

from nodecheck.model.version import AgentVersion


def parse_distrust(text: str) -> tuple[str, datetime | None]:
    """Return a fingerprint, and the first day (UTC) on which it is no longer believed.

    >>> parse_distrust("A" * 40 + "@2026-01-02")[1].isoformat()
    '2026-01-02T00:00:00+00:00'

    Raises:
        ValueError: says what was expected.
    """
    match = re.fullmatch(r"([0-9A-Fa-f]{40})(?:@(.*))?", text)
    if match is None:
        msg = f"expected 40 hex digits, or 40 hex digits@YYYY-MM-DD, not {text!r}"
        raise ValueError(msg)
    if match[2] is None:
        return match[1].upper(), None
    day = parse_day(match[2])
    return match[1].upper(), datetime(day.year, day.month, day.day, tzinfo=UTC)


def parse_version(text: str) -> AgentVersion:
    """Return a version.

    Raises:
        ValueError: says what was expected.
    """
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9}){3}", text) is None:
        msg = f"expected four numbers such as 3.3.1345.0, not {text!r}"
        raise ValueError(msg)
    return AgentVersion.parse(text)


REGION: Final = (r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}", "the name of a Region such as eu-west-1")
HTTP: Final = (r"https?://[!-~]+", "a URL such as https://host/path")
FILE: Final = (r"(/|[A-Za-z]:[/\\]).+", "an absolute path")
PLACE: Final = (rf"{FILE[0]}|{HTTP[0]}", "an absolute path or a URL")
ACCOUNT: Final = (r"[0-9]{12}", "an account of 12 digits")
SNAP_ID: Final = (r"[A-Za-z0-9]{1,64}@[A-Za-z0-9-]{1,64}", "SNAP-ID@PUBLISHER-ID")
GROUP: Final = (r"[A-Za-z0-9_/.#-]{1,512}", "letters, digits and _ / . # -")
NAMESPACE: Final = (
    r"(?!AWS/)[A-Za-z0-9._#:/-]{1,256}",
    "letters, digits and . _ # : / -, not beginning with AWS/",
)


def parse_day(text: str) -> date:
    """Return a day.

    Raises:
        ValueError: says what was expected.
    """
    is_formed = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text)
    try:
        day = date.fromisoformat(text) if is_formed else None
    except ValueError:
        day = None
    if day is None:
        msg = f"expected a day as YYYY-MM-DD, not {text!r}"
        raise ValueError(msg)
    return day
