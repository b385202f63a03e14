"""How seldom a schedule of State Manager may run: the longest time between two of its runs.

Expressions are ``rate(14 days)`` and ``cron(...)`` (Systems Manager User Guide, "Reference: Cron
and rate expressions for Systems Manager"); the agent itself takes them apart, cron by the fields of
gorhill/cronexpr (agent/association/scheduleexpression of aws/amazon-ssm-agent):

    minutes hours day-of-month month day-of-week [year]        seconds before them where there are 7

The guide also says that associations have five fields without a month, the last one the year. Five
fields are therefore read in both ways, and the longer gap counts.

The days on which a cron expression runs are counted over four years from a leap year on. Which day
of the week has which number makes no difference to the gap.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

MONTHLY_DAYS: Final = 35.0
"""From one second Thursday of a month to the next; every run of each month is as close."""

NEVER_AGAIN: Final = float("inf")
"""The gap of a schedule that ends: ``at(...)``, or a cron expression of certain years."""

TEXT_CHARS: Final = 256

_START: Final = date(2024, 1, 1)
_DAYS: Final = 4 * 366
_UNIT_DAYS: Final = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1.0}
_RATE: Final = re.compile(
    r"rate\(\s*([0-9]{1,6})\s+(minute|hour|day)s?\s*\)", re.ASCII | re.IGNORECASE
)
_CRON: Final = re.compile(r"cron\(([0-9A-Za-z*?,/#\s-]{1,200})\)", re.ASCII | re.IGNORECASE)
_AT: Final = re.compile(r"at\([0-9T:.+Z-]{1,40}\)", re.ASCII | re.IGNORECASE)
_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS: Final = {name: number for number, name in enumerate(_NAMES, 1)}
_WEEKDAYS: Final = {"SUN": 0, "MON": 1, "TUE": 2, "WED": 3, "THU": 4, "FRI": 5, "SAT": 6}
_WEEK: Final = 7
_FIVE, _SIX, _SEVEN = 5, 6, 7


def longest_gap_days(expression: str) -> float | None:
    """Return the longest time between two runs in days, None where it is not understood.

    >>> longest_gap_days("rate(14 days)"), longest_gap_days("cron(0 2 ? * SUN *)")
    (14.0, 7.0)
    >>> longest_gap_days("cron(0 0 31 * ? *)"), longest_gap_days("every other day")
    (61.0, None)
    """
    text = expression.strip()[:TEXT_CHARS]
    rate = _RATE.fullmatch(text)
    if rate:
        days = int(rate[1]) * _UNIT_DAYS[rate[2].lower()]
        return days or None
    if _AT.fullmatch(text):
        return NEVER_AGAIN
    cron = _CRON.fullmatch(text)
    return _cron_gap(tuple(cron[1].upper().split())) if cron else None


@lru_cache(maxsize=64)
def _cron_gap(fields: tuple[str, ...]) -> float | None:
    if len(fields) == _SEVEN:
        seconds, *rest = fields
        return _gap(*rest) if _numbers(seconds, 0, 59) else None
    if len(fields) == _SIX:
        return _gap(*fields)
    if len(fields) != _FIVE:
        return None
    minutes, hours, day, fourth, fifth = fields
    both = (_gap(minutes, hours, day, fourth, fifth), _gap(minutes, hours, day, "*", fourth, fifth))
    return max((gap for gap in both if gap is not None), default=None)


def _gap(  # noqa: PLR0913, PLR0917 - the fields of a cron expression
    minutes: str, hours: str, day: str, month: str, weekday: str, year: str = "*"
) -> float | None:
    """Return the longest gap in days of one expression; within a day each of its days has a run."""
    months = _numbers(month, 1, 12, _MONTHS)
    if not _numbers(minutes, 0, 59) or not _numbers(hours, 0, 23) or not months:
        return None
    if year != "*":
        return NEVER_AGAIN if _numbers(year, 1970, 2199) else None
    try:
        days = [
            number
            for number in range(_DAYS)
            if (at := _START + timedelta(number)).month in months and _is_day(at, day, weekday)
        ]
    except ValueError:
        return None
    if not days:
        return NEVER_AGAIN
    ends = zip(days, [*days[1:], _DAYS], strict=True)
    return float(max(later - earlier for earlier, later in ends if later < _DAYS or len(days) == 1))


def _is_day(at: date, day: str, weekday: str) -> bool:
    """Tell whether a day is meant; where both fields name days, either is enough (cronexpr)."""
    by_day = any(_is_day_of_month(at, part) for part in day.split(","))
    by_weekday = any(_is_weekday(at, part) for part in weekday.split(","))
    if day in {"*", "?"}:
        return by_weekday
    return by_day if weekday in {"*", "?"} else by_day or by_weekday


def _is_day_of_month(at: date, part: str) -> bool:
    last = ((at.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1)).day
    if part in {"L", "LW"}:  # the last working day is at most two days before
        return at.day == last
    if part.endswith("W"):
        return at.day in _known(part[:-1], 1, 31)
    return at.day in _known(part, 1, 31)


def _is_weekday(at: date, part: str) -> bool:
    number = at.isoweekday() % _WEEK
    if part == "L":
        return number == _WEEK - 1
    if part.endswith("L"):
        last = (at + timedelta(_WEEK)).month != at.month
        return last and number in _weekdays(part[:-1])
    name, mark, count = part.partition("#")
    if mark:
        return number in _weekdays(name) and (at.day - 1) // _WEEK + 1 in _known(count, 1, 5)
    return number in _weekdays(part)


def _weekdays(part: str) -> frozenset[int]:
    return frozenset(number % _WEEK for number in _known(part, 0, _WEEK, _WEEKDAYS))


def _known(part: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    """Return the numbers that a part names.

    Raises:
        ValueError: it names none.
    """
    found = _numbers(part, low, high, names)
    if not found:
        raise ValueError(part)
    return found


def _numbers(
    field: str, low: int, high: int, names: dict[str, int] | None = None
) -> frozenset[int]:
    """Return the numbers that a field names, none where it is not understood.

    >>> sorted(_numbers("5/20,1-3", 0, 59))
    [1, 2, 3, 5, 25, 45]
    """
    found: set[int] = set()
    for part in field.split(","):
        span = _span(part, low, high, names or {})
        if not span:
            return frozenset()
        found.update(span)
    return frozenset(found)


def _span(part: str, low: int, high: int, names: dict[str, int]) -> range:
    bounds, slash, step = part.partition("/")
    first, dash, last = bounds.partition("-")
    ends = [low, high]
    if first not in {"*", "?"}:
        numbers = [_number(text, names) for text in ((first, last) if dash else (first,))]
        if None in numbers:
            return range(0)
        ends = [number for number in numbers if number is not None]
        ends = ends if dash else [ends[0], high if slash else ends[0]]
    pace = _number(step, {}) if slash else 1
    if not pace or ends[0] < low or ends[1] > high:
        return range(0)
    return range(ends[0], ends[1] + 1, pace)


def _number(text: str, names: dict[str, int]) -> int | None:
    if text in names:
        return names[text]
    return int(text) if re.fullmatch("[0-9]{1,4}", text, re.ASCII) else None
