"""How old the installed agent is, and when that cannot be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nodecheck.checks.agent_version import EXPLANATION, QUESTION, judge
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.errors import ProbeError
from nodecheck.model.install import VersionPolicy
from nodecheck.model.offer import Listed, Mark, ReleaseFacts, Stored
from nodecheck.model.verdict import Status, Verdict
from nodecheck.model.version import AgentVersion

NOW = datetime(2030, 7, 1, 12, tzinfo=UTC)
POLICY = VersionPolicy()
OLD, NEXT, NEW = "4.0.1.0", "4.0.2.0", "4.0.3.0"


def v(text: str) -> AgentVersion:
    return AgentVersion.parse(text)


def installed(*versions: str) -> InstallFacts:
    agents = (Installation(Channel.RPM, text, "", "/usr/bin/amazon-ssm-agent") for text in versions)
    return InstallFacts(tuple(agents), ())


def offer(
    offered: str = NEW,
    *,
    ages: dict[str, int] | None = None,
    marks: dict[str, Mark] | None = None,
    manifest: bool = True,
) -> ReleaseFacts:
    """A Region; ``ages`` are days before NOW."""
    listed = {OLD: Mark.ACTIVE, NEXT: Mark.ACTIVE, NEW: Mark.ACTIVE} | (marks or {})
    return ReleaseFacts(
        offered=v(offered),
        offered_url="https://bucket/latest/VERSION",
        manifest=tuple(Listed(v(text), mark) for text, mark in listed.items()) if manifest else (),
        manifest_url="https://bucket/ssm-agent-manifest.json" if manifest else "",
        stored=tuple(Stored(v(t), NOW - timedelta(days=n)) for t, n in (ages or {}).items()),
        package_url=f"https://bucket/{offered}/linux_amd64/amazon-ssm-agent.rpm",
        unread=() if manifest else ("manifest: HTTP status 403",),
    )


def outcome(verdict: Verdict) -> tuple[str, str]:
    return verdict.status.value, verdict.reason


def told(verdict: Verdict, name: str) -> object:
    return next((item.value for item in verdict.evidence if item.name == name), None)


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        # days since installed, first newer and offered became public
        ({OLD: 30, NEXT: 20, NEW: 0}, ("ok", "ok")),
        ({OLD: 30, NEXT: 30, NEW: 0}, ("ok", "ok")),
        ({OLD: 31, NEXT: 31, NEW: 0}, ("warn", "behind")),
        ({OLD: 90, NEXT: 90, NEW: 0}, ("warn", "behind")),
        ({OLD: 91, NEXT: 91, NEW: 0}, ("crit", "far-behind")),
        ({OLD: 500, NEXT: 5, NEW: 0}, ("ok", "ok")),  # the update exists for 5 days only
        ({OLD: 500, NEXT: 490, NEW: 480}, ("ok", "ok")),  # nothing newer was offered since
        ({OLD: 500, NEW: 3}, ("crit", "far-behind")),  # the first newer has no day: no pardon
        ({NEXT: 91, NEW: 0}, ("crit", "far-behind")),
        ({NEW: 3}, ("unknown", "age-unknown")),
        ({}, ("unknown", "age-unknown")),
        ({OLD: 3, NEW: 9}, ("unknown", "age-unknown")),  # a negative age is none
        ({OLD: 3, NEXT: -2, NEW: 9}, ("ok", "ok")),  # something newer exists for 9 days
    ],
)
def test_days_behind(ages: dict[str, int], expected: tuple[str, str]) -> None:
    assert outcome(judge(installed(OLD), offer(ages=ages), POLICY, NOW)) == expected


@pytest.mark.parametrize(
    ("version", "manifest"), [(NEW, True), (NEW, False), ("4.0.3.1", True), ("5.0.0.0", True)]
)
def test_the_offered_version_or_newer_is_ok_without_any_day(
    version: str,
    manifest: bool,  # noqa: FBT001 - a table
) -> None:
    verdict = judge(installed(version), offer(manifest=manifest), POLICY, None)
    assert outcome(verdict) == ("ok", "ok")
    assert ("newer than" in verdict.message) is (version != NEW)
    assert told(verdict, "offered_version") == NEW


def test_a_newer_version_may_have_been_withdrawn_where_the_manifest_is_not_read() -> None:
    verdict = judge(installed("5.0.0.0"), offer(manifest=False), POLICY, NOW)
    assert outcome(verdict) == ("unknown", "manifest-not-read")


def test_compares_numbers_not_texts() -> None:
    assert outcome(judge(installed("4.0.10.0"), offer(), POLICY, NOW)) == ("ok", "ok")
    assert judge(installed("4.0.1.99"), offer(), POLICY, NOW).status is Status.UNKNOWN


@pytest.mark.parametrize("version", [OLD, NEW])
def test_a_deprecated_version_is_crit_however_young(version: str) -> None:
    facts = offer(ages={OLD: 2, NEXT: 1, NEW: 0}, marks={version: Mark.DEPRECATED})
    verdict = judge(installed(version), facts, POLICY, NOW)
    assert outcome(verdict) == ("crit", "deprecated")
    assert told(verdict, "manifest_mark") == "deprecated"


@pytest.mark.parametrize("mark", [Mark.INACTIVE, Mark.OTHER])
def test_other_marks_are_evidence(mark: Mark) -> None:
    facts = offer(ages={OLD: 2, NEXT: 1, NEW: 0}, marks={OLD: mark})
    verdict = judge(installed(OLD), facts, POLICY, NOW)
    assert outcome(verdict) == ("ok", "ok")
    assert told(verdict, "manifest_mark") == mark.value


def test_another_versions_mark_is_not_this_ones() -> None:
    facts = offer(ages={OLD: 2, NEXT: 1, NEW: 0}, marks={NEXT: Mark.DEPRECATED})
    assert outcome(judge(installed(OLD), facts, POLICY, NOW)) == ("ok", "ok")


def test_young_but_perhaps_withdrawn_is_unknown() -> None:
    facts = offer(ages={OLD: 2, NEW: 0}, manifest=False)
    verdict = judge(installed(OLD), facts, POLICY, NOW)
    assert outcome(verdict) == ("unknown", "manifest-not-read")
    assert "403" in verdict.message
    assert told(verdict, "not_read") == facts.unread


@pytest.mark.parametrize(
    ("version", "expected"),
    [("4.0.3.0", "ok"), ("4.0.2.9", "below-minimum"), ("4.0.30.0", "ok")],
)
def test_minimum(version: str, expected: str) -> None:
    policy = VersionPolicy(min_version=v("4.0.3.0"))
    verdict = judge(installed(version), offer("4.0.2.0"), policy, NOW)
    assert verdict.reason == expected
    assert verdict.status is (Status.OK if expected == "ok" else Status.CRIT)


def test_the_minimum_holds_offline_and_comes_first() -> None:
    policy = VersionPolicy(min_version=v("9.9.9.9"))
    verdict = judge(installed("9.0.0.0"), None, policy, None)
    assert [finding.reason for finding in verdict.findings] == [
        "below-minimum",
        "offered-version-unknown",
    ]
    assert verdict.status is Status.CRIT


def test_limits_are_the_operators() -> None:
    facts = offer(ages={OLD: 10, NEXT: 10, NEW: 0})
    assert judge(installed(OLD), facts, VersionPolicy(None, 9, 10), NOW).status is Status.WARN
    assert judge(installed(OLD), facts, VersionPolicy(None, 9, 9), NOW).status is Status.CRIT
    with pytest.raises(ValueError, match="ages"):
        VersionPolicy(None, -1, 90)
    assert judge(installed(NEW), offer(), VersionPolicy(None, 0, 0), NOW).status is Status.OK


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("3.3.418.0", ("crit", "far-behind")),  # 172 days by the table, 141 at least
        ("3.3.551.0", ("warn", "behind")),  # 116 +- 31: not proven to be over 90
        ("3.3.859.0", ("warn", "behind")),  # 51 +- 31
        ("3.3.987.0", ("warn", "behind")),  # 20 +- 31: not proven to be within 30
    ],
)
def test_estimated_days_count_with_their_error(version: str, expected: tuple[str, str]) -> None:
    facts = offer("3.3.1142.0", marks={version: Mark.ACTIVE})
    verdict = judge(installed(version), facts, POLICY, None)
    assert outcome(verdict) == expected
    assert told(verdict, "estimated") is True
    assert told(verdict, "date_source") == "shipped release table"
    assert "+-31" in verdict.message


def test_counts_releases_behind_and_gives_the_package() -> None:
    facts = offer(ages={OLD: 200, NEXT: 190, NEW: 0})
    verdict = judge(installed(OLD), facts, POLICY, NOW)
    assert told(verdict, "releases_behind_at_least") == 2
    assert told(verdict, "days_behind") == 190
    assert told(verdict, "estimated") is False
    assert told(verdict, "date_source") == "Last-Modified in the bucket"
    assert facts.package_url in verdict.fixes[0].command
    assert verdict.limit == "30 days behind (crit 90)"


UNREACHABLE = ProbeError("bucket: no route to host")


@pytest.mark.parametrize("release", [None, UNREACHABLE])
@pytest.mark.parametrize(
    ("version", "now", "expected"),
    [
        ("3.2.1705.0", None, ("crit", "far-behind")),
        ("3.3.4851.0", None, ("unknown", "offered-version-unknown")),  # 46 - 31 days
        ("3.3.4793.0", None, ("warn", "behind")),  # 70 - 31 days
        ("3.3.4851.0", datetime(2026, 11, 9, tzinfo=UTC), ("warn", "behind")),
        ("3.3.4851.0", datetime(2026, 11, 8, tzinfo=UTC), ("unknown", "offered-version-unknown")),
        ("3.3.4851.0", datetime(2027, 1, 8, tzinfo=UTC), ("crit", "far-behind")),
        # never ok, however new: the table ends
        ("3.3.5226.0", NOW, ("unknown", "offered-version-unknown")),
        ("9.9.9.9", NOW, ("unknown", "offered-version-unknown")),
    ],
)
def test_without_the_region_the_table_proves_only_age(
    release: ProbeError | None, version: str, now: datetime | None, expected: tuple[str, str]
) -> None:
    verdict = judge(installed(version), release, POLICY, now)
    assert outcome(verdict) == expected
    assert ("no route" if release else "offline") in verdict.message


@pytest.mark.parametrize("versions", [("",), ("3.3.x",), ("3.3.1142.0-1",), (NEW, "")])
def test_an_unreadable_version_is_unknown(versions: tuple[str, ...]) -> None:
    for release in (offer(), None):
        verdict = judge(installed(*versions), release, POLICY, NOW)
        assert outcome(verdict) == ("unknown", "version-unknown")
    if "" in versions:
        assert "unknown" in str(verdict.evidence[0].value)


def test_of_several_the_oldest_is_judged() -> None:
    facts = offer(ages={OLD: 200, NEXT: 190, NEW: 0})
    verdict = judge(installed(NEW, OLD, NEXT), facts, POLICY, NOW)
    assert outcome(verdict) == ("crit", "far-behind")
    assert OLD in verdict.message
    assert "oldest" in verdict.evidence[0].source


AMAZON_LINUX = "amazon-ssm-agent-4.0.1.0-1.amzn2023.x86_64"


def of_channel(channel: Channel, package: str, version: str = OLD) -> InstallFacts:
    return InstallFacts((Installation(channel, version, package, "/usr/bin/x"),), ())


@pytest.mark.parametrize(
    ("channel", "package", "status", "words", "command"),
    [
        (Channel.SNAP, "amazon-ssm-agent", "warn", "the snap's channel decides", "snap refresh"),
        (Channel.RPM, AMAZON_LINUX, "warn", "repository of Amazon Linux decides", "yum update"),
        (Channel.RPM, "amazon-ssm-agent-4.0.1.0-1.x86_64", "crit", "", "rpm -U"),
        (Channel.DEB, "amazon-ssm-agent_4.0.1.0-1.amzn_amd64", "crit", "", "dpkg -i"),
    ],
)
def test_where_the_channel_decides_being_behind_is_warn_at_most(
    channel: Channel, package: str, status: str, words: str, command: str
) -> None:
    facts = offer(ages={OLD: 200, NEXT: 190, NEW: 0})
    verdict = judge(of_channel(channel, package), facts, POLICY, NOW)
    assert outcome(verdict) == (status, "far-behind")
    assert words in verdict.message
    assert command in verdict.fixes[0].command
    table = judge(of_channel(channel, package, "3.2.1705.0"), None, POLICY, None)
    assert outcome(table) == (status, "far-behind")


def test_no_channel_excuses_what_is_withdrawn_or_below_the_minimum() -> None:
    withdrawn = offer(ages={OLD: 2, NEXT: 1, NEW: 0}, marks={OLD: Mark.DEPRECATED})
    install = of_channel(Channel.RPM, AMAZON_LINUX)
    verdict = judge(install, withdrawn, POLICY, NOW)
    assert outcome(verdict) == ("crit", "deprecated")
    assert [fix.command.split()[0] for fix in verdict.fixes] == ["yum", "rpm"]
    floor = VersionPolicy(min_version=v("4.0.3.0"))
    young = offer(ages={OLD: 2, NEXT: 1, NEW: 0})
    assert outcome(judge(install, young, floor, NOW)) == ("crit", "below-minimum")


def test_an_older_version_that_runs_is_warn_and_a_restart_mends() -> None:
    verdict = judge(installed(NEW), offer(), POLICY, NOW, (v(OLD), v(NEW)))
    assert outcome(verdict) == ("warn", "running-older")
    assert told(verdict, "running_version") == (OLD, NEW)
    assert [fix.command for fix in verdict.fixes] == ["systemctl restart amazon-ssm-agent"]
    assert outcome(judge(installed(NEW), offer(), POLICY, NOW, (v(NEW),))) == ("ok", "ok")
    behind = offer(ages={OLD: 200, NEXT: 190, NEW: 0})
    both = judge(installed(OLD), behind, POLICY, NOW, (v("4.0.0.0"),))
    assert [finding.reason for finding in both.findings] == ["far-behind", "running-older"]
    assert [fix.command.split()[0] for fix in both.fixes] == ["rpm", "systemctl"]


def test_nothing_installed() -> None:
    assert outcome(judge(InstallFacts((), ()), offer(), POLICY, NOW)) == ("skip", "not-applicable")
    unseen = InstallFacts((), ("rpm database: locked",))
    verdict = judge(unseen, offer(), POLICY, NOW)
    assert outcome(verdict) == ("unknown", "not-observed")
    assert "locked" in verdict.message


def test_explains_every_reason_code() -> None:
    assert QUESTION.endswith("?")
    for code in (
        "behind", "far-behind", "deprecated", "below-minimum", "age-unknown",
        "manifest-not-read", "offered-version-unknown", "version-unknown", "running-older",
    ):  # fmt: skip
        assert code in EXPLANATION
