"""Read the settings: defaults, then a file, then the environment, then flags.

Every mistake is found in one go and named with file, key and what was expected. A later source
replaces the value of an earlier one; ``origins`` says where each value came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nodecheck.model.errors import Absent, ConfigError, Denied, ProbeError
from nodecheck.model.setting_forms import parse_day
from nodecheck.model.setting_values import checked, from_text
from nodecheck.model.settings import BY_NAME, KEYS, Key, Setting, Settings, Waiver
from nodecheck.settings_file import read_file, refuse_writable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodecheck.host.door import Host

FILE_VARIABLE: Final = "NODECHECK_CONFIG"
OTHER_VARIABLES: Final = frozenset({FILE_VARIABLE, "NODECHECK_VENV", "NODECHECK_PYTHON"})
"""Variables with our prefix that are no settings."""

WAIVER_FIELDS: Final = ("check", "reason", "owner", "expires")


@dataclass
class _Draft:
    """Settings while they are put together, with every problem met so far."""

    checks: tuple[str, ...]
    values: dict[str, Setting] = field(default_factory=lambda: {k.name: k.default for k in KEYS})
    origins: dict[str, str] = field(default_factory=lambda: {k.name: "default" for k in KEYS})
    waivers: list[Waiver] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def put(self, key: Key, raw: object, origin: str, where: str) -> None:
        """Take one value, or note what is wrong with it."""
        try:
            self.values[key.name] = checked(key, raw)
            self.origins[key.name] = origin
        except ValueError as exc:
            self.problems.append(f"{where}: {exc}")


def load(
    host: Host,
    checks: tuple[str, ...],
    *,
    file: str | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """Return the effective settings.

    Args:
        host: where the file and the environment are read.
        checks: ids of all checks and groups, which ``run.only`` and the waivers may name.
        file: the file named by the operator; it must be there.
        flags: values given on the command line, by key.

    Raises:
        ConfigError: something is wrong; every problem is in it.
    """
    draft = _Draft(checks)
    named = file or host.environment.get(FILE_VARIABLE)
    _take_file(draft, host, named or host.settings_file, required=named is not None)
    _take_environment(draft, host.environment)
    for name, value in (flags or {}).items():
        flag = "--" + name.split(".")[1].removesuffix("_s").replace("_", "-")
        draft.put(BY_NAME[name], value, "flag", flag)
    _check_relations(draft)
    _check_key_files(draft, host)
    if draft.problems:
        raise ConfigError(tuple(draft.problems))
    return Settings(draft.values, draft.origins, tuple(draft.waivers))


def settings_file(name: str | None) -> str | None:
    """Return the absolute path of the settings file that was named."""
    return name if name is None or name.startswith("ssm:") else str(Path(name).absolute())


def _take_file(draft: _Draft, host: Host, path: str, *, required: bool) -> None:
    if path.startswith("ssm:"):
        draft.problems.append(f"{path}: this version reads settings from files only")
        return
    try:
        document = read_file(host, path)
    except Absent:
        if required:
            draft.problems.append(f"{path}: there is no such file")
    except Denied as exc:
        if required or host.privileged:
            draft.problems.append(str(exc))
    except ProbeError as exc:
        draft.problems.append(str(exc))
    else:
        _take_document(draft, document, path)


def _take_document(draft: _Draft, document: Mapping[str, object], path: str) -> None:
    for table, content in document.items():
        if table == "waivers":
            _take_waivers(draft, content, path)
        elif not isinstance(content, dict):
            known = any(name.startswith(f"{table}.") for name in BY_NAME)
            what = f"expected a table [{table}]" if known else f"unknown key{_nearest(table)}"
            draft.problems.append(f"{path}: {table}: {what}")
        else:
            for name, value in content.items():
                full = f"{table}.{name}"
                if full in BY_NAME:
                    draft.put(BY_NAME[full], value, path, f"{path}: {full}")
                else:
                    draft.problems.append(f"{path}: {full}: unknown key{_nearest(full)}")


def _take_waivers(draft: _Draft, content: object, path: str) -> None:
    if not isinstance(content, list):
        draft.problems.append(f"{path}: waivers: expected [[waivers]] tables")
        return
    for number, entry in enumerate(content, 1):
        where = f"{path}: waivers[{number}]"
        problems = _waiver_problems(entry, draft.checks)
        draft.problems += [f"{where}: {problem}" for problem in problems]
        if not problems:
            draft.waivers.append(Waiver(**{name: str(entry[name]) for name in WAIVER_FIELDS}))


def _waiver_problems(entry: object, checks: tuple[str, ...]) -> list[str]:
    if not isinstance(entry, dict) or set(entry) != set(WAIVER_FIELDS):
        return [f"expected exactly the keys {', '.join(WAIVER_FIELDS)}"]
    problems = [
        f"{name}: expected a text that says something, not {entry[name]!r}"
        for name in WAIVER_FIELDS
        if not isinstance(entry[name], str) or not entry[name].strip()
    ]
    if problems:
        return problems
    if entry["check"] not in checks or "." not in entry["check"]:
        problems.append(f"check: there is no check {entry['check']!r}")
    try:
        parse_day(entry["expires"])
    except ValueError as exc:
        problems.append(f"expires: {exc}")
    return problems


def _take_environment(draft: _Draft, environment: Mapping[str, str]) -> None:
    variables = {key.variable: key for key in KEYS}
    for variable, raw in sorted(environment.items()):
        if not variable.startswith("NODECHECK_") or variable in OTHER_VARIABLES:
            continue
        key = variables.get(variable)
        if key is None:
            draft.problems.append(f"environment: {variable}: unknown variable{_nearest(variable)}")
        else:
            draft.put(key, from_text(key, raw), "environment", f"environment: {variable}")


def _check_relations(draft: _Draft) -> None:
    for lesser, greater in (
        ("clock.warn_s", "clock.tolerance_s"),
        ("agent.max_age_days", "agent.crit_age_days"),
    ):
        low, high = draft.values[lesser], draft.values[greater]
        if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low > high:
            where = f"{draft.origins[lesser]}: {lesser}"
            draft.problems.append(f"{where}: {low:g} is more than {greater}, which is {high:g}")
    for name in ("run.only", "run.skip"):
        value = draft.values[name]
        for item in value if isinstance(value, tuple) else ():
            if item not in draft.checks:
                where = f"{draft.origins[name]}: {name}"
                draft.problems.append(f"{where}: there is no check or group {item!r}")


def _check_key_files(draft: _Draft, host: Host) -> None:
    """Find key files that are not there, or that others could have written."""
    value = draft.values["trust.keys"]
    for path in value if isinstance(value, tuple) else ():
        try:
            refuse_writable(host, path)
        except Absent:
            where = f"{draft.origins['trust.keys']}: trust.keys"
            draft.problems.append(f"{where}: {path}: there is no such file")
        except Denied:
            continue  # who may not look is told so by the checks
        except ProbeError as exc:
            draft.problems.append(f"{draft.origins['trust.keys']}: trust.keys: {exc}")


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    names = [key.variable if name.isupper() else key.name for key in KEYS]
    found = get_close_matches(name, names, 1, cutoff=0.75)
    return f"; did you mean {found[0]}?" if found else ""
