"""The verdict on an offset and its bound: a table with both signs, both edges, and NaN."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from nodecheck.checks.clock_offset import EXPLANATION, QUESTION, judge
from nodecheck.checks.clock_words import human
from nodecheck.model.clock import (
    ClockFacts,
    ClockPair,
    ClockPolicy,
    DateReading,
    Discipline,
    Estimate,
    Interval,
    SourceFailure,
    SourceReading,
)
from nodecheck.model.known_past import KnownPast, built, newest
from nodecheck.model.moment import CorrectedTime, instant
from nodecheck.model.skew import SkewFacts, SkewRefusal
from nodecheck.model.verdict import Status, Verdict
from nodecheck.records import replace

POLICY = ClockPolicy(tolerance_s=300, warn_s=60)
INTERVAL = Interval(0, 5, 10)
NOW = ClockPair(0, 0)
READING = SourceReading("ntp1", "10.0.0.1", "ntp1", INTERVAL, 0, 2, "GPS", 4, (("bad-origin", 2),))
DATE = DateReading("ssm", INTERVAL, 0, authenticated=True)
NOTHING = ClockFacts(None, (), None, (), (), NOW)


def facts(offset_s: float, bound_s: float, *sources: str) -> ClockFacts:
    corrected = CorrectedTime(0, 0, 0, "")
    estimate = Estimate(offset_s, bound_s, sources or ("ntp1",), corrected)
    return replace(NOTHING, estimate=estimate, readings=(READING,))


def value(verdict: Verdict, name: str) -> object:
    return next(item.value for item in verdict.evidence if item.name == name)


@pytest.mark.parametrize(
    ("offset_s", "bound_s", "status", "reason"),
    [
        (0, 0, Status.OK, "ok"),
        (59, 1, Status.OK, "ok"),
        (-59, 1, Status.OK, "ok"),
        (59, 1.001, Status.WARN, "drifting"),
        (-59, 1.001, Status.WARN, "drifting"),
        (299, 1, Status.WARN, "drifting"),
        (-299, 1, Status.WARN, "drifting"),
        (299, 1.001, Status.UNKNOWN, "bound-too-wide"),
        (-299, 1.001, Status.UNKNOWN, "bound-too-wide"),
        (301, 1, Status.UNKNOWN, "bound-too-wide"),
        (-301, 1, Status.UNKNOWN, "bound-too-wide"),
        (301.001, 1, Status.CRIT, "beyond-tolerance"),
        (-301.001, 1, Status.CRIT, "beyond-tolerance"),
        (0, 301, Status.UNKNOWN, "bound-too-wide"),
        (1e18, 1, Status.CRIT, "beyond-tolerance"),
        (math.nan, 1, Status.UNKNOWN, "bound-too-wide"),
        (1, math.nan, Status.UNKNOWN, "bound-too-wide"),
        (math.inf, math.inf, Status.UNKNOWN, "bound-too-wide"),
        (1, math.inf, Status.UNKNOWN, "bound-too-wide"),
    ],
)
def test_offset_and_bound(offset_s: float, bound_s: float, status: Status, reason: str) -> None:
    verdict = judge(facts(offset_s, bound_s), POLICY)
    assert (verdict.status, verdict.reason) == (status, reason)
    assert bool(verdict.fixes) == (status is not Status.OK)


@pytest.mark.parametrize(("offset_s", "word"), [(432, "slow"), (-432, "fast")])
def test_the_direction_is_in_words(offset_s: float, word: str) -> None:
    verdict = judge(facts(offset_s, 0.0003), POLICY)
    assert verdict.message == (
        f"clock is 7 min 12 s {word} ± 0.3 ms (ntp1), AWS refuses beyond 300 s"
    )


def test_the_line_names_who_agrees_and_who_is_not_believed() -> None:
    seen = replace(
        facts(0.0004, 0.0003, "ntp1", "ntp2", "ntp3", "ssm"), date=DATE, falsetickers=("liar",)
    )
    assert judge(seen, POLICY).message == (
        "0.4 ms slow ± 0.3 ms (ntp1, ntp2 and 1 more; ssm agrees; not believed: liar),"
        " AWS refuses beyond 300 s, headroom 299 s"
    )


def test_the_endpoint_alone() -> None:
    seen = replace(facts(0.1, 0.5, "ssm"), date=DATE, readings=())
    assert "(Date of ssm)" in judge(seen, POLICY).message


def test_evidence_has_numbers_sources_and_ignored_replies() -> None:
    failure = SourceFailure("b", "10.0.0.2", "no-answer", "no answer", (("bad-origin", 3),))
    seen = replace(facts(1, 0.5), failures=(failure,), date=DATE)
    verdict = judge(seen, POLICY)
    assert value(verdict, "offset_s") == 1
    assert value(verdict, "bound_s") == 0.5
    assert value(verdict, "headroom_s") == 298.5
    assert value(verdict, "failed_sources") == ("b (10.0.0.2): no answer",)
    assert value(verdict, "ignored_replies") == ("bad-origin 5",)
    names = [item.name for item in verdict.evidence]
    assert len(names) == len(set(names))


def test_no_source_is_one_sentence_and_a_finding_for_each() -> None:
    failures = (
        SourceFailure("a", "", "name-not-found", "Name or service not known"),
        SourceFailure("b", "10.0.0.1", "no-answer", "no answer"),
        SourceFailure("b", "10.0.0.2", "no-answer", "no answer"),
        SourceFailure("10.0.0.3", "10.0.0.3", "kiss-deny", "kiss-o'-death DENY"),
    )
    verdict = judge(replace(NOTHING, failures=failures), POLICY)
    assert verdict.status is Status.UNKNOWN
    assert [(item.reason, item.message) for item in verdict.findings] == [
        ("no-source", "clock not measured: none of 3 time sources answered"),
        ("name-not-found", "a: Name or service not known"),
        ("no-answer", "b (10.0.0.1, 10.0.0.2): no answer"),
        ("kiss-deny", "10.0.0.3: kiss-o'-death DENY"),
    ]
    assert len(value(verdict, "failed_sources")) == 3  # type: ignore[arg-type]
    one = judge(replace(NOTHING, failures=failures[:1]), POLICY)
    assert one.findings[0].message == "clock not measured: none of 1 time source answered"


def test_many_silent_sources_are_counted() -> None:
    failures = tuple(SourceFailure(str(n), "", "no-answer", "no answer") for n in range(20))
    verdict = judge(replace(NOTHING, failures=failures), POLICY)
    assert len(verdict.findings) == 10
    assert verdict.findings[-1].message == "and 12 more"


def test_ntp_sources_that_disagree_without_an_endpoint() -> None:
    verdict = judge(replace(NOTHING, readings=(READING,)), POLICY)
    assert verdict.message == "clock not measured: sources disagree: ntp1 0 µs slow ± 0 µs"


def test_nothing_asked_is_unknown() -> None:
    assert judge(NOTHING, POLICY).reason == "no-source"


def test_sources_that_disagree_are_told_with_their_claims() -> None:
    other = replace(READING, name="ntp2", interval=Interval(-(10**12), -(10**12), -(10**12)))
    verdict = judge(replace(NOTHING, readings=(READING, other), date=DATE), POLICY)
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "sources-disagree")
    assert "ntp2 16 min 40 s fast" in verdict.message
    assert "ssm" in verdict.message


PAST = KnownPast(instant(0) + timedelta(seconds=1_000_000), "nodecheck was built")


@pytest.mark.parametrize(
    ("behind_s", "status"),
    [
        (1_000_000, Status.CRIT),
        (300.001, Status.CRIT),
        (300, Status.UNKNOWN),
        (1, Status.UNKNOWN),
        (-1_000_000_000, Status.UNKNOWN),
    ],
)
@pytest.mark.parametrize("readings", [(), (READING,)])
def test_a_clock_before_the_known_past(
    behind_s: float, status: Status, readings: tuple[SourceReading, ...]
) -> None:
    now = ClockPair(int((1_000_000 - behind_s) * 1e9), 0)
    verdict = judge(replace(NOTHING, now=now, readings=readings), POLICY, PAST)
    assert verdict.status is status
    assert (verdict.reason == "before-known-past") is (status is Status.CRIT)
    assert bool(verdict.fixes) is (status is Status.CRIT)
    assert value(verdict, "known_past") == PAST.at.isoformat()


def test_the_known_past_in_words() -> None:
    verdict = judge(NOTHING, POLICY, PAST)
    assert verdict.findings[0].message == (
        "clock says 1970-01-01 00:00 UTC, but nodecheck was built on 1970-01-12 13:46:"
        " at least 11 d 13 h slow, AWS refuses beyond 300 s"
    )
    assert [item.reason for item in verdict.findings] == ["before-known-past", "no-source"]


def test_a_measured_clock_is_not_judged_by_the_past() -> None:
    assert judge(facts(1, 0.5), POLICY, PAST).status is Status.OK


def test_the_newest_of_what_is_known() -> None:
    older = KnownPast(PAST.at - timedelta(1), "older")
    assert newest((older, PAST, older)) == PAST
    assert newest(()) is None
    assert built(0).at.year == 2026
    assert built(1_800_000_000).at == instant(1_800_000_000 * 10**9)
    with pytest.raises(ValueError, match="not an instant"):
        KnownPast(PAST.at.replace(tzinfo=None), "naive")


def test_limits_and_what_the_logs_say_are_evidence() -> None:
    refused = SkewRefusal(300, PAST.at, is_slow=True)
    seen = SkewFacts(refused, 900, "2026-11-23 12:48:55", "errors.log")
    verdict = judge(facts(1, 0.5), POLICY, None, seen)
    assert value(verdict, "tolerance_s") == 300
    assert value(verdict, "s3_headroom_s") == 898.5
    assert value(verdict, "refused_at") == PAST.at.isoformat()
    assert value(verdict, "newest_agent_log_line") == "2026-11-23 12:48:55"


def test_how_the_date_was_read_is_evidence() -> None:
    date = replace(DATE, requests=9, via="squid:3128")
    verdict = judge(replace(facts(1, 0.5), date=date), POLICY)
    sources = value(verdict, "sources")
    assert isinstance(sources, tuple)
    assert "Date, TLS verified, 9 requests, through the proxy squid:3128" in sources[-1]


@pytest.mark.parametrize(("offset_s", "left"), [(0.001, 298), (-61, 238), (298.4, 0)])
def test_the_headroom_is_printed_rounded_down(offset_s: float, left: int) -> None:
    assert judge(facts(offset_s, 1), POLICY).message.endswith(f"headroom {left} s")


@pytest.mark.parametrize("discipline", list(Discipline))
def test_every_discipline_has_a_fix_that_ends_with_the_agent(discipline: Discipline) -> None:
    fixes = judge(replace(facts(400, 1), discipline=discipline), POLICY).fixes
    assert [fix.disruptive for fix in fixes] == [False, True]
    assert "agent" in fixes[-1].command.lower()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 µs"),
        (0.0004, "0.4 ms"),
        (0.9999, "999.9 ms"),
        (1, "1.0 s"),
        (119.9, "119.9 s"),
        (120, "2 min 0 s"),
        (399.99998, "6 min 40 s"),
        (25_200, "7 h 0 min"),
        (-0.0, "-0 µs"),
        (math.nan, "nan s"),
        (math.inf, "inf s"),
    ],
)
def test_durations_as_people_say_them(seconds: float, text: str) -> None:
    assert human(seconds) == text


@pytest.mark.parametrize(("tolerance_s", "warn_s"), [(300, 301), (300, -1), (math.nan, 1)])
def test_limits_out_of_order_are_refused(tolerance_s: float, warn_s: float) -> None:
    with pytest.raises(ValueError, match="clock limits"):
        ClockPolicy(tolerance_s, warn_s)


def test_the_manual_page_fits_a_terminal_and_names_its_sources() -> None:
    assert max(map(len, EXPLANATION.splitlines())) <= 100
    assert "RFC 5905" in EXPLANATION
    assert QUESTION.endswith("?")
