"""The verdict in the local log: sockets of every kind, and the real rsyslogd on a /dev/log."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings

from nodecheck.model.errors import SinkError
from nodecheck.model.verdict import Status
from nodecheck.sinks import syslog
from nodecheck.sinks.text import verdict_line
from tests.hostile_reports import hostile_reports
from tests.node import Node
from tests.reports import bad, ok, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nodecheck.model.report import Report

assert sys.platform != "win32"  # tells the type checker which platform this is

TOP: Final = Path(__file__).parents[2]
FORM: Final = re.compile(
    rb"<(?P<priority>[0-9]{1,3})>nodecheck\[(?P<pid>[0-9]+)\]: (?P<text>[ -~]+)"
)

SEVERITIES: Final = {"OK": "info", "WARN": "warning", "UNKNOWN": "err", "CRIT": "crit"}

RSYSLOG: Final = """
module(load="imuxsock")
template(name="fields" type="list" option.jsonf="on") {
  property(outname="facility" name="syslogfacility-text" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="tag" name="syslogtag" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}
action(type="omfile" file="%s" template="fields")
"""

# A /dev of its own, with what programs need: the machine's log never sees the test.
OWN_DEV: Final = """
mkdir {folder}/dev && mount -t tmpfs tmpfs {folder}/dev
for name in null zero full random urandom; do
    touch {folder}/dev/$name && mount --bind /dev/$name {folder}/dev/$name
done
mount --rbind {folder}/dev /dev
"""


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as opened:
        opened.bind(str(tmp_path / "log"))
        opened.settimeout(5)
        yield opened


@pytest.mark.parametrize(
    ("status", "priority"),
    [(Status.OK, 30), (Status.WARN, 28), (Status.UNKNOWN, 27), (Status.CRIT, 26)],
)
def test_one_line_with_the_priority_of_the_verdict(
    listener: socket.socket, tmp_path: Path, status: Status, priority: int
) -> None:
    checks = (ok("a.b"),) if status is Status.OK else (bad("a.b", status),)
    made = report(*checks).exiting("warn")
    delivery = syslog.deliver(made, 5, str(tmp_path / "log"))
    assert (delivery.sink, delivery.state) == ("syslog", "delivered")
    match = FORM.fullmatch(listener.recv(4096))
    assert match
    assert (int(match["priority"]), int(match["pid"])) == (priority, os.getpid())
    assert match["text"].decode() == (
        f"{verdict_line(made)} (exit {made.exit_code}, i-0123456789abcdef0, "
        "run 01JD0000000000000000000000)"
    )


def test_a_daemon_on_a_stream_gets_a_message_that_ends(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as opened:
        opened.bind(str(tmp_path / "log"))
        opened.listen()
        opened.settimeout(5)
        syslog.deliver(report(), 5, str(tmp_path / "log"))
        with opened.accept()[0] as peer:
            received = peer.recv(4096)
    assert FORM.fullmatch(received.removesuffix(b"\0"))
    assert received.endswith(b"\0")


def test_nobody_there(tmp_path: Path) -> None:
    place = str(tmp_path / "log")
    with pytest.raises(SinkError, match=f"^{place}: there is no such socket, so no syslog daemon"):
        syslog.deliver(report(), 5, place)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left_behind:
        left_behind.bind(place)
    with pytest.raises(SinkError, match=f"^{place}: no syslog daemon listens$"):
        syslog.deliver(report(), 5, place)
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match=r"^/.*/file: "):
        syslog.deliver(report(), 5, str(tmp_path / "file"))


def test_a_daemon_that_hangs_is_not_waited_for(listener: socket.socket, tmp_path: Path) -> None:
    place = str(tmp_path / "log")

    def fill() -> None:
        while True:
            syslog.deliver(report(), 0.2, place)

    with pytest.raises(SinkError, match=f"^{place}: the syslog daemon does not take messages$"):
        fill()


@settings(deadline=None)
@given(hostile_reports())
def test_nothing_from_a_node_breaks_the_line(made: Report) -> None:
    line = syslog.message(made, 4194304)
    assert FORM.fullmatch(line)
    assert len(line) <= 1024


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("rsyslogd"), reason="needs root and rsyslogd"
)
def test_rsyslog_understands_it(tmp_path: Path) -> None:
    node = Node(tmp_path / "node")
    (tmp_path / "rsyslog.conf").write_text(RSYSLOG % (tmp_path / "out"))
    environment = {"PYTHONPATH": str(TOP), "NODECHECK_STATE_DIR": str(tmp_path / "state")}
    command = f"{sys.executable} -P -m nodecheck --offline --only clock --report syslog"
    script = f"""
        {OWN_DEV.format(folder=tmp_path)}
        {command}
        rsyslogd -n -f {tmp_path}/rsyslog.conf -i {tmp_path}/pid &
        for try in $(seq 100); do [ -S /dev/log ] && break; sleep 0.1; done
        {command} >{tmp_path}/stdout
        code=$?
        for try in $(seq 100); do [ -s {tmp_path}/out ] && break; sleep 0.1; done
        kill $(cat {tmp_path}/pid)
        wait
        cat {tmp_path}/stdout
        echo "$(head -c 40 {tmp_path}/stdout | cut -d: -f1 | head -1) $code"
    """
    done = node.run(script, environment)
    assert "report failed: syslog: /dev/log: there is no such socket" in done.stdout
    assert "report delivered: syslog: /dev/log" in done.stdout
    told = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    (line,) = [item for item in told if item["tag"].startswith("nodecheck")]
    verdict, code = done.stdout.splitlines()[-1].split()
    assert (line["facility"], line["severity"]) == ("daemon", SEVERITIES[verdict])
    assert re.fullmatch(r"nodecheck\[[0-9]+\]:", line["tag"])
    form = rf" {verdict}: .* \(exit {code}, .*, run [0-9a-f-]{{36}}\)"
    assert re.fullmatch(form, line["message"])
