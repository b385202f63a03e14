"""The door of a POSIX node, tried on real files, databases and processes."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from nodecheck.host.local_clock import SystemClock
from nodecheck.host.mailbox import Mailbox
from nodecheck.host.output import reads_unicode, write_file
from nodecheck.model.errors import Absent, Busy, Denied, ProbeError
from nodecheck.model.node import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform != "win32":
    from nodecheck.host.posix_files import PosixFiles
    from nodecheck.host.posix_processes import PosixProcesses, service_unit
    from nodecheck.host.state_folder import PosixState, prepare

assert sys.platform != "win32"  # for the type checker

FILES = PosixFiles()
STATE = PosixState(FILES, {}, privileged=True)
PROCESSES = PosixProcesses(FILES, SystemClock())


def test_the_end_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"0123456789")
    assert FILES.tail(str(file), 4) == b"6789"
    assert FILES.tail(str(file), 99) == b"0123456789"
    (tmp_path / "link").symlink_to(file)
    for name in ("link", ".", "absent"):
        with pytest.raises(ProbeError):
            FILES.tail(str(tmp_path / name), 4)


def test_reading_is_bounded_and_never_waits(tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.write_bytes(b"x" * 1000)
    assert FILES.read(str(good), 1000) == b"x" * 1000
    with pytest.raises(ProbeError, match="larger than 999 bytes") as caught:
        FILES.read(str(good), 999)
    assert caught.value.reason == "too-large"

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(good)
    unix = socket.socket(socket.AF_UNIX)
    with unix:
        unix.bind(str(tmp_path / "socket"))
        for name in ("pipe", "socket", "link", "."):
            with pytest.raises(ProbeError):
                FILES.read(str(tmp_path / name), 10)
    assert FILES.read(str(tmp_path / "link"), 1000, follow=True)
    for name in ("absent", "good/absent"):
        with pytest.raises(Absent):
            FILES.read(str(tmp_path / name), 10)


def test_states(tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.write_bytes(b"12345")
    good.chmod(0o4751)
    (tmp_path / "link").symlink_to("good")
    os.link(good, tmp_path / "hard")
    state = FILES.state(str(good))
    assert (state.kind, state.mode, state.size, state.links) == (FileKind.FILE, 0o4751, 5, 2)
    assert state.inode == good.stat().st_ino
    link = FILES.state(str(tmp_path / "link"))
    assert (link.kind, link.target) == (FileKind.LINK, "good")
    assert FILES.state(str(tmp_path)).kind is FileKind.FOLDER
    assert FILES.state("/dev/null").kind is FileKind.OTHER


def test_capabilities_are_seen(tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.write_bytes(b"x")
    assert not FILES.state(str(good)).has_capabilities
    subprocess.run(["setcap", "cap_net_raw+ep", str(good)], check=True)
    assert FILES.state(str(good)).has_capabilities
    assert FILES.digest(str(good), "sha256").state.has_capabilities


def test_digests_are_right_and_made_once(tmp_path: Path) -> None:
    good = tmp_path / "good"
    content = os.urandom(3_000_000)
    good.write_bytes(content)
    files = PosixFiles()
    expected = hashlib.sha256(content).hexdigest()
    assert files.digest(str(good), "sha256").hex == expected
    os.link(good, tmp_path / "hard")  # changes the ctime: read again
    assert files.digest(str(tmp_path / "hard"), "sha256").hex == expected
    good.write_bytes(b"other")
    assert files.digest(str(good), "sha256").hex == hashlib.sha256(b"other").hexdigest()
    with pytest.raises(ProbeError):
        files.digest(str(tmp_path), "sha256")


def test_a_file_that_changes_while_it_is_read_is_no_fact(tmp_path: Path) -> None:
    path = tmp_path / "changing"
    path.write_bytes(bytes(64 << 20))
    done = Event()

    def keep_changing() -> None:
        with path.open("r+b") as stream:
            while not done.is_set():
                stream.seek(0)
                stream.write(os.urandom(8))
                stream.flush()

    thread = Thread(target=keep_changing)
    thread.start()
    try:
        for _ in range(5):
            with pytest.raises(ProbeError) as caught:
                PosixFiles().digest(str(path), "sha256")
            assert caught.value.reason == "changed-while-read"
    finally:
        done.set()
        thread.join()


def test_a_listing_is_sorted_and_bounded(tmp_path: Path) -> None:
    for name in "cab":
        (tmp_path / name).touch()
    assert FILES.listing(str(tmp_path), 3) == ("a", "b", "c")
    with pytest.raises(ProbeError):
        FILES.listing(str(tmp_path), 2)
    with pytest.raises(Absent):
        FILES.listing(str(tmp_path / "d"), 2)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[Path, sqlite3.Connection]]:
    path = tmp_path / "a ?#%.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("create table t (x)")
    connection.execute("insert into t values (zeroblob(5000))")
    connection.commit()
    yield path, connection
    connection.close()


QUERY = "select length(x) from t where x is not ?"


def test_a_database_is_only_read(database: tuple[Path, sqlite3.Connection]) -> None:
    path, connection = database
    assert FILES.query_sqlite(str(path), QUERY, ("",), 10_000) == ((5000,),)
    with pytest.raises(ProbeError):
        FILES.query_sqlite(str(path), "select x from t where x is not ?", ("",), 4000)
    with pytest.raises(ProbeError):
        FILES.query_sqlite(str(path), "delete from t where x is not ?", ("",), 10_000)
    connection.execute("pragma journal_mode = wal")
    connection.close()
    assert FILES.query_sqlite(str(path), QUERY, ("",), 10_000) == ((5000,),)
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_log_that_is_in_use_is_read_too(database: tuple[Path, sqlite3.Connection]) -> None:
    path, connection = database
    connection.execute("pragma journal_mode = wal")
    connection.execute("insert into t values (zeroblob(7))")
    connection.commit()
    assert path.with_name(path.name + "-wal").stat().st_size
    assert FILES.query_sqlite(str(path), QUERY, ("",), 10_000) == ((5000,), (7,))


def test_a_locked_or_broken_database_is_no_fact(
    database: tuple[Path, sqlite3.Connection],
) -> None:
    path, connection = database
    connection.execute("pragma locking_mode = exclusive")
    connection.execute("pragma journal_mode = wal")
    connection.execute("insert into t values (1)")
    connection.commit()
    begun = time.monotonic()
    with pytest.raises(ProbeError):
        FILES.query_sqlite(str(path), QUERY, ("",), 10_000)
    assert time.monotonic() - begun < 5
    path.with_name("rubbish").write_bytes(os.urandom(9000))
    with pytest.raises(ProbeError):
        FILES.query_sqlite(str(path.with_name("rubbish")), QUERY, ("",), 10_000)
    with pytest.raises(Absent):
        FILES.query_sqlite(str(path.with_name("absent")), QUERY, ("",), 10_000)


def test_a_replaced_image_is_seen(tmp_path: Path) -> None:
    program = tmp_path / "amazon-ssm-agent"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([str(program), "60"]) as child:
        try:
            state = next(item for item in PROCESSES.all() if item.pid == child.pid)
            assert (state.image, state.image_deleted) == (str(program), False)
            assert state.arguments == (str(program), "60")
            assert (state.uid, state.parent_pid) == (os.geteuid(), os.getpid())
            program.unlink()
            state = next(item for item in PROCESSES.all() if item.pid == child.pid)
            assert (state.image, state.image_deleted) == (str(program), True)
            digest = FILES.digest(f"/proc/{child.pid}/exe", "sha256", follow=True)
            assert digest.hex == hashlib.sha256(Path("/bin/sleep").read_bytes()).hexdigest()
            assert digest.state.links == 0
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/amazon-ssm-agent.service\n", "amazon-ssm-agent.service"),
        ("2:cpu:/\n1:name=systemd:/system.slice/x.service/sub\n", "x.service"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", ""),
        ("0::/a.slice/a-b.slice/x.service\n", "x.service"),
        ("0::/user.slice/user@7.service/app.slice/x.service\n", "user@7.service"),
        ("0::/system.slice/docker-1.scope/system.slice/x.service\n", ""),
        ("0::/lxc.payload.box/system.slice/x.service\n", ""),
        ("5:cpu:/docker/1/system.slice/x.service\n", ""),
        ("", ""),
        ("rubbish", ""),
    ],
)
def test_units(text: str, unit: str) -> None:
    assert service_unit(text) == unit


@pytest.mark.parametrize(
    ("text", "top", "unit"),
    [
        ("0::/system.slice/x.service", "0::/init.scope", "x.service"),
        ("0::/system.slice/x.service", "0::/", "x.service"),
        ("0::/../../system.slice/x.service", "0::/../../init.scope", "x.service"),
        ("0::/docker/1/system.slice/x.service", "0::/docker/1/init.scope", "x.service"),
        ("0::/docker/12/system.slice/x.service", "0::/docker/1/init.scope", ""),
        ("2:cpu:/docker/1/system.slice/x.service", "1:pids:/docker/1", ""),
        ("0::/docker/1", "0::/docker/1", ""),
    ],
)
def test_units_below_the_group_of_process_1(text: str, top: str, unit: str) -> None:
    assert service_unit(text, top) == unit


def test_a_tool_is_bounded_and_gets_a_fixed_environment() -> None:
    os.environ["LD_LIBRARY_PATH"] = "/leak"
    try:
        output = PROCESSES.run(("/usr/bin/env",), 5, 10_000)
    finally:
        del os.environ["LD_LIBRARY_PATH"]
    assert output.code == 0
    assert sorted(output.stdout.split()) == [
        b"LC_ALL=C.UTF-8",
        b"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    ]
    assert PROCESSES.run(("/bin/sh", "-c", "cat; echo x >&2; exit 3"), 5, 10).code == 3
    for argv, reason in (
        (("/bin/sleep", "60"), "timeout"),
        (("/usr/bin/yes",), "too-large"),
        (("/bin/sh", "-c", "exec >&- 2>&-; sleep 60"), "timeout"),
    ):
        begun = time.monotonic()
        with pytest.raises(ProbeError) as caught:
            PROCESSES.run(argv, 0.5, 10_000)
        assert caught.value.reason == reason
        assert time.monotonic() - begun < 5
    with pytest.raises(Absent):
        PROCESSES.run(("/no/such/tool",), 1, 10)
    with pytest.raises(ProbeError):
        PROCESSES.run(("/etc/passwd",), 1, 10)
    with pytest.raises(ValueError, match="absolute"):
        PROCESSES.run(("sleep", "1"), 1, 10)


def test_the_mailbox_waits_as_long_as_it_should() -> None:
    with Mailbox() as mailbox:
        begun = time.monotonic()
        assert mailbox.wait(0.2) == ()
        assert 0.19 < time.monotonic() - begun < 2
        mailbox.start("one", lambda: 1)
        assert mailbox.wait(5) == (("one", 1),)
        mailbox.interrupt("SIGTERM")
        assert mailbox.wait(5) == ()
        assert mailbox.interrupted == "SIGTERM"


def test_one_run_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    notes: list[str] = []
    with STATE.run_lock(str(folder), notes.append):
        assert folder.stat().st_mode & 0o777 == 0o700
        with (
            pytest.raises(Busy, match=f"another run \\(process {os.getpid()}\\)"),
            STATE.run_lock(str(folder), notes.append),
        ):
            pass
    with STATE.run_lock(str(folder), notes.append):
        pass
    assert notes == []


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    folder = str(tmp_path / "state")
    code = (
        "import signal, sys\n"
        "from nodecheck.host.posix_files import PosixFiles\n"
        "from nodecheck.host.state_folder import PosixState\n"
        f"with PosixState(PosixFiles(), {{}}, privileged=True).run_lock({folder!r}, print):\n"
        "    print('held', flush=True)\n"
        "    signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(Busy), STATE.run_lock(folder, print):
            pass
        child.send_signal(signal.SIGKILL)
    with STATE.run_lock(folder, pytest.fail):
        pass


def test_a_state_folder_of_others_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with pytest.raises(ProbeError, match="others can write it"):
        prepare(str(folder))
    folder.chmod(0o700)
    os.chown(folder, 1000, 1000)
    with pytest.raises(ProbeError, match="others can write it"):
        prepare(str(folder))
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ProbeError, match="not a folder"):
        prepare(str(tmp_path / "link"))
    (tmp_path / "file").touch()
    for path in ("", str(tmp_path / "file"), "/proc/nowhere", "/dev/null/x"):
        with pytest.raises(ProbeError):
            prepare(path)


@pytest.mark.parametrize(
    ("environment", "privileged", "folder"),
    [
        ({"HOME": "/home/x"}, True, "/var/lib/nodecheck"),
        ({"HOME": "/home/x"}, False, "/home/x/.local/state/nodecheck"),
        ({"HOME": "/home/x", "XDG_STATE_HOME": "/state"}, False, "/state/nodecheck"),
        ({"XDG_STATE_HOME": "relative"}, False, ""),
        ({}, False, ""),
    ],
)
def test_where_state_is_kept(environment: dict[str, str], privileged: bool, folder: str) -> None:  # noqa: FBT001
    assert PosixState(FILES, environment, privileged=privileged).default_folder() == folder


def test_without_a_lock_a_run_goes_on_and_says_so() -> None:
    notes: list[str] = []
    with STATE.run_lock("/proc/nowhere", notes.append):
        pass
    assert notes
    assert "takes no lock" in notes[0]


def test_what_is_kept_is_kept_whole(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with pytest.raises(Absent):
        STATE.read(str(folder), "history", 100)
    STATE.write(str(folder), "history", b"one")
    STATE.write(str(folder), "history", b"two")
    path = folder / "history"
    assert (STATE.read(str(folder), "history", 100), path.stat().st_mode & 0o777) == (b"two", 0o600)
    assert [item.name for item in folder.iterdir()] == ["history"]
    with pytest.raises(ProbeError):
        STATE.read(str(folder), "history", 2)
    path.chmod(0o620)
    with pytest.raises(ProbeError, match="others can write it"):
        STATE.read(str(folder), "history", 100)
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(ProbeError):
        STATE.read(str(folder), "history", 10**6)
    assert STATE.set_aside(str(folder), "history") == f"{path}.damaged"
    with pytest.raises(Absent):
        STATE.read("", "history", 100)
    with pytest.raises(ProbeError):
        STATE.write("", "history", b"x")


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "t", folder], check=True)
    try:
        STATE.write(str(folder), "history", b"one")
        with pytest.raises(ProbeError, match="No space left"):
            STATE.write(str(folder), "history", bytes(100_000))
        assert STATE.read(str(folder), "history", 100) == b"one"
        assert [item.name for item in folder.iterdir()] == ["history"]
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_denied_file_is_told_from_an_absent_one(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    secret.chmod(0)
    os.seteuid(65534)
    try:
        with pytest.raises(Denied):
            FILES.read(str(secret), 10)
    finally:
        os.seteuid(0)


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "report"
    write_file(str(path), "one")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    write_file(str(path), "two")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("two", 0o644)
    (tmp_path / "link").symlink_to(path)
    write_file(str(tmp_path / "link"), "three")
    assert (tmp_path / "link").is_symlink()
    assert path.read_text() == "three"
    write_file("/dev/null", "gone")
    assert not Path("/dev/null").is_file()
    with pytest.raises(OSError, match="No space left"):
        write_file("/dev/full", "full")
    with pytest.raises(OSError, match="No such file"):
        write_file(str(tmp_path / "no" / "folder"), "x")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["link", "report"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LANG": "en_US.UTF-8"}, True),
        ({"LANG": "C.utf8"}, True),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, False),
        ({"LC_CTYPE": "de_DE@euro"}, False),
        ({}, False),
    ],
)
def test_the_locale_decides_what_is_printed(environment: dict[str, str], expected: bool) -> None:  # noqa: FBT001
    assert reads_unicode(environment) is expected
