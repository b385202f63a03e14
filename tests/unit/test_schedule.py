from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.model.schedule import MONTHLY_DAYS, NEVER_AGAIN, longest_gap_days


@pytest.mark.parametrize(
    ("expression", "gap"),
    [
        ("rate(30 minutes)", 30 / 1440),
        ("rate(1 hour)", 1 / 24),
        ("rate(14 days)", 14),
        ("Rate(1 Day)", 1),
        (" rate( 31  days ) ", 31),
        ("cron(0/30 * * * ? *)", 1),
        ("cron(15 13 ? * MON *)", 7),
        ("cron(15 13 ? * MON-FRI *)", 3),
        ("cron(15 13 ? * 2-6 *)", 3),
        ("CRON(0 2 ? * sun *)", 7),
        ("cron(0 0 2 ? * SUN *)", 7),  # with seconds
        ("cron(0 2 * * SUN)", 7),  # as cron itself reads five fields
        ("cron(0 2 ? SUN *)", 7),  # as the User Guide does, without a month
        ("cron(0 0 1 1 *)", 366),  # each 1st of January, or each 1st and each Sunday
        ("cron(0 2 ? * L *)", 7),  # the last day of each week
        ("cron(0 0 1 * ? *)", 31),
        ("cron(0 0 1,15 * ? *)", 17),
        ("cron(0 0 L * ? *)", 31),
        ("cron(0 0 15W * ? *)", 31),
        ("cron(0 0 ? * THU#2 *)", 35),
        ("cron(0 0 ? * 6L *)", 35),
        ("cron(0 0 31 * ? *)", 61),
        ("cron(0 0 1 1/2 ? *)", 62),
        ("cron(0 0 1 JAN,JUL ? *)", 184),
        ("cron(0 0 ? * THU#5 *)", 119),
        ("cron(0 0 1 1 ? *)", 366),
        ("cron(0 0 13 * FRI *)", 7),  # either is enough
        ("cron(0 0 30 2 ? *)", NEVER_AGAIN),
        ("cron(0 0 1 * ? 2027)", NEVER_AGAIN),
        ("at(2027-01-01T00:00:00)", NEVER_AGAIN),
    ],
)
def test_longest_gap(expression: str, gap: float) -> None:
    assert longest_gap_days(expression) == pytest.approx(gap)


def test_every_month_is_monthly() -> None:
    for day in range(1, 29):
        gap = longest_gap_days(f"cron(0 0 {day} * ? *)")
        assert gap is not None
        assert gap <= MONTHLY_DAYS
    for number in (1, 2, 3, 4):
        gap = longest_gap_days(f"cron(0 0 ? * MON#{number} *)")
        assert gap is not None
        assert gap <= MONTHLY_DAYS


@pytest.mark.parametrize(
    "expression",
    [
        "", "rate()", "rate(0 days)", "rate(5 weeks)", "rate(-1 days)", "rate(1.5 days)",
        "rate(14 days", "rate(9999999 days)", "cron()", "cron(* * *)", "cron(0 0 0 0 0 0 0 0)",
        "cron(0 0 99 * ? *)", "cron(60 0 1 * ? *)", "cron(0 24 1 * ? *)", "cron(0 0 1 13 ? *)",
        "cron(0 0 1 FOO ? *)", "cron(0 0 ? * MON#9 *)", "cron(0 0 ? * SAT-SUN *)",
        "cron(0 0 1/0 * ? *)", "cron(0 0 -3 * ? *)", "cron(0 0 1-- * ? *)", "cron(0 0 1 * ? 1900)",
        "cron(99 0 0 1 * ? *)", "cron(0 0 1 * ? *)x", "rate(\u0661\u0664 days)", "täglich",
        "x" * 9999,
    ],
)  # fmt: skip
def test_what_is_not_understood(expression: str) -> None:
    assert longest_gap_days(expression) is None


@given(st.text("cronate()0123456789 */?,-#LWSUNMO\n\0", max_size=80))
def test_any_text_ends_in_a_number_or_none(text: str) -> None:
    gap = longest_gap_days(text)
    assert gap is None or gap > 0
