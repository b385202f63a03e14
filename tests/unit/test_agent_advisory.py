"""Published vulnerabilities, and who has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.agent_advisory import EXPLANATION, judge
from nodecheck.checks.running_version import running_versions
from nodecheck.model.advisories import ADVISORIES, CHECKED_ON, held_by
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.history import History, VerifiedVersion
from nodecheck.model.install import AgentProcess, RunningFacts
from nodecheck.model.node import NodeFacts
from nodecheck.model.version import AgentVersion
from nodecheck.records import replace
from tests.fake_host import file_state

if TYPE_CHECKING:
    from nodecheck.model.verdict import Verdict

IMAGE = "/usr/bin/amazon-ssm-agent"
NEWEST = "3.3.4851.0"
NODE = NodeFacts("mi-0123456789abcdef0", "hybrid", "us-gov-west-1", "", "", is_ec2=False)
PROCESS = AgentProcess(7, "amazon-ssm-agent", IMAGE, False, 1, 70, "new", "", 0)  # noqa: FBT003


def installed(*versions: str, executable: str = IMAGE) -> InstallFacts:
    agents = (Installation(Channel.RPM, text, "", executable) for text in versions)
    return InstallFacts(tuple(agents), ())


def running(**changes: object) -> RunningFacts:
    process = replace(PROCESS, **changes)  # type: ignore[arg-type]
    return RunningFacts((process,), (), (file_state(IMAGE, device=1, inode=70),))


def history(version: str, sha256: str) -> History:
    return History((VerifiedVersion(version, ((IMAGE, sha256),)),))


def outcome(verdict: Verdict) -> tuple[str, str]:
    return verdict.status.value, verdict.reason


@pytest.mark.parametrize(
    ("version", "ids"),
    [
        (NEWEST, []),
        ("3.3.4851.1", []),
        ("4.0.0.0", []),
        ("3.3.4850.9", ["CVE-2026-89049"]),
        ("3.3.4515.0", ["CVE-2026-89049"]),
        ("3.3.4514.0", ["CVE-2026-89049", "CVE-2026-81849"]),
        ("3.3.1802.0", ["CVE-2026-89049", "CVE-2026-81849"]),
        ("3.3.1801.0", ["CVE-2026-89049", "CVE-2026-81849", "path-traversal-2025"]),
        ("3.3.802.0", ["CVE-2026-89049", "CVE-2026-81849", "path-traversal-2025"]),
        ("3.1.1208.0", ["CVE-2026-89049", "CVE-2026-81849", "path-traversal-2025"]),
        ("3.1.1207.99", [item.advisory_id for item in ADVISORIES]),
        ("2.3.50.0", [item.advisory_id for item in ADVISORIES]),
    ],
)
def test_who_has_what(version: str, ids: list[str]) -> None:
    assert [item.advisory_id for item in held_by(AgentVersion.parse(version))] == ids
    verdict = judge(installed(version), None)
    assert outcome(verdict) == (("crit", "vulnerable") if ids else ("ok", "ok"))
    assert len(verdict.findings) == len(ids)
    assert CHECKED_ON.isoformat() in str(verdict.evidence)


def test_a_finding_names_id_fix_and_source_and_the_command_is_exact() -> None:
    verdict = judge(installed("3.3.4624.0"), None, None, NODE)
    for part in ("CVE-2026-89049", "3.3.4624.0", NEWEST, "security-bulletins/2026-107-aws"):
        assert part in verdict.message, part
    assert verdict.fixes[0].command == (
        "aws ssm send-command --document-name AWS-UpdateSSMAgent"
        " --instance-ids mi-0123456789abcdef0 --region us-gov-west-1"
    )
    assert "rpm -U" in verdict.fixes[1].command


def test_of_several_the_oldest_is_judged() -> None:
    assert outcome(judge(installed(NEWEST, "3.3.1.0"), None)) == ("crit", "vulnerable")


@pytest.mark.parametrize("version", ["", "3.3.x", "3.3.4851"])
def test_a_version_that_cannot_be_read_is_unknown(version: str) -> None:
    assert outcome(judge(installed(version), None)) == ("unknown", "version-unknown")
    assert outcome(judge(installed(NEWEST, version), None)) == ("unknown", "version-unknown")


def test_an_old_image_that_still_runs_has_its_holes() -> None:
    old = running(deleted=True, sha256="old")
    verdict = judge(installed(NEWEST), old, history("3.3.4624.0", "old"))
    assert outcome(verdict) == ("crit", "still-running")
    assert "running version 3.3.4624.0" in verdict.message
    assert verdict.fixes[0].command == "systemctl restart amazon-ssm-agent"
    assert outcome(judge(installed(NEWEST), old)) == ("unknown", "running-unknown")
    fixed = judge(installed("5.0.0.0"), old, history(NEWEST, "old"))
    assert outcome(fixed) == ("ok", "ok")


def test_the_installed_image_that_runs_is_no_second_finding() -> None:
    verdict = judge(installed("3.3.4624.0"), running())
    assert [finding.reason for finding in verdict.findings] == ["vulnerable"]
    assert outcome(judge(installed(NEWEST), running())) == ("ok", "ok")


@pytest.mark.parametrize(
    ("changes", "known", "expected"),
    [
        ({}, History(), ("5.0.0.0",)),
        ({"inode": 71}, History(), ()),  # another file at that path
        ({"image": "/tmp/amazon-ssm-agent"}, History(), ()),  # noqa: S108
        ({"deleted": True}, History(), ()),
        ({"deleted": True}, history("4.0.0.0", "new"), ("4.0.0.0",)),
        ({"deleted": True}, history("4.0.0.0", "other"), ()),
        ({"deleted": True, "image": "/tmp/x"}, history("4.0.0.0", "new"), ()),  # noqa: S108
        ({"deleted": True}, history("not a version", "new"), ()),
    ],
)
def test_only_a_proven_version_runs(
    changes: dict[str, object], known: History, expected: tuple[str, ...]
) -> None:
    found = running_versions(installed("5.0.0.0"), running(**changes), known)
    assert tuple(str(item) for item in found) == expected


def test_two_installations_in_one_folder_prove_no_running_version() -> None:
    assert running_versions(installed("5.0.0.0", "6.0.0.0"), running(), History()) == ()


def test_without_an_agent() -> None:
    nothing = InstallFacts((), ())
    assert outcome(judge(nothing, None)) == ("skip", "not-applicable")
    assert outcome(judge(replace(nothing, unobserved=("x",)), None)) == ("unknown", "not-observed")


def test_every_advisory_has_a_source_and_is_explained() -> None:
    fixes = [item.fixed for item in ADVISORIES]
    assert fixes == sorted(fixes, reverse=True)
    assert len({item.advisory_id for item in ADVISORIES}) == len(ADVISORIES)
    for item in ADVISORIES:
        assert item.source.startswith("https://")
        assert item.published <= CHECKED_ON
        assert item.advisory_id in EXPLANATION
        assert item.source in EXPLANATION
    for code in ("vulnerable", "still-running", "version-unknown", "running-unknown"):
        assert code in EXPLANATION
