"""Judge how many days a version is behind, and what its install channel excuses.

A snap cannot be newer than its channel, nor a package of a distribution newer than its repository:
whoever updates faithfully may still be far behind what the Region offers. Being behind is then at
most ``warn``, and the sentence says who decides. What AWS has withdrawn is withdrawn all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodecheck.model.agent import Channel
from nodecheck.model.remedy import is_of_amazon_linux
from nodecheck.model.verdict import Evidence, Finding, Status

if TYPE_CHECKING:
    from nodecheck.model.agent import Installation
    from nodecheck.model.install import VersionPolicy
    from nodecheck.model.staleness import Behind

Problems = tuple[tuple[Status, Finding], ...]


def ceiling(installation: Installation) -> str:
    """Return who decides how new this installation can be, '' where that is the Region alone."""
    if installation.channel is Channel.SNAP:
        return "the snap's channel"
    return "the repository of Amazon Linux" if is_of_amazon_linux(installation) else ""


def judge_age(text: str, age: Behind, policy: VersionPolicy, decides: str) -> Problems:
    """Return what is wrong with an age that is known but for its error."""
    if age.least > policy.crit_age_days:
        finding = Finding("far-behind", f"{text}, limit {policy.crit_age_days} days")
        return (_excuse(Status.CRIT, finding, decides),)
    if age.most <= policy.max_age_days:
        return ()
    finding = Finding("behind", f"{text}, limit {policy.max_age_days} days")
    return (_excuse(Status.WARN, finding, decides),)


def judge_least_age(
    text: str, reason: str, age: Behind, policy: VersionPolicy, decides: str
) -> Problems:
    """Return what is wrong with an age of which only the least is known."""
    for limit, status, code in (
        (policy.crit_age_days, Status.CRIT, "far-behind"),
        (policy.max_age_days, Status.WARN, "behind"),
    ):
        if age.least > limit:
            finding = Finding(code, f"{text}, limit {limit} days; {reason}")
            return (_excuse(status, finding, decides),)
    return ()


def _excuse(status: Status, finding: Finding, decides: str) -> tuple[Status, Finding]:
    if not decides:
        return status, finding
    text = f"{finding.message}; {decides} decides what can be installed"
    return Status.WARN, Finding(finding.reason, text)


def spell_days(age: Behind) -> str:
    """Return days as a person reads them, with their error where they are estimated."""
    return f"about {age.days} (+-{age.slack_days}) days" if age.slack_days else f"{age.days} days"


def age_evidence(name: str, age: Behind, days: int | None = None) -> list[Evidence]:
    """Return the days, where they are known from, and whether they are estimated."""
    return [
        Evidence(name, age.days if days is None else days, age.source),
        Evidence("date_source", age.source),
        Evidence("estimated", age.slack_days > 0),
    ]
