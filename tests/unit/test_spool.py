from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.arguments import parse
from nodecheck.aws.client import CallError
from nodecheck.delivering import TIMER_SPLAY_S, Course, bounded, splay_s, splay_window_s
from nodecheck.host.local_clock import SystemClock
from nodecheck.host.mailbox import Mailbox
from nodecheck.host.spool_file import DAMAGED, NAME, NO_ROOM, READ_LIMIT_BYTES, SpoolFile
from nodecheck.host.spool_lines import line_of, read_content
from nodecheck.model.errors import Busy, ProbeError, UsageError
from nodecheck.model.moment import CorrectedTime
from nodecheck.model.reporting import CloudWatchPolicy
from nodecheck.model.settings import DEFAULTS
from nodecheck.model.spool import (
    IN_THE_FUTURE,
    SPOOL_LIMIT_BYTES,
    TIME_UNKNOWN,
    TOO_OLD,
    DatedReport,
    SpooledReport,
    SpoolState,
    dated,
    in_order,
    loss,
)
from nodecheck.records import replace
from nodecheck.sinks.log_batches import LogEvent, batches
from nodecheck.sinks.log_sending import put
from nodecheck.spool_command import NOTHING, listing
from nodecheck.spooling import TAKEN_OVER, Outcome
from tests.aws_rules import Refusal, check_batch
from tests.fake_host import FakeClock, FakeFiles, FakeState, fake_host

FOLDER = "/state"
PATH = f"{FOLDER}/{NAME}"
NOW_NS = 1_795_446_000_000_000_000
HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS
BOOT = "4a6483e6-898d-4a6c-a48d-d7cd7a76cc3b"


def entry(run: str = "a", sink: str = "cloudwatch", **changes: Any) -> SpooledReport:  # noqa: ANN401
    made = SpooledReport(sink, run, NOW_NS, NOW_NS, 5 * HOUR_NS, BOOT, {"event": {"run": run}})
    return replace(made, **changes)


def spool(state: FakeState) -> SpoolFile:
    return SpoolFile(state, FakeClock(), FOLDER)


def runs(state: FakeState) -> list[str]:
    return [item.run_id for item in spool(state).look().reports]


def content(state: FakeState) -> bytes:
    found = state.contents[PATH]
    assert isinstance(found, bytes)
    return found


def filled(*names: str) -> FakeState:
    state = FakeState()
    for name in names:
        spool(state).keep((entry(name),))
    return state


def test_what_is_kept_comes_back_in_order_until_it_is_removed() -> None:
    state = filled("a", "b", "c")
    assert spool(state).look().reports == (entry("a"), entry("b"), entry("c"))
    spool(state).remove([("cloudwatch", "a")])
    assert runs(state) == ["b", "c"]
    spool(state).remove([("cloudwatch", "c"), ("cloudwatch", "unheard-of"), ("other", "b")])
    assert runs(state) == ["b"]
    spool(state).remove([("cloudwatch", "b")])
    assert content(state) == b""
    assert spool(state).look() == SpoolState()


def test_each_line_is_one_json_object_or_blank() -> None:
    state = filled("a", "b", "c")
    spool(state).remove([("cloudwatch", "b")])
    first, second, third = content(state).splitlines()
    assert (json.loads(first)["run"], second.strip(), json.loads(third)["run"]) == ("a", b"", "c")


def test_a_removal_cut_short_leaves_no_report_and_no_damage() -> None:
    state = filled("a", "b")
    whole = content(state)
    length = whole.index(b"\n")
    for cut in range(1, length + 1):
        state.contents[PATH] = b" " * cut + whole[cut:]
        found = spool(state).look()
        assert [item.run_id for item in found.reports] == ["b"]
        assert found.dropped == ()


def test_an_addition_cut_short_is_forgotten_and_does_not_spoil_the_next() -> None:
    whole = content(filled("a", "b"))
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole) - 1):
        state = FakeState({PATH: whole[:cut]})
        assert runs(state) == ["a"]
        spool(state).keep((entry("c"),))
        assert runs(state) == ["a", "c"]
        assert spool(state).look().dropped == ()
        assert f"{PATH}.damaged" not in state.contents


def test_an_addition_that_lacks_only_its_newline_counts() -> None:
    state = FakeState({PATH: content(filled("a", "b"))[:-1]})
    assert runs(state) == ["a", "b"]
    spool(state).remove([("cloudwatch", "b")])
    assert runs(state) == ["a"]
    state = FakeState({PATH: content(filled("a", "b"))[:-1]})
    spool(state).keep((entry("c"),))
    assert runs(state) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"null",
        b"[]",
        b"\x00\x01",
        b"\xff\xfe{\x00",
        "отчёт".encode("utf-16-be"),
        b"[" * 100_000,
        b'{"spool":"nodecheck-spool/1","dropped":{"x":9}}',
        line_of(entry())[:-20],
        line_of(entry()).replace(b'"run":"a"', b'"run":1'),
        line_of(entry()).replace(b"1795446000000000000", b"1e999"),
        line_of(entry()).replace(b"1795446000000000000", b"NaN"),
        line_of(entry()).replace(b"1795446000000000000", b"9" * 30),
        line_of(entry()).replace(b"1795446000000000000", b"9" * 5000),
        line_of(entry()).replace(b'{"event"', b'["event"').replace(b"}}}", b"}]}"),
        line_of(entry("x" * 300))[:-1],
    ],
)
def test_a_damaged_line_is_set_aside_and_counted(line: bytes) -> None:
    line = line.strip(b"\n")
    state = FakeState({PATH: line_of(entry("a")) + line + b"\n" + line_of(entry("b"))})
    assert runs(state) == ["a", "b"]
    assert spool(state).look().dropped == ((DAMAGED, 1),)
    kept = spool(state)
    kept.keep((entry("c"),))
    assert runs(state) == ["a", "b", "c"]
    assert state.contents[f"{PATH}.damaged"] == line + b"\n"
    assert kept.note == f"{PATH}: 1 damaged line, kept as {PATH}.damaged"
    assert spool(state).look().dropped == ((DAMAGED, 1),)
    again = spool(state)
    again.keep((entry("d"),))
    assert (again.note, runs(state)) == ("", ["a", "b", "c", "d"])


@given(noise=st.binary(max_size=300), inside=st.booleans())
def test_no_content_breaks_the_spool(noise: bytes, *, inside: bool) -> None:
    good = line_of(entry("a"))
    state = FakeState({PATH: good + noise + b"\n" + good if inside else noise})
    before = len(read_content(content(state)).lines)
    spool(state).keep((entry("z"),))
    assert runs(state)[-1] == "z"
    assert len(runs(state)) == before + 1


def test_a_file_too_large_to_be_ours_is_set_aside() -> None:
    state = FakeState({PATH: b"x" * (READ_LIMIT_BYTES + 1)})
    kept = spool(state)
    kept.keep((entry("a"),))
    assert "kept as /state/spool.jsonl.damaged" in kept.note
    assert runs(state) == ["a"]


def test_the_oldest_give_way_beyond_the_limit_and_are_counted() -> None:
    state = FakeState()
    large = {"event": "x" * 100_000}
    for number in range(25):
        spool(state).keep((entry(str(number), payload=large),))
        assert len(content(state)) <= SPOOL_LIMIT_BYTES
    assert runs(state) == [str(number) for number in range(16, 25)]
    assert spool(state).look().dropped == ((NO_ROOM, 16),)
    spool(state).drop({("cloudwatch", "16"): TOO_OLD, ("cloudwatch", "17"): TOO_OLD})
    assert spool(state).look().dropped == ((NO_ROOM, 16), (TOO_OLD, 2))
    spool(state).remove([("cloudwatch", str(number)) for number in range(25)])
    assert runs(state) == []
    assert content(state).count(b"\n") == 1
    assert spool(state).look().dropped == ((NO_ROOM, 16), (TOO_OLD, 2))


def test_blanks_make_room_without_a_loss() -> None:
    state = FakeState()
    large = {"event": "x" * 300_000}
    for number in range(3):
        spool(state).keep((entry(str(number), payload=large),))
    spool(state).remove([("cloudwatch", "0"), ("cloudwatch", "1")])
    spool(state).keep((entry("3", payload=large),))
    assert runs(state) == ["2", "3"]
    assert spool(state).look().dropped == ()


def test_a_report_larger_than_the_spool_is_refused_and_nothing_is_lost_for_it() -> None:
    state = filled("a")
    with pytest.raises(ProbeError, match="more than it holds"):
        spool(state).keep((entry("b", payload={"event": "x" * SPOOL_LIMIT_BYTES}),))
    assert runs(state) == ["a"]


def test_a_sink_that_overwrites_keeps_its_latest_report_only() -> None:
    state = filled("a")
    spool(state).keep((entry("b", "compliance"),), ["compliance"])
    spool(state).keep((entry("c", "compliance"), entry("c")), ["compliance"])
    assert [item.key for item in spool(state).look().reports] == [
        ("cloudwatch", "a"),
        ("compliance", "c"),
        ("cloudwatch", "c"),
    ]
    assert spool(state).look().dropped == ()


def test_what_cannot_be_written_raises_and_loses_nothing() -> None:
    state = filled("a")
    state.problem = f"{PATH}: No space left on device"
    with pytest.raises(ProbeError, match="No space left"):
        spool(state).keep((entry("b"),))
    with pytest.raises(ProbeError, match="No space left"):
        spool(state).drop({("cloudwatch", "a"): TOO_OLD})
    assert runs(state) == ["a"]


def test_both_locks_are_waited_for_two_seconds() -> None:
    state = filled("a")
    state.locks |= {"spool.lock", "delivery.lock"}
    clock = FakeClock()
    locked = SpoolFile(state, clock, FOLDER)
    before_ns = clock.monotonic
    with pytest.raises(ProbeError, match="another run"):
        locked.keep((entry("b"),))
    assert 2 <= (clock.monotonic - before_ns) / 1e9 < 2.1
    with pytest.raises(Busy, match="another run"), locked.sending():
        pytest.fail("it was locked")


CORRECTED = CorrectedTime(NOW_NS, 6 * HOUR_NS, 0.1, "test")


@pytest.mark.parametrize(
    ("changes", "boot", "time_ns", "is_certain"),
    [
        ({}, BOOT, NOW_NS, True),
        ({"true_ns": None, "local_ns": 7}, BOOT, NOW_NS - HOUR_NS, True),
        ({"true_ns": None, "local_ns": 7_000_000}, "another", 7_000_000, False),
        ({"true_ns": None, "local_ns": 7_000_000, "boot": ""}, "", 7_000_000, False),
    ],
)
def test_a_report_gets_the_best_time_there_is(
    changes: dict[str, Any],
    boot: str,
    time_ns: int,
    is_certain: bool,  # noqa: FBT001
) -> None:
    found = dated(entry(**changes), CORRECTED, boot)
    assert (found.time_ms, found.is_certain) == (time_ns // 1_000_000, is_certain)


@pytest.mark.parametrize(
    ("age_ns", "is_certain", "why"),
    [
        (0, True, ""),
        (13 * DAY_NS, True, ""),
        (13 * DAY_NS + 10**9, True, TOO_OLD),
        (-HOUR_NS, True, ""),
        (-HOUR_NS - 10**9, True, IN_THE_FUTURE),
        (13 * DAY_NS, False, ""),
        (56 * 365 * DAY_NS, False, TIME_UNKNOWN),
        (-14 * 365 * DAY_NS, False, TIME_UNKNOWN),
    ],
)
def test_what_no_sink_takes_any_more(age_ns: int, is_certain: bool, why: str) -> None:  # noqa: FBT001
    made = DatedReport(entry(), (NOW_NS - age_ns) // 1_000_000, is_certain)
    assert loss(made, NOW_NS) == why


def test_reports_go_in_the_order_of_their_times() -> None:
    made = [
        DatedReport(entry(name), time, is_certain=True)
        for name, time in (("a", 3), ("b", 1), ("c", 3))
    ]
    assert [item.report.run_id for item in in_order(tuple(made))] == ["b", "a", "c"]


def event(time_ms: int, size: int, stream: str) -> LogEvent:
    return LogEvent(stream, "x" * size, DatedReport(entry(), time_ms, is_certain=True))


events = st.builds(
    event,
    st.integers(NOW_NS // 10**6 - 13 * 86_400_000, NOW_NS // 10**6),
    st.one_of(st.integers(1, 2000), st.integers(300_000, 1_000_000)),
    st.sampled_from(["one", "two"]),
)


@given(st.lists(events, max_size=30))
def test_batches_keep_the_rules_and_lose_nothing(made: list[LogEvent]) -> None:
    made.sort(key=lambda item: item.report.time_ms)
    cut = list(batches(made))
    assert [item for batch in cut for item in batch] == made
    now = datetime.fromtimestamp(NOW_NS / 1e9, UTC)
    for batch in cut:
        assert len({item.stream for item in batch}) == 1
        stamped = [{"timestamp": item.report.time_ms, "message": item.message} for item in batch]
        assert check_batch(stamped, now) == {}


def test_batches_are_as_full_as_the_rules_allow() -> None:
    day_ms = 86_400_000
    times = [event(time, 1, "one") for time in (0, day_ms, day_ms + 1, 2 * day_ms)]
    assert [len(batch) for batch in batches(times)] == [2, 2]
    many = [event(0, 1, "one")] * 10_001
    assert [len(batch) for batch in batches(many)] == [10_000, 1]
    full = [event(0, 524_288 - 26, "one")] * 2
    assert [len(batch) for batch in batches(full)] == [2]
    assert [len(batch) for batch in batches([*full, event(0, 1, "one")])] == [2, 1]
    stamped = [{"timestamp": 0, "message": item.message} for item in (*full, full[0])]
    with pytest.raises(Refusal, match="too large"):
        check_batch(stamped, datetime.fromtimestamp(0, UTC))


def test_the_fate_of_one_report_is_told_with_those_before_it() -> None:
    done = Outcome({"a", "b", "c"}, {"x": TOO_OLD, "y": TOO_OLD}, "/nodecheck")
    told = done.delivery(entry("c"))
    assert (told.state, told.detail) == (
        "delivered",
        "/nodecheck, after 2 earlier reports; gave up 2 earlier reports: older than 13 days",
    )
    assert done.delivery(entry("x")).state == "failed"
    assert (done.delivery(entry("z")).state, done.delivery(entry("z")).detail) == (
        "spooled",
        TAKEN_OVER,
    )


def test_the_listing_shows_what_waits_and_what_was_given_up() -> None:
    oldest, newest = "the oldest of 2026-11-23 15:00:00 UTC", "2026-11-24 15:00:00 UTC"
    assert listing(PATH, SpoolState()) == NOTHING
    later = entry("b", true_ns=None, local_ns=NOW_NS + DAY_NS)
    state = SpoolState((entry(), later, entry("c", "fax")), ((TOO_OLD, 2),), 700)
    assert listing(PATH, state).splitlines() == [
        "3 reports wait in /state/spool.jsonl (700 of 1000000 bytes)",
        f"cloudwatch: 2 reports wait, {oldest}, the newest of {newest} by the local clock",
        f"fax: 1 report waits, {oldest}; this version has no such sink",
        "given up so far: older than 13 days: 2",
    ]


@pytest.mark.parametrize(
    ("trigger", "given", "window_s"),
    [
        ("systemd", None, TIMER_SPLAY_S),
        ("run-command", None, 0),
        ("terminal", None, 0),
        ("other", None, 0),
        ("systemd", 0.0, 0),
        ("other", 60.0, 60),
    ],
)
def test_only_what_systemd_started_waits_unless_it_is_told(
    trigger: str, given: float | None, window_s: float
) -> None:
    settings = DEFAULTS
    if given is not None:
        settings = replace(
            DEFAULTS,
            values={**DEFAULTS.values, "report.splay_s": given},
            origins={**DEFAULTS.origins, "report.splay_s": "flag"},
        )
    assert splay_window_s(settings, trigger) == window_s


def test_a_node_always_has_the_same_share_and_a_fleet_fills_the_window() -> None:
    shares = [splay_s(f"i-{number:017x}", 900) for number in range(9000)]
    assert shares == [splay_s(f"i-{number:017x}", 900) for number in range(9000)]
    counts = [sum(start <= share < start + 90 for share in shares) for start in range(0, 900, 90)]
    assert sum(counts) == len(shares)
    assert all(800 < count < 1000 for count in counts)


class PickyClient:
    """CloudWatch that finds some events wrong, and others too old."""

    credentials_source = "env"

    def __init__(self, wrong: str, rejected: dict[str, int] | None = None) -> None:
        self.wrong = wrong
        self.rejected = rejected
        self.batches: list[list[str]] = []

    def call(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        messages = [item["message"] for item in parameters["logEvents"]]
        self.batches.append(messages)
        if self.wrong in messages:
            code = "InvalidParameterException"
            raise CallError(code, "Log event message is malformed", 400)
        return {"rejectedLogEventsInfo": self.rejected} if self.rejected else {}


def put_all(client: PickyClient) -> list[tuple[str, str]]:
    """Put the events a, b, c, d; return each with why it was refused."""
    made = [
        LogEvent("i-0", name, DatedReport(entry(name), number, is_certain=True))
        for number, name in enumerate("abcd")
    ]
    sent = put(client, tuple(made), CloudWatchPolicy(), "eu-central-1")  # type: ignore[arg-type]
    return [(item.report.run_id, one.refused) for one in sent for item in one.reports]


def test_one_event_that_is_refused_takes_no_other_with_it() -> None:
    client = PickyClient("b")
    why = "CloudWatch refused it: Log event message is malformed"
    assert put_all(client) == [("a", ""), ("b", why), ("c", ""), ("d", "")]
    assert client.batches == [["a", "b", "c", "d"], ["a"], ["b"], ["c"], ["d"]]


@pytest.mark.parametrize(
    ("rejected", "refused"),
    [
        (None, ""),
        ({"tooOldLogEventEndIndex": 1}, "a"),
        ({"expiredLogEventEndIndex": 2, "tooOldLogEventEndIndex": 1}, "ab"),
        ({"tooNewLogEventStartIndex": 3}, "d"),
        ({"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2}, "acd"),
        ({"tooOldLogEventEndIndex": 4}, "abcd"),
        ({"tooOldLogEventEndIndex": 9}, "abcd"),
        ({"tooNewLogEventStartIndex": 0}, "abcd"),
    ],
)
def test_events_of_a_wrong_time_are_told_apart(
    rejected: dict[str, int] | None, refused: str
) -> None:
    found = put_all(PickyClient("", rejected))
    assert sorted(run for run, _ in found) == list("abcd")
    assert "".join(sorted(run for run, why in found if why)) == refused


def test_the_spool_command_is_list_or_flush() -> None:
    assert parse(["spool", "list"]).action == "list"
    assert parse(["spool", "flush", "--config", "/x"]).config == "/x"
    for words in (["spool"], ["spool", "drop"]):
        with pytest.raises(UsageError):
            parse(words)


def test_a_signal_lets_a_delivery_that_is_under_way_end() -> None:
    with Mailbox() as mailbox:
        host = replace(fake_host(FakeFiles()), clock=SystemClock())
        course = Course(host, DEFAULTS, mailbox, lambda _: None, lambda _: None)

        def taken() -> str:
            mailbox.interrupt("SIGTERM")
            time.sleep(0.3)
            return "taken"

        assert bounded(course, "cloudwatch", taken, 30) == "taken"
        assert bounded(course, "cloudwatch", taken, 30) == "not tried: interrupted by SIGTERM"
