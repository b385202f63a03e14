"""What AWS's error texts say of its tolerance, and the agent's logs in which they stand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck import policies
from nodecheck.model.agent_place import LINUX, WINDOWS
from nodecheck.model.clock import ClockPolicy
from nodecheck.model.errors import Denied
from nodecheck.model.node import Platform
from nodecheck.model.settings import DEFAULTS, Settings
from nodecheck.model.skew import SkewFacts, read_refusals, read_storage_tolerances
from nodecheck.probes.clock_agent_log import TAIL_BYTES, look
from nodecheck.records import replace
from tests.fake_host import FakeFiles, fake_host

LOGS = (LINUX.error_log, LINUX.log)

SLOW = (
    "InvalidSignatureException: Signature expired: 20250205T072745Z is now earlier than "
    "20250205T075620Z (20250205T080120Z - 5 min.)"
)
FAST = (
    "Signature not yet current: 20170731T092200Z is still later than 20170731T092115Z "
    "(20170731T091615Z + 5 min.)"
)
STORAGE = (
    "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and "
    "the current time is too large.</Message><RequestTime>20200101T000000Z</RequestTime>"
    "<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds></Error>"
)
LINE = "2026-11-23 12:48:55.8130 ERROR [minLog @ credentialrefresher.go.280] "
AT = datetime(2025, 2, 5, 8, 1, 20, tzinfo=UTC)


def test_a_slow_and_a_fast_clock() -> None:
    slow, fast = read_refusals(f"{SLOW}\n{FAST}")
    assert (slow.tolerance_s, slow.server_at, slow.is_slow) == (300, AT, True)
    assert (fast.tolerance_s, fast.is_slow) == (300, False)


def test_fifteen_minutes_as_older_services_have_them() -> None:
    text = SLOW.replace("075620Z", "074620Z").replace("- 5 min", "- 15 min")
    assert read_refusals(text)[0].tolerance_s == 900


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("5 min.", "6 min."),  # the stamps do not add up
        ("5 min.", "5 sec."),
        ("- 5", "+ 5"),
        ("072745Z", "075621Z"),  # not refused at all
        ("0205T0801", "0230T0801"),  # no such day
        ("20250205T080120Z", "00010101T000000Z"),
        ("075620Z", "074520Z (20250205T080120Z - 16 min.)"),
        ("20250205T072745Z", "2025-02-05"),
        ("Signature", "signature"),
    ],
)
def test_texts_that_are_not_believed(old: str, new: str) -> None:
    assert read_refusals(SLOW.replace(old, new)) == ()


def test_no_text_grants_more_than_aws_ever_did() -> None:
    text = SLOW.replace("075620Z", "074520Z").replace("- 5 min", "- 16 min")
    assert read_refusals(text) == ()
    text = SLOW.replace("075620Z", "080120Z").replace("- 5 min", "- 0 min")
    assert read_refusals(text) == ()


@pytest.mark.parametrize(
    ("milliseconds", "found"),
    [("900000", (900,)), ("0", ()), ("900001", ()), ("9" * 9, ()), ("-1", ()), ("x", ())],
)
def test_the_tolerance_of_s3(milliseconds: str, found: tuple[float, ...]) -> None:
    assert read_storage_tolerances(STORAGE.replace("900000", milliseconds)) == found


@given(st.text() | st.from_regex(r"Signature expired: \d{8}T\d{6}Z is now earlier than .{0,60}"))
def test_the_reader_never_crashes(text: str) -> None:
    assert all(0 < item.tolerance_s <= 900 for item in read_refusals(text))
    assert all(0 < item <= 900 for item in read_storage_tolerances(text))


def seen(*contents: str | Denied) -> SkewFacts:
    files = {
        path: text if isinstance(text, Denied) else text.encode()
        for path, text in zip(LOGS, contents, strict=False)
    }
    return look(fake_host(FakeFiles(files)))  # type: ignore[arg-type]


def test_the_newest_refusal_of_both_logs_counts() -> None:
    newer = SLOW.replace("20250205", "20250206")
    found = seen(f"{LINE}{newer}\n{LINE}{SLOW}\n", f"{LINE}{SLOW}\n{STORAGE}\n")
    assert found.refusal is not None
    assert found.refusal.server_at == AT.replace(day=6)
    assert (found.source, found.storage_tolerance_s) == (LOGS[0], 900)
    assert found.newest_line == "2026-11-23 12:48:55"


def test_lines_are_in_no_order_and_old_ones_have_whole_seconds() -> None:
    text = "2026-11-23 12:00:00 INFO a\n2026-11-24 12:00:00 INFO b\n2026-11-22 9:00:00 INFO c\n"
    assert seen("", text).newest_line == "2026-11-24 12:00:00"


def test_only_the_end_of_a_log_is_read() -> None:
    assert seen(f"{LINE}{SLOW}\n{'x' * TAIL_BYTES}") == SkewFacts()


@pytest.mark.parametrize(
    "content", ["", "\0\udcff".encode("utf-8", "replace").decode(), "日本語\n"]
)
def test_logs_that_say_nothing(content: str) -> None:
    assert seen(content) == SkewFacts()


def test_windows_keeps_them_elsewhere() -> None:
    host = fake_host(FakeFiles({WINDOWS.error_log: f"{LINE}{SLOW}".encode()}))
    windows = replace(host, platform=Platform("windows", "Windows", "AMD64"))
    assert look(windows).source == "C:/ProgramData/Amazon/SSM/Logs/errors.log"
    assert look(host) == SkewFacts()


def test_logs_that_cannot_be_read_say_nothing() -> None:
    assert seen(Denied("no"), f"{LINE}{FAST}").refusal is not None
    assert look(fake_host()) == SkewFacts()


def settings(**changes: float) -> Settings:
    names = {name.replace("__", "."): value for name, value in changes.items()}
    origins = {**DEFAULTS.origins, **dict.fromkeys(names, "environment")}
    return Settings({**DEFAULTS.values, **names}, origins)


def test_the_operators_tolerance_wins_over_the_endpoints_and_that_over_ours() -> None:
    fifteen = read_refusals(SLOW.replace("075620Z", "074620Z").replace("- 5 min", "- 15 min"))[0]
    facts = SkewFacts(fifteen, 600.0, "", "errors.log")
    assert policies.clock(settings()) == ClockPolicy()
    found = policies.clock(settings(), facts)
    assert (found.tolerance_s, found.storage_tolerance_s, found.warn_s) == (900, 600, 60)
    assert found.source == "error text of AWS in errors.log"
    told = policies.clock(settings(clock__tolerance_s=300.0), facts)
    assert (told.tolerance_s, told.source) == (300, "clock.tolerance_s")


def test_a_narrow_tolerance_of_the_endpoint_narrows_the_warning() -> None:
    one_minute = read_refusals(SLOW.replace("075620Z", "080020Z").replace("- 5 min", "- 1 min"))
    found = policies.clock(settings(clock__warn_s=200.0), SkewFacts(one_minute[0]))
    assert (found.tolerance_s, found.warn_s) == (60, 60)


def test_on_other_platforms_there_are_no_such_logs() -> None:
    host = replace(fake_host(), platform=Platform("windows", "Windows", "AMD64"))
    assert look(host) == SkewFacts()
