from __future__ import annotations

import struct

import pytest

from nodecheck.model.node import FileKind
from nodecheck.model.trust import SignatureOutcome, SignedPackage
from nodecheck.trust.packets import TrustError
from nodecheck.trust.rpm_header import BLOB_LIMIT_BYTES, read_header, read_parts
from nodecheck.trust.rpm_package import prove_package
from tests.trust_maker import (
    BINARY,
    FILES,
    INT16,
    INT32,
    MAGIC,
    MadeFile,
    Tag,
    make_blob,
    make_key,
    make_region,
    numbers,
    package_tags,
    signed_blob,
    split_blob,
    strings,
    text,
    word,
)

KEY = make_key()
RING = KEY.ring()
BLOB = signed_blob(KEY)
REGION, TAIL = split_blob(BLOB)


def prove(blob: bytes) -> SignedPackage:
    return prove_package(read_header(blob), RING, "test")


def replaced(tag: int, *new: Tag) -> bytes:
    return signed_blob(KEY, [*(item for item in package_tags() if item[0] != tag), *new])


def test_reads_the_package() -> None:
    package = prove(BLOB)
    assert package.label == "amazon-ssm-agent-3.3.200.0-1.x86_64"
    assert package.proven
    assert package.source == "test"
    assert [file.path for file in package.files] == [file.path for file in FILES]
    assert [file.digest for file in package.files] == [file.hex for file in FILES]
    assert [file.config for file in package.files] == [False, False, True, True]
    assert [file.editable for file in package.files] == [False, False, True, True]
    assert [file.mode for file in package.files] == [0o755, 0o755, 0o644, 0o644]
    assert {file.algorithm for file in package.files} == {"sha256"}


def test_kinds_and_flags() -> None:
    files = (
        MadeFile("/a/folder", mode=0o040755, digest=""),
        MadeFile("/a/link", mode=0o120777, target="x", digest=""),
        MadeFile("/a/device", mode=0o020666, digest=""),
        MadeFile("/a/ghost", mode=0o100644, flags=64, digest=""),
        MadeFile("/a/doc", mode=0o100644, flags=2),
        MadeFile("/a/program", mode=0o100755, flags=1),
    )
    package = prove(signed_blob(KEY, package_tags(files)))
    kinds = [file.kind for file in package.files]
    assert kinds[:4] == [FileKind.FOLDER, FileKind.LINK, FileKind.OTHER, FileKind.FILE]
    assert package.files[1].target == "x"
    assert [file.ghost for file in package.files] == [False, False, False, True, False, False]
    assert package.files[4].optional
    assert package.files[5].config
    assert not package.files[5].editable


def test_no_digest_algorithm_means_md5() -> None:
    files = (MadeFile("/usr/bin/amazon-ssm-agent", digest="d" * 32),)
    tags = [tag for tag in package_tags(files) if tag[0] != 5011]
    assert prove(signed_blob(KEY, tags)).files[0].algorithm == "md5"


def test_a_package_without_files() -> None:
    assert prove(signed_blob(KEY, package_tags(()))).files == ()


def outcome(tail: list[Tag], region: bytes = REGION) -> SignatureOutcome:
    return prove(make_blob(region, tail)).signature.outcome


def test_unsigned() -> None:
    assert outcome([]) is SignatureOutcome.UNSIGNED
    assert not prove(make_blob(REGION, [])).proven


@pytest.mark.parametrize("tag", [267, 278])
def test_only_another_kind_of_signature_is_never_good(tag: int) -> None:
    other = (tag, BINARY, len(TAIL[0][3]), TAIL[0][3])
    assert outcome([other]) is SignatureOutcome.UNSUPPORTED
    assert outcome([strings(tag, "base64")]) is SignatureOutcome.UNSUPPORTED
    assert outcome([other, *TAIL]) is SignatureOutcome.GOOD


def test_signature_that_is_none() -> None:
    assert outcome([(268, BINARY, 4, b"junk")]) is SignatureOutcome.MALFORMED


def test_each_byte_of_the_region_is_signed() -> None:
    accepted = []
    for at in {*range(len(REGION))} - {4, 5, 6, 7}:  # the maker writes the size of data itself
        damaged = bytearray(REGION)
        damaged[at] ^= 1
        try:
            package = prove(make_blob(bytes(damaged), TAIL))
        except (TrustError, struct.error):
            continue
        accepted += [at] if package.signature.outcome is SignatureOutcome.GOOD else []
    assert accepted == []


def test_shadow_digests_in_the_tail_are_not_read() -> None:
    evil = strings(1035, *("e" * 64 for _ in FILES))
    package = prove(make_blob(REGION, [*TAIL, evil]))
    assert package.proven
    assert [file.digest for file in package.files] == [file.hex for file in FILES]
    hidden = make_region([tag for tag in package_tags() if tag[0] != 1035])
    with pytest.raises(TrustError, match="tag 1035"):
        prove(make_blob(hidden, [*TAIL, evil]))


def test_tail_may_not_point_into_the_region() -> None:
    count = struct.unpack_from(">I", BLOB)[0]
    blob = bytearray(BLOB)
    struct.pack_into(">IIiI", blob, 8 + 16 * (count - 1), 268, BINARY, 0, 4)
    with pytest.raises(TrustError, match="into the signed region"):
        read_header(bytes(blob))


def test_two_signatures_are_refused() -> None:
    with pytest.raises(TrustError, match="tag 268 repeated"):
        prove(make_blob(REGION, [*TAIL, *TAIL]))


def test_signature_inside_the_region_is_none() -> None:
    inside = make_region([*package_tags(), TAIL[0]])
    assert outcome([], inside) is SignatureOutcome.UNSIGNED


def test_another_package_signed_by_a_pinned_key_is_not_proven() -> None:
    package = prove(signed_blob(KEY, package_tags(name="amazon-ssm-agent-extras")))
    assert package.signature.believed
    assert not package.proven


def test_parts_as_rpm_prints_them() -> None:
    header = read_parts(REGION, TAIL[0][3], other_signature=False)
    assert prove_package(header, RING, "rpm").proven
    assert header.signed == MAGIC + REGION
    with pytest.raises(TrustError, match="unsigned tail"):
        read_parts(BLOB, TAIL[0][3], other_signature=False)
    unsigned = prove_package(read_parts(REGION, None, other_signature=True), RING, "rpm")
    assert unsigned.signature.outcome is SignatureOutcome.UNSUPPORTED


def entry(tag: int, kind: int, offset: int, count: int) -> bytes:
    return struct.pack(">IIiI", tag, kind, offset, count)


def frame(entries: bytes, data: bytes) -> bytes:
    return struct.pack(">II", len(entries) // 16, len(data)) + entries + data


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0" * 7,
        b"\0" * 8,
        b"\xff" * 8,
        BLOB[:-1],
        BLOB + b"\0",
        MAGIC + REGION,
        b"\0" * (BLOB_LIMIT_BYTES + 1),
        frame(entry(62, BINARY, 0, 16), entry(62, BINARY, -16, 16)),
        frame(entry(63, INT32, 0, 16), entry(63, BINARY, -16, 16)),
        frame(entry(63, BINARY, 0, 15), entry(63, BINARY, -16, 16)),
        frame(entry(63, BINARY, -1, 16), entry(63, BINARY, -16, 16)),
        frame(entry(63, BINARY, 1, 16), entry(63, BINARY, -16, 16)),
        frame(entry(63, BINARY, 0, 16), entry(62, BINARY, -16, 16)),
        frame(entry(63, BINARY, 0, 16), entry(63, BINARY, -17, 16)),
        frame(entry(63, BINARY, 0, 16), entry(63, BINARY, -32, 16)),
        frame(entry(63, BINARY, 0, 16), entry(63, BINARY, 0, 16)),
        frame(entry(63, BINARY, 0, 16), entry(63, BINARY, 16, 16)),
    ],
)
def test_refused_frame(blob: bytes) -> None:
    with pytest.raises(TrustError):
        read_header(blob)


@pytest.mark.parametrize(
    ("tag", "new", "said"),
    [
        (1000, [], "without tag 1000"),
        (1000, [word(1000, "")], "without tag 1000"),
        (1000, [numbers(1000, 1)], "tag 1000 repeated, of a wrong type"),
        (1000, [word(1000, "a"), word(1000, "b")], "tag 1000 repeated"),
        (1000, [(1000, 6, 2, text("a", "b"))], "2 strings instead of one"),
        (1000, [(1000, 6, 1, b"\xff\0")], "not UTF-8"),
        (1000, [(1000, 6, 0, b"a\0")], "out of bounds"),
        (1030, [], "tag 1030 holds 0 items for 4"),
        (1030, [numbers(1030, 1, 2, 3, kind=INT16)], "tag 1030 holds 3 items for 4"),
        (1030, [(1030, INT16, 4000, b"\0\0")], "beyond the header"),
        (1030, [(1030, INT16, 70000, b"\0\0")], "out of bounds"),
        (1035, [], "tag 1035 holds 0"),
        (1035, [(1035, 8, 4000, b"a\0")], "do not end"),
        (1035, [strings(1035, "", "", "", "")], "digest of 0 characters"),
        (1035, [strings(1035, *("E" * 64 for _ in FILES))], "not hexadecimal"),
        (1116, [numbers(1116, 0, 0, 0, 9)], "folder that the header does not name"),
        (1116, [], "tag 1116 holds 0"),
        (1117, [strings(1117, "a", "b", "a/../b", "c")], "not absolute and plain"),
        (1117, [strings(1117, "a", "b", "..", "c")], "not absolute and plain"),
        (1117, [strings(1117, "a", "b", "", "c")], "not absolute and plain"),
        (1118, [strings(1118, "usr/bin/", "/etc/init/", "/etc/systemd/")], "not absolute"),
        (1117, [strings(1117, "a", "a", "b", "c")], "a file twice"),
        (5011, [numbers(5011, 99)], "algorithm 99"),
        (5011, [numbers(5011, 10)], "expected 128"),
        (1027, [strings(1027, "/old")], "rpm 3"),
    ],
)
def test_refused_package(tag: int, new: list[Tag], said: str) -> None:
    with pytest.raises(TrustError, match=said):
        prove(replaced(tag, *new))
