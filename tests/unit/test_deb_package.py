from __future__ import annotations

import gzip
import hashlib
import tarfile
from typing import TYPE_CHECKING

import pytest

from nodecheck.model.node import FileKind
from nodecheck.model.trust import SignatureOutcome
from nodecheck.trust import archive
from nodecheck.trust.binaries import prove_binaries
from nodecheck.trust.chunks import ChunkReader, inflate
from nodecheck.trust.deb_package import prove_deb, read_deb
from nodecheck.trust.packets import TrustError
from nodecheck.trust.tar import read_tar
from tests.archive_maker import (
    CONTROL,
    FILES,
    deb_members,
    in_chunks,
    item,
    make_ar,
    make_deb,
    make_tar,
)
from tests.trust_maker import make_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from nodecheck.trust.archive import Content, Proof

KEY = make_key()
DEB = make_deb()


def prove(data: bytes, signed: bytes | None = None, size: int = 100) -> Proof:
    signature = KEY.detached(data if signed is None else signed)
    return prove_deb(signature, in_chunks(data, size), KEY.ring(), "test.deb")


def read(data: bytes) -> Content:
    return read_deb(ChunkReader(in_chunks(data)))


@pytest.mark.parametrize("size", [1, 7, 512, 1 << 20])
def test_reads_the_package(size: int) -> None:
    proof = prove(DEB, size=size)
    package = proof.package
    assert package.proven
    assert proof.sha256 == hashlib.sha256(DEB).hexdigest()
    assert (package.label, package.version) == ("amazon-ssm-agent_3.3.200.0-1_amd64", "3.3.200.0")
    assert [(file.path, file.kind.value, file.config, file.optional) for file in package.files] == [
        ("/usr/bin/amazon-ssm-agent", "file", False, False),
        ("/usr/bin/link", "link", False, False),
        ("/etc/init/agent.conf", "file", True, False),
        ("/usr/share/doc/agent/NOTICE", "file", False, True),
    ]
    agent, link = package.files[:2]
    assert (agent.digest, agent.mode) == (hashlib.sha256(b"agent").hexdigest(), 0o755)
    assert (link.target, link.digest) == ("amazon-ssm-agent", "")


def test_names_with_a_slash_are_those_of_binutils() -> None:
    assert prove(make_ar(deb_members(), slash=True)).package.proven


def test_nothing_is_released_before_the_signature_holds() -> None:
    for data, signed, outcome in (
        (DEB, b"other", SignatureOutcome.BAD),
        (b"no deb at all", b"other", SignatureOutcome.BAD),
        (DEB + b"x", DEB, SignatureOutcome.BAD),
        (DEB[:-1], DEB, SignatureOutcome.BAD),
        (b"", DEB, SignatureOutcome.BAD),
    ):
        package = prove(data, signed).package
        assert package.signature.outcome is outcome
        assert (package.files, package.name, package.version) == ((), "", "")
        assert package.label == "test.deb"
    stranger = make_key(1)
    found = prove_deb(stranger.detached(DEB), [DEB], KEY.ring(), "test.deb").package
    assert (found.signature.outcome, found.files) == (SignatureOutcome.UNKNOWN_KEY, ())
    assert prove_deb(b"rubbish", [DEB], KEY.ring(), "x").package.signature.outcome is (
        SignatureOutcome.MALFORMED
    )


def test_every_single_flipped_bit_is_a_bad_signature() -> None:
    signature = KEY.detached(DEB)
    for at in range(len(DEB)):
        data = DEB[:at] + bytes([DEB[at] ^ 1 << at % 8]) + DEB[at + 1 :]
        package = prove_deb(signature, [data], KEY.ring(), "x").package
        assert package.signature.outcome is SignatureOutcome.BAD
        assert package.files == ()


def test_signed_and_yet_not_understood_is_said() -> None:
    for data in (b"something else altogether", b"something else" * 100, DEB + b"x" * 1000):
        with pytest.raises(TrustError, match=r"not an ar archive|damaged header"):
            prove(data)  # hashed to its end, or its signature would be called bad


def test_a_package_larger_than_any_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PACKAGE_LIMIT_BYTES", len(DEB) - 1)
    for signed in (DEB, b"other"):
        with pytest.raises(TrustError, match="larger than"):
            prove(DEB, signed)
    monkeypatch.setattr(archive, "PACKAGE_LIMIT_BYTES", len(DEB))
    assert prove(DEB).package.proven


def member(name: str, content: bytes) -> bytes:
    parts = dict(deb_members()) | {name: content}
    return make_ar(list(parts.items()))


def without(name: str) -> bytes:
    return make_ar([part for part in deb_members() if part[0] != name])


def with_header(at: int, data: bytes) -> bytes:
    return DEB[: 8 + at] + data + DEB[8 + at + len(data) :]


def badly_padded() -> bytes:
    """Return a deb whose second member has an odd size, and no line end behind it."""
    texts = (CONTROL + b"X-Fill: " + b"x" * number + b"\n" for number in range(99))
    members = next(found for text in texts if len((found := deb_members(text))[1][1]) % 2)
    end = 8 + 60 + 4 + 60 + len(members[1][1])
    data = bytearray(make_ar(members))
    assert data[end] == ord("\n")
    data[end] = ord(" ")
    return bytes(data)


BAD_DEBS: list[tuple[bytes, str]] = [
    (b"", "archive: ends"),
    (b"!<arch>\n", "deb without debian-binary"),
    (DEB[:30], "archive member: ends"),
    (DEB[:-1], "ends 1 bytes too early|not padded"),
    (with_header(0, b"\xff"), "damaged header"),
    (with_header(0, b"/ "), "damaged header"),
    (with_header(48, b"-1"), "damaged header"),
    (with_header(48, b"4x"), "damaged header"),
    (with_header(58, b"xx"), "damaged header"),
    (with_header(48, b"9999999999"), "ends"),
    (member("debian-binary", b"3.0\n"), "format b'3.0"),
    (member("debian-binary", b"2.0\n2.0\n"), "format"),
    (member("debian-binary", b"2.0"), "format"),
    (without("debian-binary"), "control.tar.gz where debian-binary"),
    (without("control.tar.gz"), "data.tar.gz where control.tar.gz"),
    (without("data.tar.gz"), "deb without data.tar.gz"),
    (make_ar([*deb_members(), deb_members()[2]]), "data.tar.gz where its end"),
    (make_ar([*deb_members(), ("_gpgorigin", b"")]), "_gpgorigin where its end"),
    (make_ar([*deb_members()[:1], ("control.tar.xz", b"")]), "control.tar.xz where"),
    (DEB + b"\n", "archive member: ends"),
    (badly_padded(), "not padded"),
    (member("data.tar.gz", b"no gzip"), "incorrect header"),
    (member("data.tar.gz", b""), "gzip member does not end"),
    (member("data.tar.gz", gzip.compress(make_tar(*FILES))[:-9]), "does not end"),
    (member("data.tar.gz", gzip.compress(make_tar()) * 2), "behind the end"),
    (member("data.tar.gz", gzip.compress(b"")), "data archive: ends"),
    (member("control.tar.gz", gzip.compress(make_tar())), "is no field|without"),
    (make_deb(CONTROL.replace(b"Package", b"Packages")), "without package"),
    (make_deb(CONTROL + b"version: 1\n"), "version repeated"),
    (make_deb(CONTROL + b"\nPackage: bash\n"), "is no field"),
    (make_deb(CONTROL.replace(b"amazon-ssm", b"../x")), "package repeated or not understood"),
    (make_deb(CONTROL.replace(b"3.3", b"3 3")), "version repeated or not"),
    (make_deb(CONTROL.replace(b"Stand", b"\xff")), "not UTF-8"),
]


@pytest.mark.parametrize(("data", "said"), BAD_DEBS, ids=[said for _, said in BAD_DEBS])
def test_refuses(data: bytes, said: str) -> None:
    with pytest.raises(TrustError, match=said):
        read(data)


def test_a_version_of_another_form_is_none() -> None:
    content = read(make_deb(CONTROL.replace(b"3.3.200.0-1", b"3.3-1")))
    assert (content.version, content.label) == ("", "amazon-ssm-agent_3.3-1_amd64")


def tar(data: bytes) -> list[tuple[str, bytes]]:
    chunks = in_chunks(data)
    return [(entry.path, b"".join(content)) for entry, content in read_tar(chunks, "tar")]


def patched(at: int, value: bytes, data: bytes = b"", *, seal: bool = True) -> bytes:
    """Return a tar whose first header has other bytes, with its checksum made right."""
    made = bytearray(data or make_tar(item("a", b"content")))
    made[at : at + len(value)] = value
    if seal:
        made[148:156] = b" " * 8
        made[148:156] = f"{sum(made[:512]):06o}\0 ".encode()
    return bytes(made)


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_tar_of_both_formats(kind: int) -> None:
    long = "/".join(["./" + "d" * 60, "e" * 60, "f" * 20])
    data = make_tar(item(long, b"x" * 700), item("./b", b""), kind=kind)
    assert tar(data) == [(long[1:], b"x" * 700), ("/b", b"")]


def test_long_targets_and_contents_that_are_not_read() -> None:
    target = "t" * 150
    entry = item("./l", type=tarfile.SYMTYPE, linkname=target)
    data = make_tar(entry, item("./n" * 60, b"x" * 2000))
    entries = [entry for entry, _ in read_tar([data], "tar")]
    assert [entry.target for entry in entries] == [target, ""]
    assert entries[0].kind is FileKind.LINK


LONG = make_tar(item("n" * 150, b"x"))

BAD_TARS: list[tuple[bytes, str]] = [
    (b"", "ends 512 bytes"),
    (make_tar(item("a", b"x"))[:600], "ends"),
    (make_tar(item("a", b"x"))[:1024], "ends 512 bytes"),
    (make_tar(item("a", b"x")) + b"x", "bytes behind its end"),
    (patched(0, b"b", seal=False), "damaged tar header"),
    (patched(257, b"other"), "damaged tar header"),
    (patched(124, b"99999999999\0"), "no octal number"),
    (patched(124, b"\x80\0\0\0\0\0\0\0\0\0\0\1"), "no octal number"),
    (patched(124, b"-0000000001\0"), "no octal number"),
    (patched(0, b"a\0b"), "behind the end of a name"),
    (patched(0, b"\xff\xfe"), "not UTF-8"),
    (patched(100, b"x"), "damaged tar header"),
    (patched(116, b"U"), "damaged tar header"),
    (patched(345, b"prefix"), "damaged tar header"),
    (patched(124, f"{150:011o}\0".encode(), LONG), "long name without an end"),
    (patched(512 + 400, b"x", LONG), "long name without an end"),
    (patched(156, b"1"), "type b'1'"),
    (patched(156, b"3"), "type b'3'"),
    (patched(156, b"S"), "type b'S'"),
    (patched(156, b"5"), "cannot have"),
    (patched(156, b"2"), "cannot have"),
    (patched(157, b"target"), "cannot have"),
    (make_tar(item("a", type=tarfile.SYMTYPE)), "cannot have"),
    (make_tar(item("é" * 60, b"x"), kind=tarfile.PAX_FORMAT), "type b'x'"),
    (make_tar(item("./a"), item("a")), "is there twice"),
    (make_tar(item("../a")), "not plain"),
    (make_tar(item("./../a")), "not plain"),
    (make_tar(item("./a/../../b")), "not plain"),
    (make_tar(item("a//b")), "not plain"),
    (make_tar(item("//a")), "not plain"),
    (make_tar(item("a\nb")), "not plain"),
    (make_tar(item("./..", type=tarfile.DIRTYPE)), "not plain"),
    (make_tar(item(".")), "not plain"),
    (patched(156, b"L", patched(124, b"00000020000\0")), "long name repeated or of 8192"),
    (make_tar(item("n" * 150, b"x"))[:1024] * 2, "long name repeated"),
    (make_tar(item("n" * 150, b"x"))[:1024] + b"\0" * 1024, "ends after a long name"),
]


@pytest.mark.parametrize(("data", "said"), BAD_TARS, ids=[said for _, said in BAD_TARS])
def test_refuses_a_tar(data: bytes, said: str) -> None:
    with pytest.raises(TrustError, match=said):
        tar(data)


def test_refuses_too_many_entries() -> None:
    with pytest.raises(TrustError, match="too many entries"):
        tar(make_tar(*(item(f"{number}") for number in range(4097))))


def test_what_unpacks_to_more_than_the_limit_is_given_up() -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    assert sum(len(piece) for piece in inflate([bomb], 10_000_000, "x")) == 10_000_000
    with pytest.raises(TrustError, match="larger than 9999999 bytes unpacked"):
        list(inflate([bomb], 9_999_999, "x"))
    assert max(len(piece) for piece in inflate([bomb], 10_000_000, "x")) <= 256 * 1024


def binaries(*files: tuple[tarfile.TarInfo, bytes]) -> Proof:
    data = gzip.compress(make_tar(*files))
    signature = KEY.detached(data)
    executable = "/opt/ssm/amazon-ssm-agent"
    return prove_binaries(signature, [data], KEY.ring(), "b.tar.gz", executable)


def test_bare_binaries() -> None:
    package = binaries(
        item("./bin/amazon-ssm-agent", b"agent"),
        item("./bin/ssm-cli", b"cli"),
        item("./VERSION", b"3", mode=0o644),
    ).package
    assert package.proven
    found = [(file.path, file.optional) for file in package.files]
    assert found == [("/opt/ssm/amazon-ssm-agent", False), ("/opt/ssm/ssm-cli", True)]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: binaries(item("./ssm-cli", b"cli")), "archive without amazon-ssm-agent"),
        (lambda: binaries(item("a/x", b"1"), item("b/x", b"2")), "two programs x"),
    ],
)
def test_refuses_other_binaries(make: Callable[[], Proof], said: str) -> None:
    with pytest.raises(TrustError, match=said):
        make()
