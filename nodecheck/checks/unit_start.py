"""Judge whether the agent's unit file and drop-ins start the signed programs, unadorned.

A package digest says nothing about what systemd starts. Another ``ExecStart``, another view of the
file system, or a variable of the dynamic loader makes it something else (crit); further commands
and environment files may (warn). A drop-in with a proxy, which AWS documents, does not.

Source: https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html and
systemd.service.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nodecheck.checks.proof import Problem
from nodecheck.model.verdict import Finding, Fix, Status

if TYPE_CHECKING:
    from nodecheck.model.unit_file import UnitFile

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
_ASSIGNMENT: Final = re.compile(r"""["']?([A-Za-z_]\w*)=""")
_COMMAND_PREFIX: Final = "@-:+!|"


def judge_unit(unit: UnitFile, programs: frozenset[str]) -> tuple[Problem, ...]:
    """Return what the settings of one unit file or drop-in change about what is started."""
    found: list[Problem] = []
    for key, value in unit.settings:
        status = _rank(key, value, programs)
        if status is not None:
            reason = "start-overridden" if status is Status.CRIT else "start-extended"
            text = f"{unit.path}: {key}={value[:80]}"
            finding = Finding(reason, text, unit.path)
            found.append(Problem(status, finding, Fix("systemctl cat amazon-ssm-agent")))
    return tuple(found)


def _rank(key: str, value: str, programs: frozenset[str]) -> Status | None:
    if not value:
        return None  # an empty value takes back what was set before
    if key in _OTHER_ROOT or (key == "ExecStart" and _command(value) not in programs):
        return Status.CRIT
    if key == "Environment":
        return Status.CRIT if _steers_loader(value) else None
    if key == "EnvironmentFile" or (key.startswith("Exec") and _command(value) not in programs):
        return Status.WARN
    return None


def _command(value: str) -> str:
    return (
        value.lstrip(_COMMAND_PREFIX).split(maxsplit=1)[0] if value.strip(_COMMAND_PREFIX) else ""
    )


def _steers_loader(value: str) -> bool:
    """Tell whether an assignment names a variable of the loader, or hides its name by escapes."""
    names = _ASSIGNMENT.findall(value)
    return "\\" in value or not names or any(_LOADER.fullmatch(name) for name in names)
