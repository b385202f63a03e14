from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from nodecheck.checks import agent_files as check
from nodecheck.model.agent import Channel, Installation, InstallFacts
from nodecheck.model.errors import Denied, ProbeError
from nodecheck.model.node import FileKind, FileState
from nodecheck.model.package import PackageFacts
from nodecheck.model.trust import (
    FileFacts,
    SignatureFact,
    SignatureOutcome,
    SignedPackage,
)
from nodecheck.model.unit_file import StartFacts
from nodecheck.probes.agent_files import look
from nodecheck.records import replace
from nodecheck.trust.rpm_header import read_header
from nodecheck.trust.rpm_package import prove_package
from tests.fake_host import FakeFiles, fake_host, file_state
from tests.trust_maker import FILES, MadeFile, make_key, package_tags, signed_blob

if TYPE_CHECKING:
    from nodecheck.model.verdict import Verdict

KEY = make_key()
AGENT, CLI, CONF, UNIT = (file.path for file in FILES)
NOTHING = InstallFacts((), ())


def package(*more: MadeFile) -> SignedPackage:
    blob = signed_blob(KEY, package_tags((*FILES, *more)))
    return prove_package(read_header(blob), KEY.ring(), "rpmdb.sqlite")


def facts(*packages: SignedPackage, unobserved: tuple[str, ...] = ()) -> PackageFacts:
    return PackageFacts(packages, unobserved, "rpmdb.sqlite")


CLEAN = facts(package())


class Node(FakeFiles):
    """A node with the signed files in place; tests then damage it."""

    def __init__(self, *more: MadeFile) -> None:
        super().__init__()
        for file in (*FILES, *more):
            if file.mode & 0o100000:
                self.contents[file.path] = file.content
                self.set(file.path, mode=file.mode & 0o7777)

    def set(self, path: str, **changes: object) -> None:
        content = self.contents.get(path, b"")
        size = len(content) if isinstance(content, bytes) else 1
        self.states[path] = file_state(path, **{"size": size, **changes})

    def write(self, path: str, content: bytes, mode: int = 0o644) -> None:
        self.contents[path] = content
        self.set(path, mode=mode)

    def remove(self, path: str) -> None:
        del self.contents[path]
        del self.states[path]

    def judge(self, rpm: PackageFacts = CLEAN) -> Verdict:
        return check.judge(NOTHING, rpm, look(fake_host(self), rpm))


def found(verdict: Verdict) -> list[tuple[str, str | None]]:
    return [(item.reason, item.path) for item in verdict.findings]


def test_clean() -> None:
    verdict = Node().judge()
    assert verdict.status.value == "ok"
    assert verdict.message == "4 files are the bytes that were signed"


def test_other_bytes_of_the_same_size() -> None:
    node = Node()
    node.contents[AGENT] = b"agenT"
    verdict = node.judge()
    assert (verdict.status.value, found(verdict)) == ("crit", [("digest", AGENT)])
    assert "rpm -U --force" in verdict.fixes[0].command
    digest = hashlib.sha256(b"agenT").hexdigest()
    assert digest[:12] in verdict.message
    assert f"{AGENT} {digest}" in str(verdict.evidence)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mode": 0o777}, "writable"),
        ({"mode": 0o775}, "writable"),
        ({"mode": 0o700}, "mode"),
        ({"mode": 0o4755}, "setuid"),
        ({"mode": 0o2755}, "setuid"),
        ({"mode": 0o4777}, "setuid"),
        ({"uid": 65534}, "owner"),
        ({"links": 2}, "hard-links"),
        ({"has_capabilities": True}, "capabilities"),
        ({"kind": FileKind.LINK, "target": "copy"}, "kind"),
        ({"kind": FileKind.FOLDER}, "kind"),
        ({"kind": FileKind.OTHER}, "kind"),
    ],
)
def test_state_of_a_program(changes: dict[str, object], reason: str) -> None:
    node = Node()
    node.set(AGENT, **changes)
    verdict = node.judge()
    assert (verdict.status.value, found(verdict)) == ("crit", [(reason, AGENT)])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"mode": 0o600}, []),
        ({"mode": 0o644, "links": 2}, []),
        ({"mode": 0o666}, ["writable"]),
        ({"mode": 0o644, "uid": 1}, ["owner"]),
        ({"kind": FileKind.LINK, "target": "/srv/x"}, ["kind"]),
    ],
)
def test_state_of_a_configuration(changes: dict[str, object], expected: list[str]) -> None:
    node = Node()
    node.set(CONF, **changes)
    assert [reason for reason, _ in found(node.judge())] == expected


def test_edited_configuration_is_evidence() -> None:
    node = Node()
    node.contents[CONF] = b"mine"
    verdict = node.judge()
    assert verdict.status.value == "ok"
    assert (CONF,) in [item.value for item in verdict.evidence]
    node.remove(CONF)
    assert node.judge().status.value == "ok"


def test_program_marked_as_configuration_is_a_program() -> None:
    sly = MadeFile("/usr/bin/ssm-worker", b"worker", 0o100755, flags=1)
    node = Node(sly)
    assert node.judge(facts(package(sly))).status.value == "ok"
    node.contents[sly.path] = b"evil"
    assert found(node.judge(facts(package(sly)))) == [("digest", sly.path)]


def test_missing() -> None:
    node = Node()
    node.remove(CLI)
    verdict = node.judge()
    assert (verdict.status.value, found(verdict)) == ("crit", [("missing", CLI)])


def test_what_may_be_missing() -> None:
    more = (
        MadeFile("/usr/share/doc/a/README", b"x", 0o100644, flags=2),
        MadeFile("/var/log/a.log", b"", 0o100644, flags=64, digest=""),
    )
    assert Node().judge(facts(package(*more))).status.value == "ok"


def test_signed_folders_and_links() -> None:
    more = (
        MadeFile("/var/lib/amazon", mode=0o040755, digest=""),
        MadeFile("/usr/bin/ssm", mode=0o120777, target="ssm-cli", digest=""),
    )
    rpm = facts(package(*more))
    node = Node()
    node.set("/var/lib/amazon", kind=FileKind.FOLDER, mode=0o700)
    node.set("/usr/bin/ssm", kind=FileKind.LINK, mode=0o777, target="ssm-cli")
    assert node.judge(rpm).status.value == "ok"
    node.set("/var/lib/amazon", kind=FileKind.FOLDER, mode=0o777)
    node.set("/usr/bin/ssm", kind=FileKind.LINK, mode=0o777, target="/srv/x")
    assert found(node.judge(rpm)) == [
        ("writable", "/var/lib/amazon"),
        ("link-target", "/usr/bin/ssm"),
    ]
    node.set("/var/lib/amazon", kind=FileKind.FOLDER, mode=0o1777)
    node.set("/usr/bin/ssm", kind=FileKind.LINK, mode=0o777, target="ssm-cli")
    assert node.judge(rpm).status.value == "ok"


@pytest.mark.parametrize(
    ("path", "changes", "expected"),
    [
        ("/usr/bin", {"mode": 0o777}, [("folder-writable", "/usr/bin")]),
        ("/usr", {"mode": 0o775}, [("folder-writable", "/usr")]),
        ("/usr/bin", {"mode": 0o1777}, []),
        ("/", {"uid": 5}, [("folder-owner", "/")]),
    ],
)
def test_folders(
    path: str, changes: dict[str, object], expected: list[tuple[str, str | None]]
) -> None:
    node = Node()
    node.set(path, kind=FileKind.FOLDER, **changes)
    assert found(node.judge()) == expected


def test_linked_folder_and_what_it_leads_to() -> None:
    node = Node()
    node.set("/usr/bin", kind=FileKind.LINK, target="../opt/bin")
    node.set("/opt", kind=FileKind.FOLDER, mode=0o777)
    node.set("/opt/bin", kind=FileKind.FOLDER)
    assert found(node.judge()) == [("folder-link", "/usr/bin"), ("folder-writable", "/opt")]


def test_links_of_the_distribution() -> None:
    library = MadeFile("/lib/systemd/x", b"x")
    node = Node(library)
    rpm = facts(package(library))
    for target in ("usr/lib", "/usr/lib"):
        node.set("/lib", kind=FileKind.LINK, target=target)
        assert node.judge(rpm).status.value == "ok"
    node.set("/lib", kind=FileKind.LINK, target="/home/lib")
    assert found(node.judge(rpm)) == [("folder-link", "/lib")]


def test_a_circle_of_links_ends() -> None:
    node = Node()
    node.set("/usr/bin", kind=FileKind.LINK, target="bin")
    assert ("folder-link", "/usr/bin") in found(node.judge())


DROP_IN = "/etc/systemd/system/amazon-ssm-agent.service.d/override.conf"


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ("[Service]\nExecStart=\nExecStart=/opt/evil\n", "crit", "start-overridden"),
        ("[Service]\nExecStart = @/opt/evil\n", "crit", "start-overridden"),
        ("[Service]\nExecStart=\nExecStart=/usr/bin/amazon-ssm-agent\n", "ok", "ok"),
        ("[Service]\nExecStart=-\n", "crit", "start-overridden"),
        ("[Service]\nExecStartPre=/opt/more\n", "warn", "start-extended"),
        ("[Service]\nEnvironmentFile=-/etc/sysconfig/a\n", "warn", "start-extended"),
        ('[Service]\nEnvironment="HTTPS_PROXY=http://p:1" no_proxy=x\n', "ok", "ok"),
        ("[Service]\nEnvironment=LD_PRELOAD=/x.so\n", "crit", "start-overridden"),
        ("[Service]\nEnvironment=A=b 'LD_AUDIT=/x.so'\n", "crit", "start-overridden"),
        ("[Service]\nEnvironment=A=b \\\n  PATH=/opt\n", "crit", "start-overridden"),
        ("[Service]\nEnvironment=\\x4cD_PRELOAD=/x.so\n", "crit", "start-overridden"),
        ("[Service]\nEnvironment=%i\n", "crit", "start-overridden"),
        ("[Service]\nEnvironment=\n", "ok", "ok"),
        ("[Service]\nBindReadOnlyPaths=/x:/usr/bin\n", "crit", "start-overridden"),
        ("[Service]\nRootDirectory=/srv\n", "crit", "start-overridden"),
        ("[Service]\nRestart=no\n#ExecStart=/x\n;ExecStart=/x\n", "ok", "ok"),
        ("ExecStart=/opt/evil", "crit", "start-overridden"),
    ],
)
def test_drop_ins(text: str, status: str, reason: str) -> None:
    node = Node()
    node.write(DROP_IN, text.encode())
    verdict = node.judge()
    assert (verdict.status.value, verdict.reason) == (status, reason)
    if status == "ok":
        assert (DROP_IN,) in [item.value for item in verdict.evidence]
    else:
        assert verdict.findings[0].path == DROP_IN


@pytest.mark.parametrize(
    "path",
    [
        "/run/systemd/system/amazon-ssm-agent.service.d/x.conf",
        "/usr/lib/systemd/system/amazon-.service.d/x.conf",
        "/etc/systemd/system.control/amazon-ssm-.service.d/x.conf",
        "/etc/systemd/system/service.d/x.conf",
    ],
)
def test_every_place_of_drop_ins(path: str) -> None:
    node = Node()
    node.write(path, b"[Service]\nExecStart=/opt/evil\n")
    assert found(node.judge()) == [("start-overridden", path)]


def test_what_is_no_drop_in() -> None:
    node = Node()
    node.write(DROP_IN + ".bak", b"[Service]\nExecStart=/opt/evil\n")
    node.set(DROP_IN, kind=FileKind.LINK, target="/dev/null")
    assert node.judge().status.value == "ok"


def test_a_drop_in_that_cannot_be_read_is_unknown() -> None:
    for problem in (Denied("x: permission denied"), ProbeError("x: too large")):
        node = Node()
        node.write(DROP_IN, b"[Service]")
        node.contents[DROP_IN] = problem
        assert (node.judge().status.value, node.judge().reason) == ("unknown", "not-observed")
        node.states[DROP_IN] = problem
        assert node.judge().status.value == "unknown"


def test_a_folder_of_drop_ins_that_cannot_be_listed_is_unknown() -> None:
    class Closed(Node):
        def listing(self, path: str, limit: int) -> tuple[str, ...]:
            message = f"{path}: permission denied"
            raise Denied(message)

    assert Closed().judge().status.value == "unknown"


def test_edited_unit() -> None:
    node = Node()
    node.contents[UNIT] = b"[Service]\nExecStart=/usr/bin/amazon-ssm-agent\nNice=1\n"
    verdict = node.judge()
    assert (verdict.status.value, found(verdict)) == ("warn", [("unit-edited", UNIT)])
    node.contents[UNIT] = b"[Service]\nExecStart=/opt/evil\n"
    verdict = node.judge()
    assert verdict.status.value == "crit"
    assert found(verdict) == [("start-overridden", UNIT), ("unit-edited", UNIT)]
    node.remove(UNIT)
    verdict = node.judge()
    assert (verdict.status.value, found(verdict)) == ("warn", [("unit-missing", UNIT)])


@pytest.mark.parametrize("folder", ["/usr/local/bin", "/usr/local/sbin", "/usr/sbin"])
def test_shadow_in_the_search_path(folder: str) -> None:
    node = Node()
    node.write(f"{folder}/amazon-ssm-agent", b"evil", 0o755)
    assert found(node.judge()) == [("shadowed", f"{folder}/amazon-ssm-agent")]


def test_links_to_the_program_itself_shadow_nothing() -> None:
    node = Node()
    node.set("/usr/local/bin/ssm-cli", kind=FileKind.LINK, target=CLI)
    node.states["/usr/sbin/ssm-cli"] = node.states[CLI]
    assert node.judge().status.value == "ok"


def test_another_unit_file_takes_the_place_of_the_packages_own() -> None:
    node = Node()
    path = "/run/systemd/transient/amazon-ssm-agent.service"
    node.write(path, b"[Service]\nExecStart=/opt/evil\n")
    assert found(node.judge()) == [("start-overridden", path), ("shadowed", path)]


def test_what_cannot_be_read_is_unknown() -> None:
    node = Node()
    node.states[CLI] = Denied(f"{CLI}: permission denied")
    node.states["/usr/local/bin/ssm-cli"] = Denied("permission denied")
    node.states["/usr"] = ProbeError("/usr: input/output error")
    verdict = node.judge()
    assert verdict.status.value == "unknown"
    assert {reason for reason, _ in found(verdict)} == {"not-observed"}
    assert len(verdict.findings) == 3


def test_a_file_that_changes_while_it_is_read_is_unknown() -> None:
    node = Node()
    node.contents[CLI] = ProbeError(f"{CLI}: changed while it was read")
    assert node.judge().reason == "not-observed"


def test_proof_outranks_what_could_not_be_seen() -> None:
    node = Node()
    node.states[CLI] = Denied("permission denied")
    node.contents[AGENT] = b"evil"
    verdict = node.judge()
    assert (verdict.status.value, verdict.reason) == ("crit", "digest")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (SignatureOutcome.BAD, "crit"),
        (SignatureOutcome.UNSIGNED, "unknown"),
        (SignatureOutcome.UNKNOWN_KEY, "unknown"),
        (SignatureOutcome.MALFORMED, "unknown"),
        (SignatureOutcome.UNSUPPORTED, "unknown"),
    ],
)
def test_good_files_of_an_unproven_header_are_never_ok(
    outcome: SignatureOutcome, status: str
) -> None:
    rpm = facts(replace(package(), signature=SignatureFact(outcome, "said so")))
    verdict = Node().judge(rpm)
    assert (verdict.status.value, verdict.reason) == (status, "unproven-digests")


def test_signature_outside_its_keys_validity_proves_no_digest() -> None:
    signature = package().signature
    assert signature.key is not None
    late = replace(signature.key, expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    rpm = facts(replace(package(), signature=replace(signature, key=late)))
    assert Node().judge(rpm).reason == "unproven-digests"


def test_package_of_another_name_proves_no_digest() -> None:
    verdict = Node().judge(facts(replace(package(), name="bash")))
    assert verdict.reason == "unproven-digests"


def test_files_of_an_unproven_header_are_not_touched() -> None:
    class Untouchable(FakeFiles):
        def state(self, path: str) -> FileState:
            raise AssertionError(path)

    rpm = facts(replace(package(), name="bash"))
    assert look(fake_host(Untouchable()), rpm) == FileFacts((), (), StartFacts(), (), ())


def test_a_package_without_files_is_unknown() -> None:
    rpm = facts(replace(package(), files=()))
    assert Node().judge(rpm).reason == "no-files"


def test_weak_file_digests() -> None:
    weak = tuple(
        replace(file, algorithm="md5", digest=hashlib.md5(made.content).hexdigest())  # noqa: S324
        for file, made in zip(package().files, FILES, strict=True)
    )
    verdict = Node().judge(facts(replace(package(), files=weak)))
    assert (verdict.status.value, verdict.reason) == ("warn", "weak-digest")


def test_twenty_findings_are_listed_and_the_rest_is_counted() -> None:
    more = tuple(MadeFile(f"/usr/bin/program-{number}", b"x") for number in range(30))
    verdict = Node().judge(facts(package(*more)))
    assert len(verdict.findings) == 21
    assert verdict.findings[-1].reason == "more-findings"
    assert verdict.findings[-1].message.startswith("10 ")


def test_a_signed_folder_is_no_program() -> None:
    folder = MadeFile("/var/lib/amazon/amazon-ssm-agent", mode=0o040755, digest="")
    node = Node()
    node.set(folder.path, kind=FileKind.FOLDER)
    assert node.judge(facts(package(folder))).status.value == "ok"
    for key, status in (("ExecStart", "crit"), ("ExecStartPre", "warn")):
        node.write(DROP_IN, f"[Service]\n{key}={folder.path}\n".encode())
        assert node.judge(facts(package(folder))).status.value == status


def test_gate() -> None:
    nothing = FileFacts((), (), StartFacts(), (), ())
    assert check.judge(NOTHING, facts(), nothing).reason == "not-applicable"
    deb = Installation(Channel.DEB, "3.3.1.0", "amazon-ssm-agent", "/usr/bin/amazon-ssm-agent")
    verdict = check.judge(InstallFacts((deb,), ()), facts(), nothing)
    assert (verdict.status.value, verdict.reason) == ("unknown", "channel-not-verified")
    damaged = facts(unobserved=("rpmdb.sqlite: damaged",))
    assert check.judge(NOTHING, damaged, nothing).reason == "not-observed"


def test_commands_quote_paths() -> None:
    sly = MadeFile("/usr/bin/it's; reboot", b"x")
    node = Node(sly)
    node.set(sly.path, uid=1)
    verdict = node.judge(facts(package(sly)))
    assert verdict.fixes[0].command == "chown root:root '/usr/bin/it'\\''s; reboot'"


LIST = "/var/lib/dpkg/info/amazon-ssm-agent.list"


def deb_node(listed: bytes) -> Node:
    node = Node()
    node.contents[LIST] = listed
    node.contents["/usr/bin/helper"] = b"x"
    return node


DEB = facts(replace(package(), channel=Channel.DEB))


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (f"/.\n/usr\n/usr/bin\n{AGENT}\n/usr/bin/absent\n", "ok"),
        ("/usr/bin/helper\n", "unsigned-program"),
        ("/usr/bin/x\n" * 1001, "not-observed"),
        ("x" * (256 * 1024 + 1), "not-observed"),
    ],
)
def test_programs_that_dpkg_lists_beyond_the_signed_ones(listed: str, reason: str) -> None:
    verdict = deb_node(listed.encode()).judge(DEB)
    assert verdict.reason == reason
    assert deb_node(listed.encode()).judge().reason == "ok"  # an rpm has no such list


def test_other_files_that_dpkg_lists_are_no_programs() -> None:
    node = deb_node(b"/usr/bin/helper\n/usr/share/helper\n")
    node.set("/usr/bin/helper", mode=0o644)
    node.set("/usr/share/helper", kind=FileKind.FOLDER)
    assert node.judge(DEB).reason == "ok"


def test_a_list_that_is_not_there_is_unknown() -> None:
    assert Node().judge(DEB).reason == "not-observed"


def test_a_masked_unit_replaces_nothing() -> None:
    node = Node()
    path = "/etc/systemd/system.control/amazon-ssm-agent.service"
    node.set(path, kind=FileKind.LINK, target="/dev/null")
    assert node.judge().status.value == "ok"
    node.set(path, kind=FileKind.LINK, target="/opt/other.service")
    assert node.judge().reason == "shadowed"
