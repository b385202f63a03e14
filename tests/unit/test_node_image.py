"""The gate for images, and what is no trouble before a registration."""

from __future__ import annotations

import pytest

from nodecheck.checks import node_image
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.image import Baked, ImageFacts, Leftover
from nodecheck.model.verdict import Evidence, Finding, SkipReason, Status, Verdict
from nodecheck.probes.node_image import look
from nodecheck.stages import excuse
from tests.fake_host import FakeFiles, fake_host, file_state

DATA = "/var/lib/amazon/ssm"
LOGS = "/var/log/amazon/ssm"


def judge(contents: dict[str, bytes | ProbeError]) -> Verdict:
    return node_image.judge(look(fake_host(files=FakeFiles(contents))), is_image=True)


def test_an_image_without_traces_passes() -> None:
    verdict = judge({f"{LOGS}/errors.log": b"", f"{DATA}/Vault/Manifest": b"{}"})
    assert verdict.status is Status.OK


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        (f"{DATA}/registration", Status.CRIT, "registration-baked-in"),
        (f"{DATA}/Vault/Store/RegistrationKey", Status.CRIT, "registration-baked-in"),
        (f"{DATA}/Vault/Store/EC2RegistrationKey", Status.CRIT, "registration-baked-in"),
        (f"{DATA}/credentials", Status.CRIT, "credentials-baked-in"),
        ("/root/.aws/credentials", Status.CRIT, "credentials-baked-in"),
        (f"{LOGS}/amazon-ssm-agent.log", Status.WARN, "logs-baked-in"),
        (f"{LOGS}/audits/amazon-ssm-agent-audit-2026-11-01", Status.WARN, "logs-baked-in"),
        (f"{DATA}/i-0123456789abcdef0/document/state", Status.WARN, "node-data-baked-in"),
        (f"{DATA}/runtimeconfig/identity_config.json", Status.WARN, "node-data-baked-in"),
    ],
)
def test_what_the_builder_left_is_refused(path: str, status: Status, reason: str) -> None:
    verdict = judge({path: b"secret-content"})
    assert (verdict.status, verdict.reason) == (status, reason)
    assert "secret-content" not in repr(verdict)
    assert verdict.findings[0].path
    assert path.startswith(verdict.findings[0].path)


def test_the_worst_comes_first_and_the_command_removes_all() -> None:
    names = (f"{LOGS}/errors.log", f"{DATA}/credentials", "/root/.aws/credentials")
    verdict = judge(dict.fromkeys(names, b"x"))
    assert verdict.reason == "credentials-baked-in"
    (fix,) = verdict.fixes
    assert fix.disruptive
    assert fix.command.endswith(
        "; rm -rf /var/log/amazon/ssm/* /var/lib/amazon/ssm/credentials /root/.aws/credentials"
    )


def test_where_it_could_not_be_looked_nothing_is_proven() -> None:
    verdict = judge({f"{DATA}/registration": Denied("registration: permission denied")})
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "not-observed")
    worse = judge(
        {
            f"{DATA}/registration": Denied("registration: permission denied"),
            f"{LOGS}/errors.log": b"x",
        }
    )
    assert (worse.status, worse.reason) == (Status.UNKNOWN, "not-observed")


def test_many_paths_are_counted() -> None:
    names = tuple(Leftover(Baked.LOGS, f"{LOGS}/{number}") for number in range(30))
    verdict = node_image.judge(ImageFacts(names, (LOGS,)), is_image=True)
    assert len(verdict.findings) == node_image.LISTED + 1
    assert verdict.findings[-1].message == "10 more paths of the same kinds"


def test_a_link_counts_whatever_it_leads_to() -> None:
    files = FakeFiles(states={f"{DATA}/registration": file_state(f"{DATA}/registration", size=9)})
    assert look(fake_host(files=files)).leftovers


def test_a_node_is_no_image() -> None:
    verdict = node_image.judge(ImageFacts((), ()), is_image=False)
    assert verdict.skip_reason is SkipReason.NOT_APPLICABLE


def bad(check_id: str, *reasons: str, status: Status = Status.CRIT) -> Verdict:
    return Verdict.of(check_id, status, tuple(Finding(reason, "is so") for reason in reasons))


@pytest.mark.parametrize(
    ("verdict", "stage", "is_left_out"),
    [
        (bad("node.identity", "not-registered"), "node", False),
        (bad("node.identity", "not-registered"), "preflight", True),
        (bad("node.identity", "not-observed", status=Status.UNKNOWN), "image", False),
        (bad("node.identity", "wrong-account"), "preflight", False),
        (bad("node.credentials", "no-identity"), "preflight", True),
        (bad("node.credentials", "metadata-hop-limit"), "preflight", False),
        (bad("agent.channel", "hibernating"), "image", True),
        (bad("agent.installed", "not-installed"), "preflight", True),
        (bad("agent.installed", "not-installed"), "image", False),
        (bad("agent.installed", "half-installed"), "preflight", False),
        (bad("agent.service", "not-running"), "image", True),
        (bad("agent.service", "not-running", "masked"), "image", False),
        (bad("agent.service", "worker-missing"), "image", True),  # an instance without a role
        (bad("agent.service", "auto-restart"), "image", False),
        (bad("agent.service", "auto-restart"), "preflight", True),  # it finds no identity
        (bad("agent.service", "restart-loop"), "preflight", True),
        (bad("agent.service", "restart-loop", "not-root"), "preflight", False),
        (bad("agent.service", "auto-restart"), "node", False),
        (bad("agent.running", "not-signed"), "image", False),
        (bad("node.identity", "internal-error"), "image", False),
        (bad("agent.signature", "bad-signature"), "preflight", False),
        (Verdict.ok("agent.service", "runs", (Evidence("a", 1),)), "image", False),
    ],
)
def test_what_is_to_be_expected_before_registration(
    verdict: Verdict, stage: str, *, is_left_out: bool
) -> None:
    found = excuse(verdict, stage)
    assert (found.skip_reason is SkipReason.NOT_APPLICABLE) is is_left_out
    assert (found == verdict) is not is_left_out
