"""Which running images are proven, and which are proven to be wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.agent_running import EXPLANATION, QUESTION, judge
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.install import AgentProcess, RunningFacts, UnreadImage
from tests.fake_host import file_state

if TYPE_CHECKING:
    from nodecheck.model.verdict import Verdict

CORE = "/usr/bin/amazon-ssm-agent"
WORKER = "/usr/bin/ssm-agent-worker"
GOOD, GOOD_WORKER, OTHER = "a" * 64, "b" * 64, "c" * 64
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


def test_nothing_installed() -> None:
    nothing = InstallFacts((), ())
    assert outcome(judge(nothing, RunningFacts((), (), ()), None)) == ("skip", "not-applicable")
    assert outcome(judge(nothing, RunningFacts((core,), (), ()), None)) == ("crit", "other-path")
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
    assert len(bad.fixes) == 2
    assert judge(install, running(unread=(DENIED,)), SIGNED).fixes == ()


def test_explains_every_reason_code() -> None:
    assert QUESTION.endswith("?")
    for code in (
        "not-running", "image-not-signed", "image-replaced", "other-path", "unproven",
        "no-permission",
    ):  # fmt: skip
        assert code in EXPLANATION
