"""What explains what: the table names what there is, and no two findings explain each other."""

from __future__ import annotations

import re

import pytest

from nodecheck.catalogue import BY_ID
from nodecheck.causes import CAUSES
from nodecheck.judging import link
from nodecheck.model.verdict import Finding, Status, Verdict
from nodecheck.plan import Cause


def bad(check_id: str, *reasons: str, status: Status = Status.CRIT) -> Verdict:
    return Verdict.of(check_id, status, tuple(Finding(reason, "is so") for reason in reasons))


def roots(*verdicts: Verdict) -> dict[str, str | None]:
    return {verdict.check_id: verdict.caused_by for verdict in link(verdicts, CAUSES)}


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: f"{cause.check_id}-{cause.explains}")
def test_the_table_names_reasons_that_the_checks_explain(cause: Cause) -> None:
    """A reason that no explanation knows is misspelt, or gone."""
    own = BY_ID[cause.check_id].explanation
    assert [reason for reason in cause.reasons if not _known(reason, own)] == []
    theirs = "\n".join(BY_ID[check_id].explanation for check_id in cause.explains)
    assert [reason for reason in cause.effects if not _known(reason, theirs)] == []


def _known(reason: str, explanation: str) -> bool:
    if reason == "timeout":  # of a probe: any check may have it
        return True
    return re.search(rf"(?<![\w-]){re.escape(reason)}(?![\w-])", explanation) is not None


def test_a_wrong_clock_is_the_root_of_all_that_follows() -> None:
    found = roots(
        bad("clock.offset", "beyond-tolerance"),
        bad("agent.service", "worker-missing"),
        bad("agent.channel", "clock-refused"),
        bad("node.credentials", "expired"),
    )
    assert found == {
        "clock.offset": None,
        "agent.service": "clock.offset",
        "agent.channel": "clock.offset",
        "node.credentials": "clock.offset",
    }


@pytest.mark.parametrize(
    "root",
    [
        bad("node.identity", "not-registered"),
        bad("node.endpoints", "agent-config-refused", status=Status.WARN),
    ],
)
def test_an_agent_that_ends_because_it_must_is_not_the_root(root: Verdict) -> None:
    found = roots(
        bad("agent.running", "not-running"),
        bad("agent.service", "auto-restart"),
        bad("agent.channel", "not-running"),
        root,
    )
    assert found["agent.service"] == root.check_id
    assert found["agent.running"] == "agent.service"
    assert found[root.check_id] is None


@pytest.mark.parametrize(
    "root",
    [
        bad("node.credentials", "metadata-no-reply", status=Status.UNKNOWN),
        bad("node.identity", "not-understood", status=Status.UNKNOWN),
    ],
)
def test_without_who_and_where_nothing_else_is_known(root: Verdict) -> None:
    found = roots(
        bad("agent.version", "offered-version-unknown", status=Status.UNKNOWN),
        bad("node.endpoints", "no-region", status=Status.UNKNOWN),
        root,
    )
    assert found["node.endpoints"] == root.check_id
    assert found["agent.version"] == "node.endpoints"


def test_a_dead_service_explains_what_does_not_run() -> None:
    found = roots(
        bad("agent.running", "not-running"),
        bad("agent.channel", "not-running"),
        bad("agent.service", "failed"),
        bad("node.credentials", "expired"),
    )
    assert found["agent.running"] == found["agent.channel"] == "agent.service"
    assert found["node.credentials"] == "agent.service"


def test_an_optional_endpoint_explains_no_dead_channel() -> None:
    warned = bad("node.endpoints", "dns-failed", status=Status.WARN)
    assert roots(warned, bad("agent.channel", "hibernating"))["agent.channel"] is None
    denied = bad("node.endpoints", "dns-failed")
    assert roots(denied, bad("agent.channel", "hibernating"))["agent.channel"] == "node.endpoints"


def test_two_findings_never_explain_each_other() -> None:
    circle = (("a.x", "b.x"), ("b.x", "c.x"), ("c.x", "a.x"))
    causes = tuple(Cause(root, ("r",), (effect,)) for root, effect in circle)
    linked = link((bad("a.x", "r"), bad("b.x", "r"), bad("c.x", "r")), causes)
    found = {item.check_id: item.caused_by for item in linked}
    assert found == {"a.x": None, "b.x": "a.x", "c.x": "b.x"}


def test_what_is_not_bad_explains_nothing() -> None:
    fine = Verdict.of("clock.offset", Status.WARN, (Finding("drifting", "a little"),))
    assert roots(fine, bad("agent.channel", "clock-refused"))["agent.channel"] is None
