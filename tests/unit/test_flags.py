from __future__ import annotations

import pytest

from nodecheck.arguments import FAIL_ON, HelpAsked, parse
from nodecheck.catalogue import BY_ID, CHECKS, SELECTORS
from nodecheck.flags import read_flags, refuse_pointless
from nodecheck.model.errors import UsageError
from nodecheck.model.settings import BY_NAME
from nodecheck.outlets import OUTLETS
from nodecheck.settings import load
from tests.fake_host import fake_host


def flags(*words: str) -> dict[str, object]:
    return read_flags(parse(words))


def refuse(*words: str) -> None:
    options = parse(words)
    refuse_pointless(options, load(fake_host(), SELECTORS, flags=read_flags(options)))


def test_no_command_means_run() -> None:
    assert parse([]).command == "run"
    assert parse(["-q", "--only", "clock"]).command == "run"
    assert parse(["list"]).command == "list"
    assert parse(["-v", "--version"]).version
    assert parse(["run", "--version", "-v"]).verbose


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["run", "--help"], ["config", "-h"]])
def test_help_is_handed_over(words: list[str]) -> None:
    with pytest.raises(HelpAsked, match="usage: nodecheck"):
        parse(words)


@pytest.mark.parametrize(
    "words",
    [
        ["lst"],
        ["--onl", "clock"],
        ["config"],
        ["config", "edit"],
        ["explain"],
        ["--format", "xml"],
        ["--deadline", "soon"],
        ["-q", "-v"],
        ["--fail-on", "ok"],
        ["run", "clock"],
    ],
)
def test_what_is_no_command_line(words: list[str]) -> None:
    with pytest.raises(UsageError):
        parse(words)


def test_flags_become_settings() -> None:
    assert flags() == {}
    given = flags("--only", "clock, agent.files", "--only", "agent", "--deadline", "3", "--offline")
    assert given == {
        "run.only": ["clock", "agent.files", "agent"],
        "run.deadline_s": 3.0,
        "run.offline": True,
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--deadline", "0"), "--deadline: expected a number of seconds, 1 to 3600, not 0.0"),
        (("--deadline", "nan"), "--deadline: expected a number of seconds"),
        (("--splay", "-1"), "--splay: expected a number of seconds"),
        (("--report", "cloud"), "--report: expected one of cloudwatch.*, not 'cloud'"),
        (("--only", "clok"), "no check or group 'clok'; did you mean clock"),
        (("--skip", "xyz"), "no check or group 'xyz'; see: nodecheck list"),
    ],
)
def test_wrong_values_are_named(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        flags(*words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dry-run",), "name --report"),
        (("--dry-run", "-q", "--report", "cloudwatch"), "--quiet would hide"),
        (
            ("--dry-run", "--format", "junit", "--report", "syslog"),
            "has no place for what --dry-run",
        ),
        (("--offline", "--report", "cloudwatch"), "need the network"),
        (("--offline", "--report", "syslog,cloudwatch"), "reports to cloudwatch need the network"),
        (("--report", "file"), "name the file in report.file"),
        (("--output", ""), "the name is empty"),
        (("--output", "-"), "stdout gets the report"),
        (("--only", "clock", "--skip", "clock"), "nothing to check"),
        (("--only", "clock.offset", "--skip", "clock"), "nothing to check"),
    ],
)
def test_contradictions_are_refused(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        refuse(*words)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--offline", "--dry-run", "--report", "cloudwatch"),
        ("--offline", "--report", "syslog"),
        ("--only", "agent", "--skip", "agent.files"),
        ("--output", "/dev/null", "-q"),
    ],
)
def test_what_makes_sense_is_let_through(words: tuple[str, ...]) -> None:
    refuse(*words)


def test_the_tables_that_must_agree_do() -> None:
    assert BY_NAME["run.fail_on"].choices == FAIL_ON
    assert BY_NAME["report.sinks"].choices == tuple(OUTLETS)
    assert list(BY_ID) == [check.check_id for check in CHECKS]
    for check in CHECKS:
        assert check.question.endswith("?")
        assert check.why.endswith(".")
        assert len(check.explanation) > 500
        assert check.group in SELECTORS
