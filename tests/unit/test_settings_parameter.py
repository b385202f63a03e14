"""Settings from Parameter Store, as far as no AWS is needed: names, what is kept, secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nodecheck import settings_parameter
from nodecheck.host.boot import BOOT_ID
from nodecheck.host.door import SETTINGS_FILE
from nodecheck.model.errors import ConfigError, ProbeError
from nodecheck.settings import load
from tests.fake_host import FakeClock, FakeFiles, FakeState, fake_host

if TYPE_CHECKING:
    from nodecheck.model.settings import Settings

CHECKS = ("clock", "clock.offset", "agent", "agent.version")
PATH = "ssm:/nodecheck/config"
KEPT = "/state/settings-parameter.json"
BOOT = "11111111-2222-4333-8444-555555555555"
HOUR = 3600
WALL_S = 1_700_000_000


def record(**changes: object) -> bytes:
    content = {
        "name": "/nodecheck/config",
        "region": "eu-central-1",
        "version": 3,
        "type": "String",
        "wall_s": WALL_S - 2 * HOUR,
        "boot_id": "",
        "monotonic_s": 0,
        "text": "[clock]\nwarn_s = 20\n",
        **changes,
    }
    return json.dumps(content).encode()


def read(kept: bytes | ProbeError | None, **changes: Any) -> Settings:  # noqa: ANN401
    """Load without any way to AWS: no Region is known."""
    state = FakeState({} if kept is None else {KEPT: kept})
    clock = FakeClock(wall=WALL_S * 10**9, monotonic=changes.pop("monotonic_s", 1) * 10**9)
    files = FakeFiles({BOOT_ID: f"{BOOT}\n".encode()} if changes.pop("boot", False) else {})
    host = fake_host(files, clock, environment=changes.pop("environment", {}), state=state)
    return load(host, CHECKS, file=PATH, **changes)


def test_what_was_kept_today_is_used_without_asking() -> None:
    settings = read(record())
    assert settings.number("clock.warn_s") == 20
    assert settings.origins["clock.warn_s"] == f"{PATH} version 3, cached 2 h ago"
    assert settings.notes == (f"settings of {PATH} version 3, cached 2 h ago",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"wall_s": WALL_S - 25 * HOUR}, "cached 1 d ago, because AWS gave none: the Region"),
        ({"wall_s": WALL_S - 900 * HOUR}, "cached 37 d ago, because AWS gave none"),
        ({"wall_s": WALL_S + HOUR}, "cached at a time that is not known, because AWS gave none"),
        ({"wall_s": "x"}, "cached at a time that is not known, because AWS gave none"),
    ],
)
def test_older_settings_count_where_aws_gives_none(changes: dict[str, object], words: str) -> None:
    settings = read(record(**changes))
    assert settings.number("clock.warn_s") == 20
    assert words in settings.notes[0]


def test_within_a_boot_the_monotonic_clock_tells_the_age() -> None:
    kept = record(wall_s=1, boot_id=BOOT, monotonic_s=1000)
    assert "cached 1 h ago" in read(kept, boot=True, monotonic_s=1000 + 2 * HOUR - 1).notes[0]
    another = record(wall_s=WALL_S - 3 * HOUR, boot_id="else", monotonic_s=1000)
    assert "cached 3 h ago" in read(another, boot=True, monotonic_s=1001).notes[0]


def test_a_check_of_the_settings_asks_whatever_is_kept() -> None:
    assert "because AWS gave none" in read(record(), must_ask=True).notes[0]


def test_offline_nothing_is_asked() -> None:
    stale = record(wall_s=WALL_S - 25 * HOUR)
    environment = {"AWS_REGION": "eu-central-1"}
    for more in (
        {"flags": {"run.offline": True}, "environment": environment},
        {"environment": environment | {"NODECHECK_RUN_OFFLINE": "yes"}},
    ):
        assert "AWS gave none: not asked: offline" in read(stale, **more).notes[0]


@pytest.mark.parametrize(
    "kept",
    [
        None,
        record(name="/another"),
        record(text=7),
        record(version="3"),
        b"{",
        b"[" * 60_000,
        b"x" * 70_000,
        b"",
        ProbeError("others can write it"),
    ],
)
def test_without_settings_nothing_starts(kept: bytes | ProbeError | None) -> None:
    with pytest.raises(ConfigError, match=r"^ssm:/nodecheck/config: the Region is not known"):
        read(kept)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[clock]\nwarn_s = -1\n", "version 3, cached 2 h ago: clock.warn_s: expected a number"),
        ("[clock\n", "version 3, cached 2 h ago: not valid TOML"),
        ("\x00\x01\x7f" * 2700, "not valid TOML"),
        ("a=" + "[" * 8000, "not valid TOML"),
        ("ü" * 4000, "not valid TOML"),
    ],
)
def test_what_is_kept_is_judged_like_a_file(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(record(text=text))
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "name",
    [
        "",
        "name",
        "/",
        "//x",
        "/a/",
        "/a b",
        "/a'; reboot",
        "/a\n",
        "/" + "a" * 300,
        "/ü",
        "/a" * 16,
    ],
)
def test_names_of_no_parameter(name: str) -> None:
    with pytest.raises(ConfigError, match="expected ssm:/name"):
        load(fake_host(), CHECKS, file=f"ssm:{name}")


def test_the_variable_names_a_parameter_too() -> None:
    host = fake_host(environment={"NODECHECK_CONFIG": PATH})
    with pytest.raises(ConfigError, match="ssm:/nodecheck/config: the Region is not known"):
        load(host, CHECKS)


def test_the_state_folder_of_the_environment_counts() -> None:
    state = FakeState({"/elsewhere/settings-parameter.json": record()})
    host = fake_host(
        clock=FakeClock(wall=WALL_S * 10**9),
        state=state,
        environment={"NODECHECK_STATE_DIR": "/elsewhere", "NODECHECK_CONFIG": PATH},
    )
    assert load(host, CHECKS).number("clock.warn_s") == 20


def test_what_cannot_be_kept_is_said() -> None:
    host = fake_host(state=FakeState(problem="disk full"))
    wanted = settings_parameter.wish(host, PATH, "", is_offline=False, must_ask=False)
    note = settings_parameter.keep(host, wanted, b"{}")
    assert note == "settings of ssm:/nodecheck/config could not be cached: disk full"


SECRET = "q7Rz/Kd83mWxPb+1LhTnVcYs5oGaJe0uXi2FwZkB"  # noqa: S105 - invented


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'[node]\nregion = "AKIAQ7RZKD23MWXPBLHT {SECRET}"\n', "line 2, region, looks like"),
        ('[clock]\nendpoint = "https://ann:q7Rz-Kd83@host/"\n', "line 2, endpoint, .*url-password"),
        ('[report]\ndb_password = "q7Rz-Kd83"\n', r"line 2, db_password, .*password-parameter"),
        ("# password = q7Rz-Kd83\n", r"line 1 looks like a secret \(password-parameter\)"),
        ("this is no TOML: password=q7Rz-Kd83\n", "line 1 looks like a secret"),
        (f"ghp_{'q7RzKd83mWxP' * 3} = 1\n", "line 1 looks like a secret .github-token"),
    ],
)
def test_secrets_are_refused_in_files_and_parameters_without_being_told(
    text: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as of_file:
        load(fake_host(FakeFiles({SETTINGS_FILE: text.encode()})), CHECKS)
    with pytest.raises(ConfigError, match=words) as of_parameter:
        read(record(text=text))
    for caught in (of_file, of_parameter):
        assert "SecureString" in str(caught.value)
        assert "q7Rz" not in str(caught.value)
        assert SECRET[:8] not in str(caught.value)


WAIVER = """
[[waivers]]
check = "clock.offset"
reason = "lab"
owner = "me"
expires = "2027-01-31"
"""


def test_a_waiver_may_name_its_reason_codes() -> None:
    files = FakeFiles({SETTINGS_FILE: (WAIVER + 'reasons = ["drifting"]\n').encode()})
    (waiver,) = load(fake_host(files), CHECKS).waivers
    assert waiver.reasons == ("drifting",)
    assert waiver.covers("drifting")
    assert not waiver.covers("beyond-tolerance")


@pytest.mark.parametrize(
    "value", ["[]", '"drifting"', "[1]", '[""]', '["Drifting"]', '["a b"]', "{}"]
)
def test_wrong_reason_codes(value: str) -> None:
    files = FakeFiles({SETTINGS_FILE: (WAIVER + f"reasons = {value}\n").encode()})
    with pytest.raises(
        ConfigError, match=r"waivers\[1\]: reasons: expected a list of reason codes"
    ):
        load(fake_host(files), CHECKS)


def test_what_another_region_gave_does_not_count() -> None:
    environment = {"AWS_REGION": "eu-west-1", "NODECHECK_RUN_OFFLINE": "yes"}
    with pytest.raises(ConfigError, match="offline; and none is kept"):
        read(record(), environment=environment)
    same = environment | {"AWS_REGION": "eu-central-1"}
    assert read(record(), environment=same).number("clock.warn_s") == 20


def test_an_endless_number_is_no_bug() -> None:
    with pytest.raises(ConfigError, match="not valid TOML: Exceeds the limit"):
        read(record(text=f"[clock]\nwarn_s = {'9' * 5000}\n"))
