"""What counts as exactly one installation."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from nodecheck.checks.agent_installed import EXPLANATION, QUESTION, judge, survey
from nodecheck.model.agent import Channel, Installation
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.install import ByHandFacts, Damage, DebFacts, InstallSurvey, SnapFacts
from nodecheck.model.verdict import Status, Verdict

USR = "/usr/bin/amazon-ssm-agent"
LOCAL = "/usr/local/bin/amazon-ssm-agent"


@dataclass(frozen=True)
class Rpm:
    """What the rpm probe hands over, as far as this check looks."""

    installations: tuple[Installation, ...] = ()
    unobserved: tuple[str, ...] = ()


def installation(channel: Channel, path: str = USR, version: str = "3.3.1142.0") -> Installation:
    return Installation(channel, version, "amazon-ssm-agent", path)


RPM = Rpm((installation(Channel.RPM),))
DEB = DebFacts((installation(Channel.DEB),))
SNAP = SnapFacts((installation(Channel.SNAP, "/snap/amazon-ssm-agent/1/amazon-ssm-agent"),))
BY_HAND = ByHandFacts((installation(Channel.BY_HAND, version=""),))
BROKEN = DebFacts((), (Damage(Channel.DEB, "amazon-ssm-agent_3.3.1142.0-1_amd64", "unpacked"),))
DISABLED = SnapFacts((), (Damage(Channel.SNAP, "amazon-ssm-agent_1", "not mounted"),))
NO = ProbeError("database is locked")


def looked(
    rpm: Rpm | ProbeError | None = None,
    deb: DebFacts | ProbeError | None = None,
    snap: SnapFacts | ProbeError | None = None,
    by_hand: ByHandFacts | ProbeError | None = None,
) -> InstallSurvey:
    return survey(
        rpm or Rpm(), deb or DebFacts(()), snap or SnapFacts(()), by_hand or ByHandFacts(())
    )


def outcome(verdict: Verdict) -> tuple[str, str]:
    return verdict.status.value, verdict.reason


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (looked(rpm=RPM), ("ok", "ok")),
        (looked(deb=DEB), ("ok", "ok")),
        (looked(snap=SNAP), ("ok", "ok")),
        (looked(by_hand=BY_HAND), ("ok", "ok")),
        (looked(rpm=RPM, by_hand=BY_HAND), ("ok", "ok")),  # the package's own file
        (looked(), ("crit", "not-installed")),
        (looked(deb=DebFacts((), present=False)), ("crit", "not-installed")),
        (looked(rpm=NO), ("unknown", "not-observed")),
        (looked(deb=NO), ("unknown", "not-observed")),
        (looked(snap=Denied("x")), ("unknown", "not-observed")),
        (looked(by_hand=NO), ("unknown", "not-observed")),
        (looked(rpm=Rpm((), ("header 7 is damaged",))), ("unknown", "not-observed")),
        # one is found, but "exactly one" is not proven
        (looked(rpm=RPM, snap=NO), ("unknown", "not-observed")),
        (looked(rpm=RPM, deb=DEB), ("warn", "several-installations")),
        (looked(deb=DEB, snap=SNAP), ("warn", "several-installations")),
        (looked(rpm=RPM, deb=DEB, snap=NO), ("warn", "several-installations")),
        (
            looked(rpm=RPM, by_hand=ByHandFacts((installation(Channel.BY_HAND, LOCAL, ""),))),
            ("warn", "several-installations"),
        ),
        (looked(deb=BROKEN), ("crit", "half-installed")),
        (looked(deb=BROKEN, by_hand=BY_HAND), ("crit", "half-installed")),
        (looked(snap=DISABLED), ("crit", "half-installed")),
        (looked(rpm=RPM, deb=BROKEN), ("crit", "half-installed")),
    ],
)
def test_verdict(facts: InstallSurvey, expected: tuple[str, str]) -> None:
    verdict = judge(facts)
    assert outcome(verdict) == expected
    assert verdict.evidence
    assert bool(verdict.fixes) is (verdict.status in {Status.WARN, Status.CRIT})


def test_a_loose_file_is_nobodys_only_when_every_database_was_read() -> None:
    assert looked(by_hand=BY_HAND).installations == BY_HAND.installations
    facts = looked(rpm=NO, by_hand=BY_HAND)
    assert facts.installations == ()
    assert facts.unobserved == ("rpm database: database is locked", f"owner of {USR}")


def test_says_what_is_installed() -> None:
    verdict = judge(looked(deb=DEB))
    assert verdict.message == f"SSM Agent 3.3.1142.0 (deb, {USR}) is installed"
    assert ("version", ("3.3.1142.0",)) in [(item.name, item.value) for item in verdict.evidence]
    assert "of unknown version" in judge(looked(by_hand=BY_HAND)).message


def test_names_every_agent_and_keeps_the_native_one() -> None:
    verdict = judge(looked(deb=DEB, snap=SNAP))
    assert USR in verdict.message
    assert "/snap/amazon-ssm-agent/1" in verdict.message
    assert [fix.command for fix in verdict.fixes] == ["snap remove amazon-ssm-agent"]
    shadow = ByHandFacts((installation(Channel.BY_HAND, LOCAL, ""),))
    assert [fix.command for fix in judge(looked(rpm=RPM, by_hand=shadow)).fixes] == [
        f"rm '{LOCAL}'"
    ]
    assert [fix.command for fix in judge(looked(rpm=RPM, deb=DEB)).fixes] == [
        "rpm -e amazon-ssm-agent"
    ]


@pytest.mark.parametrize(
    ("deb", "command"),
    [(DebFacts(()), "dpkg -i"), (DebFacts((), present=False), "rpm -U")],
)
def test_the_fix_fits_the_node(deb: DebFacts, command: str) -> None:
    (fix,) = judge(looked(deb=deb)).fixes
    assert command in fix.command


@pytest.mark.parametrize(
    ("facts", "command"),
    [(looked(deb=BROKEN), "dpkg --configure -a"), (looked(snap=DISABLED), "snap enable")],
)
def test_an_unfinished_package_is_finished_first(facts: InstallSurvey, command: str) -> None:
    assert judge(facts).fixes[0].command.startswith(command)


def test_explains_every_reason_code() -> None:
    assert QUESTION.endswith("?")
    for code in ("not-installed", "not-observed", "half-installed", "several-installations"):
        assert code in EXPLANATION
