"""Whole runs against the strict server: what cannot be delivered is kept and comes later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from nodecheck.model.errors import Busy, ProbeError
from tests.aws_logs import Fault
from tests.aws_server import AwsServer
from tests.ntp_server import Behaviour, NtpServer
from tests.prove import prove_kills
from tests.reporting_node import NOWHERE, ReportingNode
from tests.wrong_clock import wrong_clock

if sys.platform != "win32":
    import resource

    from nodecheck.host.posix_files import PosixFiles
    from nodecheck.host.state_folder import PosixState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

assert sys.platform != "win32"  # for the type checker

DAY_S = 86_400
HOUR_S = 3600


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AwsServer]:
    with AwsServer(tmp_path) as running:
        yield running


@pytest.fixture
def node(tmp_path: Path, server: AwsServer) -> Iterator[ReportingNode]:
    with NtpServer(Behaviour()) as time_server:
        yield ReportingNode(tmp_path, server, time_server)


def test_what_cannot_be_delivered_waits_and_goes_in_order(
    node: ReportingNode, server: AwsServer
) -> None:
    runs = []
    for number in range(3):
        made = node.run(AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=NOWHERE, NODECHECK_RUN_DEADLINE_S="5")
        runs.append(made["run"]["id"])
        (delivery,) = made["delivery"]
        assert delivery["state"] == "spooled"
        assert f"Connection refused; kept in {node.spool} for a later run" in delivery["detail"]
        assert made["verdict"] == "ok"
        assert made["code"] == 0
        assert len(node.waiting()) == number + 1
    assert node.spool.stat().st_mode & 0o777 == 0o600
    made = node.run()
    (delivery,) = made["delivery"]
    assert delivery["state"] == "delivered"
    assert delivery["detail"].endswith(", after 3 earlier reports")
    assert node.received() == [*runs, made["run"]["id"]]
    stamps = [item["timestamp"] for item in server.events]
    assert stamps == sorted(stamps)
    assert node.waiting() == []
    assert node.spool.read_bytes() == b""


def test_without_the_true_time_a_report_waits_and_is_dated_later(
    node: ReportingNode, server: AwsServer
) -> None:
    began = time.time()
    made = node.run(
        NODECHECK_CLOCK_ENDPOINT=NOWHERE,
        NODECHECK_CLOCK_SERVERS="127.0.0.1:1",
        NODECHECK_RUN_DEADLINE_S="3",
    )
    assert made["delivery"][0]["state"] == "spooled"
    assert "can be neither signed nor dated; kept in" in made["delivery"][0]["detail"]
    (line,) = node.waiting()
    assert line["true_ns"] is None
    node.spool.write_text(json.dumps(line | {"local_ns": 7}) + "\n")  # the local clock: 1970
    assert node.run()["delivery"][0]["state"] == "delivered"
    first, _ = server.events
    assert began - 2 < first["timestamp"] / 1000 < time.time()
    assert "time_uncertain" not in json.loads(first["message"])


@pytest.mark.parametrize("monotonic", ["1", "0"], ids=["true-monotonic", "faked-monotonic"])
def test_a_clock_in_1970_and_then_in_2040_changes_nothing(
    node: ReportingNode, server: AwsServer, monotonic: str
) -> None:
    began = time.time()
    changes = {"FAKETIME_DONT_FAKE_MONOTONIC": monotonic, "NODECHECK_RUN_DEADLINE_S": "8"}
    node.prefix = wrong_clock("@1970-01-02 00:00:00")
    made = node.run(AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=NOWHERE, **changes)
    assert made["delivery"][0]["state"] == "spooled"
    node.prefix = wrong_clock("@2040-01-01 00:00:00")
    assert node.run(**changes)["delivery"][0]["state"] == "delivered"
    first, second = server.events
    assert began - 2 < first["timestamp"] / 1000 < second["timestamp"] / 1000 < time.time()
    assert node.waiting() == []


def test_a_time_of_another_boot_is_marked_or_given_up(
    node: ReportingNode, server: AwsServer
) -> None:
    node.fill({"marked": HOUR_S}, true_ns=None, boot="another")
    node.fill({"lost": 56 * 365 * DAY_S}, true_ns=None, boot="another")
    (delivery,) = node.run()["delivery"]
    assert delivery["detail"].endswith(
        ", after 1 earlier report; gave up 1 earlier report: its time cannot be known any more"
    )
    message = json.loads(server.events[0]["message"])
    assert (message["run"], message["time_uncertain"]) == ("marked", True)
    assert len(server.events) == 2


def test_thirteen_days_go_in_batches_of_a_day_and_older_ones_are_given_up(
    node: ReportingNode, server: AwsServer
) -> None:
    hours = {f"{hour:03}": hour * HOUR_S for hour in range(15 * 24, 0, -6)}
    node.fill(hours)
    (delivery,) = node.run(NODECHECK_RUN_DEADLINE_S="60")["delivery"]
    assert delivery["state"] == "delivered"
    assert "gave up 9 earlier reports: older than 13 days" in delivery["detail"]
    expected = [name for name, age_s in hours.items() if age_s < 13 * DAY_S]
    assert node.received()[:-1] == expected
    assert server.refusals[0].code == "ResourceNotFoundException"  # the stream, once
    assert not [item for item in server.refusals if item.code == "InvalidParameterException"]
    assert "given up so far: older than 13 days: 9" in node.command("spool", "list")[1]


def test_strange_payloads_are_given_up_and_block_nothing(node: ReportingNode) -> None:
    node.fill({"a": 60}, payload={})
    node.fill({"b": 60}, payload={"stream": "../../x", "event": {"_aws": {}}})
    node.fill({"c": 60}, payload={"stream": "i-0", "event": {"_aws": 1}})
    node.fill({"d": 60})
    (delivery,) = node.run()["delivery"]
    assert "gave up 3 earlier reports: what was kept of it is not understood" in delivery["detail"]
    assert node.received()[0] == "d"
    assert node.waiting() == []


def test_reports_of_a_sink_no_longer_set_stay_and_a_flush_sends_them(
    node: ReportingNode,
) -> None:
    node.fill({"a": 120, "b": 60})
    assert "delivery" in node.run(NODECHECK_REPORT_SINKS="")
    code, said = node.command("spool", "list", NODECHECK_REPORT_SINKS="")
    assert code == 0
    assert said.startswith(f"2 reports wait in {node.spool} (")
    code, said = node.command("spool", "flush", AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=NOWHERE)
    assert code == 3
    assert said.endswith("cloudwatch: 2 reports wait\n")
    code, said = node.command("spool", "flush", NODECHECK_REPORT_SINKS="")
    assert (code, node.received()) == (0, ["a", "b"])
    assert said.startswith("cloudwatch: 2 reports delivered to /nodecheck/i-0 in eu-central-1")
    assert node.command("spool", "flush") == (0, "no report waits for delivery\n")


def test_a_run_that_meets_another_one_sending_sends_nothing_twice(
    node: ReportingNode, server: AwsServer
) -> None:
    node.fill({"a": 60, "b": 30})
    server.logs.groups["/nodecheck"].add("i-0")
    server.logs.faults.append(Fault("slow", 1))
    with node.start(NODECHECK_RUN_DEADLINE_S="30") as first:
        wait_until(lambda: bool(server.requests))
        second = node.run(NODECHECK_RUN_DEADLINE_S="30")
        made = json.loads(first.communicate(timeout=30)[0])
    runs = {"a", "b", made["run"]["id"], second["run"]["id"]}
    received = node.received()
    assert len(received) == len(set(received))
    assert set(received) | {item["run"] for item in node.waiting()} == runs
    assert made["delivery"][0]["state"] == "delivered"
    assert second["delivery"][0]["state"] in {"delivered", "spooled"}


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait, at most 20 s."""
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_signal_in_the_splay_keeps_the_report(node: ReportingNode) -> None:
    with node.start(NODECHECK_REPORT_SPLAY_S="86400") as process:
        wait_until(lambda: bool(node.waiting()))
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=10)
    (delivery,) = json.loads(out)["delivery"]
    assert delivery["state"] == "spooled"
    assert delivery["detail"].startswith("not tried: interrupted by SIGTERM; kept in ")
    assert len(node.waiting()) == 1


def test_a_signal_before_the_report_is_made_keeps_it_too(node: ReportingNode) -> None:
    with NtpServer(Behaviour(is_silent=True)) as silent:
        changes = {"NODECHECK_CLOCK_ENDPOINT": NOWHERE, "NODECHECK_CLOCK_SERVERS": silent.name}
        with node.start(**changes) as process:
            wait_until((node.state / "lock").exists)
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=10)
    made = json.loads(out)
    assert made["checks"][0]["reason"] == "interrupted"
    assert made["delivery"][0]["state"] == "spooled"
    assert [item["run"] for item in node.waiting()] == [made["run"]["id"]]


def test_a_spool_that_others_can_write_is_refused_and_the_report_goes_past_it(
    node: ReportingNode,
) -> None:
    node.fill({"forged": 60})
    node.spool.chmod(0o666)
    made = node.run()
    assert "mode 0666: others can write it" in made["delivery"][0]["detail"]
    assert made["delivery"][0]["state"] == "delivered"
    assert node.received() == [made["run"]["id"]]
    assert "note: the report could not be kept before it is sent" in made["stderr"]
    made = node.run(AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=NOWHERE, NODECHECK_RUN_DEADLINE_S="5")
    assert made["delivery"][0]["state"] == "failed"
    assert (made["verdict"], made["code"]) == ("unknown", 3)
    code, said = node.command("spool", "list")
    assert (code, "others can write it" in said) == (3, True)


def test_a_damaged_spool_is_said_and_what_is_whole_goes(node: ReportingNode) -> None:
    node.fill({"a": 60})
    with node.spool.open("ab") as file:
        file.write(b'{"sink": "cloudwa\n\xff\n')
    node.fill({"b": 30})
    made = node.run()
    assert node.received() == ["a", "b", made["run"]["id"]]
    assert f"note: {node.spool}: 2 damaged lines, kept as {node.spool}.damaged" in made["stderr"]
    assert "given up so far: damaged: 2" in node.command("spool", "list")[1]


FULL = "mount -t tmpfs -o size=16k,mode=0700 tmpfs $STATE && cp $SPOOL $STATE/spool.jsonl && "
FULL += "chmod 600 $STATE/spool.jsonl && (cat /dev/zero >$STATE/fill 2>/dev/null; true) && "
READ_ONLY = "mount --bind $STATE $STATE && mount -o remount,ro,bind $STATE && "


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
@pytest.mark.parametrize(
    ("mounts", "why"),
    [(FULL, "No space left on device"), (READ_ONLY, "Read-only file system")],
)
def test_a_full_or_read_only_disk_is_said_and_nothing_is_sent_twice(
    node: ReportingNode, tmp_path: Path, mounts: str, why: str
) -> None:
    # On the full disk nothing fits behind it: the file ends where a page of memory does.
    node.fill({"waits": 60}, payload={"stream": "i-0", "event": {"_aws": {}, "pad": "x" * 3850}})
    assert 4000 < node.spool.stat().st_size < 4096
    copy = tmp_path / "copy"
    copy.write_bytes(node.spool.read_bytes())
    run = f"{sys.executable} -P -m nodecheck run --format json"
    done = subprocess.run(
        ("unshare", "--mount", "/bin/sh", "-c", f"{mounts} {run}; {run}"),
        env=node.environment(STATE=str(node.state), SPOOL=str(copy)),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    made = [json.loads(line) for line in done.stdout.splitlines()]
    assert [item["delivery"][0]["state"] for item in made] == ["delivered"] * 2
    assert all(why in item["delivery"][0]["detail"] for item in made)
    assert why in done.stderr
    assert node.received() == [item["run"]["id"] for item in made]


def test_a_slow_server_leaves_the_report_for_later(node: ReportingNode, server: AwsServer) -> None:
    server.logs.faults.append(Fault("throttled"))
    made = node.run(NODECHECK_RUN_DEADLINE_S="3")
    assert made["delivery"][0]["state"] == "spooled"
    server.logs.faults.clear()
    assert node.run()["delivery"][0]["state"] == "delivered"
    assert len(server.events) == 2


def test_kills_at_any_moment_lose_no_report() -> None:
    counted = prove_kills.run(25, seed=7)
    assert not [key for key in counted if key.startswith("broken")], counted
    assert counted["killed"] > 10


def test_a_local_sink_does_not_wait_for_the_splay(node: ReportingNode, tmp_path: Path) -> None:
    log = tmp_path / "reports.jsonl"
    changes = {"NODECHECK_REPORT_SINKS": "cloudwatch,file", "NODECHECK_REPORT_FILE": str(log)}
    with node.start(NODECHECK_REPORT_SPLAY_S="86400", **changes) as process:
        wait_until(lambda: log.exists() and log.read_bytes().endswith(b"\n"))
        process.send_signal(signal.SIGTERM)
        made = json.loads(process.communicate(timeout=10)[0])
    states = [(item["sink"], item["state"]) for item in made["delivery"]]
    assert states == [("cloudwatch", "spooled"), ("file", "delivered")]


@pytest.fixture
def state() -> PosixState:
    return PosixState(PosixFiles(), {}, privileged=True)


def test_the_state_folder_adds_and_erases_in_place(state: PosixState, tmp_path: Path) -> None:
    folder, path = str(tmp_path / "state"), tmp_path / "state/name"
    for content in (b"one\n", b"two\n", b"three\n"):
        state.append(folder, "name", content)
    assert path.stat().st_mode & 0o777 == 0o600
    inode = path.stat().st_ino
    state.erase(folder, "name", ((0, 3),), 8)
    assert path.read_bytes() == b"   \ntwo\n"
    assert path.stat().st_ino == inode


@pytest.mark.parametrize("kind", ["link", "pipe", "writable", "folder"])
def test_nothing_is_added_to_what_is_no_file_of_ours(
    state: PosixState, tmp_path: Path, kind: str
) -> None:
    folder, path = tmp_path / "state", tmp_path / "state/name"
    folder.mkdir(mode=0o700)
    (tmp_path / "target").write_bytes(b"kept")
    if kind == "link":
        path.symlink_to(tmp_path / "target")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"kept")
        path.chmod(0o622)
    with pytest.raises(ProbeError):
        state.append(str(folder), "name", b"x")
    with pytest.raises(ProbeError):
        state.erase(str(folder), "name", (), 0)
    assert (tmp_path / "target").read_bytes() == b"kept"
    assert kind != "writable" or path.read_bytes() == b"kept"


def test_an_addition_that_does_not_fit_leaves_nothing_of_it(
    state: PosixState, tmp_path: Path
) -> None:
    folder = str(tmp_path / "state")
    state.append(folder, "name", b"one\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(ProbeError, match="File too large"):
            state.append(folder, "name", b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "state/name").read_bytes() == b"one\n"


def test_two_processes_do_not_hold_one_lock(state: PosixState, tmp_path: Path) -> None:
    folder = str(tmp_path / "state")
    with state.lock(folder, "a.lock"):
        with pytest.raises(Busy, match=f"process {os.getpid()}"), state.lock(folder, "a.lock"):
            pytest.fail("it was held")
        with state.lock(folder, "b.lock"):
            pass
    with state.lock(folder, "a.lock"):
        pass
