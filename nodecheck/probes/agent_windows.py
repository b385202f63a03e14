"""Look how the agent is set up on Windows: its service, its version, its executable.

The version is the value ``Version`` of the service key, which the agent's own tools read first. The
uninstall keys are a hint only: an update by script leaves them as they were.

Sources: agent/appconfig/constants_windows.go, agent/updateutil/updateutil_windows.go and
agent/setupcli/managers of github.com/aws/amazon-ssm-agent (3.3.1142.0).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.host.windows_paths import plain
from nodecheck.model.agent_place import place_of
from nodecheck.model.authenticode import SERVICE, SERVICE_KEY, WindowsInstall
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.install import CORE
from nodecheck.model.node import FileKind
from nodecheck.model.update_window import UpdateSign, UpdateWindow
from nodecheck.model.windows_service import image_of, is_ambiguous

if TYPE_CHECKING:
    from nodecheck.host.door import Host
    from nodecheck.host.windows_door import Bits
    from nodecheck.model.windows_service import WindowsService

PROGRAM_FILES: Final = "C:/Program Files"
AGENT_FOLDER: Final = "Amazon/SSM"
DISPLAY_NAME: Final = "Amazon SSM Agent"

UPDATE_LOCK_S: Final = 3600
"""For how long the agent itself believes a lock (agent/updateutil)."""

_WINDOWS_KEY: Final = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion"
_UNINSTALL_KEY: Final = rf"{_WINDOWS_KEY}\Uninstall"
_UNINSTALL_LIMIT: Final = 2000
_BLANKS_LIMIT: Final = 20
_VIEWS: Final[tuple[Bits, ...]] = (64, 32)
_VERSION: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){3}")


def look(host: Host) -> WindowsInstall:
    """Return what the service control manager, the registry and the agent's folder say."""
    unobserved, notes = list[str](), list[str]()
    executable = f"{_program_files(host, notes)}/{AGENT_FOLDER}/{CORE}.exe"
    service = _service(host, unobserved)
    has_executable = _is_there(host, executable, unobserved)
    if (service is None) == has_executable and not unobserved:
        signs = look_for_update(host).signs
        unobserved += [f"an update is under way: {sign.text}" for sign in signs]
    return WindowsInstall(
        executable=executable,
        has_executable=has_executable,
        service=service,
        image=plain(image_of(service.command)) if service else "",
        version=_version(host, unobserved) if service else "",
        listed=_listed(host, notes),
        shadows=_shadows(host, service, unobserved) if service else (),
        unobserved=tuple(unobserved),
        notes=tuple(notes),
    )


def _program_files(host: Host, notes: list[str]) -> str:
    """Return the folder of programs; of the registry, because a variable is anybody's word."""
    try:
        return plain(host.registry.text(_WINDOWS_KEY, "ProgramFilesDir")).rstrip("/")
    except ProbeError as exc:
        notes.append(f"{exc}; taken as {PROGRAM_FILES}")
        return PROGRAM_FILES


def _service(host: Host, unobserved: list[str]) -> WindowsService | None:
    try:
        return host.services.query(SERVICE)
    except Absent:
        return None
    except ProbeError as exc:
        unobserved.append(str(exc))
        return None


def _is_there(host: Host, path: str, unobserved: list[str]) -> bool:
    try:
        return host.files.state(path).kind is not FileKind.FOLDER
    except Absent:
        return False
    except ProbeError as exc:
        unobserved.append(str(exc))
        return False


def _shadows(host: Host, service: WindowsService, unobserved: list[str]) -> tuple[str, ...]:
    """Return what Windows finds first where the blanks of an unquoted command may end a name."""
    if not is_ambiguous(service.command):
        return ()
    image = plain(image_of(service.command))
    ends = [match.start() for match in re.finditer(" ", image)]
    found = (f"{image[:end]}.exe" for end in ends[:_BLANKS_LIMIT])
    return tuple(path for path in found if _is_there(host, path, unobserved))


def _version(host: Host, unobserved: list[str]) -> str:
    """Return the version that the service key names, '' where it names none."""
    try:
        text = host.registry.text(SERVICE_KEY, "Version").strip()
    except Absent:
        return ""
    except ProbeError as exc:
        unobserved.append(str(exc))
        return ""
    if text and not _VERSION.fullmatch(text):
        unobserved.append(f"{SERVICE_KEY}\\Version: {text[:40]!r} is no version")
        return ""
    return text


def _listed(host: Host, notes: list[str]) -> tuple[str, ...]:
    """Return the versions of the agent in the list of installed programs, each once."""
    found: set[str] = set()
    for bits in _VIEWS:
        try:
            names = host.registry.subkeys(_UNINSTALL_KEY, _UNINSTALL_LIMIT, bits)
        except Absent:
            continue
        except ProbeError as exc:
            notes.append(str(exc))
            continue
        for name in names:
            found.update(_listed_version(host, f"{_UNINSTALL_KEY}\\{name}", bits))
    return tuple(sorted(found))


def _listed_version(host: Host, key: str, bits: Bits) -> tuple[str, ...]:
    """Return the agent's version of one entry; others', and what cannot be read, is none."""
    try:
        if host.registry.text(key, "DisplayName", bits).strip() != DISPLAY_NAME:
            return ()
        text = host.registry.text(key, "DisplayVersion", bits).strip()
    except ProbeError:
        return ()
    return (text,) if _VERSION.fullmatch(text) else ()


def look_for_update(host: Host) -> UpdateWindow:
    """Return the signs that the agent's own updater is at work.

    It deletes the service and makes it anew, and a look in between finds no agent.
    """
    data = place_of("windows").data
    lock, signs, notes = f"{data}/update.lock", list[UpdateSign](), list[str]()
    try:
        age_s = (host.clock.wall_ns() - host.files.state(lock).mtime_ns) / 1e9
        if age_s < UPDATE_LOCK_S:  # also one of the future: the clock may have been set
            signs.append(UpdateSign(lock, f"{lock} is {age_s:.0f} s old"))
    except Absent:
        pass
    except ProbeError as exc:
        notes.append(str(exc))
    try:
        folder = f"{data}/Update/".casefold()
        for state in host.processes.all():
            if state.uid in {0, -1} and state.image.casefold().startswith(folder):
                text = f"the agent's updater runs as process {state.pid}"
                signs.append(UpdateSign(f"process {state.pid}", text))
    except ProbeError as exc:
        notes.append(str(exc))
    return UpdateWindow(tuple(signs), tuple(notes))
