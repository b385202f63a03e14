"""Which sources are believed, and what they prove together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.checks.discipline_causes import contradiction
from nodecheck.model.clock import (
    ClockFacts,
    ClockPair,
    DateReading,
    Interval,
    NtpFacts,
    SourceFailure,
    SourceReading,
)
from nodecheck.model.errors import ProbeError
from nodecheck.model.selection import agree, combine, is_narrow
from nodecheck.records import replace
from tests.discipline_builders import FOLLOWING

SECOND = 1_000_000_000
NOW = ClockPair(wall_ns=1_700_000_000 * SECOND, monotonic_ns=5 * SECOND)
TRUTH = NOW.wall_ns - NOW.monotonic_ns
"""The epoch of a node whose clock is right."""


def around(offset_s: float, error_s: float = 0.001) -> Interval:
    middle = TRUTH + int(offset_s * SECOND)
    return Interval(middle - int(error_s * SECOND), middle, middle + int(error_s * SECOND))


def says(name: str, offset_s: float, error_s: float = 0.001, operator: str = "") -> SourceReading:
    return SourceReading(
        name, name, operator or name, around(offset_s, error_s), NOW.monotonic_ns, 2, "ref", 4
    )


def dated(offset_s: float, **changes: object) -> DateReading:
    reading = DateReading(
        "ssm",
        around(offset_s, 0.5),
        NOW.monotonic_ns,
        authenticated=True,
        valid_from_s=1_690_000_000,
        valid_until_s=1_710_000_000,
    )
    return replace(reading, **changes)  # type: ignore[arg-type]


def join(*readings: SourceReading, date: DateReading | ProbeError | None = None) -> ClockFacts:
    return combine(NtpFacts(readings), date, NOW)


def offset_and_bound(facts: ClockFacts) -> tuple[float, float]:
    assert facts.estimate is not None
    return round(facts.estimate.offset_s, 3), round(facts.estimate.bound_s, 3)


def test_one_source_is_believed() -> None:
    facts = join(says("a", 400))
    assert offset_and_bound(facts) == (400, 0.001)
    assert facts.corrected is not None
    assert facts.corrected.unix_ns(NOW.monotonic_ns) == NOW.wall_ns + 400 * SECOND


def test_two_that_disagree_prove_nothing() -> None:
    facts = join(says("a", 0), says("b", 1000))
    assert facts.estimate is None
    assert facts.falsetickers == ()
    assert facts.corrected is None
    assert facts.reading is None


@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_liar_of_three_is_named(position: int) -> None:
    readings = [says("a", 0), says("b", 0)]
    readings.insert(position, says("liar", 1000))
    facts = join(*readings)
    assert offset_and_bound(facts) == (0, 0.001)
    assert facts.falsetickers == ("liar",)
    assert facts.estimate is not None
    assert set(facts.estimate.sources) == {"a", "b"}


def test_two_of_four_are_no_majority() -> None:
    assert join(says("a", 0), says("b", 0), says("c", 9), says("d", 9)).estimate is None


def test_three_of_five_are_a_majority() -> None:
    facts = join(*(says(name, 0) for name in "abc"), says("d", 9), says("e", -9))
    assert facts.falsetickers == ("d", "e")


def test_addresses_of_one_operator_have_one_vote() -> None:
    amazon = (says("v4", 50, operator="amazon"), says("v6", 50, operator="amazon"))
    assert join(*amazon, says("other", 0)).estimate is None
    assert offset_and_bound(join(*amazon)) == (50, 0.001)


def test_an_operator_that_contradicts_itself_counts_against() -> None:
    torn = (says("v4", 0, operator="amazon"), says("v6", 1000, operator="amazon"))
    assert join(*torn).estimate is None
    assert join(*torn, says("b", 1000)).estimate is None
    assert join(*torn, says("b", 0), says("c", 0)).falsetickers == ("v6",)


def test_the_endpoint_is_narrowed_by_ntp() -> None:
    facts = join(says("a", 0.2), date=dated(0.0))
    assert offset_and_bound(facts) == (0.2, 0.001)
    assert facts.estimate is not None
    assert facts.estimate.sources == ("a", "ssm")


def test_ntp_never_overrules_the_endpoint() -> None:
    facts = join(*(says(name, 400) for name in "abc"), date=dated(0.0))
    assert offset_and_bound(facts) == (0, 1.5)
    assert facts.falsetickers == ("a", "b", "c")


@pytest.mark.parametrize("stale_s", [-1.4, -0.6, 0.6, 1.4])
@pytest.mark.parametrize("error_s", [0.01, 0.5])
def test_a_stale_date_does_not_overrule_honest_ntp(stale_s: float, error_s: float) -> None:
    date = dated(0.0, interval=around(stale_s * (0.5 + error_s), error_s))
    facts = join(says("a", 0), date=date)
    assert offset_and_bound(facts) == (0, 0.001)
    assert facts.falsetickers == ()
    assert facts.estimate is not None
    assert facts.estimate.sources == ("a", "ssm")
    assert is_narrow(NtpFacts((says("a", 0),)), date, NOW.monotonic_ns)


def test_a_stale_date_names_no_honest_server_where_servers_disagree() -> None:
    facts = join(says("a", 0), says("b", 1000), date=dated(-0.8))
    assert facts.falsetickers == ("b",)
    assert facts.estimate is not None
    assert facts.estimate.sources == ("ssm",)


@pytest.mark.parametrize("offset_s", [1.4, -1.4])
def test_a_stale_plain_date_is_no_vote_against(offset_s: float) -> None:
    plain = dated(0.0, authenticated=False, valid_from_s=0, valid_until_s=0)
    assert offset_and_bound(join(says("a", offset_s), date=plain)) == (offset_s, 0.001)


@pytest.mark.parametrize(("offset_s", "is_said"), [(1.9, False), (-1.9, False), (2.1, True)])
def test_a_date_alone_contradicts_a_daemon_by_two_seconds(
    offset_s: float, *, is_said: bool
) -> None:
    facts = join(date=dated(0.0, interval=around(offset_s, 0.01)))
    assert offset_and_bound(facts) == (offset_s, 0.01)
    assert bool(contradiction(FOLLOWING, facts)) is is_said
    assert contradiction(FOLLOWING, join(says("a", 0.5)))


def test_sources_that_agree_on_nothing_leave_the_endpoint() -> None:
    facts = join(says("a", 0), says("b", 1000), date=dated(0.0))
    assert offset_and_bound(facts) == (0, 0.5)
    assert facts.falsetickers == ("b",)


def test_an_endpoint_without_tls_is_one_vote_of_many() -> None:
    plain = dated(0.0, authenticated=False, valid_from_s=0, valid_until_s=0)
    assert join(says("a", 400), date=plain).estimate is None
    assert offset_and_bound(join(date=plain)) == (0, 0.5)
    facts = join(says("a", 400), says("b", 400), date=plain)
    assert facts.falsetickers == ("ssm",)


@pytest.mark.parametrize("offset_s", [20_000_000, -20_000_000])
def test_a_certificate_invalid_at_ntp_time_makes_nobody_believed(offset_s: float) -> None:
    assert join(says("a", offset_s), date=dated(0.0)).estimate is None


@pytest.mark.parametrize(
    ("offsets", "is_one_request_enough"),
    [((0,), True), ((0, 0, 900), True), ((), False), ((0, 900), False), ((900,), False)],
)
def test_when_one_request_to_the_endpoint_is_enough(
    offsets: tuple[float, ...], *, is_one_request_enough: bool
) -> None:
    readings = tuple(says(str(index), offset) for index, offset in enumerate(offsets))
    assert is_narrow(NtpFacts(readings), dated(0), NOW.monotonic_ns) is is_one_request_enough


def test_where_ntp_failed_one_request_is_not_enough() -> None:
    assert not is_narrow(ProbeError("no server"), dated(0), NOW.monotonic_ns)


def test_failures_of_both_probes_are_kept() -> None:
    facts = combine(ProbeError("no network", "x"), ProbeError("no name", "y"), NOW)
    assert facts.failures == (
        SourceFailure("NTP", "", "x", "no network"),
        SourceFailure("endpoint", "", "y", "no name"),
    )
    assert facts.estimate is None


def test_bounds_grow_with_age() -> None:
    later = ClockPair(NOW.wall_ns + 100 * SECOND, NOW.monotonic_ns + 100 * SECOND, 10)
    facts = combine(NtpFacts((says("a", 0),)), None, later)
    assert facts.estimate is not None
    assert facts.estimate.bound_s == pytest.approx(0.001 + 100 * 15e-6, abs=1e-6)


def test_a_step_after_the_measurement_shows_in_the_offset() -> None:
    stepped = replace(NOW, wall_ns=NOW.wall_ns - 7 * SECOND)
    facts = combine(NtpFacts((says("a", 0),)), None, stepped)
    assert offset_and_bound(facts) == (7, 0.001)


def test_the_report_gets_offset_bound_and_falsetickers() -> None:
    reading = join(says("a", 3), says("b", 3), says("c", 50)).reading
    assert reading is not None
    assert (round(reading.offset_s, 3), reading.source) == (3, "a, b")
    assert reading.falsetickers == ("c",)


def test_an_interval_holds_its_value() -> None:
    with pytest.raises(ValueError, match="interval"):
        Interval(1, 0, 2)


spans = st.tuples(st.integers(-1000, 1000), st.integers(0, 500), st.integers(0, 500))


@given(st.lists(spans, min_size=1, max_size=7), st.integers(-1000, 1000), st.data())
def test_a_majority_that_holds_the_truth_always_proves_something(
    honest: list[tuple[int, int, int]], truth: int, data: st.DataObject
) -> None:
    claims = [Interval(truth - left, truth, truth + right) for _, left, right in honest]
    liars = data.draw(st.lists(spans, max_size=len(honest) - 1))
    lies = [Interval(middle - left, middle, middle + right) for middle, left, right in liars]
    votes = tuple(data.draw(st.permutations([*claims, *lies])))
    found = agree(votes)
    assert found is not None
    assert lies or found.low_ns <= truth <= found.high_ns


@given(st.lists(spans, min_size=1, max_size=7))
def test_what_is_proven_is_supported_by_a_strict_majority(
    claims: list[tuple[int, int, int]],
) -> None:
    votes = tuple(Interval(middle - left, middle, middle + right) for middle, left, right in claims)
    found = agree(votes)
    if found is None:
        return
    for end in (found.low_ns, found.high_ns):
        assert sum(vote.low_ns <= end <= vote.high_ns for vote in votes) * 2 > len(votes)
