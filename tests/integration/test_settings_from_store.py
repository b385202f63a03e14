"""Settings from Parameter Store: the program as it is started, against the strict server."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.aws_server import AwsServer
from tests.aws_service import Fault
from tests.aws_ssm import StoredParameter
from tests.wrong_clock import wrong_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
NAME: Final = "/fleet/nodecheck"
CONFIG: Final = f"ssm:{NAME}"
GOOD: Final = '[clock]\nwarn_s = 20\n\n[report]\nnamespace = "Fleet"\n'
SHOW: Final = ("config", "show", "--config", CONFIG)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AwsServer]:
    with AwsServer(tmp_path) as running:
        running.ssm.stored[NAME] = StoredParameter(GOOD, 3)
        yield running


class Start:
    """Starts nodecheck on this machine, with a state folder of its own."""

    def __init__(self, server: AwsServer, folder: Path) -> None:
        self.server = server
        self.kept = folder / "state" / "settings-parameter.json"
        self.state = folder / "state"

    def __call__(
        self, *words: str, clock: str = "", **changes: str
    ) -> subprocess.CompletedProcess[str]:
        prefix = wrong_clock(clock) if clock else ()
        return subprocess.run(
            (*prefix, sys.executable, "-P", "-m", "nodecheck", *words),
            env={
                "PATH": os.environ["PATH"],
                "HOME": "/nonexistent",
                "PYTHONPATH": str(ROOT),
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                **self.server.environment(),
                "AWS_REGION": "eu-central-1",
                "NODECHECK_STATE_DIR": str(self.state),
                **changes,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def asked(self) -> int:
        """Return how often GetParameter was asked for."""
        targets = [item.headers.get("x-amz-target") for item in self.server.requests]
        return targets.count("AmazonSSM.GetParameter")

    def grow_old(self, seconds: int) -> None:
        """Make what is kept older."""
        content = json.loads(self.kept.read_bytes())
        content |= {"boot_id": "", "wall_s": int(time.time()) - seconds}
        self.kept.write_text(json.dumps(content))


@pytest.fixture
def start(server: AwsServer, tmp_path: Path) -> Start:
    return Start(server, tmp_path)


def row(out: str, key: str) -> str:
    return next(line for line in out.splitlines() if line.startswith(f"{key} ="))


@pytest.mark.parametrize("kind", ["String", "SecureString"])
def test_a_parameter_is_read_kept_and_named(server: AwsServer, start: Start, kind: str) -> None:
    server.ssm.stored[NAME] = StoredParameter(GOOD, 3, kind)
    first = start(*SHOW)
    assert first.returncode == 0, first.stderr
    assert row(first.stdout, "clock.warn_s").split(maxsplit=3)[2:] == [
        "20.0", f"# {CONFIG} version 3",
    ]  # fmt: skip
    assert stat.S_IMODE(start.kept.stat().st_mode) == 0o600
    second = start(*SHOW)
    assert f"# {CONFIG} version 3, cached 0 min ago" in row(second.stdout, "clock.warn_s")
    assert start.asked() == 1


@pytest.mark.parametrize("clock", ["-10m", "+10h", "@1970-01-02 00:00:00", "@2040-01-01 00:00:00"])
def test_it_is_signed_at_the_true_time(start: Start, clock: str) -> None:
    shown = start(*SHOW, clock=clock)
    assert shown.returncode == 0, shown.stderr
    assert f"# {CONFIG} version 3" in row(shown.stdout, "report.namespace")


def test_a_day_later_the_new_version_is_taken(server: AwsServer, start: Start) -> None:
    start(*SHOW)
    server.ssm.stored[NAME] = StoredParameter(GOOD.replace("20", "30"), 4)
    start.grow_old(23 * 3600)
    assert "version 3, cached 23 h ago" in start(*SHOW).stdout
    start.grow_old(25 * 3600)
    shown = row(start(*SHOW).stdout, "clock.warn_s")
    assert shown.split(maxsplit=3)[2:] == ["30.0", f"# {CONFIG} version 4"]


def test_a_check_asks_at_once_and_names_parameter_and_key(server: AwsServer, start: Start) -> None:
    start(*SHOW)
    before = start.kept.read_bytes()
    server.ssm.stored[NAME] = StoredParameter("[clock]\nwarn = 3\n", 4)
    checked = start("config", "check", "--config", CONFIG)
    assert checked.returncode == 78
    assert f"{CONFIG} version 4: clock.warn: unknown key" in checked.stderr
    assert start.kept.read_bytes() == before


@pytest.mark.parametrize("fault", ["access-denied", "error500", "cut", "html", "expired-token"])
def test_what_was_kept_counts_where_aws_gives_none(
    server: AwsServer, start: Start, fault: str
) -> None:
    start(*SHOW)
    start.grow_old(50 * 3600)
    server.faults.append(Fault(fault))
    shown = start(*SHOW)
    assert shown.returncode == 0, shown.stderr
    assert f"# {CONFIG} version 3, cached 2 d ago" in row(shown.stdout, "clock.warn_s")
    assert "# note: settings of" in shown.stdout
    assert "because AWS gave none" in shown.stdout


def test_a_run_says_which_settings_it_used(server: AwsServer, start: Start) -> None:
    server.faults.append(Fault("access-denied"))
    words = ("--only", "agent.installed", "--config", CONFIG)
    refused = start(*words, "--format", "json")
    assert refused.returncode == 78
    document = json.loads(refused.stdout)
    assert document["verdict"] == "unknown"
    assert "AccessDeniedException" in document["checks"][0]["message"]
    assert "and none is kept" in document["checks"][0]["message"]
    server.faults.clear()
    assert f"note: settings of {CONFIG} version 3\n" in start(*words).stderr
    start.grow_old(50 * 3600)
    server.faults.append(Fault("access-denied"))
    told = start(*words).stderr
    assert f"note: settings of {CONFIG} version 3, cached 2 d ago, because AWS gave none: " in told
    assert "AccessDeniedException" in told


def test_without_any_way_to_aws_it_ends_in_time(start: Start) -> None:
    start(*SHOW)
    start.grow_old(50 * 3600)
    for url in ("https://127.0.0.1:1", "https://192.0.2.1"):
        begun = time.monotonic()
        shown = start(*SHOW, AWS_ENDPOINT_URL_SSM=url)
        assert time.monotonic() - begun < 6
        assert shown.returncode == 0, shown.stderr
        assert "version 3, cached 2 d ago" in shown.stdout


def test_a_server_that_drips_is_left_in_time(server: AwsServer, start: Start) -> None:
    server.faults.append(Fault("drip"))
    begun = time.monotonic()
    shown = start(*SHOW)
    assert time.monotonic() - begun < 6
    assert shown.returncode == 78


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (
            StoredParameter("\x01\x02garbage ü'\"$(reboot)`reboot`; reboot\n" * 200, 7),
            "not valid TOML",
        ),
        (StoredParameter("x" * 8192, 7), "not valid TOML"),
        (StoredParameter("x" * 8193, 7), "larger than 8192 bytes"),
        (StoredParameter("a,b", 7, "StringList"), "a StringList, expected a String or a Sec"),
        (StoredParameter("[clock]\npassword = 'q7Rz-Kd83'\n", 7), "line 2, password, looks like"),
    ],
)
def test_garbage_is_an_error_and_loses_nothing(
    server: AwsServer, start: Start, stored: StoredParameter, words: str
) -> None:
    start(*SHOW)
    start.grow_old(50 * 3600)
    before = start.kept.read_bytes()
    server.ssm.stored[NAME] = stored
    shown = start("config", "check", "--config", CONFIG)
    told = shown.stdout + shown.stderr
    if stored.kind == "StringList" or len(stored.value) > 8192:  # then what is kept counts
        shown = start("--only", "agent.installed", "--config", CONFIG)
        told = shown.stderr
        assert "because AWS gave none" in told
    else:
        assert shown.returncode == 78
        assert f"{CONFIG} version 7" in told
    assert words in told
    assert "q7Rz" not in told
    assert len(told) < 600
    assert start.kept.read_bytes() == before


def test_what_does_not_exist_is_said(start: Start) -> None:
    shown = start("config", "show", "--config", "ssm:/nothing/here")
    assert shown.returncode == 78
    assert "ssm:/nothing/here: ParameterNotFound" in shown.stderr


def test_the_policy_allows_it_and_no_more(server: AwsServer, start: Start) -> None:
    told = start("iam", "--config", CONFIG)
    assert told.returncode == 0, told.stderr
    policy = json.loads(told.stdout)
    (statement,) = policy["Statement"]
    assert statement["Action"] == ["ssm:GetParameter"]
    assert statement["Resource"] == f"arn:aws:ssm:*:*:parameter{NAME}"
    assert "kms:Decrypt" in told.stderr
    server.allow(policy)
    assert start(*SHOW).returncode == 0
    server.ssm.stored["/another"] = StoredParameter(GOOD)
    other = start("config", "show", "--config", "ssm:/another")
    assert "AccessDeniedException" in other.stderr
    both = start("iam", "--config", CONFIG, "--report", "cloudwatch", "--region", "eu-central-1")
    actions = [item["Action"] for item in json.loads(both.stdout)["Statement"]]
    assert ["ssm:GetParameter"] in actions
    assert len(actions) > 1
    assert start("iam", "--config", "ssm:no").returncode == 78


def test_a_waiver_of_an_unknown_reason_is_found_by_the_check(
    server: AwsServer, start: Start
) -> None:
    text = (
        '[[waivers]]\ncheck = "clock.offset"\nreason = "lab"\nowner = "me"\n'
        'expires = "2027-01-31"\nreasons = ["drifting", "{}"]\n'
    )
    server.ssm.stored[NAME] = StoredParameter(text.format("no-such-code"))
    checked = start("config", "check", "--config", CONFIG)
    assert checked.returncode == 78
    assert "waivers: clock.offset has no reason 'no-such-code'" in checked.stderr
    server.ssm.stored[NAME] = StoredParameter(text.format("not-observed"), 2)
    assert start("config", "check", "--config", CONFIG).returncode == 0


def test_credentials_that_never_come_are_left_in_time(start: Start, tmp_path: Path) -> None:
    config = tmp_path / "aws-config"
    config.write_text("[default]\ncredential_process = sleep 20\n")
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    begun = time.monotonic()
    ended = start(*SHOW, AWS_CONFIG_FILE=str(config), **dict.fromkeys(names, ""))
    assert ended.returncode == 78
    assert "no answer in 3 s; and none is kept" in ended.stderr
    assert time.monotonic() - begun < 15


def test_the_settings_cannot_steer_a_terminal(server: AwsServer, start: Start) -> None:
    waiver = 'check = "clock.offset"\nowner = "ann"\nexpires = "2099-01-01"\n'
    for text in (
        f'[[waivers]]\nreason = "x\\u001b[31m\\nrun.only = []"\n{waiver}',
        '[clock]\n"\\u001b[31m\\nrun.only = []" = 1\n',
    ):
        server.ssm.stored[NAME] = StoredParameter(text, 4)
        start.kept.unlink(missing_ok=True)
        ended = start(*SHOW)
        words = ended.stdout + ended.stderr
        assert "[31m run.only = []" in words
        assert "\x1b" not in words
