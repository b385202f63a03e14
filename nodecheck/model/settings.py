"""The settings: every key, its kind, its default, and what the operator may write there.

The names are a contract. In the environment a key is ``NODECHECK_`` and the key in capitals with
``_`` for the dot; lists are separated by commas.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from nodecheck.model.time_server import parse_server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Setting = str | float | int | bool | tuple[str, ...] | None


class Kind(Enum):
    """What a value must be; the text is shown to whoever wrote something else."""

    TEXT = "text"
    LIST = "a list of texts"
    SECONDS = "a number of seconds"
    DAYS = "a whole number of days"
    SWITCH = "true or false"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. ``least`` and ``most`` bound numbers, ``choices`` bounds texts."""

    name: str
    kind: Kind
    default: Setting
    meaning: str
    least: float = 0
    most: float = math.inf
    choices: tuple[str, ...] = ()
    pattern: str = ""
    parse: Callable[[str], object] | None = None
    used: bool = True

    @property
    def variable(self) -> str:
        """Return the name of this key in the environment."""
        return "NODECHECK_" + self.name.upper().replace(".", "_")


@dataclass(frozen=True, slots=True)
class Waiver:
    """A finding that the operator accepts until a day (UTC), with a reason and somebody to ask."""

    check: str
    reason: str
    owner: str
    expires: str


_REGION: Final = r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}"
_VERSION: Final = r"\d+(\.\d+){3}"
_HTTP: Final = r"https?://\S+"
_FINGERPRINT: Final = r"[0-9A-Fa-f]{40}(@\d{4}-\d{2}-\d{2})?"
_GROUP: Final = r"[A-Za-z0-9_/.#-]{1,512}"
_NAMESPACE: Final = r"(?!AWS/)[A-Za-z0-9._#:/-]{1,256}"

KEYS: Final = (
    Key("run.deadline_s", Kind.SECONDS, 10.0, "time for the whole run", least=1, most=3600),
    Key("run.only", Kind.LIST, (), "checks or groups to run; empty: all"),
    Key("run.skip", Kind.LIST, (), "checks or groups to leave out"),
    Key("run.offline", Kind.SWITCH, default=False, meaning="use no network"),
    Key(
        "run.fail_on",
        Kind.TEXT,
        "warn",
        "the mildest verdict that exits non-zero",
        choices=("warn", "unknown", "crit", "never"),
    ),
    Key(
        "clock.servers",
        Kind.LIST,
        (),
        "NTP servers, host or host:port; empty: discovered",
        parse=parse_server,
    ),
    Key("clock.endpoint", Kind.TEXT, "", "URL whose Date judges the clock", pattern=_HTTP),
    Key("clock.tolerance_s", Kind.SECONDS, 300.0, "AWS refuses signatures beyond", least=1),
    Key("clock.warn_s", Kind.SECONDS, 60.0, "warn from this error on"),
    Key("agent.min_version", Kind.TEXT, "", "oldest version allowed", pattern=_VERSION),
    Key("agent.max_age_days", Kind.DAYS, 30, "warn when further behind"),
    Key("agent.crit_age_days", Kind.DAYS, 90, "critical when further behind"),
    Key("agent.release_url", Kind.TEXT, "", "base of VERSION and manifest", pattern=_HTTP),
    Key("node.region", Kind.TEXT, "", "the node's Region; empty: discovered", pattern=_REGION),
    Key(
        "node.expected_region",
        Kind.TEXT,
        "",
        "the only Region allowed",
        pattern=_REGION,
        used=False,
    ),
    Key(
        "node.expected_account",
        Kind.TEXT,
        "",
        "the only account allowed",
        pattern=r"\d{12}",
        used=False,
    ),
    Key("trust.keys", Kind.LIST, (), "further OpenPGP public key files", pattern=r"/.+"),
    Key("trust.builtin_keys", Kind.SWITCH, default=True, meaning="believe the pinned keys"),
    Key(
        "trust.distrust",
        Kind.LIST,
        (),
        "fingerprints no longer believed, or fingerprint@YYYY-MM-DD",
        pattern=_FINGERPRINT,
    ),
    Key("trust.package_dir", Kind.TEXT, "", "folder with package and .sig", used=False),
    Key("trust.publishers", Kind.LIST, (), "Authenticode publishers allowed", used=False),
    Key("report.sinks", Kind.LIST, (), "where reports go besides stdout", choices=("cloudwatch",)),
    Key("report.log_group", Kind.TEXT, "/nodecheck", "CloudWatch log group", pattern=_GROUP),
    Key("report.namespace", Kind.TEXT, "NodeCheck", "CloudWatch namespace", pattern=_NAMESPACE),
    Key("report.splay_s", Kind.SECONDS, 0.0, "spread network reports over", most=86400),
    Key(
        "report.use_agent_credentials",
        Kind.SWITCH,
        default=False,
        meaning="read the agent's shared credentials",
        used=False,
    ),
    Key("state.dir", Kind.TEXT, "", "folder for state; empty: the system's", pattern=r"/.*"),
)

BY_NAME: Final = {key.name: key for key in KEYS}


@dataclass(frozen=True)
class Settings:
    """Every effective value, and where it came from."""

    values: Mapping[str, Setting]
    origins: Mapping[str, str]
    waivers: tuple[Waiver, ...] = ()

    def text(self, name: str) -> str:
        """Return a text setting."""
        return str(self.values[name])

    def number(self, name: str) -> float:
        """Return a setting in seconds or days."""
        value = self.values[name]
        return float(value) if isinstance(value, (int, float)) else math.nan

    def switch(self, name: str) -> bool:
        """Return a setting that is on or off."""
        return self.values[name] is True

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list setting."""
        value = self.values[name]
        return value if isinstance(value, tuple) else ()

    @property
    def unused(self) -> tuple[str, ...]:
        """Return the keys that were set although no check of this version uses them."""
        return tuple(
            key.name for key in KEYS if not key.used and self.origins[key.name] != "default"
        )


DEFAULTS: Final = Settings(
    {key.name: key.default for key in KEYS}, {key.name: "default" for key in KEYS}
)

SWITCHES: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def from_text(key: Key, raw: str) -> object:
    """Return what a variable of the environment stands for; ``checked`` judges it."""
    if key.kind is Kind.LIST:
        return [part.strip() for part in raw.split(",") if part.strip()]
    if key.kind is Kind.SWITCH:
        return SWITCHES.get(raw.strip().lower(), raw)
    if key.kind is Kind.TEXT:
        return raw
    try:
        return int(raw) if key.kind is Kind.DAYS else float(raw)
    except ValueError:
        return raw


def checked(key: Key, raw: object) -> Setting:
    """Return the value if the key allows it.

    Raises:
        ValueError: wrong kind, range or form; says what was expected.
    """
    if key.kind is Kind.LIST:
        if not isinstance(raw, (list, tuple)) or not all(isinstance(item, str) for item in raw):
            raise _expected(key, raw)
        return tuple(_checked_text(key, item) for item in raw)
    if key.kind is Kind.TEXT:
        if not isinstance(raw, str):
            raise _expected(key, raw)
        return _checked_text(key, raw)
    if key.kind is Kind.SWITCH:
        if not isinstance(raw, bool):
            raise _expected(key, raw)
        return raw
    return _checked_number(key, raw)


def _checked_number(key: Key, raw: object) -> float:
    whole = key.kind is Kind.DAYS
    if isinstance(raw, bool) or not isinstance(raw, int if whole else (int, float)):
        raise _expected(key, raw)
    if not key.least <= raw <= key.most or math.isinf(raw):
        most = f" to {key.most:g}" if key.most < math.inf else " or more"
        msg = f"expected {key.kind.value}, {key.least:g}{most}, not {raw!r}"
        raise ValueError(msg)
    return raw if whole else float(raw)


def _checked_text(key: Key, raw: str) -> str:
    if key.choices and raw not in key.choices:
        msg = f"expected one of {', '.join(key.choices)}, not {raw!r}"
        raise ValueError(msg)
    if key.parse is not None:
        key.parse(raw)  # raises ValueError that says what is wrong
    if key.pattern and raw != key.default and not re.fullmatch(key.pattern, raw):
        msg = f"not a valid value: {raw!r} ({key.meaning})"
        raise ValueError(msg)
    return raw


def _expected(key: Key, raw: object) -> ValueError:
    unit = ", without a unit" if isinstance(raw, str) and key.kind is Kind.SECONDS else ""
    return ValueError(f"expected {key.kind.value}{unit}, not {raw!r}")
