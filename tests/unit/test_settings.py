from __future__ import annotations

import pytest

from nodecheck.host.door import SETTINGS_FILE
from nodecheck.model.errors import ConfigError
from nodecheck.model.node import FileKind, Platform
from nodecheck.model.settings import KEYS
from nodecheck.records import replace
from nodecheck.settings import load
from tests.fake_host import FakeFiles, fake_host, file_state

CHECKS = ("clock", "clock.offset", "agent", "agent.version")


def problems(text: str = "", environment: dict[str, str] | None = None) -> list[str]:
    files = FakeFiles({SETTINGS_FILE: text.encode()}, {SETTINGS_FILE: file_state(SETTINGS_FILE)})
    with pytest.raises(ConfigError) as caught:
        load(fake_host(files, environment=environment), CHECKS)
    return list(caught.value.problems)


def test_every_default_is_valid_and_says_so() -> None:
    settings = load(fake_host(), CHECKS)
    assert set(settings.values) == {key.name for key in KEYS}
    assert set(settings.origins.values()) == {"default"}
    assert settings.number("run.deadline_s") == 10


def test_later_sources_win_and_are_named() -> None:
    files = FakeFiles(
        {SETTINGS_FILE: b"[clock]\nwarn_s = 20\ntolerance_s = 200\n[run]\ndeadline_s = 5"},
        {SETTINGS_FILE: file_state(SETTINGS_FILE)},
    )
    host = fake_host(
        files,
        environment={
            "NODECHECK_CLOCK_WARN_S": "30",
            "NODECHECK_CLOCK_SERVERS": "a, b:1230",
            "NODECHECK_RUN_OFFLINE": "yes",
        },
    )
    settings = load(host, CHECKS, flags={"run.deadline_s": 7.0})
    assert (settings.number("clock.warn_s"), settings.origins["clock.warn_s"]) == (
        30,
        "environment",
    )
    assert settings.number("clock.tolerance_s") == 200
    assert settings.origins["clock.tolerance_s"] == SETTINGS_FILE
    assert (settings.number("run.deadline_s"), settings.origins["run.deadline_s"]) == (7, "flag")
    assert settings.texts("clock.servers") == ("a", "b:1230")
    assert settings.switch("run.offline")


def test_all_mistakes_are_told_at_once_with_file_and_key() -> None:
    found = problems(
        """
        loose = 1
        [clock]
        tolerance_s = "5 min"
        warn_s = -1
        endpoint = "ftp://x"
        servers = "one"
        tolerance = 3
        [agent]
        max_age_days = 30.5
        min_version = "3.3"
        [run]
        offline = 1
        fail_on = "ok"
        only = ["clocks"]
        deadline_s = nan
        """,
        {"NODECHECK_CLOCK_TOLERANCE": "3", "NODECHECK_RUN_DEADLINE_S": "soon"},
    )
    expected = (
        f"{SETTINGS_FILE}: loose: unknown key",
        f"{SETTINGS_FILE}: clock.tolerance_s: expected a number of seconds, without a unit",
        f"{SETTINGS_FILE}: clock.warn_s: expected a number of seconds, 0 or more, not -1",
        f"{SETTINGS_FILE}: clock.endpoint: expected a URL such as https://host/path, not 'ftp://x'",
        f"{SETTINGS_FILE}: clock.servers: expected a list of texts, not 'one'",
        f"{SETTINGS_FILE}: clock.tolerance: unknown key; did you mean clock.tolerance_s?",
        f"{SETTINGS_FILE}: agent.max_age_days: expected a whole number of days, not 30.5",
        f"{SETTINGS_FILE}: agent.min_version: expected four numbers such as 3.3.1345.0, not '3.3'",
        f"{SETTINGS_FILE}: run.offline: expected true or false, not 1",
        f"{SETTINGS_FILE}: run.fail_on: expected one of warn, unknown, crit, never, not 'ok'",
        f"{SETTINGS_FILE}: run.deadline_s: expected a number of seconds, 1 to 3600, not nan",
        "environment: NODECHECK_CLOCK_TOLERANCE: unknown variable; did you mean",
        "environment: NODECHECK_RUN_DEADLINE_S: expected a number of seconds",
        f"{SETTINGS_FILE}: run.only: there is no check or group 'clocks'",
    )
    for start in expected:
        assert any(problem.startswith(start) for problem in found), start
    assert len(found) == len(expected)


def test_broken_toml_names_the_line() -> None:
    (problem,) = problems("[clock]\nwarn_s = = 3\n")
    assert problem.startswith(f"{SETTINGS_FILE}: not valid TOML")
    assert "line 2" in problem


@pytest.mark.parametrize("content", [b"\xff\xfe[clock]", b"x" * 70_000])
def test_rubbish_in_the_file_is_an_error(content: bytes) -> None:
    host = fake_host(FakeFiles({SETTINGS_FILE: content}))
    with pytest.raises(ConfigError):
        load(host, CHECKS)


def test_a_named_file_must_be_there_the_default_one_need_not() -> None:
    load(fake_host(), CHECKS)
    with pytest.raises(ConfigError, match=r"/x/y\.toml: there is no such file"):
        load(fake_host(), CHECKS, file="/x/y.toml")


@pytest.mark.parametrize(("mode", "uid"), [(0o666, 0), (0o620, 0), (0o644, 1000)])
def test_root_refuses_a_file_that_others_can_write(mode: int, uid: int) -> None:
    state = file_state(SETTINGS_FILE, kind=FileKind.FILE, mode=mode, uid=uid)
    files = FakeFiles({SETTINGS_FILE: b""}, {SETTINGS_FILE: state})
    with pytest.raises(ConfigError, match="root does not believe it, because others can write"):
        load(fake_host(files), CHECKS)
    load(fake_host(files, privileged=False), CHECKS)


def test_limits_in_the_wrong_order_are_an_error() -> None:
    (problem,) = problems("[clock]\nwarn_s = 400\n")
    assert "clock.warn_s: 400 is more than clock.tolerance_s, which is 300" in problem


def test_root_does_not_believe_what_a_link_or_a_folder_lets_others_write() -> None:
    target = file_state("/srv/x.toml", mode=0o666)
    link = file_state(SETTINGS_FILE, kind=FileKind.LINK, target="/srv/x.toml")
    files = FakeFiles({SETTINGS_FILE: b""}, {SETTINGS_FILE: link, "/srv/x.toml": target})
    with pytest.raises(ConfigError, match=r"others can write /srv/x\.toml"):
        load(fake_host(files), CHECKS)
    folder = file_state("/etc/nodecheck", kind=FileKind.FOLDER, mode=0o777)
    files = FakeFiles({SETTINGS_FILE: b""}, {"/etc/nodecheck": folder})
    with pytest.raises(ConfigError, match="others can write /etc/nodecheck "):
        load(fake_host(files), CHECKS)
    sticky = file_state("/etc/nodecheck", kind=FileKind.FOLDER, mode=0o1777)
    load(fake_host(FakeFiles({SETTINGS_FILE: b""}, {"/etc/nodecheck": sticky})), CHECKS)


def test_key_files_must_be_there_and_be_roots() -> None:
    environment = {"NODECHECK_TRUST_KEYS": "/etc/key.asc"}
    with pytest.raises(ConfigError, match=r"trust.keys: /etc/key.asc: there is no such file"):
        load(fake_host(environment=environment), CHECKS)
    files = FakeFiles(
        {"/etc/key.asc": b""}, {"/etc/key.asc": file_state("/etc/key.asc", mode=0o666)}
    )
    with pytest.raises(ConfigError, match=r"trust.keys: .*others can write /etc/key.asc"):
        load(fake_host(files, environment=environment), CHECKS)
    load(fake_host(FakeFiles({"/etc/key.asc": b""}), environment=environment), CHECKS)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRUST_DISTRUST", "A" * 40 + "@2026-13-45"),
        ("TRUST_DISTRUST", "A" * 39),
        ("AGENT_MIN_VERSION", "\N{ARABIC-INDIC DIGIT THREE}.3.1.1"),
        ("AGENT_MIN_VERSION", "1" * 5000 + ".3.1.1"),
        ("AGENT_MAX_AGE_DAYS", "1" * 400),
        ("AGENT_CRIT_AGE_DAYS", "99999"),
        ("NODE_REGION", "eu-west-\N{ARABIC-INDIC DIGIT ONE}"),
        ("REPORT_NAMESPACE", "AWS/EC2"),
        ("STATE_DIR", "relative"),
        ("CLOCK_ENDPOINT", "https://a b"),
    ],
)
def test_what_would_break_later_is_refused_at_once(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"NODECHECK_{variable}: expected"):
        load(fake_host(environment={f"NODECHECK_{variable}": value}), CHECKS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xef\xbb\xbf[run]\n", "byte order mark"),
        (b"[run]\noffline = '\xff'\n", "not UTF-8 text .at line 2."),
        (b"run = 5\n", r"run: expected a table \[run\]"),
    ],
)
def test_odd_files_are_named(content: bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(fake_host(FakeFiles({SETTINGS_FILE: content})), CHECKS)


def test_waivers_are_read_and_checked() -> None:
    good = '[[waivers]]\ncheck="clock.offset"\nreason="lab"\nowner="me"\nexpires="2027-01-31"\n'
    files = FakeFiles({SETTINGS_FILE: good.encode()})
    (waiver,) = load(fake_host(files), CHECKS).waivers
    assert (waiver.check, waiver.expires) == ("clock.offset", "2027-01-31")

    found = problems(
        good.replace("clock.offset", "clock.ofset")
        + good.replace("2027-01-31", "soon")
        + good.replace('owner="me"', "")
        + good.replace('"lab"', '" "')
    )
    assert [problem.split(": ")[1] for problem in found] == [f"waivers[{i}]" for i in (1, 2, 3, 4)]
    wrong = good.replace("clock.offset", "clock").replace("2027-01-31", "9999-99-99")
    assert len(problems(wrong)) == 2
    assert len(problems(good.replace('"lab"', '["a"]'))) == 1


@pytest.mark.parametrize("text", ["169.254.169.123", "[fd00:ec2::123]:1230", "fd00::1", "a.b:123"])
def test_server_forms(text: str) -> None:
    settings = load(fake_host(environment={"NODECHECK_CLOCK_SERVERS": text}), CHECKS)
    assert settings.texts("clock.servers") == (text,)


@pytest.mark.parametrize("text", ["http://x", "a b", "a:b", "[::1"])
def test_wrong_server_forms(text: str) -> None:
    with pytest.raises(ConfigError):
        load(fake_host(environment={"NODECHECK_CLOCK_SERVERS": text}), CHECKS)


@pytest.mark.parametrize(
    ("system", "path", "is_good"),
    [
        ("linux", "/x", True),
        ("linux", "C:/x", False),
        ("windows", "C:/x", True),
        ("windows", "C:\\x y", True),
        ("windows", "//server/share/x", True),
        ("windows", "/x", False),
        ("windows", "C:x", False),
        ("linux", "x", False),
    ],
)
def test_a_path_must_be_one_of_this_system(system: str, path: str, is_good: bool) -> None:  # noqa: FBT001
    host = fake_host(environment={"NODECHECK_STATE_DIR": path})
    host = replace(host, platform=Platform(system, system, "x86_64"))
    if is_good:
        assert load(host, CHECKS).text("state.dir") == path
    else:
        with pytest.raises(ConfigError, match="path"):
            load(host, CHECKS)
    place = replace(host, environment={"NODECHECK_TRUST_PACKAGE_DIR": "https://x.test/y"})
    assert load(place, CHECKS).text("trust.package_dir") == "https://x.test/y"
