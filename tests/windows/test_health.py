"""What a Windows Python can truly tell of usage, time service, firmware and event log.

Wine has no W32Time, no owners of connections and no stored events: what it lacks is skipped here,
or must come out as not known.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if sys.platform != "win32":
    pytest.skip("usage, time service and event log of Windows", allow_module_level=True)

assert sys.platform == "win32"  # for the type checker

import winreg  # noqa: E402

from nodecheck.checks import clock_discipline  # noqa: E402
from nodecheck.host.event_log import EventKind, write_event  # noqa: E402
from nodecheck.host.firmware import look_at_firmware  # noqa: E402
from nodecheck.host.w32time_settings import W32Reader  # noqa: E402
from nodecheck.host.windows_here import this_windows  # noqa: E402
from nodecheck.host.windows_usage import WindowsUsage  # noqa: E402
from nodecheck.model.clock import ClockPolicy  # noqa: E402
from nodecheck.model.errors import Absent, ProbeError  # noqa: E402
from nodecheck.model.service import ServiceProcesses  # noqa: E402
from nodecheck.probes import agent_proxy, agent_service, clock_w32time  # noqa: E402
from nodecheck.sinks import eventlog  # noqa: E402
from tests.reports import ok, report  # noqa: E402

USAGE: Final = WindowsUsage()
KEY: Final = r"SYSTEM\CurrentControlSet\Services\W32Time"
AGENT_KEY: Final = r"SYSTEM\CurrentControlSet\Services\AmazonSSMAgent"


@pytest.fixture
def set_value() -> Iterator[Callable[[str, str, int, int | str | bytes | list[str]], None]]:
    """Set values of keys that were not there, and remove them afterwards."""
    made: list[str] = []

    def put(path: str, name: str, kind: int, value: int | str | bytes | list[str]) -> None:
        with winreg.CreateKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
            winreg.SetValueEx(key, name, 0, kind, value)
        made.append(path)

    for path in (KEY, AGENT_KEY):
        try:
            winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path).Close()
        except OSError:
            continue
        pytest.skip(f"{path} is there: a node's own service is left alone")
    yield put
    parents = {made_path.rpartition("\\")[0] for made_path in made if made_path.count("\\") > 3}
    for path in sorted({*made, *parents, KEY, AGENT_KEY}, key=len, reverse=True):
        try:
            winreg.DeleteKey(winreg.HKEY_LOCAL_MACHINE, path)
        except OSError:
            continue


def test_what_this_process_uses() -> None:
    found = USAGE.of(os.getpid())
    assert 0 <= time.time() - found.began_ns / 1e9 < 3600
    assert found.rss_bytes > 1_000_000
    assert found.cpu_s >= 0
    assert not found.suspended


def test_a_child_and_its_end() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = USAGE.of(child.pid)
        assert found.parent_pid == os.getpid()
        assert found.began_ns >= USAGE.of(os.getpid()).began_ns
    with pytest.raises(Absent):
        USAGE.of(child.pid)
    with pytest.raises(Absent):
        USAGE.established(child.pid)


def test_connections_are_told_with_their_owner_or_not_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            try:
                peers = USAGE.established(os.getpid())
            except ProbeError as exc:
                assert "is not told" in str(exc)  # noqa: PT017 - Wine knows no owners
            else:
                assert ("127.0.0.1", port) in {(peer.ip, peer.port) for peer in peers}


def test_settings_of_the_time_service_come_from_the_registry(
    set_value: Callable[[str, str, int, int | str | bytes | list[str]], None],
) -> None:
    dword = winreg.REG_DWORD
    set_value(rf"{KEY}\Parameters", "Type", winreg.REG_SZ, "NTP")
    set_value(rf"{KEY}\Parameters", "NtpServer", winreg.REG_SZ, "169.254.169.123,0x9")
    set_value(rf"{KEY}\Config", "MaxPosPhaseCorrection", dword, 54_000)
    set_value(rf"{KEY}\Config", "MaxNegPhaseCorrection", dword, 0xFFFFFFFF)
    set_value(rf"{KEY}\Config", "MaxAllowedPhaseOffset", winreg.REG_SZ, "1")
    set_value(rf"{KEY}\SecureTimeLimits", "SecureTimeLow", winreg.REG_QWORD, 1 << 57)
    reader = W32Reader(this_windows().registry)
    found = reader.settings()
    assert (found.kind, found.peers[0].name, found.peers[0].flags) == ("ntp", "169.254.169.123", 9)
    assert (found.forward_limit_s, found.back_limit_s) == (54_000, float("inf"))
    assert found.slew_limit_s is None
    assert "MaxAllowedPhaseOffset: is REG_SZ, expected REG_DWORD" in reader.notes[0]
    assert reader.secure_time() is None  # two of the three are not there


def test_a_node_without_the_service_is_not_healthy() -> None:
    host = this_windows()
    try:
        host.services.query("W32Time")
    except Absent:
        pass
    else:
        pytest.skip("W32Time is there")
    facts = clock_w32time.look(host, (), is_ec2=False)
    verdict = clock_discipline.judge(facts, None, ClockPolicy())
    assert [item.reason for item in verdict.findings] == ["no-daemon"]
    assert verdict.fixes[0].command.startswith("w32tm /register")


def test_the_agents_proxy_comes_from_the_registry(
    set_value: Callable[[str, str, int, int | str | bytes | list[str]], None],
) -> None:
    lines = ["https_proxy=http://squid:3128", "no_proxy=169.254.169.254"]
    set_value(AGENT_KEY, "Environment", winreg.REG_MULTI_SZ, lines)
    found = agent_proxy.look(this_windows())
    assert (found.https_proxy, found.no_proxy) == ("http://squid:3128", "169.254.169.254")
    assert found.source.endswith(r"AmazonSSMAgent\Environment")


def test_a_missing_service_is_a_proven_absence() -> None:
    found = agent_service.look(this_windows(), ServiceProcesses())
    assert found.failure is None
    assert found.setup is not None
    assert found.setup.service is None


def test_the_firmware_names_no_amazon_here() -> None:
    assert not look_at_firmware(this_windows()).is_ec2


def test_an_event_is_taken() -> None:
    write_event(100, EventKind.INFORMATION, "nodecheck: ± a test, 日本語")
    assert eventlog.deliver(report(ok("clock.offset"))).state == "delivered"
