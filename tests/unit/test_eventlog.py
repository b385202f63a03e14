"""The verdict for the event log of Windows: one bounded text, a number for each verdict."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings

from nodecheck.model.errors import SinkError
from nodecheck.model.verdict import Status
from nodecheck.records import replace
from nodecheck.sinks import eventlog
from tests.hostile_reports import hostile_reports
from tests.reports import bad, ok, report


@pytest.mark.parametrize(
    ("status", "number", "kind"),
    [
        (Status.OK, 100, "information"),
        (Status.WARN, 101, "warning"),
        (Status.CRIT, 102, "error"),
        (Status.UNKNOWN, 103, "error"),
    ],
)
def test_each_verdict_has_a_number(status: Status, number: int, kind: str) -> None:
    check = ok("clock.offset") if status is Status.OK else bad("clock.offset", status)
    said = eventlog.preview(report(check))
    assert said.startswith(f"to the Application log, source nodecheck, event {number}, {kind}:\n")
    assert set(eventlog.EVENTS) == {Status.OK, Status.WARN, Status.CRIT, Status.UNKNOWN}


def test_numbers_fit_the_borrowed_messages() -> None:
    assert all(1 <= number <= 1000 for number, _ in eventlog.EVENTS.values())


@settings(max_examples=50)
@given(hostile_reports())
def test_a_text_is_bounded_and_refers_to_nothing(found: object) -> None:
    text = eventlog.message(found)  # type: ignore[arg-type]
    assert 0 < len(text) <= eventlog.TEXT_LIMIT
    assert "%%" not in text
    assert "\0" not in text


def test_a_text_refers_to_no_other_message() -> None:
    found = report(bad("clock.offset", Status.CRIT, "x"))
    text = eventlog.message(replace(found, run=replace(found.run, run_id="%%1234 \0")))
    assert "% %1234" in text
    assert "\0" not in text


def test_who_and_which_run_is_told() -> None:
    found = report(bad("clock.offset", Status.CRIT))
    text = eventlog.message(found)
    assert f"run {found.run.run_id}" in text
    assert "not registered" in eventlog.message(
        replace(found, node=replace(found.node, node_id=""))
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there it is written")
def test_elsewhere_it_fails_and_says_so() -> None:
    with pytest.raises(SinkError, match="this platform has none"):
        eventlog.deliver(report(ok("clock.offset")))
