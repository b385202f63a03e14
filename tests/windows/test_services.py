from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if sys.platform != "win32":
    pytest.skip("registry and services of Windows", allow_module_level=True)

assert sys.platform == "win32"  # for the type checker

import winreg  # noqa: E402

from nodecheck.host.windows_here import CURRENT_VERSION, windows_name  # noqa: E402
from nodecheck.host.windows_registry import WindowsRegistry  # noqa: E402
from nodecheck.host.windows_services import WindowsServices  # noqa: E402
from nodecheck.model.errors import Absent, ProbeError  # noqa: E402
from nodecheck.model.windows_service import ServicePhase, StartType  # noqa: E402
from tests.fake_windows import FakeRegistry  # noqa: E402

REGISTRY: Final = WindowsRegistry()
SERVICES: Final = WindowsServices()
KEY: Final = r"SOFTWARE\nodecheck-test"
WHERE: Final = rf"HKLM\{KEY}"
VALUES: Final[dict[str, tuple[int, int | str | bytes | list[str]]]] = {
    "text": (winreg.REG_SZ, "3.3.1142.0"),
    "expanded": (winreg.REG_EXPAND_SZ, r"%SystemRoot%\x"),
    "texts": (winreg.REG_MULTI_SZ, ["https_proxy=http://p:3128", "é=ü"]),
    "none": (winreg.REG_MULTI_SZ, []),
    "number": (winreg.REG_DWORD, 0xFFFFFFFF),
    "large": (winreg.REG_QWORD, 1 << 60),
    "data": (winreg.REG_BINARY, b"\0\1"),
    "huge": (winreg.REG_BINARY, bytes(65 * 1024)),
}


@pytest.fixture
def key() -> Iterator[winreg.HKEYType]:
    with winreg.CreateKeyEx(
        winreg.HKEY_LOCAL_MACHINE, KEY, 0, winreg.KEY_ALL_ACCESS | winreg.KEY_WOW64_64KEY
    ) as made:
        for name, (kind, value) in VALUES.items():
            winreg.SetValueEx(made, name, 0, kind, value)
        yield made
    winreg.DeleteKeyEx(winreg.HKEY_LOCAL_MACHINE, KEY, winreg.KEY_WOW64_64KEY)


@pytest.mark.usefixtures("key")
def test_values_are_read_as_their_type() -> None:
    assert REGISTRY.text(WHERE, "text") == "3.3.1142.0"
    assert REGISTRY.text(WHERE, "expanded").lower() == r"c:\windows\x"
    assert REGISTRY.texts(WHERE, "texts") == ("https_proxy=http://p:3128", "é=ü")
    assert REGISTRY.texts(WHERE, "none") == ()
    assert REGISTRY.number(WHERE, "number") == 0xFFFFFFFF
    assert REGISTRY.number(WHERE, "large") == 1 << 60
    assert REGISTRY.data(WHERE, "data") == b"\0\1"


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("name", VALUES)
def test_a_value_of_another_type_is_an_error_that_names_the_key(name: str) -> None:
    reads: dict[Callable[[str, str], object], set[str]] = {
        REGISTRY.text: {"text", "expanded"},
        REGISTRY.number: {"number", "large"},
        REGISTRY.texts: {"texts", "none"},
        REGISTRY.data: {"data"},
    }
    for read, own in reads.items():
        if name not in own:
            with pytest.raises(ProbeError, match=re.escape(f"{WHERE}\\{name}")) as caught:
                read(WHERE, name)
            assert caught.value.reason == ("too-large" if name == "huge" else "wrong-type")


@pytest.mark.usefixtures("key")
def test_both_views_are_kept_apart() -> None:
    with pytest.raises(Absent):
        REGISTRY.text(WHERE, "text", 32)
    view = winreg.KEY_ALL_ACCESS | winreg.KEY_WOW64_32KEY
    with winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, KEY, 0, view) as made:
        winreg.SetValueEx(made, "text", 0, winreg.REG_SZ, "of 32 bits")
    try:
        assert REGISTRY.text(WHERE, "text", 32) == "of 32 bits"
        assert REGISTRY.text(WHERE, "text") == "3.3.1142.0"
    finally:
        winreg.DeleteKeyEx(winreg.HKEY_LOCAL_MACHINE, KEY, winreg.KEY_WOW64_32KEY)


def test_what_is_not_there_is_absent() -> None:
    for where, name in ((WHERE, "text"), (r"HKLM\SOFTWARE", "no-such-value"), (r"HKLM\no", "x")):
        with pytest.raises(Absent):
            REGISTRY.text(where, name)
    with pytest.raises(Absent):
        REGISTRY.subkeys(WHERE, 9)


def test_keys_below_are_sorted_and_bounded(key: winreg.HKEYType) -> None:
    assert REGISTRY.subkeys(WHERE, 9) == ()
    for name in "ba":
        winreg.CreateKey(key, name).Close()
    try:
        assert REGISTRY.subkeys(WHERE, 2) == ("a", "b")
        with pytest.raises(ProbeError) as caught:
            REGISTRY.subkeys(WHERE, 1)
        assert caught.value.reason == "too-large"
    finally:
        for name in "ba":
            winreg.DeleteKey(key, name)


def test_a_running_service_is_told_with_its_process() -> None:
    found = SERVICES.query("PlugPlay")
    assert (found.phase, found.start) == (ServicePhase.RUNNING, StartType.AUTOMATIC)
    assert found.pid > 0
    assert found.is_system
    assert found.command.lower().endswith((".exe", "netsvcs", "-p"))
    assert SERVICES.names_by_pid()[found.pid]


def test_a_stopped_service_and_none() -> None:
    found = SERVICES.query("MSIServer")
    assert (found.phase, found.pid) == (ServicePhase.STOPPED, 0)
    assert found.start is StartType.MANUAL
    with pytest.raises(Absent, match="no-such-service"):
        SERVICES.query("no-such-service")


@pytest.mark.parametrize(
    ("product", "build", "name"),
    [
        ("Windows Server 2022 Datacenter", "20348", "Windows Server 2022 Datacenter 10.0.20348"),
        ("Windows 10 Pro", "22631", "Windows 11 Pro 10.0.22631"),
        ("Windows Server 2012 R2 Standard", "9600", "Windows Server 2012 R2 Standard 6.3.9600"),
    ],
)
def test_how_this_windows_is_called(product: str, build: str, name: str) -> None:
    values = {"ProductName": product, "CurrentBuildNumber": build}
    registry = FakeRegistry({(CURRENT_VERSION, key, 64): value for key, value in values.items()})
    assert windows_name(registry) == name
    assert windows_name(FakeRegistry()) == "Windows"
