"""The Windows node that nodecheck runs on."""

# ruff: noqa: E402 - the type checker must know the platform before the imports

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING, Final

assert sys.platform == "win32"  # noqa: S101 - tells the type checker which platform this is

from nodecheck.host.door import Host
from nodecheck.host.local_clock import SystemClock
from nodecheck.host.network import SocketNetwork
from nodecheck.host.windows_access import WindowsAccess, is_elevated
from nodecheck.host.windows_files import WindowsFiles
from nodecheck.host.windows_paths import plain
from nodecheck.host.windows_processes import WindowsProcesses, windows_folder
from nodecheck.host.windows_registry import WindowsRegistry
from nodecheck.host.windows_services import WindowsServices
from nodecheck.host.windows_state import WindowsState
from nodecheck.host.windows_usage import WindowsUsage
from nodecheck.host.wintrust import WinTrust
from nodecheck.model.errors import ProbeError
from nodecheck.model.node import Platform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.host.windows_door import Registry

CURRENT_VERSION: Final = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
FIRST_OF_WINDOWS_10: Final = 10_240
FIRST_OF_WINDOWS_11: Final = 22_000
"""Its registry says Windows 10 (learn.microsoft.com, Windows 11 release information)."""

PROGRAM_DATA: Final = bytes.fromhex("825dab62c1fdc34da9dd070d1d495d97")
"""FOLDERID_ProgramData, {62AB5D82-FDC1-4DC3-A9DD-070D1D495D97}."""


def this_windows() -> Host:
    """Return the door to this node."""
    clock, registry, services = SystemClock(), WindowsRegistry(), WindowsServices()
    files, access = WindowsFiles(), WindowsAccess()
    shared, privileged = program_data(), is_elevated()
    return Host(
        files=files,
        clock=clock,
        network=SocketNetwork(os.environ),
        processes=WindowsProcesses(files, clock, services, windows_folder()),
        state=WindowsState(files, access, clock, os.environ, shared, privileged=privileged),
        environment=os.environ,
        platform=Platform("windows", windows_name(registry), architecture(os.environ)),
        privileged=privileged,
        services=services,
        registry=registry,
        access=access,
        programs=WinTrust(),
        usage=WindowsUsage(),
        settings_file=f"{shared}/nodecheck/config.toml",
    )


def windows_name(registry: Registry) -> str:
    """Return name, edition and build of this Windows, as the registry has them."""
    try:
        name = registry.text(CURRENT_VERSION, "ProductName")
        build = registry.text(CURRENT_VERSION, "CurrentBuildNumber")
    except ProbeError:
        return "Windows"
    number = int(build) if build.isdecimal() else 0
    if number >= FIRST_OF_WINDOWS_11:
        name = name.replace("Windows 10", "Windows 11")
    version = "10.0" if number >= FIRST_OF_WINDOWS_10 else "6.3"
    return f"{name.removeprefix('Microsoft ')} {version}.{build}"


def architecture(environment: Mapping[str, str]) -> str:
    """Return the processor's architecture; a 32-bit process finds it in the first variable."""
    names = ("PROCESSOR_ARCHITEW6432", "PROCESSOR_ARCHITECTURE")
    return next((environment[name] for name in names if environment.get(name)), "AMD64")


def program_data() -> str:
    """Return ``%ProgramData%``; no variable decides it, which an unprivileged parent may set."""
    path = ctypes.c_wchar_p()
    shell, memory = ctypes.WinDLL("shell32"), ctypes.WinDLL("ole32")
    memory.CoTaskMemFree.argtypes, memory.CoTaskMemFree.restype = [ctypes.c_void_p], None
    failed = shell.SHGetKnownFolderPath(PROGRAM_DATA, 0, None, ctypes.byref(path))
    try:
        return "C:/ProgramData" if failed or not path.value else plain(path.value)
    finally:
        memory.CoTaskMemFree(path)
