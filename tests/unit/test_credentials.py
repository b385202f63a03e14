"""Which credentials the agent uses, judged from what was seen."""

from __future__ import annotations

import json
import shlex
from datetime import timedelta

import pytest

from nodecheck.checks.node_credentials import EXPLANATION, judge
from nodecheck.model.agent_config import AgentConfig
from nodecheck.model.credential_sight import Sight
from nodecheck.model.credentials import (
    DEFAULT_HOST,
    ROOTS,
    SHARED,
    CredentialFacts,
    CredentialsFile,
    Profile,
)
from nodecheck.model.errors import ProbeError
from nodecheck.model.identity import SecretFile, Unread
from nodecheck.model.verdict import Status, Verdict
from nodecheck.records import replace
from tests.fake_host import file_state
from tests.identity_builders import (
    CONFIG,
    HOUR,
    INSTALLED,
    INSTANCE,
    NEVER,
    NITRO,
    NOT_INSTALLED,
    NOW,
    QEMU,
    REGION,
    SERVICE,
    XEN,
    fault,
    files_say,
    folders,
    instance_says,
    runtime,
)

OK, WARN, CRIT, UNKNOWN, SKIP = (
    Status.OK,
    Status.WARN,
    Status.CRIT,
    Status.UNKNOWN,
    Status.SKIP,
)
NOT_ASKED = fault("not-asked")
MINUTE = timedelta(minutes=1)
OLD = NOW - 3 * HOUR
NO_ROLE = replace(SERVICE, profile="", role="", role_code="", role_expires_at=None)
DENIED = Unread("/x", "no-permission", "/x: permission denied")
SHARED_DENIED = replace(DENIED, path="/root/.aws/credentials")
NOBODY = files_say(runtime=None, registration=None, keys=())
NO_FILES = CredentialFacts((), (), NOW)


def file(whose: str = SHARED, *, closed: bool = True, static: bool = False, **changes: object):  # type: ignore[no-untyped-def] # noqa: ANN201
    path = "/root/.aws/credentials"
    above = folders(0o755, 0o700) if closed else folders(0o755, 0o711)
    state = file_state(path, **({"mode": 0o600} | changes))
    return CredentialsFile(SecretFile(whose, path, state, above), (Profile("default", static),))


def with_files(*files: CredentialsFile, unread: tuple[Unread, ...] = ()) -> CredentialFacts:
    return CredentialFacts(files, unread, NOW)


HEALTHY = Sight(files_say(), with_files(file()), NOT_ASKED, CONFIG, NOW)
ON_EC2 = Sight(instance_says(), NO_FILES, SERVICE, CONFIG, NOW)
DHMC = replace(
    ON_EC2,
    registration=instance_says(runtime=runtime("EC2", credential_source="SSM")),
    files=with_files(file(DEFAULT_HOST)),
)


def hybrid(**changes: object) -> Sight:
    return replace(HEALTHY, registration=files_say(runtime=runtime(**changes)))  # type: ignore[arg-type]


def ec2(**changes: object) -> Sight:
    return replace(ON_EC2, registration=instance_says(runtime=runtime("EC2", **changes)))


SEEN = set[str]()


@pytest.mark.parametrize(
    ("sight", "status", "reason"),
    [
        (HEALTHY, OK, "ok"),
        (ON_EC2, OK, "ok"),
        (DHMC, OK, "ok"),
        (replace(ON_EC2, metadata=None), OK, "ok"),
        (replace(DHMC, metadata=NO_ROLE), OK, "ok"),
        (replace(DHMC, metadata=replace(SERVICE, role_code="Failed")), OK, "ok"),
        # times
        (hybrid(expires_at=OLD), CRIT, "expired"),
        (hybrid(expires_at=NOW), CRIT, "expired"),
        (hybrid(expires_at=None), UNKNOWN, "not-understood"),
        (replace(HEALTHY, now=None), UNKNOWN, "time-not-known"),
        (replace(hybrid(expires_at=OLD), now=None), UNKNOWN, "time-not-known"),
        (hybrid(expires_at=NEVER), CRIT, "never-retrieved"),
        (hybrid(expires_at=NEVER, written_at=NOW - MINUTE), UNKNOWN, "awaited"),
        (hybrid(expires_at=NEVER, written_at=NOW + HOUR), UNKNOWN, "awaited"),
        (replace(hybrid(expires_at=NEVER), now=None), UNKNOWN, "awaited"),
        (
            replace(hybrid(expires_at=NEVER), config=AgentConfig(share_credentials=False)),
            UNKNOWN,
            "not-shared",
        ),
        (replace(hybrid(expires_at=NEVER), config=ProbeError("x")), UNKNOWN, "not-shared"),
        (replace(HEALTHY, registration=files_say(runtime=None)), UNKNOWN, "not-started"),
        (ec2(expires_at=OLD), CRIT, "expired"),
        # by the node's clock, 4 hours slow, the agent renewed them just now
        (
            replace(ec2(expires_at=OLD), files=replace(NO_FILES, local_now=NOW - 4 * HOUR)),
            UNKNOWN,
            "clock-disagrees",
        ),
        (
            replace(
                DHMC,
                registration=instance_says(
                    runtime=runtime("EC2", credential_source="SSM", expires_at=OLD)
                ),
                files=replace(DHMC.files, local_now=NOW - 4 * HOUR),
            ),
            CRIT,
            "expired",
        ),
        (ec2(expires_at=NEVER), UNKNOWN, "never-retrieved"),
        (ec2(expires_at=NEVER, credential_source=""), OK, "ok"),  # an old agent: by the role
        # the role
        (replace(ON_EC2, metadata=NO_ROLE), WARN, "no-instance-profile"),
        (replace(ec2(expires_at=OLD), metadata=NO_ROLE), CRIT, "expired"),
        (
            replace(ec2(expires_at=NEVER, credential_source=""), metadata=NO_ROLE),
            CRIT,
            "no-instance-profile",
        ),
        (
            replace(ON_EC2, registration=instance_says(runtime=None), metadata=NO_ROLE),
            WARN,
            "no-instance-profile",
        ),
        (
            replace(ON_EC2, metadata=replace(SERVICE, role_code="AssumeRoleUnauthorizedAccess")),
            CRIT,
            "role-refused",
        ),
        (replace(ON_EC2, metadata=replace(SERVICE, role_expires_at=OLD)), CRIT, "expired"),
        (
            replace(ON_EC2, metadata=replace(SERVICE, role_expires_at=None)),
            UNKNOWN,
            "role-not-observed",
        ),
        (
            replace(ON_EC2, metadata=replace(SERVICE, role_problem="late")),
            UNKNOWN,
            "role-not-observed",
        ),
        # the service
        *(
            (replace(ON_EC2, metadata=fault(reason)), CRIT, reason)
            for reason in (
                "metadata-refused",
                "metadata-disabled",
                "metadata-hop-limit",
                "metadata-v1-only",
                "foreign-responder",
            )
        ),
        *(
            (replace(ON_EC2, metadata=fault(reason)), UNKNOWN, reason)
            for reason in (
                "metadata-timeout",
                "metadata-unreachable",
                "metadata-no-reply",
                "metadata-error",
                "switched-off",
            )
        ),
        (
            replace(
                ON_EC2,
                registration=instance_says(privileged=False),
                metadata=fault("metadata-refused"),
            ),
            UNKNOWN,
            "metadata-refused",
        ),
        (replace(ON_EC2, metadata=replace(SERVICE, doubt="odd")), CRIT, "foreign-responder"),
        (replace(ON_EC2, metadata=replace(SERVICE, server="envoy")), WARN, "foreign-responder"),
        (
            replace(
                ON_EC2,
                registration=instance_says(firmware=QEMU),
                metadata=replace(SERVICE, doubt="odd"),
            ),
            WARN,
            "foreign-responder",
        ),
        # nobody, and identities that are not judged
        (replace(HEALTHY, registration=NOBODY), CRIT, "no-identity"),
        (
            replace(HEALTHY, registration=NOBODY, metadata=replace(SERVICE, doubt="odd")),
            CRIT,
            "no-identity",
        ),
        (
            replace(
                HEALTHY,
                registration=replace(NOBODY, firmware=XEN),
                metadata=fault("metadata-timeout"),
            ),
            UNKNOWN,
            "metadata-timeout",
        ),
        (hybrid(kind="ECS"), UNKNOWN, "source-not-judged"),
        (hybrid(kind="CustomIdentity"), UNKNOWN, "source-not-judged"),
        (
            replace(HEALTHY, registration=replace(NOBODY, unread=(DENIED,))),
            UNKNOWN,
            "no-permission",
        ),
        (replace(HEALTHY, registration=files_say(unread=(DENIED,))), UNKNOWN, "no-permission"),
        # files
        (replace(HEALTHY, files=with_files(unread=(DENIED,))), OK, "ok"),  # nobody's but root's
        (replace(HEALTHY, files=with_files(unread=(SHARED_DENIED,))), UNKNOWN, "no-permission"),
        (replace(HEALTHY, files=with_files(file(mode=0o644))), WARN, "credentials-exposed"),
        (
            replace(HEALTHY, files=with_files(file(mode=0o644, closed=False))),
            CRIT,
            "credentials-exposed",
        ),
        (
            replace(HEALTHY, files=with_files(file(uid=1000, closed=False))),
            CRIT,
            "credentials-exposed",
        ),
        (replace(ON_EC2, files=with_files(file(ROOTS, mode=0o644))), OK, "ok"),
        (
            replace(ON_EC2, files=with_files(file(ROOTS, mode=0o644, closed=False))),
            CRIT,
            "credentials-exposed",
        ),
        (
            replace(
                HEALTHY,
                files=with_files(CredentialsFile(SecretFile(SHARED, "/x", None, ()))),
            ),
            CRIT,
            "shared-file-missing",
        ),
        (replace(ON_EC2, files=with_files(file(ROOTS, static=True))), WARN, "static-keys"),
        (replace(HEALTHY, files=with_files(file(SHARED, static=True))), WARN, "static-keys"),
        (replace(HEALTHY, files=with_files(file(ROOTS, static=True))), OK, "ok"),
    ],
)
def test_verdicts(sight: Sight, status: Status, reason: str) -> None:
    verdict = judge(sight, INSTALLED)
    SEEN.update(finding.reason for finding in verdict.findings)
    assert (verdict.status, verdict.reason) == (status, reason), verdict.findings


def fix_of(sight: Sight) -> str:
    return judge(sight, INSTALLED).fixes[0].command


def test_exact_commands_for_faults_of_the_service() -> None:
    xen = instance_says(firmware=XEN)
    start = f"aws ec2 modify-instance-metadata-options --instance-id {INSTANCE} --region"
    hop = replace(ON_EC2, registration=xen, metadata=fault("metadata-hop-limit"))
    assert fix_of(hop) == f"{start} REGION --http-put-response-hop-limit 2"
    off = replace(ON_EC2, registration=xen, metadata=fault("metadata-disabled"))
    assert fix_of(off) == f"{start} REGION --http-endpoint enabled"
    assert fix_of(replace(ON_EC2, metadata=NO_ROLE)) == (
        f"aws ec2 associate-iam-instance-profile --instance-id {INSTANCE} --region {REGION}"
        " --iam-instance-profile Name=PROFILE"
    )


def test_a_name_that_somebody_invented_is_one_word_of_a_command() -> None:
    lax = file(closed=False, mode=0o644)
    path = "/srv/x'; reboot; '/c"
    lax = replace(lax, file=replace(lax.file, path=path))
    words = shlex.split(fix_of(replace(HEALTHY, files=with_files(lax))))
    assert words == ["chown", "root:root", path, "&&", "chmod", "600", path]


def test_what_is_said_of_each_source() -> None:
    until = "valid until 2026-11-23 12:30:00 UTC"
    said = [judge(sight, INSTALLED).message for sight in (HEALTHY, ON_EC2, DHMC)]
    assert said == [
        f"role token of the hybrid registration, {until}",
        f"instance profile (role NodeRole), {until}",
        f"Default Host Management; instance profile NodeRole is not used, {until}",
    ]
    assert "expired 3 h 0 min ago" in judge(hybrid(expires_at=OLD), INSTALLED).message


def test_without_an_agent_there_is_nothing_to_judge() -> None:
    verdict = judge(replace(HEALTHY, registration=NOBODY), NOT_INSTALLED)
    assert verdict.status is SKIP


def test_without_a_profile_expired_credentials_of_default_host_management_are_no_excuse() -> None:
    acting = runtime("EC2", credential_source="SSM", expires_at=OLD)
    sight = replace(DHMC, registration=instance_says(runtime=acting), metadata=NO_ROLE)
    reasons = [finding.reason for finding in judge(sight, INSTALLED).findings]
    assert reasons == ["expired", "no-instance-profile"]


def test_a_foreign_responder_is_told_to_a_node_that_is_nobody() -> None:
    sight = replace(HEALTHY, registration=NOBODY, metadata=replace(SERVICE, doubt="odd"))
    reasons = [finding.reason for finding in judge(sight, INSTALLED).findings]
    assert reasons == ["no-identity", "foreign-responder"]


def test_every_reason_is_explained() -> None:
    limits = EXPLANATION.partition("LIMITS")[2]
    assert SEEN
    assert not [reason for reason in SEEN if reason not in limits]


def test_evidence_is_json_and_names_the_files() -> None:
    def told(verdict: Verdict) -> str:
        return json.dumps([(item.name, item.value, item.source) for item in verdict.evidence])

    assert "mode 0600, profiles: default" in told(judge(HEALTHY, INSTALLED))
    assert "NodeRole" in told(judge(ON_EC2, INSTALLED))
    assert NITRO.board_id in told(judge(DHMC, INSTALLED))
