"""Judge whether the agent's unit file and drop-ins start the signed programs, unadorned.

A package digest says nothing about what systemd starts. Another ``ExecStart``, another view of the
file system, or a variable of the dynamic loader makes it something else (crit); further commands
and environment files may (warn). A drop-in with a proxy, which AWS documents, does not.

Source: https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html,
systemd.service.html and, for what the manager gives to all services, systemd-system.conf.html
"""

from __future__ import annotations

import re
from typing import Final

from nodecheck.checks.proof import Problem
from nodecheck.model.unit_file import UnitFile
from nodecheck.model.verdict import Finding, Fix, Status

_OTHER_ROOT: Final = frozenset(
    {
        "BindPaths",
        "BindReadOnlyPaths",
        "ExtensionDirectories",
        "ExtensionImages",
        "MountImages",
        "RootDirectory",
        "RootImage",
        "TemporaryFileSystem",
    }
)
_LOADER: Final = re.compile(r"(LD_\w*|GLIBC_TUNABLES|GCONV_PATH|PATH)")
_ASSIGNMENT: Final = re.compile(r"([A-Za-z_]\w*)=")
_FOLDER: Final = r"/(?:usr/local/|usr/)?s?bin"
_USUAL_PATH: Final = re.compile(
    rf"""(?<!\S)(["']?)PATH=(["']?){_FOLDER}(?::{_FOLDER})*\2\1(?!\S)"""
)
"""What systemd sets by itself (systemd.exec(5), ``$PATH``), in any order."""
_SNAP: Final = "/usr/bin/snap"
_OF_SNAPD: Final = frozenset(
    {
        ("ExecStart", f"{_SNAP} run amazon-ssm-agent"),
        ("EnvironmentFile", "-/etc/environment"),
    }
)
_SNAP_ENVIRONMENT: Final = "/etc/environment"
_SNAP_FOLDER: Final = rf"(?:{_FOLDER}|/usr/(?:local/)?games|/snap/bin)"
_SNAP_PATH: Final = re.compile(rf"""PATH=(["']?){_SNAP_FOLDER}(?::{_SNAP_FOLDER})*\1""")
_MANAGER_KEYS: Final = frozenset({"DefaultEnvironment", "ManagerEnvironment"})
_COMMAND_PREFIX: Final = "@-:+!|"
CORE: Final = "amazon-ssm-agent"


def judge_unit(unit: UnitFile, programs: frozenset[str], name: str = CORE) -> tuple[Problem, ...]:
    """Return what the settings of one unit file or drop-in change about what is started."""
    found: list[Problem] = []
    for key, value in unit.settings:
        status = _rank(key, value, programs)
        if status is not None:
            reason = "start-overridden" if status is Status.CRIT else "start-extended"
            text = f"{unit.path}: {key}={value[:80]}"
            finding = Finding(reason, text, unit.path)
            found.append(Problem(status, finding, Fix(f"systemctl cat {name}")))
    return tuple(found)


def judge_snap_unit(unit: UnitFile) -> tuple[Problem, ...]:
    """Return what the unit that snapd writes for the agent, or a drop-in of it, has that is not so.

    snapd starts the app of a snap by its own program and reads ``/etc/environment`` for every
    service (wrappers/services.go of snapcore/snapd); the search path there has more folders.
    """
    settings = tuple(
        (key, _without_path(value) if unit.path == _SNAP_ENVIRONMENT else value)
        for key, value in unit.settings
        if (key, value) not in _OF_SNAPD
    )
    return judge_unit(UnitFile(unit.path, settings), frozenset({_SNAP}), f"snap.{CORE}.{CORE}")


def _without_path(value: str) -> str:
    return "" if _SNAP_PATH.fullmatch(value) else value


def judge_manager(settings: UnitFile) -> tuple[Problem, ...]:
    """Return what systemd's own settings give to every service that changes what is started."""
    return tuple(
        Problem(
            Status.CRIT,
            Finding("start-overridden", f"{settings.path}: {key}={value[:80]}", settings.path),
            Fix("systemd-analyze cat-config systemd/system.conf"),
        )
        for key, value in settings.settings
        if key in _MANAGER_KEYS and value and _steers_loader(value)
    )


def _rank(key: str, value: str, programs: frozenset[str]) -> Status | None:
    if not value:
        return None  # an empty value takes back what was set before
    if key == "ExecStart":
        return _rank_start(_commands(value), programs)
    if (
        key in _OTHER_ROOT
        or (key == "Environment" and _steers_loader(value))
        or (key == "PassEnvironment" and any(map(_may_be_loader, value.split())))
    ):
        return Status.CRIT
    is_foreign = any(not words or words[0] not in programs for words in _commands(value))
    if key == "EnvironmentFile" or (key.startswith("Exec") and is_foreign):
        return Status.WARN
    return None


def _rank_start(commands: list[list[str]], programs: frozenset[str]) -> Status | None:
    cores = {program for program in programs if program.rpartition("/")[2] == CORE}
    if len(commands) != 1 or not commands[0] or commands[0][0] not in cores:
        return Status.CRIT
    return Status.WARN if len(commands[0]) > 1 else None  # Amazon starts it without arguments


def _commands(value: str) -> list[list[str]]:
    """Return the words of each command of a list that is separated by lone semicolons."""
    commands: list[list[str]] = [[]]
    for word in value.split():
        if word == ";":
            commands.append([])
        elif commands[-1]:
            commands[-1].append(word)
        else:
            bare = word.lstrip(_COMMAND_PREFIX)
            is_quoted = len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'"
            commands[-1].append(bare[1:-1] if is_quoted else bare)
    return commands


def _steers_loader(value: str) -> bool:
    """Tell whether an assignment names a variable of the loader, or may hide its name.

    systemd takes off quotes wherever they stand, and expands escapes and specifiers (``%i`` to
    nothing) before it reads the name.
    """
    bare = re.sub("[\"']", "", _USUAL_PATH.sub("", value))
    words = bare.replace("%%", "").split()
    names = _ASSIGNMENT.findall(bare)
    hides = "\\" in bare or any("%" in word.partition("=")[0] for word in words)
    is_odd = bool(words) and not names
    return hides or is_odd or any(_LOADER.fullmatch(name) for name in names)


def _may_be_loader(name: str) -> bool:
    bare = re.sub("[\"']", "", name)
    return "\\" in bare or "%" in bare or bool(_LOADER.fullmatch(bare))
