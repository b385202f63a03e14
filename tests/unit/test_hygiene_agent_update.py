from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.hygiene_agent_update import EXPLANATION, judge
from nodecheck.model.agent import InstallFacts
from nodecheck.model.agent_config import AgentConfig
from nodecheck.model.hygiene import Association, AssociationFacts, RunFolders, Trace, Work
from nodecheck.model.moment import unix_ns
from nodecheck.model.update import Outcome, UpdateFacts, UpdateTry
from nodecheck.records import replace
from tests.hygiene_builders import ID, INSTALL, NODE, NODE_ID, NOW, OTHER_ID, days

if TYPE_CHECKING:
    from nodecheck.model.verdict import Verdict

WALL = unix_ns(NOW)
GOOD = Association(
    ID,
    "AWS-UpdateSSMAgent",
    "rate(14 days)",
    Work.UPDATE,
    at="2026-11-14 13:00:00",
    at_ns=unix_ns(NOW - days(9)),
    place="log",
    status="Success",
)
NONE = RunFolders(())
TRY = UpdateTry("2026-11-20 12:00:00", "3.3.1.0", "3.3.2.0", Outcome.SUCCEEDED, "audit")


def log(
    *associations: Association, reach: float = 40, unobserved: tuple[str, ...] = ()
) -> AssociationFacts:
    return AssociationFacts(associations, unix_ns(NOW - days(reach)), WALL, ("log",), unobserved)


def verdict(  # noqa: PLR0913
    facts: AssociationFacts, folders: RunFolders = NONE, *, last: UpdateTry | None = None,
    config: AgentConfig | None = None, install: InstallFacts = INSTALL, is_timed: bool = True,
) -> Verdict:  # fmt: skip
    update = UpdateFacts(last, (), WALL, ("audit",))
    return judge(install, facts, folders, update, config, NODE, NOW if is_timed else None)


def outcome(result: Verdict) -> tuple[str, str]:
    return result.status.value, result.reason


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("ok", "ok")),
        ({"schedule": "cron(0 2 ? * SUN *)"}, ("ok", "ok")),
        ({"schedule": "cron(0 0 ? * THU#2 *)"}, ("ok", "ok")),
        ({"schedule": "cron(0 0 1 1/2 ? *)"}, ("warn", "too-seldom")),
        ({"schedule": ""}, ("warn", "run-once")),
        ({"schedule": "at(2026-01-01T00:00:00)"}, ("warn", "run-once")),
        ({"schedule": "cron(0 0 1 * ? 2026)"}, ("warn", "run-once")),
        ({"schedule": "every two weeks"}, ("unknown", "schedule-not-understood")),
        ({"at_ns": None}, ("unknown", "age-unknown")),
        ({"at_ns": unix_ns(NOW + days(1))}, ("unknown", "age-unknown")),
        ({"at_ns": unix_ns(NOW - days(36))}, ("ok", "ok")),
        ({"at_ns": unix_ns(NOW - days(36.1))}, ("warn", "overdue")),
        ({"status": "Failed"}, ("warn", "last-run-failed")),
        ({"status": "TimedOut"}, ("warn", "last-run-failed")),
        ({"status": "Pending"}, ("ok", "ok")),
        ({"status": ""}, ("ok", "ok")),
    ],
)
def test_an_association(changes: dict[str, object], expected: tuple[str, str]) -> None:
    item = replace(GOOD, **changes)  # type: ignore[arg-type]
    assert outcome(verdict(log(item))) == expected


def test_one_good_association_is_enough() -> None:
    seldom = replace(GOOD, association_id=OTHER_ID, schedule="rate(300 days)", at="2026-11-15")
    assert outcome(verdict(log(seldom, GOOD))) == ("ok", "ok")
    other = replace(GOOD, node_id="i-0fedcba9876543210")
    assert outcome(verdict(log(other, reach=3))) == ("unknown", "beyond-retention")


def test_without_the_true_time_nothing_has_an_age() -> None:
    assert outcome(verdict(log(GOOD), is_timed=False)) == ("unknown", "age-unknown")
    assert outcome(verdict(log(), is_timed=False)) == ("unknown", "age-unknown")


UPDATED = Trace(ID, Work.UPDATE, is_association=True, at_ns=WALL)


@pytest.mark.parametrize(
    ("facts", "folders", "last", "expected"),
    [
        (log(reach=3.2), NONE, None, ("unknown", "beyond-retention")),
        (log(reach=35.9), NONE, None, ("unknown", "beyond-retention")),
        (log(reach=36.1), NONE, None, ("warn", "no-association")),
        (log(reach=36.1), NONE, TRY, ("warn", "no-association")),
        (log(reach=3), RunFolders((UPDATED,)), None, ("unknown", "beyond-retention")),
        (log(reach=3), NONE, TRY, ("unknown", "beyond-retention")),
        (log(reach=99, unobserved=("log: not there",)), NONE, None, ("unknown", "not-observed")),
        (log(reach=99), RunFolders((), "I/O error"), None, ("unknown", "not-observed")),
        (replace(log(), begins_ns=None), NONE, None, ("unknown", "age-unknown")),
    ],
)
def test_absence_is_proven_only_within_the_reach_of_the_log(
    facts: AssociationFacts,
    folders: RunFolders,
    last: UpdateTry | None,
    expected: tuple[str, str],
) -> None:
    assert outcome(verdict(facts, folders, last=last)) == expected


def test_what_did_update_the_agent_is_told() -> None:
    assert (
        f"association {ID} ran an update" in verdict(log(reach=3), RunFolders((UPDATED,))).message
    )
    command = replace(UPDATED, is_association=False)
    assert f"command {ID} ran an" in verdict(log(reach=3), RunFolders((command,))).message
    assert "ran last at 2026-11-20 12:00:00" in verdict(log(reach=3), last=TRY).message


def test_automatic_updates_are_no_monthly_ones() -> None:
    found = verdict(log(reach=3), config=AgentConfig(path="/etc/x", self_update=True))
    assert outcome(found) == ("unknown", "beyond-retention")
    assert "replace deprecated versions only" in found.message


def test_without_an_agent_there_is_nothing_to_judge() -> None:
    assert outcome(verdict(log(), install=InstallFacts((), ()))) == ("skip", "not-applicable")
    found = verdict(log(), install=InstallFacts((), ("rpm: locked",)))
    assert outcome(found) == ("unknown", "not-observed")


def test_remedies_are_exact_and_hold_nothing_from_a_file_without_its_form() -> None:
    (look, create) = verdict(log()).fixes
    assert f"--instance-id {NODE_ID} --region eu-west-1" in look.command
    assert f"Key=InstanceIds,Values={NODE_ID}" in create.command
    assert create.disruptive
    (show,) = verdict(log(replace(GOOD, schedule="rate(90 days)"))).fixes
    assert show.command.endswith(f"describe-association --association-id {ID} --region eu-west-1")
    (send,) = verdict(log(replace(GOOD, status="Failed"))).fixes
    assert "AWS-UpdateSSMAgent" in send.command
    quoted = replace(NODE, node_id='i-0123"; reboot #')
    found = judge(INSTALL, log(), NONE, None, None, quoted, NOW)
    assert found.fixes == ()
    assert "reboot" not in repr(found)


CODES = (
    "too-seldom run-once overdue last-run-failed no-association beyond-retention"
    " schedule-not-understood age-unknown not-observed no-permission"
)


@pytest.mark.parametrize("code", CODES.split())
def test_every_code_is_explained(code: str) -> None:
    assert code in EXPLANATION.partition("LIMITS")[2]
