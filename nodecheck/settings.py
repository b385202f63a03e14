"""Read the settings: defaults, then a file or a parameter, then the environment, then flags.

Every mistake is found in one go and named with file, key and what was expected. A later source
replaces the value of an earlier one; ``origins`` says where each value came from.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nodecheck import settings_parameter
from nodecheck.model.errors import Absent, ConfigError, Denied, ProbeError
from nodecheck.model.setting_forms import FILE, PLACE, parse_day
from nodecheck.model.setting_values import checked, from_text, is_list_of_codes
from nodecheck.model.settings import BY_NAME, KEYS, Key, Setting, Settings, Waiver
from nodecheck.records import dataclass, field
from nodecheck.settings_file import parse, read_file, refuse_writable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    notes: list[str] = field(default_factory=list)

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
    must_ask: bool = False,
) -> Settings:
    """Return the effective settings.

    Args:
        host: where the file and the environment are read.
        checks: ids of all checks and groups, which ``run.only`` and the waivers may name.
        file: the file named by the operator, or ``ssm:/name``; it must be there.
        flags: values given on the command line, by key.
        must_ask: whether Parameter Store is asked even where settings of today are kept.

    Raises:
        ConfigError: something is wrong; every problem is in it.
    """
    draft = _Draft(checks)
    named = file or host.environment.get(FILE_VARIABLE)
    keep = None
    if named is not None and named.startswith(settings_parameter.PREFIX):
        keep = _take_parameter(draft, host, named, flags or {}, must_ask=must_ask)
    else:
        _take_file(draft, host, named or host.settings_file, required=named is not None)
    _take_environment(draft, host.environment)
    for name, value in (flags or {}).items():
        flag = "--" + name.split(".")[1].removesuffix("_s").replace("_", "-")
        draft.put(BY_NAME[name], value, "flag", flag)
    _check_relations(draft)
    _check_paths(draft, host)
    _check_key_files(draft, host)
    if draft.problems:
        raise ConfigError(tuple(draft.problems))
    if keep is not None:  # what is wrong never takes the place of what was right
        draft.notes += [note for note in (keep(),) if note]
    return Settings(draft.values, draft.origins, tuple(draft.waivers), tuple(draft.notes))


def settings_file(name: str | None) -> str | None:
    """Return the absolute path of the settings file that was named."""
    if name is None or name.startswith(settings_parameter.PREFIX):
        return name
    return str(Path(name).absolute())


def _take_file(draft: _Draft, host: Host, path: str, *, required: bool) -> None:
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


def _take_parameter(
    draft: _Draft, host: Host, path: str, flags: Mapping[str, object], *, must_ask: bool
) -> Callable[[], str] | None:
    """Take the settings from Parameter Store, and return what keeps them once they are valid.

    The Region and ``run.offline`` count from flags and environment: they are needed before.
    """
    region, offline = BY_NAME["node.region"], BY_NAME["run.offline"]
    environment = host.environment
    is_offline = from_text(offline, environment.get(offline.variable, "")) is True
    try:
        wanted = settings_parameter.wish(
            host,
            path,
            str(flags.get(region.name) or environment.get(region.variable, "")),
            is_offline=flags.get(offline.name) is True or is_offline,
            must_ask=must_ask,
        )
        found = settings_parameter.read_parameter(host, wanted)
        _take_document(draft, parse(found.text, found.origin), found.origin)
    except ProbeError as exc:
        draft.problems.append(str(exc))
        return None
    draft.notes.append(found.note)
    return partial(settings_parameter.keep, host, wanted, found.to_keep) if found.to_keep else None


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
            fields = {name: str(entry[name]) for name in WAIVER_FIELDS}
            draft.waivers.append(Waiver(**fields, reasons=tuple(entry.get("reasons", ()))))


def _waiver_problems(entry: object, checks: tuple[str, ...]) -> list[str]:
    if not isinstance(entry, dict) or set(entry) - {"reasons"} != set(WAIVER_FIELDS):
        return [f"expected exactly the keys {', '.join(WAIVER_FIELDS)}, and reasons if wanted"]
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
    if not is_list_of_codes(entry.get("reasons", ["x"])):
        problems.append('reasons: expected a list of reason codes such as ["too-old"]')
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


def _check_paths(draft: _Draft, host: Host) -> None:
    """Find paths of another system, which would be relative on this one."""
    is_windows = host.platform.system == "windows"
    for key in KEYS:
        value = draft.values[key.name] if key.pattern in {FILE, PLACE} else ()
        for item in value if isinstance(value, tuple) else (str(value),):
            is_posix = item.startswith("/") and not item.startswith("//")
            if item and "://" not in item and is_posix == is_windows:
                where = f"{draft.origins[key.name]}: {key.name}"
                draft.problems.append(f"{where}: expected a path of this system, not {item!r}")


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
