"""What Windows hands over as bytes and paths; all of it is judged on every platform."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.host.windows_paths import native, plain
from nodecheck.model import registry
from nodecheck.model.access import (
    ADMINISTRATORS,
    EVERYONE,
    OWNER_RIGHTS,
    SYSTEM,
    TRUSTED,
    AccessEntry,
    access_facts,
    parse_acl,
    sid_text,
)
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.windows_service import image_of, is_ambiguous
from tests.fake_host import fake_host

USER = "S-1-5-21-1-2-3-1001"
USERS = "S-1-5-32-545"
FULL = 0x1F01FF
READ = 0x1200A9
ADD = 0x2 | 0x4


def sid(text: str) -> bytes:
    _, _, authority, *parts = text.split("-")
    numbers = [int(part) for part in parts]
    head = bytes((1, len(numbers))) + int(authority).to_bytes(6)
    return head + struct.pack(f"<{len(numbers)}I", *numbers)


def acl(*entries: AccessEntry) -> bytes:
    packed = b""
    for entry in entries:
        who = sid(entry.sid)
        packed += struct.pack("<BBHI", entry.kind, entry.flags, 8 + len(who), entry.mask) + who
    return struct.pack("<BBHHH", 2, 0, 8 + len(packed), len(entries), 0) + packed


# The lists that Windows makes by default for %ProgramData% and %ProgramFiles%, in part.
PROGRAM_DATA = (
    AccessEntry(0, 0, FULL, SYSTEM),
    AccessEntry(0, 0, FULL, ADMINISTRATORS),
    AccessEntry(0, 0xB, 0x10000000, "S-1-3-0"),
    AccessEntry(0, 0x3, READ, USERS),
    AccessEntry(0, 0x2, 0x116, USERS),
)


def test_an_access_list_is_read_back() -> None:
    assert parse_acl(acl(*PROGRAM_DATA)) == PROGRAM_DATA
    assert parse_acl(acl()) == ()


def test_users_may_add_to_program_data_but_replace_nothing() -> None:
    facts = access_facts(SYSTEM, PROGRAM_DATA, inherited=False)
    assert facts.strangers(facts.writers) == (USERS,)
    assert facts.strangers(facts.replacers) == ()
    assert facts.mode() == 0o1777
    assert facts.uid() == 0


@pytest.mark.parametrize(
    ("entries", "mode"),
    [
        ((AccessEntry(0, 0, FULL, SYSTEM),), 0o700),
        ((AccessEntry(0, 0, READ, EVERYONE),), 0o755),
        ((AccessEntry(0, 0, FULL, EVERYONE),), 0o777),
        ((AccessEntry(0, 0, 0x10000, USERS),), 0o722),
        ((AccessEntry(0, 0, 0x40000000, USERS),), 0o1722),
        ((AccessEntry(0, 0, 0x40, USERS),), 0o722),
        ((AccessEntry(0, 0, 0x2, USERS),), 0o1722),
        ((AccessEntry(0, 0, 0x4, USERS),), 0o1722),
        ((AccessEntry(0, 0, 0x10, USERS),), 0o1722),
        ((AccessEntry(0, 0, 0x100, USERS),), 0o1722),
        ((AccessEntry(0, 0, 0x80000, USERS),), 0o722),
        ((AccessEntry(0, 0, 0x10000000, USERS),), 0o777),
        ((AccessEntry(0, 0, 0x120088, USERS),), 0o700),
        ((AccessEntry(0, 0, 0x40000, USER),), 0o722),
        ((AccessEntry(9, 0, FULL, USER),), 0o777),
        ((AccessEntry(1, 0, FULL, USERS), AccessEntry(0, 0, FULL, USERS)), 0o777),
        ((AccessEntry(1, 0, FULL, USERS),), 0o700),
        ((AccessEntry(0, 0x8, FULL, USERS),), 0o700),
        ((AccessEntry(0, 0, FULL, OWNER_RIGHTS),), 0o700),
        ((), 0o700),
        (None, 0o777),
    ],
)
def test_the_mode_says_what_strangers_may(
    entries: tuple[AccessEntry, ...] | None, mode: int
) -> None:
    assert oct(access_facts(SYSTEM, entries, inherited=True).mode()) == oct(mode)


def test_the_owner_counts() -> None:
    facts = access_facts(USER, (), inherited=False)
    assert facts.uid() == 1001
    assert facts.uid(TRUSTED | {USER}) == 0
    assert access_facts("", (), inherited=False).uid() == -1
    assert access_facts(EVERYONE, (), inherited=False).uid() == -1


@pytest.mark.parametrize("kind", [2, 3, 4, 5, 11, 17, 255])
def test_an_entry_of_an_unknown_kind_is_no_fact(kind: int) -> None:
    entries = parse_acl(acl(AccessEntry(kind, 0, FULL, USER)))
    with pytest.raises(ProbeError, match=f"kind {kind}"):
        access_facts(SYSTEM, entries, inherited=False)


@pytest.mark.parametrize("size", range(1, len(acl(*PROGRAM_DATA))))
def test_a_list_that_is_cut_is_no_fact(size: int) -> None:
    with pytest.raises(ProbeError):
        parse_acl(acl(*PROGRAM_DATA)[:size])


def test_an_entry_shorter_than_its_head_is_no_fact() -> None:
    data = bytearray(acl(AccessEntry(1, 0, FULL, USER), AccessEntry(5, 0, FULL, USER)))
    data[10:12] = b"\4\0"
    with pytest.raises(ProbeError, match="cut"):
        parse_acl(bytes(data))


@given(st.binary(max_size=200))
def test_no_list_breaks_the_reader(data: bytes) -> None:
    for read in (parse_acl, sid_text):
        try:
            read(data)
        except ProbeError:
            continue


def wide(text: str) -> bytes:
    return text.encode("utf-16-le")


def test_registry_values_are_taken_for_what_they_are() -> None:
    assert registry.read_text("k", 1, wide("é\0rest")) == "é"
    assert registry.read_text("k", 2, wide("no end")) == "no end"
    assert registry.read_text("k", 1, wide("odd") + b"x") == "odd"
    assert registry.read_text("k", 1, b"") == ""
    assert registry.read_texts("k", 7, wide("a\0b\0\0c\0")) == ("a", "b")
    assert registry.read_texts("k", 7, wide("a")) == ("a",)
    assert registry.read_texts("k", 7, b"") == ()
    assert registry.read_number("k", 4, b"\1\0\0\x80") == 0x80000001
    assert registry.read_number("k", 11, b"\1" + bytes(7)) == 1
    assert registry.read_data("k", 3, b"\0") == b"\0"


@pytest.mark.parametrize("kind", [0, 5, 6, 8, 99])
def test_a_registry_value_of_another_type_is_refused(kind: int) -> None:
    for read in (registry.read_text, registry.read_texts, registry.read_number, registry.read_data):
        with pytest.raises(ProbeError, match=r"HKLM\\x: is .* expected REG_") as caught:
            read(r"HKLM\x", kind, b"1234")
        assert caught.value.reason == "wrong-type"


@pytest.mark.parametrize(("kind", "data"), [(4, b""), (4, b"123"), (11, b"1234"), (4, bytes(8))])
def test_a_number_of_another_length_is_refused(kind: int, data: bytes) -> None:
    with pytest.raises(ProbeError, match="bytes, not"):
        registry.read_number("k", kind, data)


@pytest.mark.parametrize(
    ("command", "image", "ambiguous"),
    [
        (r'"C:\Program Files\Amazon\SSM\a.exe"', r"C:\Program Files\Amazon\SSM\a.exe", False),
        (r"C:\Program Files\Amazon\SSM\a.EXE -x", r"C:\Program Files\Amazon\SSM\a.EXE", True),
        (r"C:\a.exe.d\b.exe -x", r"C:\a.exe.d\b.exe", False),
        (r"C:\windows\system32\svchost.exe -k x", r"C:\windows\system32\svchost.exe", False),
        ('"C:\\open', "C:\\open", False),
        ("", "", False),
        ("noexe arg", "noexe", False),
    ],
)
def test_the_image_of_a_service(command: str, image: str, ambiguous: bool) -> None:  # noqa: FBT001
    assert (image_of(command), is_ambiguous(command)) == (image, ambiguous)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("C:/a/b", r"\\?\C:\a\b"),
        (r"c:\a\..\b", r"\\?\c:\b"),
        (r"\\?\C:\a", r"\\?\C:\a"),
        ("//server/share/a", r"\\?\UNC\server\share\a"),
        ("C:/", "\\\\?\\C:\\"),
        ("C:/a. ", r"\\?\C:\a. "),
    ],
)
def test_paths_become_native(path: str, expected: str) -> None:
    assert native(path) == expected
    assert native(plain(expected)) == expected


@pytest.mark.parametrize(
    "path", ["", "a", "/etc/x", "C:", "C:a", "C:/a:b", "C:/a\0", r"\\.\C:", "?"]
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(ProbeError):
        native(path)


def test_other_systems_have_none_of_it() -> None:
    host = fake_host()
    for look in (
        lambda: host.services.query("x"),
        host.services.names_by_pid,
        lambda: host.registry.text(r"HKLM\x", "y"),
        lambda: host.registry.texts(r"HKLM\x", "y"),
        lambda: host.registry.number(r"HKLM\x", "y", 32),
        lambda: host.registry.data(r"HKLM\x", "y"),
        lambda: host.registry.subkeys(r"HKLM\x", 1),
        lambda: host.access.of("/x"),
    ):
        with pytest.raises(Absent, match="only Windows"):
            look()
