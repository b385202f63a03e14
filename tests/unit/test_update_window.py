"""Signs of an update, the wait for its end, and what becomes of a bad verdict meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.update_window import temper
from nodecheck.model.errors import Denied
from nodecheck.model.update_window import UpdateSign, UpdateStart, UpdateWindow
from nodecheck.model.verdict import Evidence, Finding, Fix, SkipReason, Status, Verdict
from nodecheck.probes import agent_update_window as probe
from nodecheck.records import replace
from tests.fake_host import FakeClock, FakeFiles, fake_host, file_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.host.door import Host

CORE = "/usr/bin/amazon-ssm-agent"
DPKG = "/var/lib/dpkg/lock-frontend"
RPM = "/var/lib/rpm/.rpm.lock"
NOW = FakeClock().wall
STAT = b"4711 (apt get) S " + b"0 " * 18 + b"1000 0 0"
HELD = b"1: POSIX  ADVISORY  WRITE 4711 08:01:77 0 EOF\n"


@dataclass
class ActingClock(FakeClock):
    """Does something at the first pause: what another process does meanwhile."""

    act: Callable[[], None] | None = None

    def pause(self, duration_s: float) -> None:
        super().pause(duration_s)
        if self.act is not None:
            self.act()
            self.act = None


def node(locks: bytes = b"", *, age_s: float = 3600) -> FakeFiles:
    return FakeFiles(
        {"/proc/locks": locks, "/proc/4711/stat": STAT, "/proc/uptime": b"130.5 99.0\n"},
        {
            CORE: file_state(CORE, inode=5, ctime_ns=NOW - int(age_s * 1e9)),
            DPKG: file_state(DPKG, inode=77, device=0x801),
        },
    )


def wait(files: FakeFiles, act: Callable[[], None] | None = None) -> tuple[UpdateStart, float]:
    clock = ActingClock(act=act)
    start = probe.wait(fake_host(files=files, clock=clock), 8.0)
    return start, (clock.monotonic - FakeClock().monotonic) / 1e9


def end(files: FakeFiles, start: UpdateStart) -> tuple[str, ...]:
    return tuple(sign.subject for sign in window(fake_host(files=files), start).signs)


def window(host: Host, start: UpdateStart) -> UpdateWindow:
    return probe.look(host, start, (), start.files)


def test_a_quiet_node_is_not_waited_for() -> None:
    start, waited_s = wait(node())
    assert (start.signs, start.waited, start.unobserved, waited_s) == ((), (), (), 0)
    assert end(node(), start) == ()


def test_a_node_without_a_package_manager_has_no_locks() -> None:
    files = node(HELD)
    del files.states[DPKG]
    assert wait(files)[0].signs == ()


def test_a_held_lock_is_waited_for_and_named_with_holder_and_age() -> None:
    start, waited_s = wait(node(HELD))
    assert 3.0 <= waited_s < 3.5
    text = f"{DPKG} is locked by process 4711 (apt get), which runs for 120 s"
    assert start.signs == (UpdateSign(DPKG, text),)


def test_a_lock_that_goes_is_the_end_of_the_wait() -> None:
    files = node(HELD)
    start, waited_s = wait(files, lambda: files.contents.update({"/proc/locks": b""}))
    assert (start.signs, waited_s) == ((), 0.5)
    assert [sign.subject for sign in start.waited] == [DPKG]
    assert end(files, start) == ()


def test_a_lock_that_comes_during_the_looking_is_seen_at_the_end() -> None:
    start, _ = wait(node())
    assert end(node(HELD), start) == (DPKG,)


def test_a_lock_of_the_beginning_counts_although_it_is_gone_at_the_end() -> None:
    start, _ = wait(node(HELD))
    assert end(node(), start) == (DPKG,)


def test_a_node_without_an_agent_is_not_waited_for() -> None:
    files = node(HELD)
    del files.states[CORE]
    start, waited_s = wait(files)
    assert waited_s == 0
    assert [sign.subject for sign in start.signs] == [DPKG]


@pytest.mark.parametrize(
    "line",
    [
        b"1: POSIX  ADVISORY  READ  4711 08:01:77 0 EOF\n",
        b"1: POSIX  ADVISORY  WRITE 4711 08:01:78 0 EOF\n",
        b"1: POSIX  ADVISORY  WRITE 4711 08:02:77 0 EOF\n",  # the same number on another disk
        b"1: FLOCK  ADVISORY  WRITE 4711 08:01:77 0 EOF\n",  # any reader may take one
        b"1: -> POSIX  ADVISORY  WRITE 4711 08:01:77 0 EOF\n",  # only waits for it
        b"\xff" * 200,
        b"",
    ],
)
def test_what_is_no_write_lock_on_the_file(line: bytes) -> None:
    assert wait(node(line))[0].signs == ()


@pytest.mark.parametrize("kind", [b"POSIX ", b"OFDLCK"])
def test_every_kind_of_lock_counts(kind: bytes) -> None:
    assert wait(node(HELD.replace(b"POSIX ", kind)))[0].signs


def test_a_file_system_that_hides_its_device_is_asked_through_the_holder() -> None:
    files = node(HELD.replace(b"08:01", b"00:1f"))
    assert wait(files)[0].signs == ()
    files.states["/proc/4711/fd/3"] = file_state("/proc/4711/fd/3", target="/dev/null")
    assert wait(files)[0].signs == ()
    link = "/proc/4711/fd/9"
    files.states[link] = file_state(link, target=DPKG)
    assert [sign.subject for sign in wait(files)[0].signs] == [DPKG]


def test_a_holder_that_cannot_be_seen_is_said_so() -> None:
    foreign = wait(node(HELD.replace(b"4711", b"-1")))[0].signs[0].text
    assert "outside this PID namespace" in foreign
    assert wait(node(HELD.replace(b"4711", b"4712")))[0].signs[0].text.endswith("process 4712")


def test_unreadable_locks_are_told() -> None:
    files = node()
    files.contents["/proc/locks"] = Denied("/proc/locks: permission denied")
    start, _ = wait(files)
    assert start.unobserved == ("locks of package managers: /proc/locks: permission denied",)
    assert window(fake_host(files=files), start).unobserved == start.unobserved


@pytest.mark.parametrize(
    ("age_s", "signs", "notes"), [(5, 1, 0), (3599, 1, 0), (3600, 0, 0), (-5, 0, 1)]
)
def test_the_updaters_lock_counts_for_an_hour(age_s: int, signs: int, notes: int) -> None:
    files = node()
    stamp = NOW - age_s * 10**9
    files.states[probe.UPDATE_LOCK] = file_state(probe.UPDATE_LOCK, mtime_ns=stamp)
    clock = FakeClock()
    start = probe.wait(fake_host(files=files, clock=clock), 0.0)
    assert (len(start.signs), len(start.unobserved)) == (signs, notes)


def test_the_updaters_process_counts() -> None:
    start, _ = wait(node())
    found = probe.look(fake_host(files=node()), start, (99,), ())
    assert [sign.subject for sign in found.signs] == ["process 99"]


def test_a_young_file_is_given_time_to_settle_and_then_judged() -> None:
    files = node(age_s=5)
    start, waited_s = wait(files)
    assert (start.signs, waited_s) == ((), 0.5)
    assert start.waited == (UpdateSign(CORE, f"{CORE} changed 5 s ago"),)
    assert end(files, start) == ()


def test_a_young_file_that_changes_again_is_waited_for() -> None:
    files = node(age_s=5)
    change = {CORE: file_state(CORE, inode=6, ctime_ns=NOW)}
    start, waited_s = wait(files, lambda: files.states.update(change))
    assert waited_s == 0.75
    assert [state.inode for state in start.files] == [6]


def test_a_file_of_the_future_is_told_and_not_young() -> None:
    start, waited_s = wait(node(age_s=-100))
    assert (start.signs, waited_s) == ((), 0)
    assert "100 s after the local clock" in start.unobserved[0]


def test_a_file_that_changes_during_the_looking_is_a_sign() -> None:
    files = node()
    start, _ = wait(files)
    files.states[CORE] = file_state(CORE, inode=5, ctime_ns=NOW)
    assert end(files, start) == (CORE,)
    del files.states[CORE]
    assert end(files, start) == (CORE,)
    other = file_state("/etc/x", ctime_ns=1)
    found = probe.look(fake_host(files=node()), replace(start, files=()), (), (other,))
    assert {sign.subject for sign in found.signs} == {CORE, "/etc/x"}


SIGN = UpdateSign(DPKG, f"{DPKG} is locked by process 4711 (sleep), which runs for 86400 s")
BAD = Verdict.of(
    "agent.files",
    Status.CRIT,
    (Finding("digest", "x is not the signed file"), Finding("owner", "x: owned by user 5")),
    evidence=(Evidence("files_read", 11),),
    fixes=(Fix("rpm -U --force x"),),
)


def test_a_bad_verdict_is_unknown_and_hides_nothing() -> None:
    verdict = temper(BAD, UpdateWindow((SIGN,), ()))
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "update-in-progress")
    for word in ("judged crit", "x is not the signed file", DPKG, "4711", "86400 s"):
        assert word in verdict.message
    found = {item.name: item.value for item in verdict.evidence}
    assert found["judged"] == "crit"
    assert found["judged_findings"] == (
        "digest: x is not the signed file",
        "owner: x: owned by user 5",
    )
    assert found["files_read"] == 11
    assert verdict.fixes == ()


def test_what_is_not_bad_stays() -> None:
    good = Verdict.ok("agent.files", "11 files", (Evidence("files_read", 11),))
    skip = Verdict.skip("agent.files", SkipReason.NOT_APPLICABLE, "no agent")
    for verdict in (good, skip):
        assert temper(verdict, UpdateWindow((SIGN,), ("x",))) is verdict


def test_without_a_sign_it_is_judged_and_what_was_not_seen_is_told() -> None:
    assert temper(BAD, UpdateWindow((), ())) == BAD
    verdict = temper(BAD, UpdateWindow((), ("/proc/locks: permission denied",)))
    assert verdict.status is Status.CRIT
    assert verdict.evidence[-1].value == ("/proc/locks: permission denied",)
