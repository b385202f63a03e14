"""As whom the agent acts, judged from what was seen."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks.node_identity import EXPLANATION, judge
from nodecheck.model.acting import IdentityPolicy, act
from nodecheck.model.agent_config import AgentConfig
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.identity import (
    MetadataFacts,
    Registration,
    RegistrationFacts,
    SecretFile,
    Unread,
)
from nodecheck.model.verdict import Status, Verdict
from nodecheck.records import replace
from tests.identity_builders import (
    ACCOUNT,
    ANYWHERE,
    CONFIG,
    HYBRID,
    INSTALLED,
    INSTANCE,
    NITRO,
    NOT_INSTALLED,
    OTHER,
    QEMU,
    REGION,
    SERVICE,
    UNSEEN,
    XEN,
    fault,
    files_say,
    folders,
    instance_says,
    key,
    runtime,
)

if TYPE_CHECKING:
    from nodecheck.model.install import InstallSurvey

OK, WARN, CRIT, UNKNOWN, SKIP = (
    Status.OK,
    Status.WARN,
    Status.CRIT,
    Status.UNKNOWN,
    Status.SKIP,
)
NOT_ASKED = fault("not-asked")
DENIED = Unread("/x", "no-permission", "/x: permission denied")
CUT = Unread("/x", "not-understood", "/x: not JSON, or cut in the middle")
CLEARED = key(size=150)
ELSEWHERE = AgentConfig(path="/etc/x", region="us-east-1")
EC2_FIRST = AgentConfig(order=("EC2", "OnPrem"))
NOBODY = files_say(runtime=None, registration=None, keys=())
LEFTOVER = files_say(firmware=NITRO)
MY_ACCOUNT = IdentityPolicy(account=ACCOUNT)
FOREIGN_ACCOUNT = IdentityPolicy(account="999999999999")
FOREIGN_REGION = IdentityPolicy(region="us-east-1")

SEEN = set[str]()


def see(
    facts: RegistrationFacts,
    metadata: MetadataFacts | ProbeError | None = SERVICE,
    config: AgentConfig | ProbeError = CONFIG,
    policy: IdentityPolicy = ANYWHERE,
    survey: InstallSurvey | ProbeError = INSTALLED,
) -> Verdict:
    return judge(facts, metadata, config, survey, policy)


@pytest.mark.parametrize(
    ("verdict", "status", "reason"),
    [
        (see(files_say(), NOT_ASKED), OK, "ok"),
        (see(files_say(), None), OK, "ok"),
        (see(instance_says()), OK, "ok"),
        (see(instance_says(firmware=XEN)), OK, "ok"),
        (see(instance_says(), None), OK, "ok"),  # the board proves it
        (see(instance_says(), fault("metadata-timeout")), OK, "ok"),
        (see(instance_says(runtime=None)), OK, "ok"),
        # nobody
        (see(NOBODY, fault("metadata-timeout")), CRIT, "not-registered"),
        (see(NOBODY, None), CRIT, "not-registered"),
        (see(replace(NOBODY, keys=(CLEARED,)), NOT_ASKED), CRIT, "not-registered"),
        (
            see(replace(NOBODY, keys=(CLEARED,), registration=Registration(HYBRID, REGION))),
            CRIT,
            "not-registered",  # -clear leaves the file registration behind
        ),
        (see(replace(NOBODY, firmware=UNSEEN), NOT_ASKED), UNKNOWN, "not-observed"),
        (see(replace(NOBODY, unread=(DENIED,)), NOT_ASKED), UNKNOWN, "no-permission"),
        (see(replace(NOBODY, keys=(key(),)), NOT_ASKED), UNKNOWN, "not-observed"),
        (
            see(replace(NOBODY, firmware=XEN), fault("metadata-refused")),
            CRIT,
            "not-registered",
        ),
        (
            see(replace(NOBODY, firmware=XEN, privileged=False), fault("metadata-refused")),
            UNKNOWN,
            "metadata-refused",
        ),
        (
            see(replace(NOBODY, firmware=XEN), fault("metadata-timeout")),
            UNKNOWN,
            "metadata-timeout",
        ),
        (see(replace(NOBODY, firmware=XEN), None), UNKNOWN, "offline"),
        (
            see(replace(NOBODY, firmware=XEN), replace(SERVICE, doubt="an odd one")),
            UNKNOWN,
            "foreign-responder",
        ),
        # not seen is neither absence nor health
        (see(files_say(unread=(DENIED,)), NOT_ASKED), UNKNOWN, "no-permission"),
        (see(instance_says(unread=(CUT, DENIED))), UNKNOWN, "no-permission"),
        (see(files_say(unread=(CUT,)), NOT_ASKED), UNKNOWN, "not-understood"),
        (see(files_say(), NOT_ASKED, Denied("/etc/x")), UNKNOWN, "no-permission"),
        # two identities
        (see(LEFTOVER), WARN, "leftover-registration"),
        (see(files_say(firmware=NITRO, runtime=None)), WARN, "leftover-registration"),
        (
            see(instance_says(keys=(key(),), registration=Registration(HYBRID, REGION))),
            WARN,
            "leftover-registration",
        ),
        (see(instance_says(keys=(key(),)), SERVICE, EC2_FIRST), OK, "ok"),
        (see(instance_says(keys=(CLEARED,))), OK, "ok"),
        (see(instance_says(runtime=runtime("EC2", node_id=OTHER))), WARN, "cloned-identity"),
        (see(instance_says(runtime=runtime("EC2", node_id=OTHER)), None), WARN, "cloned-identity"),
        (see(instance_says(firmware=QEMU), NOT_ASKED), WARN, "cloned-identity"),
        (see(instance_says(firmware=XEN), None), UNKNOWN, "offline"),
        (see(instance_says(firmware=UNSEEN), NOT_ASKED), UNKNOWN, "not-asked"),
        (
            see(files_say(registration=Registration("mi-00000000000000001", REGION)), NOT_ASKED),
            WARN,
            "identity-differs",
        ),
        (see(files_say(registration=None, keys=(CLEARED,))), WARN, "registration-gone"),
        # Regions and accounts
        (see(files_say(), NOT_ASKED, ELSEWHERE), WARN, "region-differs"),
        (see(instance_says(), SERVICE, ELSEWHERE), WARN, "region-differs"),
        (
            see(instance_says(), policy=IdentityPolicy(configured_region="us-east-1")),
            WARN,
            "region-differs",
        ),
        (see(instance_says(), policy=MY_ACCOUNT), OK, "ok"),
        (see(instance_says(), policy=FOREIGN_ACCOUNT), CRIT, "wrong-account"),
        (see(instance_says(), policy=FOREIGN_REGION), CRIT, "wrong-region"),
        (see(files_say(), NOT_ASKED, policy=FOREIGN_REGION), CRIT, "wrong-region"),
        (see(instance_says(), None, policy=MY_ACCOUNT), UNKNOWN, "account-unknown"),
        (see(instance_says(), None, policy=FOREIGN_REGION), UNKNOWN, "region-unknown"),
        (see(files_say(), NOT_ASKED, policy=MY_ACCOUNT), UNKNOWN, "account-unknown"),
        (
            see(instance_says(runtime=None, unread=(DENIED,)), policy=FOREIGN_ACCOUNT),
            UNKNOWN,
            "no-permission",
        ),
        # the vault
        (see(files_say(keys=(key(mode=0o644),)), NOT_ASKED), WARN, "vault-exposed"),
        (see(files_say(keys=(key(uid=1000),)), NOT_ASKED), WARN, "vault-exposed"),
        (
            see(files_say(keys=(replace(key(mode=0o644), folders=folders(0o755, 0o755, 0o711)),))),
            CRIT,
            "vault-exposed",
        ),
        (
            see(files_say(keys=(SecretFile("RegistrationKey", "/v", None, ()),))),
            CRIT,
            "vault-incomplete",
        ),
        # no agent
        (see(NOBODY, NOT_ASKED, survey=NOT_INSTALLED), SKIP, "not-applicable"),
        (see(files_say(), NOT_ASKED, survey=NOT_INSTALLED), OK, "ok"),
        (see(NOBODY, NOT_ASKED, survey=ProbeError("x")), CRIT, "not-registered"),
        (see(files_say(runtime=runtime("ECS", node_id="ecs:c_t")), NOT_ASKED), OK, "ok"),
        # a file that somebody else wrote, or an agent that is not known yet
        (see(files_say(runtime=runtime("Bogus")), NOT_ASKED), UNKNOWN, "not-understood"),
        (see(files_say(runtime=runtime(node_id="x")), NOT_ASKED), UNKNOWN, "not-understood"),
    ],
)
def test_verdicts(verdict: Verdict, status: Status, reason: str) -> None:
    SEEN.update(finding.reason for finding in verdict.findings)
    assert (verdict.status, verdict.reason) == (status, reason), verdict.findings


def test_the_account_of_the_instance_is_not_that_of_a_hybrid_registration() -> None:
    """Whoever holds an activation of his own can register somebody else's instance with it."""
    verdict = see(LEFTOVER, policy=MY_ACCOUNT)
    assert verdict.status is UNKNOWN
    assert {finding.reason for finding in verdict.findings} == {
        "leftover-registration",
        "account-unknown",
    }
    assert act(LEFTOVER, SERVICE).account == ""
    assert any(HYBRID in fix.command for fix in verdict.fixes)


def reasons(verdict: Verdict) -> list[str]:
    return [finding.reason for finding in verdict.findings]


def test_region_and_account_come_from_a_source_that_speaks_of_the_same_node() -> None:
    cloned = instance_says(runtime=runtime("EC2", node_id=OTHER))
    assert reasons(see(cloned, policy=FOREIGN_ACCOUNT)) == ["account-unknown", "cloned-identity"]
    custom = files_say(runtime=runtime("CustomIdentity", node_id=INSTANCE))
    assert act(custom, SERVICE).account == ""
    renewed = files_say(registration=Registration("mi-00000000000000001", "us-east-1"))
    assert reasons(see(renewed, NOT_ASKED, policy=FOREIGN_REGION)) == [
        "region-unknown",
        "identity-differs",
    ]


def test_what_could_not_be_seen_is_not_gone() -> None:
    facts = files_say(registration=None, keys=(), unread=(DENIED,))
    assert reasons(see(facts, NOT_ASKED)) == ["no-permission"]


def test_what_is_said_of_a_healthy_node() -> None:
    assert (
        see(instance_says()).message == f"{INSTANCE} (EC2 instance) in {REGION}, account {ACCOUNT}"
    )
    hybrid = see(files_say(), NOT_ASKED).message
    assert hybrid == f"{HYBRID} (hybrid registration) in {REGION}, account not known on the node"
    assert see(instance_says(runtime=None)).message.startswith("will act as i-")


def test_who_is_nobody_is_told_how_to_register() -> None:
    verdict = see(NOBODY, NOT_ASKED, policy=IdentityPolicy(region="eu-west-3"))
    (fix,) = verdict.fixes
    assert fix.command == (
        "/usr/bin/amazon-ssm-agent -register -code CODE -id ID -region eu-west-3"
        " && systemctl restart amazon-ssm-agent"
    )
    assert "create-activation" in verdict.message


def test_a_name_that_somebody_invented_is_one_word_of_a_command() -> None:
    lax = key("a'; reboot; '", mode=0o644)
    (fix,) = see(files_say(keys=(key(), lax)), NOT_ASKED).fixes
    words = shlex.split(fix.command)
    assert words == ["chown", "root:root", lax.path, "&&", "chmod", "600", lax.path]


def test_every_reason_is_explained() -> None:
    limits = EXPLANATION.partition("LIMITS")[2]
    assert SEEN
    assert not [reason for reason in SEEN - {"not-asked"} if reason not in limits]


def test_evidence_is_json() -> None:
    for facts in (files_say(), instance_says(), NOBODY):
        evidence = see(facts).evidence
        assert json.dumps([(item.name, item.value, item.source) for item in evidence])
