from __future__ import annotations

import random
import struct

import pytest

from nodecheck.trust.pe_file import (
    FILE_LIMIT_BYTES,
    TABLE_LIMIT_BYTES,
    StructureError,
    image_digest,
    read_pe,
)
from tests import pe_maker
from tests.pe_maker import Bytes, entry, program, signed, with_table

SIGNED = signed()
TABLE = SIGNED[pe_maker.SIZE :]
OBJECT = pe_maker.pkcs7(program(), pe_maker.Signing())


def patched(at: int, layout: str, *values: int, data: bytes = SIGNED) -> bytes:
    changed = bytearray(data)
    struct.pack_into(layout, changed, at, *values)
    return bytes(changed)


def refusal(data: bytes) -> str:
    with pytest.raises(StructureError) as caught:
        read_pe(Bytes(data))
    return caught.value.reason


def test_finds_the_signature_alone() -> None:
    found = read_pe(Bytes(SIGNED))
    assert len(found.signature) > 500
    assert found.signature == TABLE[8 : 8 + len(found.signature)]
    assert not any(TABLE[8 + len(found.signature) :])


@pytest.mark.parametrize("algorithm", pe_maker.HASHES)
def test_the_digest_leaves_out_checksum_entry_and_table(algorithm: str) -> None:
    found = read_pe(Bytes(SIGNED))
    digest = image_digest(Bytes(SIGNED), found, algorithm)
    assert digest == pe_maker.image_digest(SIGNED, algorithm)
    other = patched(pe_maker.CHECKSUM, "<I", 0xDEADBEEF)
    assert image_digest(Bytes(other), found, algorithm) == digest
    changed = patched(600, "<B", 1)
    assert image_digest(Bytes(changed), found, algorithm) != digest


@pytest.mark.parametrize("magic", [0x10B, 0x20B])
def test_reads_programs_of_32_and_64_bits(magic: int) -> None:
    data = patched(pe_maker.OPTIONAL, "<H", magic)
    if magic == 0x10B:
        data = patched(pe_maker.OPTIONAL + 92, "<I", 16, data=data)
        data = patched(pe_maker.OPTIONAL + 96 + 32, "<II", pe_maker.SIZE, len(TABLE), data=data)
    assert read_pe(Bytes(data)).table_at == pe_maker.SIZE


STRUCTURES = {
    "empty": (b"", "malformed-program"),
    "text": (b"#!/bin/sh\n" * 100, "malformed-program"),
    "foreign text": ("Das ist kein Programm. 这不是程序。".encode() * 40, "malformed-program"),
    "cut in the headers": (SIGNED[:100], "malformed-program"),
    "no PE": (patched(pe_maker.PE, "<B", 0), "malformed-program"),
    "PE in the DOS header": (patched(0x3C, "<I", 4), "malformed-program"),
    "PE beyond": (patched(0x3C, "<I", 0xFFFFFFF0), "malformed-program"),
    "ROM image": (patched(pe_maker.OPTIONAL, "<H", 0x107), "malformed-program"),
    "four directories": (patched(pe_maker.OPTIONAL + 108, "<I", 4), "malformed-program"),
    "17 directories": (patched(pe_maker.OPTIONAL + 108, "<I", 17), "malformed-program"),
    "directories outside": (patched(pe_maker.PE + 20, "<H", 112 + 39), "malformed-program"),
    "97 sections": (patched(pe_maker.PE + 6, "<H", 97), "malformed-program"),
    "section beyond": (patched(pe_maker.SECTION + 16, "<I", 1 << 30), "truncated"),
    "table over a section": (patched(pe_maker.SECTION + 16, "<I", 520), "malformed-program"),
    "table in the headers": (patched(pe_maker.ENTRY, "<I", 8), "malformed-program"),
    "table not aligned": (patched(pe_maker.ENTRY, "<I", 1028), "malformed-program"),
    "directory of zeros": (patched(pe_maker.ENTRY, "<II", 0, 0), "unsigned"),
    "unsigned": (program(), "unsigned"),
    "offset without size": (patched(pe_maker.ENTRY + 4, "<I", 0), "appended-data"),
    "overlay": (SIGNED + b"EVIL" * 4, "appended-data"),
    "one byte more": (SIGNED + b"\0", "appended-data"),
    "cut in the table": (SIGNED[:-100], "truncated"),
    "empty table": (with_table(program(), b""), "malformed-program"),
    "table of 4 bytes": (with_table(program(), b"\0" * 4), "malformed-program"),
    "second entry": (with_table(program(), TABLE + entry(b"junk")), "appended-data"),
    "eight zeros more": (with_table(program(), TABLE + bytes(8)), "appended-data"),
    "second signature": (with_table(program(), TABLE + TABLE), "appended-data"),
    "data after the signature": (with_table(program(), entry(OBJECT + b"EVIL")), "appended-data"),
    "long padding": (with_table(program(), entry(OBJECT + bytes(16))), "appended-data"),
    "padding beyond the length": (
        with_table(program(), entry(OBJECT, length=8 + len(OBJECT))[:-1] + b"x"),
        "appended-data",
    ),
    "revision 1": (with_table(program(), entry(OBJECT, revision=0x100)), "malformed-signature"),
    "X.509 entry": (with_table(program(), entry(OBJECT, kind=1)), "malformed-signature"),
    "entry too long": (
        with_table(program(), entry(OBJECT, length=1 << 31)),
        "malformed-signature",
    ),
    "no DER": (with_table(program(), entry(b"junk" * 9)), "malformed-signature"),
    "indefinite": (with_table(program(), entry(b"\x30\x80" * 9)), "malformed-signature"),
    "DER too long": (with_table(program(), entry(b"\x30\x84\xff" * 9)), "malformed-signature"),
    "no content": (with_table(program(), struct.pack("<IHH", 8, 0x200, 2)), "malformed-signature"),
}
# What is not padded differs by how long the object is: the case needs a byte of padding.
if len(OBJECT) % 8 == 0:
    del STRUCTURES["padding beyond the length"]


@pytest.mark.parametrize("case", STRUCTURES)
def test_refuses_what_no_signature_means(case: str) -> None:
    data, reason = STRUCTURES[case]
    assert refusal(data) == reason


def test_headers_do_not_overlap() -> None:
    data = patched(0x3C, "<I", 4, data=SIGNED[:4] + b"PE\0\0" + SIGNED[8:])
    with pytest.raises(StructureError, match="no PE header"):
        read_pe(Bytes(data))


def test_refuses_a_file_larger_than_any_agent() -> None:
    class Huge(Bytes):
        @property
        def size(self) -> int:
            return FILE_LIMIT_BYTES + 1

    with pytest.raises(StructureError, match="limit"):
        read_pe(Huge(b""))


def test_refuses_a_table_larger_than_any() -> None:
    data = with_table(program(), bytes(TABLE_LIMIT_BYTES + 8))
    assert refusal(data) == "malformed-program"


def test_a_file_that_shrinks_while_it_is_read_is_truncated() -> None:
    class Shrinking(Bytes):
        @property
        def size(self) -> int:
            return len(SIGNED)

    found = read_pe(Bytes(SIGNED))
    with pytest.raises(StructureError) as caught:
        image_digest(Shrinking(SIGNED[:600]), found, "sha256")
    assert caught.value.reason == "truncated"


def test_every_cut_is_refused() -> None:
    chance = random.Random(7)  # noqa: S311 - repeatable, not secret
    for size in chance.sample(range(len(SIGNED)), 300):
        assert refusal(SIGNED[:size]) in {"malformed-program", "truncated"}
