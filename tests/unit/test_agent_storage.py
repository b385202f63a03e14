"""Room for the agent's data and logs, and what piles up there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from nodecheck.checks.agent_storage import EXPLANATION, judge
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.agent_place import LINUX
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.node import FileKind, FileState
from nodecheck.model.storage import Entries, FileSystem, Role, Room, StorageFacts
from nodecheck.model.verdict import Status, Verdict
from nodecheck.probes import agent_storage as probe
from nodecheck.records import replace
from tests.fake_host import FakeClock, FakeFiles, fake_host, file_state

INSTALL = InstallFacts((Installation(Channel.RPM, "3.3.1142.0", "", "/usr/bin/x"),), ())
GOOD = FileSystem(10**10, 5 * 10**9, 10**6, 9 * 10**5, read_only=False)
NOW = datetime(2026, 11, 23, tzinfo=UTC)
ORCHESTRATION = f"{LINUX.instances}/i-0123456789abcdef0/document/orchestration"
RUN = "2026-11-{:02}T12-46-40.213Z"


def room(system: FileSystem | None, role: Role = Role.DATA, device: int = 1) -> Room:
    folder = LINUX.data if role is Role.DATA else LINUX.logs
    return Room(role, folder, folder, device, system, "" if system else f"{folder}: I/O error")


def facts(data: FileSystem | None = GOOD, logs: FileSystem | None = GOOD) -> StorageFacts:
    rooms = (room(data), room(logs, Role.LOGS, device=2))
    return StorageFacts(rooms, Entries(37, oldest_ns=10**18), 3_100_000, LINUX.log)


def outcome(verdict: Verdict) -> tuple[str, str]:
    return verdict.status.value, verdict.reason


@pytest.mark.parametrize(
    ("changes", "data", "logs"),
    [
        ({}, "ok", "ok"),
        ({"free_bytes": 324_000_000}, "ok", "ok"),
        ({"free_bytes": 323_999_999}, "nearly-full", "ok"),
        ({"free_bytes": 104_857_600}, "nearly-full", "ok"),
        ({"free_bytes": 104_857_599}, "nearly-full", "nearly-full"),
        ({"free_bytes": 1 << 20}, "nearly-full", "nearly-full"),
        ({"free_bytes": (1 << 20) - 1}, "full", "full"),
        ({"free_bytes": 0}, "full", "full"),
        ({"free_inodes": 1000}, "ok", "ok"),
        ({"free_inodes": 999}, "few-inodes", "few-inodes"),
        ({"free_inodes": 10}, "few-inodes", "few-inodes"),
        ({"free_inodes": 9}, "no-inodes", "no-inodes"),
        ({"free_inodes": 0}, "no-inodes", "no-inodes"),
        ({"total_inodes": 0, "free_inodes": 0}, "ok", "ok"),  # btrfs
        ({"read_only": True}, "read-only", "read-only"),
    ],
)
def test_room(changes: dict[str, int], data: str, logs: str) -> None:
    status = {
        "ok": "ok", "nearly-full": "warn", "few-inodes": "warn",
        "full": "crit", "no-inodes": "crit", "read-only": "crit",
    }  # fmt: skip
    changed = replace(GOOD, **changes)  # type: ignore[arg-type]
    verdict = judge(INSTALL, facts(data=changed), NOW)
    assert outcome(verdict) == (status[data], data)
    if data != "ok":
        assert LINUX.data in verdict.message
        assert verdict.fixes
    assert outcome(judge(INSTALL, facts(logs=changed), NOW)) == (status[logs], logs)


def test_one_full_file_system_is_said_once_and_judged_by_the_stricter_limit() -> None:
    low = replace(GOOD, free_bytes=200_000_000)
    both = (room(low), room(replace(low, free_bytes=199_000_000), Role.LOGS))
    verdict = judge(INSTALL, replace(facts(), rooms=both), NOW)
    assert outcome(verdict) == ("warn", "nearly-full")
    assert len(verdict.findings) == 1
    assert "data" in verdict.message
    assert "logs" in verdict.message
    assert "200.0 MB of 10.0 GB free" in verdict.message


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (Entries(10_000), ("ok", "ok")),
        (Entries(10_001), ("warn", "entries-piling-up")),
        (Entries(20_000, complete=False), ("warn", "entries-piling-up")),
        (Entries(10_000, complete=False), ("unknown", "not-counted")),
    ],
)
def test_entries(entries: Entries, expected: tuple[str, str]) -> None:
    verdict = judge(INSTALL, replace(facts(), entries=entries), NOW)
    assert outcome(verdict) == expected
    assert ("more than" in verdict.message) is not entries.complete


@pytest.mark.parametrize(
    ("log_bytes", "expected"), [(400_000_000, "ok"), (400_000_001, "logs-large")]
)
def test_logs(log_bytes: int, expected: str) -> None:
    assert judge(INSTALL, replace(facts(), log_bytes=log_bytes), NOW).reason == expected


def test_what_was_not_seen_is_never_ok_and_what_was_seen_still_counts() -> None:
    verdict = judge(INSTALL, facts(data=None), NOW)
    assert outcome(verdict) == ("unknown", "not-observed")
    assert "I/O error" in verdict.message
    full = replace(GOOD, free_bytes=0)
    assert outcome(judge(INSTALL, facts(data=None, logs=full), NOW)) == ("crit", "full")
    unread = replace(facts(), entries=None, log_bytes=None, unobserved=("x: permission denied",))
    assert outcome(judge(INSTALL, unread, NOW)) == ("unknown", "not-observed")


def test_an_age_below_zero_is_none() -> None:
    future = Entries(1, oldest_ns=int(NOW.timestamp() + 60) * 10**9)
    evidence = judge(INSTALL, replace(facts(), entries=future), NOW).evidence
    assert "oldest_entry_at" in {item.name for item in evidence}
    assert "oldest_entry_days" not in {item.name for item in evidence}


def test_without_an_agent() -> None:
    nothing = InstallFacts((), ())
    assert outcome(judge(nothing, facts(), NOW)) == ("skip", "not-applicable")
    assert judge(InstallFacts((), ("rpm: locked",)), facts(), NOW).status is Status.UNKNOWN


def node(names: tuple[str, ...] = ()) -> FakeFiles:
    states: dict[str, FileState | ProbeError] = {
        folder: file_state(folder, kind=FileKind.FOLDER, device=number)
        for number, folder in enumerate((LINUX.data, LINUX.logs))
    }
    states |= {f"{ORCHESTRATION}/{name}/x": file_state("x") for name in names}
    spaces: dict[str, FileSystem | ProbeError] = {LINUX.data: GOOD, LINUX.logs: GOOD}
    return FakeFiles({LINUX.log: b"12345"}, states, spaces=spaces)


def look(files: FakeFiles, names_limit: int = probe.NAMES_LIMIT) -> StorageFacts:
    return probe.look(fake_host(files=files), names_limit)


def test_counts_commands_and_runs_but_not_steps() -> None:
    files = node(
        ("command-1", "command-2", f"association/{RUN.format(21)}", f"association/{RUN.format(19)}")
    )
    files.states[f"{ORCHESTRATION}/command-1"] = file_state(
        f"{ORCHESTRATION}/command-1", kind=FileKind.FOLDER, mtime_ns=int(2e18)
    )
    files.states[f"{ORCHESTRATION}/command-2"] = file_state(
        f"{ORCHESTRATION}/command-2", kind=FileKind.FOLDER, mtime_ns=int(2e18)
    )
    found = look(files)
    started = datetime(2026, 11, 19, 12, 46, 40, tzinfo=UTC)
    assert found.entries == Entries(5, oldest_ns=int(started.timestamp()) * 10**9)
    assert (found.log_bytes, found.largest_log) == (5, LINUX.log)
    assert outcome(judge(INSTALL, found, NOW)) == ("ok", "ok")


def test_no_link_is_followed() -> None:
    files = node(("command-1",))
    files.states[ORCHESTRATION] = file_state(ORCHESTRATION, kind=FileKind.LINK, target="/")
    assert look(files).entries == Entries()
    files = node(("command-1",))
    linked = f"{ORCHESTRATION}/command-1"
    files.states[linked] = file_state(linked, kind=FileKind.LINK, target="/proc")
    assert look(files).entries == Entries(1)


@pytest.mark.parametrize("name", ["2026-99-99T99-99-99.000Z", "2026-11-23T12-46-40\x1b[2J"])
def test_a_strange_name_of_a_run_is_counted_all_the_same(name: str) -> None:
    entries = look(node((f"association/{name}",))).entries
    assert entries is not None
    assert entries.count == 2


def test_counting_ends_at_a_number() -> None:
    assert look(node(tuple(f"c{n}" for n in range(20))), 20).entries == Entries(20, oldest_ns=0)
    found = look(node(tuple(f"c{n}" for n in range(21))), 20).entries
    assert found == Entries(20, complete=False)
    runs = tuple(f"association/{RUN.format(10)}-{n}" for n in range(30))
    assert look(node(runs), 20).entries == Entries(20, complete=False, oldest_ns=0)
    runs = tuple(f"{name}/{RUN.format(n)}" for name in "ab" for n in range(10, 20))
    found = look(node(runs), 20).entries
    assert found is not None
    assert (found.count, found.complete) == (20, False)


@dataclass
class SlowClock(FakeClock):
    """Half a second passes with each look."""

    def monotonic_ns(self) -> int:
        self.monotonic += 5 * 10**8
        return self.monotonic


def test_counting_ends_after_a_time() -> None:
    files = node(tuple(f"c{n}" for n in range(9)))
    found = probe.look(fake_host(files=files, clock=SlowClock()))
    assert found.entries is not None
    assert not found.entries.complete
    assert outcome(judge(INSTALL, found, NOW)) == ("unknown", "not-counted")


def test_a_folder_that_is_not_there_yet_is_judged_by_the_one_above() -> None:
    files = FakeFiles({"/var/lib/dpkg/status": b""}, spaces={"/var/lib": GOOD, "/var": GOOD})
    found = look(files)
    assert [item.at for item in found.rooms] == ["/var/lib", "/var"]
    assert (found.entries, found.log_bytes) == (Entries(), 0)


@pytest.mark.parametrize("path", [LINUX.data, ORCHESTRATION, LINUX.log])
def test_what_cannot_be_looked_at_is_named(path: str) -> None:
    files = node(("command-1",))
    files.states[path] = Denied(f"{path}: permission denied")
    verdict = judge(INSTALL, look(files), NOW)
    assert outcome(verdict) == ("unknown", "not-observed")
    assert path in str(verdict.findings)


def test_a_file_system_that_does_not_answer_is_named() -> None:
    files = node()
    files.spaces[LINUX.data] = ProbeError(f"{LINUX.data}: stale file handle")
    verdict = judge(INSTALL, look(files), NOW)
    assert outcome(verdict) == ("unknown", "not-observed")
    assert "stale" in verdict.message


def test_explains_every_reason_code() -> None:
    for code in (
        "nearly-full", "few-inodes", "entries-piling-up", "logs-large", "not-observed",
        "not-counted", "full", "no-inodes", "read-only",
    ):  # fmt: skip
        assert code in EXPLANATION
