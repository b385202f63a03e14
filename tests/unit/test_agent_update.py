"""What the agent's updater recorded, and what is concluded from it."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from nodecheck.checks.agent_update import EXPLANATION, judge
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.agent_place import LINUX
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.install import RunningFacts
from nodecheck.model.moment import instant
from nodecheck.model.node import FileState, NodeFacts
from nodecheck.model.update import Outcome, UpdateFacts, read_audit, read_log
from nodecheck.model.verdict import Status, Verdict
from nodecheck.probes import agent_update as probe
from nodecheck.records import replace
from tests.fake_host import FakeClock, FakeFiles, fake_host, file_state

OLD, NEW = "3.3.987.0", "3.3.1142.0"
AUDIT = f"{LINUX.audits}/amazon-ssm-agent-audit-2026-11-23"
LOCK = f"{LINUX.data}/update.lock"
CONTEXT = f"{LINUX.data}/update/updatecontext.json"
WALL_NS = FakeClock().wall
NOW = instant(WALL_NS)
NODE = NodeFacts("i-0123456789abcdef0", "ec2", "eu-west-1", "", "", is_ec2=True)
START = "SchemaVersion=1\nagent_telemetry amazon-ssm-agent.start 3.3.987.0 09:00:00\n"


def audit(status: str, source: str = OLD, time: str = "12:44:50") -> str:
    return f"{START}agent_update_result {status} {source} {time}\n"


def log(*said: str, at: str = "2026-11-23 12:44:50") -> str:
    begin = f"{at}.1000 INFO SSM Agent Updater - v{NEW}\n"
    return begin + "".join(f"{at}.2000 INFO {line}\n" for line in said)


FORWARD = f"Attemping to upgrade from {OLD} to {NEW}"
ROLLED_BACK = log(
    FORWARD,
    f"Initiating amazon-ssm-agent {NEW} installation",
    f"failed to install amazon-ssm-agent {NEW}, ErrorMessage=exit status 124, password=hunter2",
    f"Initiating rollback amazon-ssm-agent to {OLD}",
    "amazon-ssm-agent is running",
    f"rolledback amazon-ssm-agent to {OLD}",
    f"Failed to update amazon-ssm-agent to {NEW}",
)


def look(files: FakeFiles) -> UpdateFacts:
    return probe.look(fake_host(files=files))


def recorded(audits: str = "", updater: str = "", context: bytes | None = None) -> UpdateFacts:
    contents: dict[str, bytes | ProbeError] = {}
    if audits:
        contents[AUDIT] = audits.encode()
    if updater:
        contents[LINUX.update_log] = updater.encode()
    if context is not None:
        contents[CONTEXT] = context
    return look(FakeFiles(contents))


def judged(
    facts: UpdateFacts,
    version: str = OLD,
    *,
    now: datetime | None = NOW,
    updaters: tuple[int, ...] = (),
) -> Verdict:
    agent = Installation(Channel.RPM, version, "", "/usr/bin/amazon-ssm-agent")
    running = RunningFacts((), (), (), updaters=updaters)
    return judge(InstallFacts((agent,), ()), facts, running, NODE, now)


def outcome(verdict: Verdict) -> tuple[str, str]:
    return verdict.status.value, verdict.reason


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (f"UpdateSucceeded-{NEW}", Outcome.SUCCEEDED),
        (f"UpdateSucceeded_SelfUpdate-{NEW}", Outcome.SUCCEEDED),
        (f"UpdateSucceeded_InactiveAgentVersion-{NEW}", Outcome.SKIPPED),
        (f"UpdateFailed_ErrorInstallFailed-{NEW}", Outcome.FAILED),
        (f"UpdateFailed_SelfUpdate_ErrorDownloadManifest-{NEW}", Outcome.FAILED),
        ("UpdateFailed_ErrorDownloadManifest", Outcome.FAILED),
        ("UpdateFailed_ErrorDownloadManifest-latest", Outcome.FAILED),
        (f"UpdateFailed_ErrorFailedPrecondition-{NEW}-NoAlarm", Outcome.FAILED),
        (f"UpdateFailed_downgrade_ErrorUninstallFailed-{NEW}", Outcome.FAILED),
        (f"UpdateFailed_ErrorAttempToDowngrade-{NEW}-NoAlarm", Outcome.SKIPPED),
        (f"UpdateFailed_VerificationRollback_ErrorUpdateFailRollbackSuccess-{NEW}",
         Outcome.ROLLED_BACK),
        (f"UpdateFailed_InstallRollback_ErrorInstallFailed-{NEW}", Outcome.ROLLBACK_FAILED),
        (f"UpdateFailed_VerificationRollback_ErrorCannotStartService-{NEW}",
         Outcome.ROLLBACK_FAILED),
    ],
)  # fmt: skip
def test_audit_lines(status: str, expected: Outcome) -> None:
    last, strange = read_audit("2026-11-23", audit(status), AUDIT)
    assert strange == ()
    assert last is not None
    assert (last.outcome, last.source, last.at) == (expected, OLD, "2026-11-23 12:44:50")


@pytest.mark.parametrize(
    "line",
    [
        "agent_update_result",
        "agent_update_result ",
        "agent_update_result UpdateFailed",
        f"agent_update_result UpdateVanished-{NEW} {OLD} 12:44:50",
        f"agent_update_result UpdateSucceeded-{NEW} {OLD} 12:44",
        f"agent_update_result UpdateSucceeded-{NEW} {OLD} 12:44:50 and more",
        f"agent_update_result UpdateSucceeded-{NEW} \uff13.3.987.0 12:44:50",
        f"agent_update_result \x00\x1b[2J{'A' * 9000} {OLD} 12:44:50",
        f"agent_update_result Aktualisierung-erfolgreich-{NEW} {OLD} 12:44:50",
    ],
)
def test_an_audit_line_that_is_not_understood_is_no_good_news(line: str) -> None:
    facts = recorded(START + line + "\n")
    assert facts.last is None
    if line == "agent_update_result":  # a line that is being written has no blank yet
        return
    verdict = judged(facts)
    assert outcome(verdict) == ("unknown", "not-observed")
    assert "\x1b" not in verdict.message
    assert len(verdict.message) < 400


def test_the_last_line_of_the_last_day_with_an_update_counts() -> None:
    files = FakeFiles(
        {
            f"{LINUX.audits}/amazon-ssm-agent-audit-2026-11-20": audit("UpdateFailed_A").encode(),
            f"{LINUX.audits}/amazon-ssm-agent-audit-2026-11-22": (
                audit("UpdateFailed_B") + audit(f"UpdateSucceeded-{NEW}", time="13:00:00")
            ).encode(),
            AUDIT: START.encode(),
            f"{LINUX.audits}/notes": b"agent_update_result UpdateFailed_C",
        }
    )
    last = look(files).last
    assert last is not None
    assert (last.at, last.outcome) == ("2026-11-22 13:00:00", Outcome.SUCCEEDED)


ROWS = [
    (log(FORWARD, f"amazon-ssm-agent updated successfully to {NEW}"), Outcome.SUCCEEDED, ""),
    (log(f"Updating amazon-ssm-agent from {OLD} to latest",
         f"amazon-ssm-agent {OLD} has already been installed, update skipped"),
     Outcome.SKIPPED, ""),
    (log(FORWARD, "failed to install amazon-ssm-agent, no space",
         f"Failed to update amazon-ssm-agent to {NEW}", "No rollback needed"),
     Outcome.FAILED, "failed to install amazon-ssm-agent, no space"),
    (log(FORWARD, "cannot find the information in the Manifest file",
         f"Failed to update amazon-ssm-agent to {NEW}"),
     Outcome.FAILED, "cannot find the information in the Manifest file"),
    (ROLLED_BACK, Outcome.ROLLED_BACK,
     f"failed to install amazon-ssm-agent {NEW}, ErrorMessage=exit status 124, password=[hidden]"),
    (log(FORWARD, f"failed to update amazon-ssm-agent to {NEW}, failed to start the agent, X",
         f"Initiating rollback amazon-ssm-agent to {OLD}",
         f"failed to rollback amazon-ssm-agent to {OLD}, failed to start the agent, Y",
         f"Failed to update amazon-ssm-agent to {NEW}"),
     Outcome.ROLLBACK_FAILED,
     f"failed to update amazon-ssm-agent to {NEW}, failed to start the agent, X"),
    (log(FORWARD, f"Initiating amazon-ssm-agent {NEW} installation"), Outcome.UNFINISHED, ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected", "error"), ROWS)
@pytest.mark.parametrize("before", ["", ROLLED_BACK, "\x00\xff rubbish\n" * 10])
def test_logs(text: str, expected: Outcome, error: str, before: str) -> None:
    found = read_log(before + text, LINUX.update_log, 5)
    assert found is not None
    assert (found.outcome, found.text) == (expected, error)
    assert found.source == OLD


def test_a_log_without_stamps_or_with_its_front_cut_off_is_read() -> None:
    lines = [line.split(" INFO ")[1] for line in ROLLED_BACK.splitlines()[2:]]
    found = read_log("\n".join(lines), LINUX.update_log, 5)
    assert found is not None
    assert (found.outcome, found.at) == (Outcome.ROLLED_BACK, "")


def test_a_refused_second_updater_is_no_try() -> None:
    refused = log("Failed to lock update lockfile, another update is in progress: busy")
    found = read_log(ROLLED_BACK + refused, LINUX.update_log, 5)
    assert found is not None
    assert found.outcome is Outcome.ROLLED_BACK


def test_rolled_back_is_warn_with_the_code_and_the_error() -> None:
    status = f"UpdateFailed_InstallRollback_ErrorUpdateFailRollbackSuccess-{NEW}"
    verdict = judged(recorded(audit(status, time="12:44:53"), ROLLED_BACK))
    assert outcome(verdict) == ("warn", "rolled-back")
    for part in (OLD, NEW, "exit status 124", "2026-11-23"):
        assert part in verdict.message, part
    assert "ErrorUpdateFailRollbackSuccess" in str(verdict.evidence)
    assert "hunter2" not in str(verdict)
    commands = [fix.command for fix in verdict.fixes]
    assert any("AmazonSSMAgent-update.txt" in command for command in commands)
    assert any("--instance-ids i-0123456789abcdef0 --region eu-west-1" in c for c in commands)


@pytest.mark.parametrize(
    ("audits", "updater", "version", "expected"),
    [
        (audit(f"UpdateSucceeded-{NEW}"), "", NEW, ("ok", "ok")),
        ("", ROWS[0][0], NEW, ("ok", "ok")),
        (audit(f"UpdateFailed_ErrorInstallFailed-{NEW}"), "", OLD, ("warn", "update-failed")),
        (audit("UpdateFailed_ErrorDownloadManifest"), "", OLD, ("warn", "update-failed")),
        ("", ROWS[5][0], OLD, ("warn", "rollback-failed")),
        # history: what was wanted is installed since; what is installed is not it
        (audit(f"UpdateFailed_ErrorInstallFailed-{NEW}"), "", NEW, ("ok", "ok")),
        (audit(f"UpdateFailed_ErrorInstallFailed-{NEW}"), "", "3.3.2000.0", ("ok", "ok")),
        (audit(f"UpdateFailed_ErrorInstallFailed-{NEW}"), "", "3.3.1000.0",
         ("warn", "update-failed")),
        # a downgrade that failed: the version is above what was wanted, but as it was
        (audit(f"UpdateFailed_ErrorUninstallFailed-{OLD}", NEW), "", NEW,
         ("warn", "update-failed")),
        # the log is older than the audit, and the other way round
        (audit(f"UpdateSucceeded-{NEW}", time="23:00:00"), ROLLED_BACK, NEW, ("ok", "ok")),
        (audit(f"UpdateSucceeded-{NEW}", time="01:00:00"), ROLLED_BACK, OLD,
         ("warn", "rolled-back")),
        ("", "", OLD, ("ok", "ok")),
        (START, "", OLD, ("ok", "ok")),
        ("", "\x7fELF\x00\x00", OLD, ("unknown", "not-observed")),
    ],
)  # fmt: skip
def test_verdicts(audits: str, updater: str, version: str, expected: tuple[str, str]) -> None:
    assert outcome(judged(recorded(audits, updater), version)) == expected


def test_no_record_says_so_and_names_where_it_looked() -> None:
    verdict = judged(recorded(START))
    assert "no update by the agent's updater is recorded" in verdict.message
    assert LINUX.audits in str(verdict.evidence)


@pytest.mark.parametrize("path", [AUDIT, LINUX.update_log, CONTEXT])
def test_what_cannot_be_read_is_never_ok(path: str) -> None:
    contents: dict[str, bytes | ProbeError] = {
        AUDIT: audit(f"UpdateSucceeded-{NEW}").encode(),
        LINUX.update_log: ROWS[0][0].encode(),
        path: Denied(f"{path}: permission denied"),
    }
    states: dict[str, FileState | ProbeError] = {path: file_state(path)}
    verdict = judged(look(FakeFiles(contents, states)), NEW)
    assert outcome(verdict) == ("unknown", "not-observed")
    assert path in verdict.message


def unfinished(age_s: float, *, lock: bool = True) -> UpdateFacts:
    changed_ns = WALL_NS - int(age_s * 1e9)
    paths = (LINUX.update_log, LOCK) if lock else (LINUX.update_log,)
    states: dict[str, FileState | ProbeError] = {
        path: file_state(path, mtime_ns=changed_ns) for path in paths
    }
    return look(FakeFiles({LINUX.update_log: ROWS[-1][0].encode()}, states))


@pytest.mark.parametrize("lock", [True, False])
@pytest.mark.parametrize(
    ("age_s", "skew_s", "expected"),
    [
        (3599, 0, ("unknown", "update-in-progress")),
        (3600, 0, ("warn", "half-done")),
        (90_000, 0, ("warn", "half-done")),
        (-1, 0, ("unknown", "age-unknown")),
        # the clock is wrong: only what is old by both clocks is old
        (90_000, -88_000, ("unknown", "update-in-progress")),
        (60, 90_000, ("unknown", "update-in-progress")),
        (90_000, -100_000, ("unknown", "age-unknown")),
    ],
)
def test_half_done(age_s: float, skew_s: int, expected: tuple[str, str], *, lock: bool) -> None:
    verdict = judged(unfinished(age_s, lock=lock), now=NOW + timedelta(seconds=skew_s))
    assert outcome(verdict) == expected
    assert NEW in verdict.message


def test_the_age_is_not_known_without_the_true_time() -> None:
    assert outcome(judged(unfinished(90_000), now=None)) == ("unknown", "age-unknown")


def test_half_done_names_the_updater_and_is_over_once_the_version_is_there() -> None:
    assert "process 77" in judged(unfinished(90_000), updaters=(77,)).message
    assert outcome(judged(unfinished(90_000, lock=False), NEW)) == ("ok", "ok")
    fixes = judged(unfinished(90_000)).fixes
    assert any(fix.command.startswith("pgrep -x updater ||") for fix in fixes)


def context_of(**current: object) -> bytes:
    return json.dumps({"Current": current, "Histories": []}).encode()


def test_a_context_of_the_old_updater() -> None:
    started = (NOW - timedelta(hours=2)).isoformat().replace("+00:00", ".123456789Z")
    content = context_of(
        State="Staged", SourceVersion=OLD, TargetVersion=NEW, StartDateTime=started
    )
    verdict = judged(recorded(context=content))
    assert outcome(verdict) == ("warn", "half-done")
    assert "120 min ago" in verdict.message
    assert outcome(judged(recorded(context=content), NEW)) == ("ok", "ok")
    done = recorded(audit(f"UpdateFailed_X-{NEW}"), context=content)
    assert outcome(judged(done)) == ("warn", "update-failed")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{}", ("ok", "ok")),
        (b'{"Current": null}', ("ok", "ok")),
        (context_of(State="Completed"), ("ok", "ok")),
        (context_of(State=""), ("ok", "ok")),
        (context_of(State="Staged"), ("unknown", "age-unknown")),
        (
            context_of(State="Staged", StartDateTime="0001-01-01T00:00:00Z"),
            ("unknown", "age-unknown"),
        ),
        (context_of(State="Staged", StartDateTime=7), ("unknown", "age-unknown")),
        (context_of(State=["x"]), ("unknown", "not-observed")),
        (b"", ("unknown", "not-observed")),
        (b'{"Current": {"Sta', ("unknown", "not-observed")),
        (b"[" * 100_000, ("unknown", "not-observed")),
        (b"[]", ("unknown", "not-observed")),
        (b'{"Current": 7}', ("unknown", "not-observed")),
        (b"\xff\xfe\x00", ("unknown", "not-observed")),
        (b" " * (probe.CONTEXT_LIMIT_BYTES + 1), ("unknown", "not-observed")),
    ],
)
def test_contexts(content: bytes, expected: tuple[str, str]) -> None:
    assert outcome(judged(recorded(context=content))) == expected


def test_damaged_records_raise_nothing_and_show_nothing_raw() -> None:
    chance = random.Random(5)  # noqa: S311 - the same damage in each run
    whole = (audit(f"UpdateFailed_ErrorInstallFailed-{NEW}") + ROLLED_BACK).encode()
    for _ in range(300):
        damaged = bytearray(whole[: chance.randrange(len(whole))])
        for _ in range(chance.randrange(6)):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        contents = {path: bytes(damaged) for path in (AUDIT, LINUX.update_log, CONTEXT)}
        verdict = judged(look(FakeFiles(dict(contents))))
        assert verdict.message.isprintable()


def test_without_an_agent() -> None:
    facts = recorded()
    nothing = InstallFacts((), ())
    assert outcome(judge(nothing, facts, None, None, NOW)) == ("skip", "not-applicable")
    unseen = replace(nothing, unobserved=("rpm database: locked",))
    assert judge(unseen, facts, None, None, NOW).status is Status.UNKNOWN


def test_a_node_id_that_is_none_is_no_part_of_a_command() -> None:
    evil = replace(NODE, node_id="i-0; reboot")
    agent = Installation(Channel.DEB, OLD, "", "/usr/bin/amazon-ssm-agent")
    facts = recorded(audit("UpdateFailed_X"))
    verdict = judge(InstallFacts((agent,), ()), facts, None, evil, datetime.now(UTC))
    assert "reboot" not in str(verdict.fixes)
    assert "dpkg -i" in verdict.fixes[-1].command


def test_explains_every_reason_code() -> None:
    for code in (
        "update-failed", "rolled-back", "rollback-failed", "half-done", "not-observed",
        "update-in-progress", "age-unknown",
    ):  # fmt: skip
        assert code in EXPLANATION
