"""What is read of the agent's identity and of its credentials files, and what never is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from nodecheck.model.credentials import CredentialFacts, read_profiles
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.model.identity import Firmware, RegistrationFacts, parse_time
from nodecheck.model.node import FileKind
from nodecheck.probes import node_credentials, node_metadata, node_registration
from tests.fake_host import FakeFiles, FakeMetadata, FakeNetwork, fake_host, file_state
from tests.identity_builders import (
    DATA,
    HYBRID,
    INSTANCE,
    NITRO,
    QEMU,
    REGION,
    UNSEEN,
    files_say,
    runtime,
    text,
)
from tests.metadata_server import PATHS, PLANTED, ROLE

if TYPE_CHECKING:
    from nodecheck.model.node import FileState

CONFIG = f"{DATA}/runtimeconfig/identity_config.json"
REGISTERED = f"{DATA}/registration"
MANIFEST = f"{DATA}/Vault/Manifest"
KEY = f"{DATA}/Vault/Store/RegistrationKey"
VENDOR = "/sys/class/dmi/id/sys_vendor"

Contents = dict[str, bytes | ProbeError]

ACTING = text(
    SchemaVersion="1.1",
    InstanceId=HYBRID,
    IdentityType="OnPrem",
    ShareFile="/root/.aws/credentials",
    ShareProfile="",
    CredentialsExpiresAt="2026-11-23T13:44:50Z",
    CredentialsRetrievedAt="2026-11-23T13:44:50.123456789+01:00",
    CredentialSource="SSM",
)
NODE: Contents = {
    CONFIG: ACTING,
    REGISTERED: text(ManagedInstanceID=HYBRID, Region=REGION),
    MANIFEST: text(RegistrationKey=KEY),
    KEY: b"secret" * 300,
    VENDOR: b"QEMU\n",
}


@dataclass
class Watched(FakeFiles):
    """Remembers what was read."""

    opened: list[str] = field(default_factory=list)

    def read(self, path: str, limit_bytes: int, *, follow: bool = False) -> bytes:
        self.opened.append(path)
        return super().read(path, limit_bytes, follow=follow)

    def state(self, path: str) -> FileState:
        before = list(self.opened)
        state = super().state(path)
        self.opened = before  # the fake learns sizes by reading
        return state


def look(contents: Contents) -> RegistrationFacts:
    return node_registration.look(fake_host(FakeFiles(contents)))


def test_a_hybrid_node() -> None:
    facts = look(NODE)
    acting = facts.runtime
    assert acting is not None
    assert (acting.node_id, acting.kind, acting.credential_source) == (HYBRID, "OnPrem", "SSM")
    assert acting.expires_at == datetime(2026, 11, 23, 13, 44, 50, tzinfo=UTC)
    assert acting.retrieved_at == datetime(2026, 11, 23, 12, 44, 50, 123456, tzinfo=UTC)
    assert facts.registration is not None
    assert (facts.registration.node_id, facts.registration.region) == (HYBRID, REGION)
    assert [key.name for key in facts.keys] == ["RegistrationKey"]
    assert facts.is_hybrid
    assert facts.unread == ()
    assert facts.firmware == QEMU


def test_a_node_without_files_has_proven_absences() -> None:
    facts = look({})
    assert (facts.runtime, facts.registration, facts.keys, facts.unread) == (None, None, (), ())


def test_the_store_of_the_vault_is_never_read() -> None:
    files = Watched(NODE)
    node_registration.look(fake_host(files))
    assert MANIFEST in files.opened
    assert not [path for path in files.opened if "Store" in path]


@pytest.mark.parametrize("path", [CONFIG, REGISTERED, MANIFEST])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not-understood"),
        (ACTING[:60], "not-understood"),
        (b"[" * 50_000, "not-understood"),
        (b"[]", "not-understood"),
        (b"\xff\xfe\x00{", "not-understood"),
        ("{ungültig}".encode("latin-1"), "not-understood"),
        (b" " * 100_000, "too-large"),
        (Denied("x"), "no-permission"),
    ],
)
def test_a_damaged_file_is_noted_and_no_absence(
    path: str, content: bytes | ProbeError, reason: str
) -> None:
    facts = look(NODE | {path: content})
    assert [(item.path, item.reason) for item in facts.unread] == [(path, reason)]


@pytest.mark.parametrize(
    "content",
    [text(InstanceId=7, IdentityType=["EC2"]), text(InstanceId=HYBRID), text(IdentityType="EC2")],
)
def test_an_identity_of_wrong_types_is_noted(content: bytes) -> None:
    facts = look({CONFIG: content})
    assert facts.runtime is None
    assert [item.reason for item in facts.unread] == ["not-understood"]


@pytest.mark.parametrize(
    "path", ["/etc/shadow", f"{DATA}/Vault/Store/../../x", "", f"{DATA}/Vault/Store/a\nb"]
)
def test_a_key_outside_the_vault_is_not_touched(path: str) -> None:
    facts = look(NODE | {MANIFEST: text(RegistrationKey=path)})
    assert facts.keys == ()
    assert "outside the vault" in facts.unread[0].message


def test_a_link_for_a_key_is_not_followed() -> None:
    link = file_state(KEY, kind=FileKind.LINK, target="/etc/shadow", mode=0o777)
    facts = node_registration.look(fake_host(FakeFiles(NODE, {KEY: link})))
    assert facts.keys == ()
    assert [item.path for item in facts.unread] == [KEY]


def test_a_key_that_is_gone_or_cleared_makes_no_registration() -> None:
    gone = look({path: content for path, content in NODE.items() if path != KEY})
    assert [(key.name, key.state) for key in gone.keys] == [("RegistrationKey", None)]
    cleared = look(NODE | {KEY: text(instanceID="", privateKey="")})
    assert not gone.is_hybrid
    assert not cleared.is_hybrid


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ({VENDOR: b"Amazon EC2\n"}, Firmware(is_ec2=True, maker="Amazon EC2")),
        ({VENDOR: b"Xen\n", "/sys/hypervisor/uuid": b"ec2e1916"}, Firmware(True, "Xen")),  # noqa: FBT003
        ({VENDOR: b"Xen\n", "/sys/class/dmi/id/product_uuid": Denied("x")}, UNSEEN),
        ({VENDOR: b"Xen\n", "/sys/hypervisor/uuid": b"11111111"}, Firmware(False, "Xen")),  # noqa: FBT003
        ({VENDOR: Denied("x")}, UNSEEN),
        ({}, UNSEEN),
        ({VENDOR: b"\x1b[31mEvil\xff" + b"x" * 999}, None),
    ],
)
def test_firmware(contents: Contents, expected: Firmware | None) -> None:
    found = look(contents).firmware
    assert expected is None or found == expected
    assert found.maker.isprintable()
    assert len(found.maker) <= 60


@pytest.mark.parametrize(
    ("spelled", "is_time"),
    [
        ("2026-11-23T13:44:50Z", True),
        ("0001-01-01T00:00:00Z", True),
        ("0001-01-01T00:00:00+14:00", False),
        ("2026-11-23T13:44:50", False),
        ("23.11.2026", False),
        ("", False),
    ],
)
def test_times(spelled: str, is_time: bool) -> None:  # noqa: FBT001 - a table
    assert (parse_time(spelled) is not None) is is_time


def ask(firmware: Firmware = NITRO, **changes: bytes | ProbeError) -> tuple[FakeMetadata, object]:
    answers: dict[str, bytes | ProbeError] = {
        path: content.encode() for path, content in PATHS.items()
    }
    named = {"document": node_metadata.DOCUMENT, "info": node_metadata.PROFILE}
    named |= {"roles": node_metadata.ROLES, "role": node_metadata.ROLES + ROLE}
    answers |= {named[name]: answer for name, answer in changes.items()}
    service = FakeMetadata(answers)
    host = fake_host(network=FakeNetwork(imds=service))
    try:
        return service, node_metadata.look(host, firmware)
    except ProbeError as exc:
        return service, exc.reason


def test_of_a_roles_credentials_only_the_expiry_is_kept() -> None:
    _, facts = ask()
    assert PLANTED not in repr(facts)
    assert "ASIAPLANTED" not in repr(facts)
    assert "2026, 11, 23, 18, 0" in repr(facts)


def test_an_answer_on_a_machine_that_is_not_amazons_is_not_believed() -> None:
    service, facts = ask(QEMU)
    assert "firmware says QEMU" in repr(facts)
    assert service.asked == [node_metadata.DOCUMENT]  # for no credentials of whoever that is


def test_another_instances_answer_is_not_believed() -> None:
    other = text(instanceId="i-0fedcba9876543210", region=REGION, accountId="123456789012")
    service, facts = ask(document=other)
    assert f"board is that of {INSTANCE}" in repr(facts)
    assert service.asked == [node_metadata.DOCUMENT]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"document": b"<html>"}, "metadata-error"),
        ({"document": b"[" * 50_000}, "metadata-error"),
        ({"document": text(instanceId="i-1; rm", region=REGION, accountId="1")}, "metadata-error"),
        ({"document": text(instanceId=INSTANCE, region=REGION)}, "metadata-error"),
        ({"document": ProbeError("x", "metadata-timeout")}, "metadata-timeout"),
        ({"info": Absent("x", "metadata-absent")}, "role=''"),
        ({"info": ProbeError("late", "metadata-no-reply")}, "role_problem='late'"),
        ({"roles": b"../../../etc\x1b[2J"}, "no role that could be one"),
        ({"roles": b""}, "no role that could be one"),
        ({"role": b'{"Code":"AssumeRoleUnauthorizedAccess"'}, "role_expires_at=None"),
        ({"role": text(Code="Failed", Expiration=7)}, "role_code='Failed'"),
    ],
)
def test_odd_answers(changes: dict[str, bytes | ProbeError], says: str) -> None:
    _, facts = ask(**changes)  # type: ignore[arg-type]
    assert says in str(facts)


STATIC = f"[default]\naws_access_key_id = AKIA{PLANTED}\naws_secret_access_key={PLANTED}\n".encode()
ROOTS = "/root/.aws/credentials"
FOLDERS = {
    path: file_state(path, mode=0o755)
    for path in (ROOTS, "/root", "/root/.aws", DATA, "/var/lib/amazon", "/var/lib", "/x")
}


def files(contents: Contents, share_file: str = ROOTS) -> CredentialFacts:
    acting = files_say(runtime=runtime(share_file=share_file))
    states: dict[str, FileState | ProbeError] = {**FOLDERS}
    return node_credentials.look(fake_host(FakeFiles(contents, states)), acting)


def test_credentials_files_are_told_apart_and_keep_their_secrets() -> None:
    facts = files({ROOTS: STATIC, f"{DATA}/credentials": STATIC + b"aws_session_token = x\n"})
    told = [(item.file.name, item.file.path, item.profiles[0].is_static) for item in facts.files]
    assert told == [
        ("shared by the agent", ROOTS, True),
        ("of Default Host Management", f"{DATA}/credentials", False),
    ]
    assert PLANTED not in repr(facts)


def test_a_shared_file_that_is_gone_is_a_fact_and_the_others_are_no_matter() -> None:
    facts = files({}, share_file="/x/credentials")
    assert [(item.file.path, item.file.state) for item in facts.files] == [("/x/credentials", None)]


@pytest.mark.parametrize("share_file", ["", "relative", "/x\n/y"])
def test_a_shared_file_with_an_odd_name_is_not_opened(share_file: str) -> None:
    assert files({}, share_file).files == ()


def test_what_may_not_be_read_is_noted() -> None:
    facts = files({ROOTS: Denied("x"), f"{DATA}/credentials": b" " * 100_000})
    assert [item.reason for item in facts.unread] == ["no-permission", "too-large"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\x00\xff" * 50,
        "aws_access_key_id = " + PLANTED,
        f"[{PLANTED * 9}]\naws_access_key_id=1",
        f"[AKIA{PLANTED}]\naws_access_key_id=1",
        "[default\naws_secret_access_key = " + PLANTED,
        "[" * 60_000,
        "[a]\n" * 9_000,
        "".join(f"[p{n}]\n" for n in range(5_000)),
    ],
)
def test_odd_credentials_files_give_no_secret_and_no_flood(content: str) -> None:
    found = read_profiles(content)
    assert len(found) <= 20
    assert PLANTED not in repr(found)
