from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.hygiene_patch_scan import EXPLANATION, judge
from nodecheck.model.agent import InstallFacts
from nodecheck.model.hygiene import Association, AssociationFacts, RunFolders, Trace, Work
from nodecheck.model.moment import unix_ns
from nodecheck.probes import hygiene_log
from nodecheck.records import replace
from tests.fake_host import fake_host
from tests.hygiene_builders import (
    ID,
    INSTALL,
    NODE,
    NOW,
    OTHER_ID,
    clock,
    days,
    entry,
    line,
    log_files,
)

if TYPE_CHECKING:
    from nodecheck.model.verdict import Verdict

WALL = unix_ns(NOW)
THIRD_ID = "0e1a2b3c-1111-4222-8333-000000000003"
OWN = Association(
    ID,
    "AWS-RunPatchBaseline",
    "rate(1 day)",
    Work.PATCH,
    at="2026-11-23 01:00:00",
    at_ns=unix_ns(NOW - days(0.5)),
    operation="Scan",
)
INSTALLS = replace(OWN, association_id=THIRD_ID, operation="Install", schedule="rate(7 days)")
HOST = replace(OWN, association_id=OTHER_ID, document="AWS-RunPatchBaselineAssociation")
POLICY = replace(OWN, association_id=OTHER_ID, is_policy=True)
NONE = RunFolders(())


def log(*associations: Association, reach: float = 9) -> AssociationFacts:
    return AssociationFacts(associations, unix_ns(NOW - days(reach)), WALL, ("log",))


def outcome(facts: AssociationFacts, folders: RunFolders = NONE) -> tuple[str, str]:
    found = judge(INSTALL, facts, folders, NODE, NOW)
    return found.status.value, found.reason


def commands(*ago: float) -> RunFolders:
    return RunFolders(
        tuple(
            Trace(f"{number}", Work.PATCH, is_association=False, at_ns=unix_ns(NOW - days(item)))
            for number, item in enumerate(ago)
        )
    )


OK, SEVERAL = ("ok", "ok"), ("warn", "several-methods")


@pytest.mark.parametrize(
    ("facts", "folders", "expected"),
    [
        (log(), NONE, OK),
        (log(OWN), NONE, OK),
        (log(OWN, INSTALLS), NONE, OK),
        (log(INSTALLS), NONE, OK),
        (log(POLICY, replace(POLICY, association_id=ID, operation="Install")), NONE, OK),
        (log(HOST), NONE, OK),
        (log(HOST, POLICY), NONE, SEVERAL),
        (log(OWN, HOST), NONE, SEVERAL),
        (log(OWN, POLICY), NONE, SEVERAL),
        (log(INSTALLS, HOST), NONE, SEVERAL),
        (log(OWN, replace(OWN, association_id=THIRD_ID)), NONE, SEVERAL),
        (log(OWN, replace(HOST, at_ns=unix_ns(NOW - days(2.9)))), NONE, SEVERAL),
        (log(OWN, replace(HOST, at_ns=unix_ns(NOW - days(3.1)))), NONE, OK),  # replaced
        (log(OWN, replace(HOST, at_ns=None)), NONE, ("unknown", "age-unknown")),
        (log(OWN), commands(1), OK),
        (log(OWN), commands(1, 1.1), OK),
        (log(OWN), commands(1, 3), SEVERAL),
        (log(), commands(1, 3), OK),
        (log(reach=7.9), NONE, ("unknown", "beyond-retention")),
        (log(OWN, reach=7.9), NONE, ("unknown", "beyond-retention")),
        (log(OWN, HOST, reach=0.6), NONE, SEVERAL),
        (replace(log(OWN), unobserved=("log: I/O error",)), NONE, ("unknown", "not-observed")),
        (replace(log(OWN, HOST), unobserved=("log: I/O error",)), NONE, SEVERAL),
        (log(OWN), RunFolders((), "I/O error"), ("unknown", "not-observed")),
        (replace(log(OWN), begins_ns=None), NONE, ("unknown", "age-unknown")),
    ],
)
def test_methods(facts: AssociationFacts, folders: RunFolders, expected: tuple[str, str]) -> None:
    assert outcome(facts, folders) == expected


def test_an_association_that_only_a_folder_knows_is_a_method_of_its_own() -> None:
    traces = (Trace(THIRD_ID, Work.PATCH, is_association=True, at_ns=WALL),)
    assert outcome(log(OWN), RunFolders(traces)) == SEVERAL
    known = (Trace(ID, Work.PATCH, is_association=True, at_ns=WALL),)
    assert outcome(log(OWN), RunFolders(known)) == OK


def test_without_the_true_time_two_methods_may_be_one_after_the_other() -> None:
    found = judge(INSTALL, log(OWN, HOST), NONE, NODE, None)
    assert (found.status.value, found.reason) == ("unknown", "age-unknown")
    assert "host management" in found.message


def test_the_words_and_the_remedy() -> None:
    found = judge(INSTALL, log(OWN, POLICY), NONE, NODE, NOW)
    assert f"own association {ID}" in found.message
    assert f"patch policy {OTHER_ID}" in found.message
    assert [fix.command.split()[2] for fix in found.fixes] == [
        "describe-instance-associations-status", "delete-association",
    ]  # fmt: skip
    assert ID in found.fixes[1].command
    assert judge(INSTALL, log(OWN, POLICY), NONE, None, NOW).fixes == ()


def test_without_an_agent_there_is_nothing_to_judge() -> None:
    found = judge(InstallFacts((), ()), log(), NONE, NODE, NOW)
    assert found.reason == "not-applicable"
    found = judge(InstallFacts((), ("rpm: locked",)), log(), NONE, NODE, NOW)
    assert found.reason == "not-observed"


def from_log(text: str) -> Verdict:
    facts = hygiene_log.look(fake_host(log_files(line(days(9)) + text), clock()))
    return judge(INSTALL, facts, NONE, NODE, NOW)


def test_quick_setup_is_known_by_name_and_by_its_baselines() -> None:
    named = entry(
        days(0.5), "AWS-RunPatchBaseline", "cron(0 1 * * ? *)",
        AssociationName="AWS-QuickSetup-PatchPolicy-ScanForPatches-LA-Ab1cD",
        Parameters={"Operation": ["Scan"]},
    )  # fmt: skip
    override = {"BaselineOverride": ["s3://aws-quicksetup-patchpolicy-123456789012-ab1cd/x.json"]}
    by_baseline = entry(
        days(0.4), "AWS-RunPatchBaseline", association_id=OTHER_ID,
        Parameters={"Operation": ["Install"], **override},
    )  # fmt: skip
    assert "patch policy" in from_log(named).message
    assert from_log(named + by_baseline).reason == "ok"
    host = entry(
        days(0.3), "AWS-RunPatchBaselineAssociation", "rate(1 day)", association_id=THIRD_ID
    )
    assert from_log(named + by_baseline + host).reason == "several-methods"


CODES = "several-methods beyond-retention age-unknown not-observed no-permission"


@pytest.mark.parametrize("code", CODES.split())
def test_every_code_is_explained(code: str) -> None:
    assert code in EXPLANATION.partition("LIMITS")[2]
