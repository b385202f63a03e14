"""The formats as their real readers take them: node_exporter and Monitoring::Plugin; the file."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nodecheck.host.report_log import append_line
from nodecheck.model.errors import SinkError
from nodecheck.model.settings import DEFAULTS
from nodecheck.model.verdict import Status
from nodecheck.policies import limits
from nodecheck.sinks import file_log, nagios
from tests.reports import bad, ok, report

if TYPE_CHECKING:
    from collections.abc import Mapping

assert sys.platform != "win32"  # tells the type checker which platform this is

TOP: Final = Path(__file__).parents[2]
EXPORTER: Final = "prometheus-node-exporter"
PERL: Final = """
use Monitoring::Plugin::Performance;
for (Monitoring::Plugin::Performance->parse_perfstring($ARGV[0])) {
    print join("|", $_->label, $_->value, $_->uom, $_->warning, $_->critical), "\\n";
}
"""


def run(
    *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-P", "-m", "nodecheck", *words),
        env={"PYTHONPATH": str(TOP), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.skipif(not shutil.which(EXPORTER), reason=f"needs {EXPORTER}")
def test_node_exporter_takes_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "textfiles"
    folder.mkdir()
    path = folder / "nodecheck.prom"
    words = ("--offline", "--only", "clock", "--format", "prometheus", "--output", str(path))
    done = run(*words, environment={"NODECHECK_STATE_DIR": str(tmp_path / "state")})
    assert done.stdout == path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644  # the exporter runs as a user of its own
    assert [item.name for item in folder.iterdir()] == ["nodecheck.prom"]
    path.with_name("stamped.prom").write_text("stamped 1 1700000000000\n")  # shows that it looks

    port = free_port()
    exporter = subprocess.Popen(
        (EXPORTER, "--collector.disable-defaults", "--collector.textfile",
         f"--collector.textfile.directory={folder}", f"--web.listen-address=127.0.0.1:{port}"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        text = scrape(port)
    finally:
        exporter.kill()
        exporter.wait()
    read = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    own = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(done.stdout)
        for sample in family.samples
    }
    assert own.items() <= read.items()
    assert read["nodecheck_exit_code", ()] == done.returncode
    files = {key[1][0][1] for key in read if key[0] == "node_textfile_mtime_seconds"}
    assert {name.rpartition("/")[2] for name in files} == {"nodecheck.prom"}


def scrape(port: int) -> str:
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
                text: str = reply.read().decode()
                return text
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.1)


def has_perl_module() -> bool:
    if not shutil.which("perl"):
        return False
    command = ("perl", "-MMonitoring::Plugin::Performance", "-e", "1")
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_perl_module(), reason="needs libmonitoring-plugin-perl")
def test_monitoring_plugin_reads_the_performance_data() -> None:
    made = report(ok("clock.offset"), bad("agent.files", Status.CRIT))
    first = nagios.render(made, limits(DEFAULTS)).splitlines()[0]
    data = first.partition("|")[2]
    told = subprocess.run(
        ("perl", "-e", PERL, data), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert told[:2] == ["clock_offset|412.0312|s|-60:60|", "clock_bound|0.0521|s||"]
    assert len(told) == len(data.split(" "))


@pytest.mark.parametrize("form", ["nagios", "prometheus", "junit"])
def test_a_run_that_could_not_begin_says_so_in_the_form_asked_for(
    form: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.toml").write_text("[clock]\nwarn_s = 'x'\n")
    done = run("--format", form, "--config", str(tmp_path / "bad.toml"))
    assert done.returncode == 78
    said = {
        "nagios": "UNKNOWN: nothing was checked, wrong settings: ",
        "prometheus": 'nodecheck_check_status{check="run.settings",status="unknown"} 1\n',
        "junit": '<testcase classname="nodecheck.run" name="run.settings" time="0.000"><error ',
    }
    assert said[form] in done.stdout
    if form == "prometheus":
        assert "\nnodecheck_exit_code 78\n" in done.stdout


def test_one_line_a_run_in_a_file_of_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "reports.json"
    for _ in range(3):
        assert file_log.deliver(report(), str(path)).detail == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = path.read_text().splitlines()
    assert [json.loads(line)["verdict"] for line in lines] == ["ok"] * 3


def test_the_file_is_rotated_and_never_larger(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for number in range(100):
        append_line(str(path), f"{number:09}\n".encode(), limit_bytes=95)
        assert path.stat().st_size <= 95
    assert path.read_text().split() == ["000000099"]
    assert path.with_name("log.1").read_text().split() == [f"{n:09}" for n in range(90, 99)]
    append_line(str(path), b"y" * 200 + b"\n", limit_bytes=95)  # a line is never cut
    assert path.read_bytes() == b"y" * 200 + b"\n"


def test_a_line_waits_for_another_run_that_rotates(tmp_path: Path) -> None:
    path = tmp_path / "log"
    append_line(str(path), b"first\n")
    program = "import sys; from nodecheck.host.report_log import append_line as a\n"
    program += "a(sys.argv[1], b'second\\n')"
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writer = subprocess.Popen((sys.executable, "-c", program, str(path)), cwd=TOP)
        waiting = re.compile(rf"-> FLOCK +ADVISORY +WRITE {writer.pid} ")
        while not waiting.search(Path("/proc/locks").read_text()):
            assert writer.poll() is None
            time.sleep(0.02)
        path.rename(tmp_path / "log.1")
    assert writer.wait(30) == 0
    assert (tmp_path / "log.1").read_bytes() == b"first\n"
    assert path.read_bytes() == b"second\n"


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "no/folder", "."):
        with pytest.raises(SinkError, match=f"^{tmp_path}/"):
            file_log.deliver(report(), f"{tmp_path}/{name}")
    assert not (tmp_path / "target").exists()
    with pytest.raises(SinkError, match=r"set report\.file"):
        file_log.deliver(report(), "")
