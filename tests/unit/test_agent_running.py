"""Which running images are proven, and which are proven to be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.agent_running import EXPLANATION, QUESTION, judge
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.history import History, VerifiedVersion
from nodecheck.model.install import (
    AgentProcess,
    Bystander,
    CodeFile,
    Mounts,
    RunningFacts,
    UnreadImage,
)
from nodecheck.model.process_text import LoaderVariable
from nodecheck.records import replace
from tests.fake_host import file_state

if TYPE_CHECKING:
    from nodecheck.model.verdict import Verdict

CORE = "/usr/bin/amazon-ssm-agent"
WORKER = "/usr/bin/ssm-agent-worker"
GOOD, GOOD_WORKER, OTHER = "a" * 64, "b" * 64, "c" * 64
OLD, OLDER = "e" * 64, "f" * 64
SNAP = "/snap/amazon-ssm-agent/7/amazon-ssm-agent"
HISTORY = History(
    (
        VerifiedVersion("3.3.1142.0", ((CORE, GOOD), (WORKER, GOOD_WORKER))),
        VerifiedVersion("3.3.100.0", ((CORE, OLD),)),
        VerifiedVersion("3.3.90.0", ((SNAP, OLDER),)),
    )
)
SIGNED = {CORE: GOOD, WORKER: GOOD_WORKER, "/etc/amazon/ssm/seelog.xml.template": "d" * 64}
INSTALLED = InstallFacts((Installation(Channel.RPM, "3.3.1142.0", "", CORE),), ())
ON_DISK = (file_state(CORE, device=1, inode=10), file_state(WORKER, device=1, inode=11))

core = AgentProcess(
    pid=100,
    name="amazon-ssm-agent",
    image=CORE,
    deleted=False,
    device=1,
    inode=10,
    sha256=GOOD,
    unit="amazon-ssm-agent.service",
    uid=0,
)
worker = replace(core, pid=101, name="ssm-agent-worker", image=WORKER, inode=11, sha256=GOOD_WORKER)
DENIED = UnreadImage(100, "amazon-ssm-agent", "no-permission", "/proc/100/exe: permission denied")


def running(*processes: AgentProcess, unread: tuple[UnreadImage, ...] = ()) -> RunningFacts:
    return RunningFacts(processes, unread, ON_DISK)


def outcome(verdict: Verdict) -> tuple[str, str]:
    return verdict.status.value, verdict.reason


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (running(core, worker), ("ok", "ok")),
        (running(core), ("ok", "ok")),
        # R1: other bytes at the right path, and the worker's bytes as the core
        (running(replace(core, sha256=OTHER)), ("crit", "image-not-signed")),
        (running(core, replace(worker, sha256=OTHER)), ("crit", "image-not-signed")),
        (running(replace(core, sha256=GOOD_WORKER)), ("crit", "other-path")),
        # R2: replaced by the same bytes
        (running(replace(core, deleted=True, inode=9)), ("ok", "ok")),
        (running(replace(core, deleted=True, sha256=OTHER)), ("crit", "image-replaced")),
        # R3: genuine bytes from elsewhere
        (running(core, replace(core, image="/dev/shm/amazon-ssm-agent")), ("crit", "other-path")),  # noqa: S108
        # R4: an image without a file
        (
            running(replace(core, image="/memfd:x", deleted=True, sha256=OTHER)),
            ("crit", "image-replaced"),
        ),
        # R3 and R4 with genuine bytes: gone from where it was started, or never there
        (running(replace(core, image="/memfd:x", deleted=True)), ("crit", "other-path")),
        (running(replace(core, image="/opt/x", deleted=True)), ("crit", "other-path")),
        # R5: a genuine file mounted over the path while another image runs
        (running(replace(core, inode=77, sha256=OTHER)), ("crit", "image-not-signed")),
        (running(), ("crit", "not-running")),
        (running(worker), ("crit", "not-running")),  # left over by an earlier start
        (running(unread=(DENIED,)), ("unknown", "no-permission")),
        (running(worker, unread=(DENIED,)), ("unknown", "no-permission")),
        (running(replace(worker, sha256=OTHER), unread=(DENIED,)), ("crit", "image-not-signed")),
    ],
)
def test_with_signed_digests(facts: RunningFacts, expected: tuple[str, str]) -> None:
    verdict = judge(INSTALLED, facts, SIGNED)
    assert outcome(verdict) == expected
    assert verdict.evidence


@pytest.mark.parametrize("signed", [None, {}])
@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (running(core, worker), ("unknown", "unproven")),
        (running(replace(core, sha256=OTHER)), ("unknown", "unproven")),
        (running(replace(core, deleted=True)), ("crit", "image-replaced")),
        (running(replace(core, inode=77)), ("crit", "image-replaced")),
        (running(replace(core, device=7)), ("crit", "image-replaced")),
        (running(replace(core, image="/opt/amazon-ssm-agent")), ("crit", "other-path")),
        (running(), ("crit", "not-running")),
        (running(unread=(DENIED,)), ("unknown", "no-permission")),
    ],
)
def test_without_proof_of_the_signature(
    facts: RunningFacts, expected: tuple[str, str], signed: dict[str, str] | None
) -> None:
    assert outcome(judge(INSTALLED, facts, signed)) == expected


@pytest.mark.parametrize("signed", [SIGNED, None, {}])
@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (replace(core, deleted=True, sha256=OLD), ("warn", "restart-pending")),
        (replace(core, image=SNAP, sha256=OLDER), ("warn", "restart-pending")),
        # at its own path again: whoever put it there did not wait for a restart
        (replace(core, sha256=OLD), ("crit", "image-not-signed")),
        (replace(core, deleted=True, sha256=OTHER), ("crit", "image-replaced")),
        # the digest of one file is not that of another
        (replace(core, deleted=True, image=WORKER, sha256=OLD), ("crit", "image-replaced")),
        (replace(core, deleted=True, image="/memfd:x", sha256=OLD), ("crit", "image-replaced")),
    ],
)
def test_an_earlier_version_counts_only_where_it_was_verified(
    process: AgentProcess, expected: tuple[str, str], signed: dict[str, str] | None
) -> None:
    if not signed and not process.deleted and process.image == CORE:
        expected = ("unknown", "unproven")  # other checks tell what is wrong with the file
    verdict = judge(INSTALLED, running(process), signed, HISTORY)
    assert outcome(verdict) == expected
    if expected[0] == "warn":
        assert "3.3.100.0" in verdict.message or "3.3.90.0" in verdict.message
        assert verdict.fixes[0].command.endswith("restart amazon-ssm-agent")
    without = judge(INSTALLED, running(process), signed)
    assert without.reason != "restart-pending"


def test_a_worse_image_is_not_hidden_by_a_pending_restart() -> None:
    facts = running(replace(core, deleted=True, sha256=OLD), replace(worker, sha256=OTHER))
    verdict = judge(INSTALLED, facts, SIGNED, HISTORY)
    assert [item.reason for item in verdict.findings] == ["image-not-signed", "restart-pending"]


def test_who_owns_the_process_may_change_it() -> None:
    verdict = judge(INSTALLED, running(replace(core, uid=1000)), SIGNED)
    assert outcome(verdict) == ("crit", "not-root")
    assert "user 1000" in verdict.message


LIBC = CodeFile("/usr/lib/libc.so.6", file_state("/usr/lib/libc.so.6"))
UPDATED = CodeFile("/usr/lib/libz.so (deleted)", None)
OWN = CodeFile("/opt/watch.so", file_state("/opt/watch.so"))
LOOSE = CodeFile("/opt/loose.so", file_state("/opt/loose.so", mode=0o777))
THEIRS = CodeFile("/usr/lib/theirs.so", file_state("/usr/lib/theirs.so", uid=1000))
GONE = CodeFile("/tmp/x.so (deleted)", None)  # noqa: S108
MEMORY = CodeFile("/memfd:x (deleted)", None)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ((LIBC, UPDATED), ("ok", "ok")),
        ((LIBC, OWN), ("warn", "foreign-code")),
        ((LOOSE,), ("crit", "foreign-code")),
        ((THEIRS,), ("crit", "foreign-code")),
        ((GONE, OWN), ("unknown", "foreign-code")),
        ((MEMORY, GONE), ("crit", "foreign-code")),
        ((CodeFile("/usr/lib/missing.so", None),), ("unknown", "foreign-code")),
    ],
)
def test_code_beside_the_image(code: tuple[CodeFile, ...], expected: tuple[str, str]) -> None:
    verdict = judge(INSTALLED, running(core, replace(worker, code=code)), SIGNED)
    assert outcome(verdict) == expected
    if expected[0] != "ok":
        assert "101" in verdict.message


@pytest.mark.parametrize(
    ("name", "entries", "status"),
    [
        ("LD_PRELOAD", ("/usr/lib/x.so",), "crit"),
        ("LD_AUDIT", ("x.so",), "crit"),
        ("LD_LIBRARY_PATH", ("/tmp",), "crit"),  # noqa: S108
        ("LD_LIBRARY_PATH", ("lib",), "crit"),
        ("LD_LIBRARY_PATH", ("/usr/lib/../../tmp",), "crit"),
        ("LD_LIBRARY_PATH", ("/usr/lib", "/opt/lib"), "crit"),
        ("LD_LIBRARY_PATH", ("/usr/lib", "", "/snap/core/1/lib/"), "ok"),
    ],
)
def test_variables_of_the_loader(name: str, entries: tuple[str, ...], status: str) -> None:
    facts = running(replace(core, variables=(LoaderVariable(name, entries),)))
    verdict = judge(INSTALLED, facts, SIGNED)
    assert outcome(verdict) == (status, "preloaded" if status == "crit" else "ok")
    told = {item.name: item.value for item in verdict.evidence}["loader_variables"]
    assert name in str(told)


def test_only_paths_of_a_variable_are_shown() -> None:
    variable = LoaderVariable("LD_PRELOAD", ("secret", "/a.so", "/" + "x" * 999))
    verdict = judge(INSTALLED, running(replace(core, variables=(variable,))), SIGNED)
    assert "LD_PRELOAD=/a.so:/x" in verdict.message
    assert "secret" not in repr(verdict)
    assert "x" * 200 not in repr(verdict)


@pytest.mark.parametrize(
    ("preloads", "expected"),
    [
        ((), ("ok", "ok")),
        ((OWN,), ("warn", "preload-file")),
        ((LIBC,), ("warn", "preload-file")),
        ((CodeFile("$LIB/x.so", None),), ("warn", "preload-file")),
        ((OWN, LOOSE), ("crit", "preload-file")),
        ((THEIRS,), ("crit", "preload-file")),
    ],
)
def test_the_preload_file(preloads: tuple[CodeFile, ...], expected: tuple[str, str]) -> None:
    verdict = judge(INSTALLED, replace(running(core), preloads=preloads), SIGNED)
    assert outcome(verdict) == expected
    assert all(item.path in verdict.message for item in preloads)


def test_unseen_code_is_not_ok() -> None:
    unread = judge(INSTALLED, replace(running(core), unseen="/etc/ld.so.preload: no"), SIGNED)
    assert outcome(unread) == ("unknown", "not-observed")
    facts = running(core, replace(worker, unseen="/proc/101/maps: permission denied"))
    verdict = judge(INSTALLED, facts, SIGNED)
    assert outcome(verdict) == ("unknown", "not-observed")
    found = {item.name: item.value for item in verdict.evidence}
    assert found["not_read"] == ("101 /proc/101/maps: permission denied",)


def test_many_libraries_are_not_all_listed() -> None:
    code = tuple(CodeFile(f"/opt/{n}.so", file_state(f"/opt/{n}.so")) for n in range(99))
    verdict = judge(INSTALLED, running(replace(core, code=code)), SIGNED)
    assert "and 94 more" in verdict.message


def test_a_tracer_and_a_covered_path_are_evidence_only() -> None:
    facts = running(replace(core, tracer_pid=7, inode=77, code=(LIBC, UPDATED)), worker)
    verdict = judge(INSTALLED, replace(facts, main_pid=100), SIGNED, History(note="set aside"))
    assert verdict.status.value == "ok"
    found = {item.name: item.value for item in verdict.evidence}
    assert found["traced"] == ("100 by 7",)
    assert found["other_inode_on_disk"] == (CORE,)
    assert (found["main_pid"], found["history"]) == (100, "set aside")
    plain = judge(INSTALLED, running(core), SIGNED).evidence
    assert {item.name for item in plain} == {"processes", "pid", "image", "sha256"}


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (replace(core, mounts=Mounts.OTHER), ("ok", "ok")),  # PrivateTmp= of a drop-in
        (replace(core, mounts=Mounts.OTHER, inode=77), ("crit", "other-path")),
        (replace(core, mounts=Mounts.OTHER, inode=77, deleted=True), ("ok", "ok")),
        (replace(core, mounts=Mounts.UNSEEN), ("ok", "ok")),
        (replace(core, mounts=Mounts.UNSEEN, inode=77), ("unknown", "unproven")),
    ],
)
def test_the_same_path_in_another_root(process: AgentProcess, expected: tuple[str, str]) -> None:
    assert outcome(judge(INSTALLED, running(process), SIGNED)) == expected


CLI = "/usr/bin/ssm-cli"
STRANGER = Bystander(200, "amazon-ssm-agent", CORE, "of user 65534")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (running(replace(core, image=CLI, sha256="9" * 64)), ("crit", "not-running")),
        (running(replace(core, image=CLI, sha256="9" * 64), core), ("ok", "ok")),
        (replace(running(replace(core, unit="")), grouped=True), ("crit", "not-running")),
        (replace(running(replace(core, unit="")), grouped=False), ("ok", "ok")),
        (replace(running(), ignored=(STRANGER,)), ("crit", "not-running")),
        (replace(running(core), ignored=(STRANGER,)), ("ok", "ok")),
        (replace(running(unread=(DENIED,)), grouped=True), ("crit", "not-running")),
        (
            replace(running(unread=(replace(DENIED, name="x", unit="u"),)), grouped=True),
            ("unknown", "no-permission"),
        ),
    ],
)
def test_only_roots_own_core_in_the_unit_runs(
    facts: RunningFacts, expected: tuple[str, str]
) -> None:
    verdict = judge(INSTALLED, facts, {**SIGNED, CLI: "9" * 64})
    assert outcome(verdict) == expected
    if facts.ignored:
        found = {item.name: item.value for item in verdict.evidence}
        assert found["ignored_processes"] == ("process 200 (amazon-ssm-agent) of user 65534",)
        assert ("65534" in verdict.message) is (expected[0] == "crit")


def test_a_crowd_of_strangers_is_counted() -> None:
    crowd = tuple(replace(STRANGER, pid=pid) for pid in range(500))
    verdict = judge(INSTALLED, replace(running(), ignored=crowd), SIGNED)
    assert "and 497 more" in verdict.message
    found = {item.name: item.value for item in verdict.evidence}
    assert (found["ignored"], len(str(found["ignored_processes"])) < 2000) == (500, True)


def test_the_worst_comes_first_and_nothing_is_dropped() -> None:
    facts = running(replace(worker, sha256=OTHER), unread=(DENIED,))
    verdict = judge(INSTALLED, facts, SIGNED)
    assert [item.reason for item in verdict.findings] == ["image-not-signed", "no-permission"]
    assert "100" in verdict.findings[1].message
    assert (verdict.evidence[0].name, verdict.evidence[0].value) == ("processes", 2)


def test_a_left_over_worker_is_named() -> None:
    assert "left over: 1" in judge(INSTALLED, running(worker), SIGNED).message
    assert judge(INSTALLED, running(), SIGNED).message == "amazon-ssm-agent does not run"


def test_a_replaced_file_with_the_same_bytes_is_noted() -> None:
    verdict = judge(INSTALLED, running(replace(core, deleted=True)), SIGNED)
    assert [item.value for item in verdict.evidence if item.name == "replaced_on_disk"] == [(CORE,)]
    assert "harmless" in verdict.message
    assert "harmless" not in judge(INSTALLED, running(core), SIGNED).message


def test_nothing_installed() -> None:
    nothing = InstallFacts((), ())
    assert outcome(judge(nothing, RunningFacts((), (), ()), None)) == ("skip", "not-applicable")
    found = judge(nothing, RunningFacts((core,), (), ()), None)
    assert outcome(found) == ("crit", "other-path")
    assert [item.command for item in found.fixes] == [
        "cp /proc/100/exe /root/process-100.image",
        "kill 100",
    ]
    named = judge(nothing, RunningFacts((replace(core, image="/bin/x"),), (), ()), None)
    assert "not-running" not in {item.reason for item in named.findings}
    stranger = judge(nothing, RunningFacts((), (), (), ignored=(STRANGER,)), None)
    assert outcome(stranger) == ("skip", "not-applicable")
    assert "65534" in stranger.message
    unseen = InstallFacts((), ("rpm database: locked",))
    assert outcome(judge(unseen, RunningFacts((core,), (), ()), None)) == (
        "unknown",
        "not-observed",
    )


@pytest.mark.parametrize(
    ("channel", "command"),
    [
        (Channel.RPM, "systemctl restart amazon-ssm-agent"),
        (Channel.SNAP, "snap restart amazon-ssm-agent"),
        (Channel.WINDOWS, "Restart-Service AmazonSSMAgent"),
    ],
)
def test_fix_of_the_channel(channel: Channel, command: str) -> None:
    install = InstallFacts((Installation(channel, "3.3.1142.0", "", CORE),), ())
    (fix,) = judge(install, running(), SIGNED).fixes
    assert (fix.command, fix.disruptive) == (command, True)
    bad = judge(install, running(replace(core, sha256=OTHER)), SIGNED)
    assert bad.fixes[-1].command == command
    kept = [] if channel is Channel.WINDOWS else ["cp /proc/100/exe /root/process-100.image"]
    assert [item.command for item in bad.fixes][:-2] == kept
    assert len(bad.fixes) == len(kept) + 2
    assert judge(install, running(unread=(DENIED,)), SIGNED).fixes == ()


def test_a_process_that_no_restart_would_end_is_killed() -> None:
    evil = replace(core, image="/home/x/amazon-ssm-agent", unit="", sha256=OTHER)
    fixes = judge(INSTALLED, running(evil), SIGNED).fixes
    assert [item.command for item in fixes][1:] == ["kill 100"]
    assert [item.disruptive for item in fixes] == [False, True]
    variables = (LoaderVariable("LD_PRELOAD", ("/x",)),)
    fixes = judge(INSTALLED, running(replace(core, variables=variables)), SIGNED).fixes
    assert fixes[-1].command == "systemctl restart amazon-ssm-agent"
    assert judge(INSTALLED, running(replace(core, code=(OWN,))), SIGNED).fixes == ()


def test_explains_every_reason_code() -> None:
    assert QUESTION.endswith("?")
    for code in (
        "not-running", "image-not-signed", "image-replaced", "other-path", "unproven",
        "no-permission", "restart-pending", "not-root", "hidden-process", "update-in-progress",
        "preloaded", "preload-file", "foreign-code", "not-observed",
    ):  # fmt: skip
        assert code in EXPLANATION
