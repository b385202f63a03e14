from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from nodecheck.host.windows_paths import native, plain
from nodecheck.model.access import EVERYONE, SYSTEM, TRUSTED
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.node import FileKind

if sys.platform != "win32":
    pytest.skip("files of Windows", allow_module_level=True)

assert sys.platform == "win32"  # for the type checker

from nodecheck.host.windows_access import WindowsAccess, is_elevated, own_sid  # noqa: E402
from nodecheck.host.windows_calls import opened  # noqa: E402
from nodecheck.host.windows_files import WindowsFiles  # noqa: E402
from tests.windows.lists import EVERYONE_MAY, set_list  # noqa: E402

FILES = WindowsFiles()
ACCESS = WindowsAccess()
GENERIC_READ_WRITE = 0xC000_0000


def path_of(path: Path) -> str:
    return plain(str(path))


def test_reads_are_bounded_and_of_regular_files_only(tmp_path: Path) -> None:
    good = tmp_path / "name with blanks é.txt"
    good.write_bytes(b"12345")
    path = path_of(good)
    assert FILES.read(path, 5) == b"12345"
    assert FILES.tail(path, 2) == b"45"
    assert FILES.tail(path, 99) == b"12345"
    assert list(FILES.chunks(path, 5)) == [b"12345"]
    with pytest.raises(ProbeError) as caught:
        FILES.read(path, 4)
    assert caught.value.reason == "too-large"
    with pytest.raises(ProbeError, match="not a regular file"):
        FILES.read(path_of(tmp_path), 4)
    for absent in (f"{path_of(tmp_path)}/no", f"{path_of(tmp_path)}/no/no", "Q:/no"):
        with pytest.raises(Absent):
            FILES.read(absent, 4)
        with pytest.raises(Absent):
            FILES.state(absent)
    assert FILES.read(path.replace("/", "\\"), 5) == b"12345"


@pytest.mark.parametrize(
    "path", ["", "x", "C:x", "/etc/passwd", "C:/x:stream", "C:/x\0", "\\\\.\\C:"]
)
def test_what_is_no_path_of_a_file_is_refused(path: str) -> None:
    for look in (FILES.state, lambda at: FILES.read(at, 1), ACCESS.of, FILES.space):
        with pytest.raises(ProbeError) as caught:
            look(path)
        assert not isinstance(caught.value, Absent)


def test_a_device_name_is_a_name() -> None:
    with pytest.raises(Absent):
        FILES.read("C:/windows/nul.txt/CON", 1)


def test_a_path_may_be_long(tmp_path: Path) -> None:
    folder = path_of(tmp_path) + "/long" + "/folder-of-thirty-characters-000" * 12
    Path(native(folder)).mkdir(parents=True)
    Path(native(f"{folder}/x")).write_bytes(b"12")
    assert len(folder) > 300
    assert FILES.read(f"{folder}/x", 9) == b"12"
    assert FILES.listing(folder, 9) == ("x",)
    assert FILES.digest(f"{folder}/x", "sha256").hex == hashlib.sha256(b"12").hexdigest()


def test_a_path_is_resolved(tmp_path: Path) -> None:
    (tmp_path / "Good").write_bytes(b"")
    path = path_of(tmp_path)
    assert FILES.resolve(f"{path}/x/../Good") == f"{path}/Good"
    with pytest.raises(Absent):
        FILES.resolve(f"{path}/none")


def test_states_tell_identity_and_kind(tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.write_bytes(b"12345")
    state = FILES.state(path_of(good))
    assert (state.kind, state.size, state.links) == (FileKind.FILE, 5, 1)
    assert abs(state.mtime_ns - good.stat().st_mtime_ns) < 1000
    assert state.inode == good.stat().st_ino
    assert state.ctime_ns >= state.mtime_ns - 10**9
    assert FILES.state(path_of(tmp_path)).kind is FileKind.FOLDER
    os.link(good, tmp_path / "hard")
    assert FILES.state(path_of(tmp_path / "hard")).links == 2


def test_links_are_seen_and_not_followed(tmp_path: Path) -> None:
    good, link = tmp_path / "good", tmp_path / "link"
    good.write_bytes(b"12345")
    try:
        link.symlink_to(good)
    except OSError as exc:
        pytest.skip(f"no symbolic links here: {exc}")
    if not os.path.lexists(link):
        pytest.skip("Wine 8 makes no symbolic links, and says that it did")
    assert FILES.state(path_of(link)).kind is FileKind.LINK
    with pytest.raises(ProbeError, match="symbolic link"):
        FILES.read(path_of(link), 9)
    assert FILES.read(path_of(link), 9, follow=True) == b"12345"
    assert FILES.resolve(path_of(link)) == path_of(good)


def test_nobody_is_kept_from_writing_renaming_or_deleting_what_is_read(tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.write_bytes(b"x" * 3_000_000)
    chunks = FILES.chunks(path_of(good), 1 << 30)
    next(chunks)
    with good.open("ab") as stream:
        stream.write(b"y")
    good.rename(tmp_path / "other")
    (tmp_path / "other").unlink()
    chunks.close()  # type: ignore[attr-defined]


def test_a_file_that_another_keeps_to_itself_is_no_fact(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"x")
    kernel = ctypes.WinDLL("kernel32")
    kernel.CreateFileW.restype = ctypes.c_void_p
    handle = kernel.CreateFileW(str(kept), GENERIC_READ_WRITE, 0, None, 3, 0, None)
    try:
        with pytest.raises(ProbeError) as caught:
            FILES.read(path_of(kept), 9)
        assert not isinstance(caught.value, Absent)
        assert caught.value.reason == "locked"
    finally:
        kernel.CloseHandle(ctypes.c_void_p(handle))


def test_a_file_that_changes_while_it_is_read_is_no_fact(tmp_path: Path) -> None:
    path = tmp_path / "changing"
    path.write_bytes(bytes(64 << 20))
    stops = False

    def keep_changing() -> None:
        with path.open("r+b", buffering=0) as stream:
            while not stops:
                stream.seek(0)
                stream.write(os.urandom(8))
                time.sleep(0.001)

    thread = Thread(target=keep_changing)
    thread.start()
    try:
        with pytest.raises(ProbeError) as caught:
            FILES.digest(path_of(path), "sha256")
        assert caught.value.reason == "changed-while-read"
    finally:
        stops = True
        thread.join()


def test_a_listing_is_sorted_and_bounded(tmp_path: Path) -> None:
    for name in "cab":
        (tmp_path / name).touch()
    assert FILES.listing(path_of(tmp_path), 3) == ("a", "b", "c")
    with pytest.raises(ProbeError):
        FILES.listing(path_of(tmp_path), 2)
    with pytest.raises(Absent):
        FILES.listing(path_of(tmp_path / "d"), 2)


def test_the_room_of_a_volume_is_told() -> None:
    space = FILES.space("C:/windows")
    assert 0 < space.free_bytes <= space.total_bytes
    assert (space.total_inodes, space.read_only) == (0, False)
    with pytest.raises(ProbeError):
        FILES.space("Q:/")


def test_access_is_read_from_the_list(tmp_path: Path) -> None:
    """Wine makes lists from Unix modes: this shows that they are read, not what Windows says."""
    facts = ACCESS.of(path_of(tmp_path))
    assert facts.owner_sid.startswith("S-1-5-")
    assert facts.owner_sid in facts.writers
    assert set(facts.replacers) <= set(facts.writers)
    shared = tmp_path / "shared"
    shared.mkdir()
    set_list(str(shared), EVERYONE_MAY)
    assert EVERYONE in ACCESS.of(path_of(shared)).replacers
    assert FILES.state(path_of(shared)).mode == 0o777
    facts = ACCESS.of("C:/windows")
    assert EVERYONE in facts.readers
    assert EVERYONE not in facts.writers
    assert FILES.state("C:/windows").mode & 0o022 == 0
    with pytest.raises(Absent):
        ACCESS.of(path_of(tmp_path / "no"))


def test_this_process_knows_who_it_is() -> None:
    assert own_sid().startswith("S-1-5-")
    assert own_sid() == SYSTEM or own_sid() not in TRUSTED
    assert isinstance(is_elevated(), bool)


def test_handles_are_given_back(tmp_path: Path) -> None:
    count, process = ctypes.c_ulong(), ctypes.c_void_p(-1)
    kernel = ctypes.WinDLL("kernel32")

    def handles() -> int:
        kernel.GetProcessHandleCount(process, ctypes.byref(count))
        return count.value

    path = path_of(tmp_path)
    FILES.state(path)
    before = handles()
    for _ in range(100):
        FILES.state(path)
        ACCESS.of(path)
        with pytest.raises(ProbeError):
            FILES.read(path, 1)
    assert handles() <= before + 5
    with opened(path, 0x80, 0x0200_0000) as handle:
        assert handle
