from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

import pytest

from nodecheck.host.mailbox import Mailbox
from nodecheck.judging import judge, link, waive
from nodecheck.looking import Looking, needed
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.settings import DEFAULTS, Settings, Waiver
from nodecheck.model.verdict import Evidence, Finding, SkipReason, Status, Verdict
from nodecheck.plan import Bench, Cause, Check, Look, Outcomes, Probe
from nodecheck.records import replace
from nodecheck.running import take_lock
from tests.fake_host import FakeState, fake_host

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime

from nodecheck.model.moment import instant

NOW = instant(1_700_000_000 * 10**9)  # 2023-11-14


@dataclass(frozen=True)
class First:
    value: int


@dataclass(frozen=True)
class Second:
    value: int


class RealClock:
    def wall_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def pause(self, duration_s: float) -> None:
        Event().wait(duration_s)


def look(probes: tuple[Probe, ...], limit_s: float = 5, settings: Settings = DEFAULTS) -> Looking:
    host = fake_host(clock=RealClock())  # type: ignore[arg-type]
    looking = Looking(host, settings, probes)
    with Mailbox() as mailbox:
        looking.finish(mailbox, time.monotonic_ns() + int(limit_s * 1e9), lambda _names: None)
    return looking


def hang(_look: Look) -> object:
    return Event().wait()


def test_a_probe_gets_what_its_needs_found() -> None:
    second = Probe(Second, lambda own: Second(own.outcomes.get(First).value + 1), (First,))
    outcomes = look((second, Probe(First, lambda _: First(1)))).outcomes
    assert outcomes.get(Second) == Second(2)


def test_a_hanging_probe_is_unknown_and_does_not_hold_up_the_rest() -> None:
    probes = (
        Probe(First, hang, limit_s=0.2),
        Probe(
            Second,
            lambda own: Second(isinstance(own.outcomes.outcome(First), ProbeError)),
            (First,),
        ),
    )
    begun = time.monotonic()
    outcomes = look(probes).outcomes
    assert time.monotonic() - begun < 1
    assert outcomes.get(Second) == Second(1)
    with pytest.raises(ProbeError, match=r"first: no answer within 0\.2 s") as caught:
        outcomes.get(First)
    assert caught.value.reason == "timeout"


def test_the_deadline_of_the_run_ends_everything() -> None:
    begun = time.monotonic()
    outcomes = look((Probe(First, hang), Probe(Second, hang, (First,))), limit_s=0.3).outcomes
    assert time.monotonic() - begun < 1
    for kind in (First, Second):
        error = outcomes.outcome(kind)
        assert isinstance(error, ProbeError)
        assert error.reason == "timeout"


def test_what_is_there_is_joined_even_when_the_deadline_has_come() -> None:
    probes = (
        Probe(First, hang),
        Probe(Second, lambda _: Second(1), (First,), limit_s=0.2, joins=True),
    )
    begun = time.monotonic()
    assert look(probes, limit_s=0.3).outcomes.get(Second) == Second(1)
    assert time.monotonic() - begun < 1
    hanging = (probes[0], Probe(Second, hang, (First,), limit_s=0.2, joins=True))
    error = look(hanging, limit_s=0.3).outcomes.outcome(Second)
    assert isinstance(error, ProbeError)
    assert error.reason == "timeout"


def test_a_bug_in_a_probe_is_kept_as_a_trace() -> None:
    looking = look((Probe(First, lambda _: First(1 // 0)),))
    assert "ZeroDivisionError" in looking.failures[0]
    error = looking.outcomes.outcome(First)
    assert isinstance(error, ProbeError)
    assert error.reason == "internal-error"


def test_offline_starts_no_probe_that_uses_the_network() -> None:
    settings = Settings({**DEFAULTS.values, "run.offline": True}, DEFAULTS.origins)
    outcomes = look((Probe(First, hang, uses_network=True),), settings=settings).outcomes
    error = outcomes.outcome(First)
    assert isinstance(error, ProbeError)
    assert error.reason == "offline"


def test_an_interruption_ends_the_looking() -> None:
    host = fake_host(clock=RealClock())  # type: ignore[arg-type]
    looking = Looking(host, DEFAULTS, (Probe(First, hang),))
    with Mailbox() as mailbox:
        mailbox.interrupt("SIGTERM")
        looking.finish(mailbox, time.monotonic_ns() + 5 * 10**9, lambda _names: None)
    error = looking.outcomes.outcome(First)
    assert isinstance(error, ProbeError)
    assert (error.reason, str(error)) == ("interrupted", "interrupted by SIGTERM")


def test_needed_probes_include_the_needs_of_needs() -> None:
    first, second = Probe(First, hang), Probe(Second, hang, (First,))
    assert needed((first, second), (check(lambda _: ok()),)) == (first, second)
    assert needed((first, second), ()) == ()


def ok(check_id: str = "a.b") -> Verdict:
    return Verdict.ok(check_id, "fine", (Evidence("x", 1),))


def bad(check_id: str, reason: str = "broken") -> Verdict:
    return Verdict.of(check_id, Status.CRIT, (Finding(reason, "it is broken"),))


def check(judge_it: Callable[[Bench], Verdict], *, only_online: bool = False) -> Check:
    return Check("a.b", "?", "why", "text", (Second,), judge_it, only_online)


def raising(error: Exception) -> Callable[[Bench], Verdict]:
    def judge_it(_bench: Bench) -> Verdict:
        raise error

    return judge_it


@pytest.mark.parametrize(
    ("judge_it", "status", "reason"),
    [
        (lambda _: ok(), Status.OK, "ok"),
        (raising(ProbeError("not seen")), Status.UNKNOWN, "not-observed"),
        (raising(ProbeError("late", "timeout")), Status.UNKNOWN, "timeout"),
        (raising(Denied("no")), Status.UNKNOWN, "no-permission"),
        (raising(KeyError("bug")), Status.UNKNOWN, "internal-error"),
        (lambda bench: bench.outcomes.get(First), Status.UNKNOWN, "not-observed"),
        (lambda _: None, Status.UNKNOWN, "internal-error"),
    ],
)
def test_what_becomes_of_a_judgement(
    judge_it: Callable[[Bench], Verdict], status: Status, reason: str
) -> None:
    verdict, trace = judge(check(judge_it), Outcomes(), DEFAULTS, None)
    assert (verdict.status, verdict.reason) == (status, reason)
    assert bool(trace) == (reason == "internal-error")


def test_offline_skips_what_only_the_network_can_answer() -> None:
    settings = Settings({**DEFAULTS.values, "run.offline": True}, DEFAULTS.origins)
    verdict, _ = judge(check(lambda _: ok(), only_online=True), Outcomes(), settings, None)
    assert (verdict.status, verdict.skip_reason) == (Status.SKIP, SkipReason.OFFLINE)


@pytest.mark.parametrize(
    ("judge_it", "status"),
    [
        (lambda _: bad("a.b"), Status.CRIT),
        (raising(KeyError("bug")), Status.UNKNOWN),
        (raising(ProbeError("not seen")), Status.SKIP),
    ],
)
def test_offline_the_node_itself_may_prove_the_worst(
    judge_it: Callable[[Bench], Verdict], status: Status
) -> None:
    settings = Settings({**DEFAULTS.values, "run.offline": True}, DEFAULTS.origins)
    verdict, _ = judge(check(judge_it, only_online=True), Outcomes(), settings, None)
    assert verdict.status is status


def test_a_finding_is_linked_to_its_cause_and_only_to_that() -> None:
    causes = (Cause("a.root", ("broken",), ("a.leaf",), ("broken",)),)
    linked = link((bad("a.root"), bad("a.leaf"), bad("a.other")), causes)
    assert [verdict.caused_by for verdict in linked] == [None, "a.root", None]
    calm = link((bad("a.root", "else"), bad("a.leaf")), causes)
    assert [verdict.caused_by for verdict in calm] == [None, None]
    other = link((bad("a.root"), bad("a.leaf", "else")), causes)
    assert [verdict.caused_by for verdict in other] == [None, None]
    healthy = link((bad("a.root"), ok("a.leaf")), causes)
    assert healthy[1].caused_by is None


@pytest.mark.parametrize(
    ("expires", "now", "status", "reasons"),
    [
        ("2023-11-14", NOW, Status.SKIP, []),
        ("2023-11-13", NOW, Status.CRIT, ["broken", "waiver-expired"]),
        ("2023-11-14", None, Status.CRIT, ["broken", "waiver-unproven"]),
    ],
)
def test_waivers(expires: str, now: datetime | None, status: Status, reasons: list[str]) -> None:
    waiver = Waiver("a.b", "lab", "me", expires)
    waived = waive(bad("a.b"), (waiver,), now)
    assert waived.status is status
    assert [finding.reason for finding in waived.findings] == reasons
    assert "it is broken" in waived.message
    bug = bad("a.b", "internal-error")
    assert waive(bug, (waiver,), now) == bug
    assert waive(bad("a.c"), (waiver,), now) == bad("a.c")


def waiver(expires: str = "2023-11-14", *reasons: str) -> Waiver:
    return Waiver("a.b", "lab", "me", expires, reasons)


def test_a_waived_check_still_shows_what_it_found() -> None:
    findings = tuple(Finding("broken", f"it is {number}") for number in range(8))
    waived = waive(Verdict.of("a.b", Status.CRIT, findings), (waiver(),), NOW)
    assert waived.message.endswith("(lab): it is 0; it is 1; it is 2; it is 3; it is 4; and 3 more")


def test_an_expired_waiver_is_a_warning_also_where_nothing_is_found() -> None:
    assert waive(ok(), (waiver(),), NOW) == ok()
    assert waive(ok(), (waiver("2023-11-13"),), None) == ok()
    left = waive(ok(), (waiver("2023-11-13"),), NOW)
    assert (left.status, left.reason) == (Status.WARN, "waiver-expired")
    assert "expired on 2023-11-13" in left.message
    assert left.evidence == ok().evidence
    assert waive(ok(), (waiver("2023-11-13"), waiver()), NOW) == ok()  # renewed
    skip = Verdict.skip("a.b", SkipReason.OFFLINE, "not looked at")
    assert waive(skip, (waiver("2023-11-13"),), NOW) == skip


@pytest.mark.parametrize(
    ("waivers", "found", "status", "reasons"),
    [
        ([waiver("2023-11-14", "broken")], ["broken"], Status.SKIP, []),
        ([waiver("2023-11-14", "broken")], ["worse"], Status.CRIT, ["worse", "waiver-too-narrow"]),
        (
            [waiver("2023-11-14", "broken")],
            ["broken", "worse"],
            Status.CRIT,
            ["broken", "worse", "waiver-too-narrow"],
        ),
        ([waiver("2023-11-14", "broken", "worse")], ["broken", "worse"], Status.SKIP, []),
        (
            [waiver("2023-11-14", "broken"), waiver("2023-12-01", "worse")],
            ["broken", "worse"],
            Status.SKIP,
            [],
        ),
        (
            [waiver("2023-11-13", "broken"), waiver("2023-12-01", "worse")],
            ["broken", "worse"],
            Status.CRIT,
            ["broken", "worse", "waiver-too-narrow", "waiver-expired"],
        ),
        ([waiver("2023-11-13", "broken")], ["broken"], Status.CRIT, ["broken", "waiver-expired"]),
        ([waiver()], ["broken", "worse"], Status.SKIP, []),
    ],
)
def test_a_waiver_hides_only_what_it_covers(
    waivers: list[Waiver], found: list[str], status: Status, reasons: list[str]
) -> None:
    findings = tuple(Finding(reason, f"it is {reason}") for reason in found)
    verdict = Verdict.of("a.b", Status.CRIT, findings, evidence=ok().evidence)
    waived = waive(verdict, tuple(waivers), NOW)
    assert waived.status is status
    assert [item.reason for item in waived.findings] == reasons
    for reason in found if status is Status.SKIP else ():
        assert f"it is {reason}" in waived.message
    assert waived.evidence == verdict.evidence


class HungState(FakeState):
    """A state folder on a file system that does not answer."""

    def run_lock(self, folder: str, note: Callable[[str], None]) -> AbstractContextManager[None]:
        time.sleep(20)
        return super().run_lock(folder, note)


def test_a_state_folder_that_hangs_keeps_no_run_back() -> None:
    notes: list[str] = []
    host = replace(fake_host(state=HungState()), clock=RealClock())
    begun = time.monotonic()
    with Mailbox() as mailbox, ExitStack() as stack:
        take_lock(host, "/state", mailbox, stack, notes.append)
    assert time.monotonic() - begun < 10
    assert notes == ["/state: its file system does not answer; this run takes no lock"]
