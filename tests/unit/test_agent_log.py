"""What is read in the agent's logs, and what is told by them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.model.agent_log import read_lines, set_straight, stamp_of, zone_of
from nodecheck.model.channel import Mark
from nodecheck.model.channel_story import Log, tell
from nodecheck.model.redaction import HIDDEN, redact
from nodecheck.model.sockets import read_established
from tests import agent_logs
from tests.agent_logs import ASSETS, NOW, TREES, Tree, record
from tests.channel_node import row
from tests.fuzz import fuzz_agent_log


@pytest.mark.parametrize("name", TREES)
def test_the_recorded_trees_are_those_that_the_script_makes(name: str) -> None:
    made = record(TREES[name]())
    assert {path.name: path.read_bytes() for path in (ASSETS / name).iterdir()} == made


@pytest.mark.parametrize(
    ("line", "level", "place", "text"),
    [
        (b"2026-11-23 12:44:50.3897 INFO [a] b", "INFO", "", "[a] b"),
        (b"2026-11-23 12:44:50,389 INFO [a] b", "INFO", "", "[a] b"),
        (b"2026-11-23 12:44:50 WARN x", "WARN", "", "x"),
        (b"2026-11-23 12:44:50 ERROR [f @ a.go.280] [b] c", "ERROR", "f @ a.go.280", "[b] c"),
        (b"2026-11-23 12:44:50 ERROR [a @ b", "ERROR", "", "[a @ b"),
        ("2026-11-23 12:44:50 ERROR ファイル\u2028x".encode(), "ERROR", "", "ファイル\u2028x"),
        (b"2026-11-23 12:44:50 INFO \xff\xfe", "INFO", "", "\ufffd\ufffd"),
        (b"2026-11-23 12:44:50 INFO x\r\n\tcaused by: y\r\n", "INFO", "", "x\n\tcaused by: y"),
    ],
)  # fmt: skip
def test_lines(line: bytes, level: str, place: str, text: str) -> None:
    (found,) = read_lines(b"the end of a line\n" + line)
    assert (found.level, found.place, found.text) == (level, place, text)
    assert stamp_of(found.local_s) == "2026-11-23 12:44:50"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"\0" * 5000,
        b"23 12:44:50 INFO x",
        b"2026-13-23 12:44:50 INFO x",
        b"2026-02-30 12:44:50 INFO x",
        b"0000-01-01 12:44:50 INFO x",
        b"2026-11-23 25:44:50 INFO x",
        b"2026-11-23T12:44:50 INFO x",
        "\uff12\uff10\uff12\uff16-11-23 12:44:50 INFO x".encode(),
        b"23.11.2026 12:44:50 FEHLER Datei nicht gefunden",
        b"2026-11-23 12:44:50 INFORMATION x",
    ],
)
def test_what_is_no_line(data: bytes) -> None:
    assert read_lines(data) == ()


def test_long_entries_are_cut() -> None:
    (line,) = read_lines(b"2026-11-23 12:44:50 INFO " + b"x" * 10**6 + b"\ny" * 10**5)
    assert len(line.text) <= 4000


def lines(*stamps: str) -> bytes:
    return b"".join(f"2026-10-25 {stamp} INFO x\n".encode() for stamp in stamps)


@pytest.mark.parametrize(
    ("stamps", "shifts"),
    [
        (("02:00:00", "02:05:00"), [True, True]),
        (("02:00:02", "02:00:00", "02:05:00"), [True, True, True]),  # buffered
        (("02:55:00", "02:00:00"), [True, True]),  # the end of summer time
        (("02:55:00", "02:20:00"), [True, True]),  # and nothing for 25 minutes
        (("02:55:00", "02:50:00", "02:55:00"), [False, True, True]),  # set back by 10 minutes
        (("02:55:00", "01:50:00"), [False, True]),  # by more than an hour
    ],
)
def test_a_clock_that_went_back(stamps: tuple[str, ...], shifts: list[bool]) -> None:
    found = set_straight(read_lines(lines(*stamps)))
    assert [line.is_dated for line in found] == shifts
    ordered = [line.local_s for line in found if line.is_dated]
    assert max(ordered) - ordered[-1] <= 120


@pytest.mark.parametrize("zone_s", [-12 * 3600, -5 * 3600, 0, 20700, 19800, 14 * 3600])
@pytest.mark.parametrize("late_s", [0.2, 60])
def test_the_zone_follows_from_the_time_of_change(zone_s: int, late_s: float) -> None:
    tree = Tree(zone_s=zone_s)
    tree.write(NOW, "INFO", "x")
    found = read_lines(tree.finish().contents[agent_logs.MAIN])
    assert zone_of(found, NOW + late_s) == zone_s


@pytest.mark.parametrize("changed_s", [NOW - 300, NOW + 400, NOW + 20 * 3600, NOW - 15 * 3600, 0.0])
def test_times_that_do_not_fit(changed_s: float) -> None:
    tree = Tree()
    tree.write(NOW, "INFO", "x")
    assert zone_of(read_lines(tree.finish().contents[agent_logs.MAIN]), changed_s) is None
    assert zone_of((), changed_s) is None


def log_of(tree: Tree, name: str = agent_logs.MAIN) -> Log:
    found = set_straight(read_lines(tree.contents.get(name, b"")))
    changed_s = tree.changed_s.get(name, 0.0)
    return Log(name, found, zone_of(found, changed_s), changed_s)


def story(tree: Tree) -> Any:  # noqa: ANN401 - a story whose parts the test knows to be there
    names = (agent_logs.MAIN, agent_logs.ERRORS, agent_logs.HIBERNATE)
    main, errors, hibernate = (log_of(tree, name) for name in names)
    return tell(main, errors, hibernate, tree.worker_began_s)


def test_documents_in_the_log_say_nothing() -> None:
    tree = Tree()
    tree.start(NOW - 60)
    tree.write(NOW - 50, "INFO", agent_logs.DOCUMENT)
    tree.write(NOW - 49, "INFO", "[x] said: HealthCheck reporting agent health.")
    found = story(tree.finish())
    assert (found.answer, found.attempt, found.hibernation) == (None, None, None)
    assert "hunter2" not in repr(found)


def test_a_heartbeat_is_an_attempt_and_no_answer() -> None:
    tree = Tree()
    tree.write(NOW, "INFO", "[ssm-agent-worker] [HealthCheck] HealthCheck reporting agent health.")
    found = story(tree.finish())
    assert (found.answer, found.attempt.stamp) == (None, "2026-11-23 12:50:00")


def test_hibernation_and_its_tries() -> None:
    found = story(TREES["hibernating-by-skew"]()).hibernation
    assert found.since.at_s == NOW - 7198
    assert (found.first_try_s, found.tries_s, found.holds_s) == (NOW - 7198 + 5700, 2400, 7200)
    assert "Signature expired" in found.since.text
    young = Tree(now_s=NOW)
    young.start(NOW - 100)
    young.hibernate(NOW - 98, agent_logs.DENIED)
    found = story(young.finish()).hibernation
    assert (found.first_try_s, found.tries_s) == (NOW + 202, None)


def test_a_restart_ends_it_and_so_does_the_workers_own_line() -> None:
    assert story(TREES["recovered"]()).hibernation is None
    assert story(TREES["summer-time-recovered"]()).hibernation is None
    again = Tree()
    again.start(NOW - 7200)
    again.hibernate(NOW - 7198, agent_logs.DENIED)
    again.start(NOW - 60)
    assert story(again.finish()).hibernation is None
    again.hibernate(NOW - 50, agent_logs.DENIED)
    again.entries = again.entries[-2:]
    assert story(again.finish()).hibernation.since.at_s == NOW - 50


def test_after_days_hibernate_log_alone_tells() -> None:
    tree = TREES["hibernating-by-denial"]()
    whole = tree.contents[agent_logs.MAIN]
    rotations = Tree(zone_s=int(5.5 * 3600))
    for at_s in range(int(NOW) - 600, int(NOW), 60):
        rotations.write(at_s, "INFO", "[CredentialRefresher] Next credential rotation will be in 9")
    tree.contents[agent_logs.MAIN] = rotations.finish().contents[agent_logs.MAIN]
    tree.changed_s[agent_logs.MAIN] = rotations.changed_s[agent_logs.MAIN]
    found = story(tree).hibernation
    assert (found.source, found.since.at_s) == (agent_logs.HIBERNATE, NOW - 1998)
    tree.worker_began_s = NOW - 10  # a later worker has not written it
    assert story(tree).hibernation is None
    tree.worker_began_s = None
    assert story(tree).hibernation is None
    tree = TREES["hibernating-by-denial"]()
    beat = b"2026-11-23 18:19:58 INFO [HealthCheck] HealthCheck reporting agent health.\n"
    assert b"Entering" in whole
    tree.contents[agent_logs.MAIN] = beat
    tree.changed_s[agent_logs.MAIN] = NOW - 1
    assert story(tree).hibernation is None


def test_refusals_until_a_success() -> None:
    tree = TREES["credential-loop"]()
    found = story(tree).refusal
    assert (found.count, found.first.at_s, found.last.at_s) == (9, NOW - 3500, NOW - 300)
    tree.contents[agent_logs.MAIN] += (
        b"2026-11-23 12:49:59 INFO [CredentialRefresher] Credentials ready\n"
    )
    assert story(tree).refusal is None


def test_errors_are_grouped_by_their_form() -> None:
    found = story(TREES["credential-loop"]()).errors
    assert [(item.count, item.place) for item in found] == [(9, "credentialrefresher.go.280")]
    many = Tree()
    for number in range(500):
        many.error(
            NOW + number, f"[a] {chr(97 + number % 26)}{'z' * (number // 26)} failed", "f @ g.go.1"
        )
    assert len(story(many.finish()).errors) == 40


def test_the_address_of_the_websocket() -> None:
    assert story(TREES["healthy"]()).peers == (("192.0.2.10", 443),)
    tree = Tree()
    for place in ("wss://ssmmessages.eu-west-1.amazonaws.com/v1", "[2001:DB8::1]:443", "x:1"):
        tree.write(NOW, "INFO", f"[a] Successfully opened websocket connection to: {place}")
    assert story(tree.finish()).peers == (("2001:db8::1", 443),)


SECRETS = [
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "FwoGZXIvYXdzEJr//////////wEaDHk3Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA==",
    "deadbeef01" * 8,
]  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "frame", ["{}", "x {} y", "a='{}'", 'Body: {{"a":"{}"}}', "({})", "v={}&b=1"]
)
def test_keys_are_hidden(secret: str, frame: str) -> None:
    text = redact(frame.format(secret), 500)
    assert secret not in text
    assert secret[6:30] not in text
    assert HIDDEN in text


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Authorization: AWS4-HMAC-SHA256 Credential=AK/2026, Signature=abc", "abc"),
        ("authorization: Bearer abc.def-ghi", "abc"),
        ("Proxy-Authorization: Basic dTpw", "dTpw"),
        ('{"Authorization": "Basic dTpw"}', "dTpw"),
        ('"SessionToken":"short1"', "short1"),
        ("--password hunter2 password=hunter2", "=hunter2"),
        ("https://u:p%40ss@squid:3128/", "p%40"),
        ("https://u:p@ss@squid:3128/", "ss@"),
        ("proxy user:pw@squid:3128 failed", "pw"),
        ("X-Amz-Signature=0a1b&x=1", "0a1b"),
        ("X-Amz-Security-Token=Fwo%2F&x=1", "Fwo"),
    ],
)
def test_what_follows_the_name_of_a_secret_is_hidden(text: str, hidden: str) -> None:
    assert hidden not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "InvalidSignatureException: Signature expired: 20261123T104451Z is now earlier than x",
        "arn:aws:sts::111122223333:assumed-role/AmazonSSMRoleForInstancesQuickSetup/i-0123456789abcdef0",
        "request id: 4f2c9a1e-0b7d-4c1e-9a55-0a1b2c3d4e5f",
        "dial tcp: lookup ssm.eu-west-1.amazonaws.com on 10.0.0.2:53: no such host",
        "The security token included in the request is expired",
        "No Authorization header in request",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_control_characters_go_and_length_is_bounded() -> None:
    assert redact("a\x1b]0;x\x07\nb\u202ec") == "a ]0;x b c"
    assert len(redact("x y " * 10**6)) == 200


@pytest.mark.parametrize(
    "text", ["://" * 2000, "a:" * 3000, "Token" * 1000, "A" * 10**5, "-" * 10**5]
)
def test_no_text_takes_long(text: str) -> None:
    redact(text, 600)


def test_connections() -> None:
    table = row("192.0.2.1", 443, 5) + row("2001:db8::1", 8443, 6, retransmits=3)
    table += row("192.0.2.2", 443, 7, state="06") + row("::ffff:192.0.2.3", 443, 8)
    found = read_established("  sl  local_address ...\n" + table)
    assert [(item.ip, item.port, item.retransmits, item.inode) for item in found] == [
        ("192.0.2.1", 443, 0, 5),
        ("2001:db8::1", 8443, 3, 6),
        ("192.0.2.3", 443, 0, 8),
    ]


@given(st.text(max_size=300))
def test_any_table(text: str) -> None:
    assert read_established(text) == ()


@given(st.binary(max_size=500))
def test_any_bytes(data: bytes) -> None:
    for line in set_straight(read_lines(data)):
        assert isinstance(Mark(stamp_of(line.local_s), None), Mark)


def test_a_few_thousand_mutants() -> None:
    counts = fuzz_agent_log.run(300, seed=7)
    assert counts["inputs"] == 300
    assert counts["crit"] > 20
    assert counts["ok"] > 20


def test_a_worker_starts_after_a_first_answer() -> None:
    """A refused one hibernates instead (agent/agent.go)."""
    tree = Tree()
    tree.write(NOW, "INFO", "[ssm-agent-worker] ssm-agent-worker - v3.3.1142.0")
    assert story(tree.finish()).answer.at_s == NOW
    tree = Tree()
    tree.write(NOW, "INFO", "[ssm-document-worker] [1] ssm-document-worker - v3.3.1142.0")
    assert story(tree.finish()).answer is None
