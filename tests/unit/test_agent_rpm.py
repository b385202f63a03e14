from __future__ import annotations

import pytest

from nodecheck.host.door import Host, ToolOutput
from nodecheck.model.agent import Channel, Installation
from nodecheck.model.errors import Absent, Denied, ProbeError
from nodecheck.probes.agent_rpm import OTHERWISE_FORMAT, SIGNED_FORMAT, courier, look
from tests.fake_host import FakeFiles, FakeProcesses, fake_host, file_state
from tests.trust_maker import make_blob, make_key, package_tags, signed_blob, split_blob, strings

KEY = make_key()
RING = KEY.ring()
BLOB = signed_blob(KEY)
FIRST, SECOND = "/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite"
INSTALLED = Installation(
    Channel.RPM, "3.3.200.0", "amazon-ssm-agent-3.3.200.0-1.x86_64", "/usr/bin/amazon-ssm-agent"
)


def node(*blobs: object, path: str = FIRST) -> Host:
    rows = tuple((blob,) for blob in blobs)
    return fake_host(FakeFiles({path: b""}, rows={path: rows}))


@pytest.mark.parametrize("path", [FIRST, SECOND])
def test_installed(path: str) -> None:
    facts = look(node(BLOB, path=path), RING)
    assert facts.installations == (INSTALLED,)
    assert facts.packages[0].proven
    assert facts.unobserved == ()
    assert facts.source == path


def test_no_database_is_no_agent() -> None:
    facts = look(fake_host(), RING)
    assert (facts.installations, facts.packages, facts.unobserved) == ((), (), ())


def test_not_installed() -> None:
    assert look(node(), RING).installations == ()


def test_one_database_by_two_paths_is_read_once() -> None:
    state = file_state(FIRST)
    files = FakeFiles(states={FIRST: state, SECOND: state}, rows={FIRST: ((BLOB,),)})
    assert len(look(fake_host(files), RING).packages) == 1


def test_debians_rpm_keeps_what_root_installs_in_roots_home() -> None:
    path = "/root/.rpmdb/rpmdb.sqlite"
    assert len(look(node(BLOB, path=path), RING).installations) == 1
    denied = fake_host(FakeFiles(states={path: Denied("no")}), privileged=False)
    assert look(denied, RING).unobserved == ()


def test_two_copies_are_two_installations() -> None:
    other = signed_blob(KEY, package_tags(version="3.3.100.0"))
    versions = [item.version for item in look(node(BLOB, other), RING).installations]
    assert versions == ["3.3.200.0", "3.3.100.0"]


@pytest.mark.parametrize("blob", [b"", b"junk", BLOB[:-1], "text", None, 7])
def test_a_damaged_header_is_noted(blob: object) -> None:
    facts = look(node(blob), RING)
    assert facts.packages == ()
    assert len(facts.unobserved) == 1
    assert FIRST in facts.unobserved[0]


def test_a_damaged_field_is_noted_beside_a_good_copy() -> None:
    bad = signed_blob(KEY, [tag for tag in package_tags() if tag[0] != 1001])
    facts = look(node(bad, BLOB), RING)
    assert len(facts.packages) == 1
    assert len(facts.unobserved) == 1


def test_too_many_copies_are_noted() -> None:
    assert len(look(node(*[BLOB] * 9), RING).unobserved) == 1


def test_a_header_of_another_name_is_no_installation() -> None:
    facts = look(node(signed_blob(KEY, package_tags(name="bash"))), RING)
    assert facts.installations == ()
    assert not facts.packages[0].proven


def test_no_program_of_that_name() -> None:
    blob = signed_blob(KEY, package_tags(()))
    assert look(node(blob), RING).installations[0].executable == ""


@pytest.mark.parametrize("problem", [Denied("no"), ProbeError("locked"), Absent("gone")])
def test_a_database_that_cannot_be_read_raises(problem: ProbeError) -> None:
    files = FakeFiles({FIRST: b""}, rows={FIRST: problem})
    with pytest.raises(type(problem)):
        look(fake_host(files), RING)
    with pytest.raises(Denied):
        look(fake_host(FakeFiles(states={FIRST: Denied("no")})), RING)


REGION, TAIL = split_blob(BLOB)
LINE = f"{REGION.hex()}|{TAIL[0][3].hex()}|(none)\n".encode()


UNKNOWN_TAG = ToolOutput(1, b"", b'error: incorrect format: unknown tag: "OPENPGP"\n')


def asked(
    stdout: bytes,
    code: int = 0,
    stderr: bytes = b"",
    name: str = "Packages",
    otherwise: ToolOutput = UNKNOWN_TAG,
) -> Host:
    processes = FakeProcesses()
    path = f"/var/lib/rpm/{name}"
    processes.outputs[courier(path, SIGNED_FORMAT)] = ToolOutput(code, stdout, stderr)
    processes.outputs[courier(path, OTHERWISE_FORMAT)] = otherwise
    return fake_host(FakeFiles({path: b""}), processes=processes)


def test_the_courier_is_sent_to_the_folder_and_kind_that_were_seen() -> None:
    words = courier("/usr/lib/sysimage/rpm/Packages.db", SIGNED_FORMAT)
    assert words[:5] == (
        "/usr/bin/rpm", "--define", "_db_backend ndb", "--dbpath", "/usr/lib/sysimage/rpm",
    )  # fmt: skip
    assert courier("/var/lib/rpm/Packages", "")[2:5] == (
        "_db_backend bdb", "--dbpath", "/var/lib/rpm",
    )  # fmt: skip


NDB = "/usr/lib/sysimage/rpm/Packages.db"
BDB = "/var/lib/rpm/Packages"


def test_two_folders_are_asked_for_one_by_one() -> None:
    processes = FakeProcesses()
    processes.outputs[courier(NDB, SIGNED_FORMAT)] = ToolOutput(0, LINE, b"")
    none = ToolOutput(1, b"package amazon-ssm-agent is not installed\n", b"")
    processes.outputs[courier(BDB, SIGNED_FORMAT)] = none
    facts = look(fake_host(FakeFiles({NDB: b"", BDB: b""}), processes=processes), RING)
    assert [item.source for item in facts.packages] == [NDB]


@pytest.mark.parametrize("stray", ["Packages", "Packages.db"])
@pytest.mark.parametrize("folder", ["/var/lib/rpm", "/usr/lib/sysimage/rpm"])
def test_two_kinds_of_database_in_one_folder_prove_nothing(folder: str, stray: str) -> None:
    path = f"{folder}/rpmdb.sqlite"
    files = FakeFiles({path: b"", f"{folder}/{stray}": b""}, rows={path: ((BLOB,),)})
    facts = look(fake_host(files), RING)
    assert (facts.packages, facts.installations) == ((), ())
    (note,) = facts.unobserved
    assert path in note
    assert f"{folder}/{stray}" in note


def test_a_doubtful_folder_does_not_spoil_the_other() -> None:
    files = FakeFiles({FIRST: b"", BDB: b"", SECOND: b""}, rows={SECOND: ((BLOB,),)})
    facts = look(fake_host(files), RING)
    assert (len(facts.packages), len(facts.unobserved)) == (1, 1)


def test_a_doubtful_folder_by_two_paths_is_told_once() -> None:
    places = (FIRST, BDB, SECOND, "/usr/lib/sysimage/rpm/Packages")
    states = {path: file_state(path, inode=len(path.rpartition("/")[2])) for path in places}
    facts = look(fake_host(FakeFiles(states=dict(states))), RING)
    assert (facts.packages, len(facts.unobserved)) == ((), 1)


@pytest.mark.parametrize("name", ["Packages", "Packages.db"])
def test_courier(name: str) -> None:
    facts = look(asked(LINE, name=name), RING)
    assert facts.installations == (INSTALLED,)
    assert facts.packages[0].proven


def test_courier_of_two_copies() -> None:
    assert len(look(asked(LINE + LINE), RING).packages) == 2


def test_courier_without_signature() -> None:
    facts = look(asked(f"{REGION.hex()}|(none)|(none)\n".encode()), RING)
    assert facts.packages[0].signature.outcome.value == "unsigned"
    facts = look(asked(f"{REGION.hex()}|(none)|aa\n".encode()), RING)
    assert facts.packages[0].signature.outcome.value == "unsupported"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (UNKNOWN_TAG, "unsigned"),
        (ToolOutput(0, b"(none)\n", b""), "unsigned"),
        (ToolOutput(0, b"wsGzBAA\n", b""), "unsupported"),
        (ToolOutput(0, b"a\nb\n", b""), "unsigned"),
        (ToolOutput(0, b"", b""), "unsigned"),
    ],
)
def test_courier_of_a_header_that_rpm_6_signed(answer: ToolOutput, outcome: str) -> None:
    host = asked(f"{REGION.hex()}|(none)|(none)\n".encode(), otherwise=answer)
    assert look(host, RING).packages[0].signature.outcome.value == outcome


NONE = b"package amazon-ssm-agent is not installed\n"
FOUND = b"warning: Found %s database while attempting bdb backend: using %s backend.\n"


@pytest.mark.parametrize(
    "stderr",
    [
        b"",
        FOUND % (b"bdb_ro Packages", b"bdb_ro"),
        b"warning: Generating 3 missing index(es), please wait...\n",
    ],
)
def test_courier_says_not_installed(stderr: bytes) -> None:
    host = asked(b"package amazon-ssm-agent is not installed\n", 1, stderr)
    assert look(host, RING).packages == ()


@pytest.mark.parametrize(
    ("stdout", "code", "stderr"),
    [
        (b"", 0, b""),
        (b"", 1, b""),
        (b"package amazon-ssm-agent is not installed\n", 0, b""),
        (b"package amazon-ssm-agent is not installed\n", 1, b"error: rpmdb: damaged\n"),
        (NONE, 1, b"warning: using dummy database, installs not possible\n"),
        (NONE, 1, FOUND % (b"sqlite rpmdb.sqlite", b"sqlite")),
        (NONE, 1, b"warning: anything else\n"),
        (b"Paket amazon-ssm-agent ist nicht installiert\n", 1, b""),
        (b"package amazon-ssm-agent-extras is not installed\n", 1, b""),
        (LINE, 1, b""),
        (LINE + b"junk\n", 0, b""),
        (b"\xff\xfe", 0, b""),
        (b"(none)|(none)|(none)\n", 0, b""),
    ],
)
def test_courier_is_not_understood(stdout: bytes, code: int, stderr: bytes) -> None:
    with pytest.raises(ProbeError, match="rpm -q"):
        look(asked(stdout, code, stderr), RING)


@pytest.mark.parametrize("line", [b"abc|(none)|(none)\n", b"00|(none)|(none)\n", b"00|0|(none)\n"])
def test_courier_brings_a_damaged_header(line: bytes) -> None:
    assert len(look(asked(line), RING).unobserved) == 1


def test_no_courier() -> None:
    with pytest.raises(ProbeError):
        look(fake_host(FakeFiles({"/var/lib/rpm/Packages": b""})), RING)


def test_shadow_digests_do_not_reach_the_facts() -> None:
    evil = strings(1035, *("e" * 64 for _ in range(4)))
    facts = look(node(make_blob(REGION, [*TAIL, evil])), RING)
    assert facts == look(node(BLOB), RING)
