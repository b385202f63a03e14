"""The Date of the endpoint: its parser, and what one reply proves."""

from __future__ import annotations

import locale
import sys
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.host.door import HttpsReply
from nodecheck.model.errors import ProbeError
from nodecheck.probes.clock_date import parse, read

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
DATE_S = 784_111_777
SECOND = 1_000_000_000
CHAIN = ((DATE_S - 100, DATE_S + 100, "leaf"), (DATE_S - 900, DATE_S + 900, "root"))


def reply(
    headers: dict[str, str] | None = None, chain: tuple[tuple[int, int, str], ...] = CHAIN
) -> HttpsReply:
    found = {"date": DATE} if headers is None else headers
    return HttpsReply(404, found, 0, 5 * SECOND, 0, 6 * SECOND, chain)


def test_one_reply_bounds_the_time_to_a_second_and_the_round_trip() -> None:
    found = read(reply(), "ssm")
    assert found.interval.low_ns == DATE_S * SECOND - 6 * SECOND
    assert found.interval.high_ns == (DATE_S + 1) * SECOND - 5 * SECOND
    assert found.authenticated
    assert (found.valid_from_s, found.valid_until_s) == (DATE_S - 100, DATE_S + 100)


def test_plain_http_is_not_authenticated() -> None:
    assert not read(reply(chain=()), "ssm").authenticated


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no-date"),
        ({"date": DATE, "age": "0"}, "cached-reply"),
        ({"date": "yesterday"}, "bad-date"),
        ({"date": f"{DATE}, {DATE}"}, "bad-date"),
    ],
)
def test_replies_without_a_usable_date(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(ProbeError) as caught:
        read(reply(headers), "ssm")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("begin_s", "end_s", "reason"),
    [
        (DATE_S + 1, DATE_S + 100, "certificate-not-yet-valid"),
        (DATE_S - 100, DATE_S - 1, "certificate-expired"),
    ],
)
def test_certificates_must_be_valid_at_the_time_the_reply_claims(
    begin_s: int, end_s: int, reason: str
) -> None:
    with pytest.raises(ProbeError, match="certificate of root") as caught:
        read(reply(chain=(CHAIN[0], (begin_s, end_s, "root"))), "ssm")
    assert caught.value.reason == reason


def test_the_edges_of_validity_are_valid() -> None:
    assert read(reply(chain=((DATE_S, DATE_S, "leaf"),)), "ssm").authenticated


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        DATE + " ",
        DATE.lower(),
        DATE.replace("GMT", "UTC"),
        DATE.replace("GMT", "+0000"),
        DATE.replace("Sun", "Mon"),
        DATE.replace("Nov", "nov"),
        DATE.replace("Nov", "Nav"),
        DATE.replace("06", "6"),
        DATE.replace("06", "31"),
        DATE.replace("08", "24"),
        DATE.replace(":37", ":60"),
        DATE.replace("1994", "94"),
        DATE.replace("1994", "0000"),
        DATE.replace("1994", "\N{ARABIC-INDIC DIGIT ONE}994"),
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "dim., 06 nov. 1994 08:49:37 GMT",
        DATE * 10_000,
    ],
)
def test_anything_but_an_imf_fixdate_is_refused(text: str) -> None:
    with pytest.raises(ProbeError) as caught:
        parse(text)
    assert caught.value.reason == "bad-date"
    assert len(str(caught.value)) < 100


# The C library of Windows ends with the year 3000.
@given(st.integers(0, 32_535_215_999 if sys.platform == "win32" else 253_402_300_799))
def test_every_date_of_the_standard_library_is_read(seconds: int) -> None:
    assert parse(formatdate(seconds, usegmt=True)) == seconds


@given(st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} .{0,12}"))
def test_the_parser_never_crashes(text: str) -> None:
    try:
        seconds = parse(text)
    except ProbeError:
        return
    assert datetime.fromtimestamp(seconds, UTC).year >= 1


def test_no_locale_is_asked() -> None:
    before = locale.setlocale(locale.LC_TIME)
    try:
        locale.setlocale(locale.LC_TIME, "de-DE" if sys.platform == "win32" else "C.UTF-8")
        assert parse(DATE) == DATE_S
    finally:
        locale.setlocale(locale.LC_TIME, before)
