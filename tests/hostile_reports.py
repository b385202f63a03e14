"""Reports in which every text and number of the node is hostile, for the tests of formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from nodecheck.model.report import ClockReading, Delivery, Report
from nodecheck.model.verdict import Evidence, Finding, Fix, SkipReason, Status, Verdict
from nodecheck.records import replace
from tests.reports import report

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

SPITEFUL: Final = (
    "a\nb", "\r\n", "\x00", "\x1b[31m", "\x85", "\u2028", "\udcff", "\ufffe", "\u202e", "|", "|a=1",
    "'", "=", ";", '"', '"} 1\nevil 1', "\\", '\\"', "\\n", "# HELP x y", "# EOF", "&", "<", "]]>",
    "</error>", "<!--", "--", "&#0;", "&amp;", "{}", "{{", "%", "$(reboot)", "é", "±", "😀",
    "x" * 5000,
)  # fmt: skip
TEXTS: Final = st.one_of(
    st.sampled_from(SPITEFUL),
    st.text(st.characters(), max_size=40),  # with surrogates
    st.lists(st.sampled_from(SPITEFUL), max_size=6).map("".join),
)
NUMBERS: Final = st.one_of(st.floats(), st.integers(-(10**400), 10**400), st.just(0.25))
STATUSES: Final = (Status.OK, Status.WARN, Status.CRIT, Status.UNKNOWN, Status.SKIP)


@st.composite
def _verdicts(draw: st.DrawFn, check_id: str) -> Verdict:
    status, words = draw(st.sampled_from(STATUSES)), draw(TEXTS)
    evidence = tuple(
        Evidence(name, draw(st.one_of(NUMBERS, TEXTS, st.booleans(), st.none())), words)
        for name in ("headroom_s", "tolerance_s", "days_behind", "days_left", "other")
    )
    if status is Status.OK:
        return Verdict.ok(check_id, words, evidence)
    if status is Status.SKIP:
        return Verdict.skip(check_id, SkipReason.OFFLINE, words)
    findings = (Finding("broken", words or "-"), Finding("second", draw(TEXTS) or "-", words))
    fixes = (Fix(draw(TEXTS)), Fix("rm -- x", disruptive=True))
    made = Verdict.of(check_id, status, findings, evidence=evidence, fixes=fixes)
    return made.completed(draw(TEXTS), draw(st.integers(0, 10**9)))


@st.composite
def _reports(draw: st.DrawFn) -> Report:
    checks = ("clock.offset", "agent.version", "agent.signing-key", "node.identity")
    words = draw(TEXTS)
    clock = ClockReading(float(draw(st.floats())), float(draw(st.floats())), words, (words,))
    states = st.sampled_from(("failed", "delivered"))
    sent = (Delivery("cloudwatch", draw(states), draw(TEXTS)),) if draw(st.booleans()) else ()
    made = report(
        *(draw(_verdicts(check_id)) for check_id in checks),
        clock=draw(st.sampled_from((clock, None))),
        deliveries=sent,
    )
    if draw(st.booleans()):
        made = replace(made, corrected=None)
    node = replace(made.node, node_id=draw(TEXTS), region=draw(TEXTS), os=words, arch=draw(TEXTS))
    return replace(made, node=node, run=replace(made.run, run_id=draw(TEXTS)))


def hostile_reports() -> SearchStrategy[Report]:
    """Return reports of any verdict; the ids of checks and the reason codes are ours."""
    return _reports()
