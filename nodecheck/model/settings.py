"""The settings: every key, its kind, its default, and what the operator may write there.

The names are a contract. In the environment a key is ``NODECHECK_`` and the key in capitals with
``_`` for the dot; lists are separated by commas.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, Final

from nodecheck.model import setting_forms as forms
from nodecheck.model.authenticode import PUBLISHERS
from nodecheck.model.time_server import parse_server
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Setting = str | float | int | bool | tuple[str, ...] | None


class Kind(Enum):
    """What a value must be; the text is shown to whoever wrote something else."""

    TEXT = "text"
    LIST = "a list of texts"
    SECONDS = "a number of seconds"
    DAYS = "a whole number of days"
    COUNT = "a whole number"
    SWITCH = "true or false"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting. ``least`` and ``most`` bound numbers, ``choices`` bounds texts.

    ``pattern`` is a regular expression and what it means in words; ``parse`` raises ValueError.
    """

    name: str
    kind: Kind
    default: Setting
    meaning: str
    least: float = 0
    most: float = math.inf
    choices: tuple[str, ...] = ()
    pattern: tuple[str, str] = ("", "")
    parse: Callable[[str], object] | None = None

    @property
    def variable(self) -> str:
        """Return the name of this key in the environment."""
        return "NODECHECK_" + self.name.upper().replace(".", "_")


@dataclass(frozen=True, slots=True)
class Waiver:
    """A finding that the operator accepts until a day (UTC), with a reason and somebody to ask.

    ``reasons`` are the reason codes that are accepted; empty: whatever the check finds.
    """

    check: str
    reason: str
    owner: str
    expires: str
    reasons: tuple[str, ...] = ()

    def covers(self, reason: str) -> bool:
        """Tell whether a finding with this reason code is accepted."""
        return not self.reasons or reason in self.reasons


MOST_DAYS: Final = 36_500
MOST_NODES: Final = 999_999

KEYS: Final = (
    Key("run.deadline_s", Kind.SECONDS, 10.0, "time for the whole run", least=1, most=3600),
    Key("run.only", Kind.LIST, (), "checks or groups to run; empty: all"),
    Key("run.skip", Kind.LIST, (), "checks or groups to leave out"),
    Key("run.offline", Kind.SWITCH, default=False, meaning="use no network"),
    Key(
        "run.stage",
        Kind.TEXT,
        "node",
        "what is checked: a node, one before its registration, or an image",
        choices=("node", "preflight", "image"),
    ),
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
    Key("clock.endpoint", Kind.TEXT, "", "URL whose Date judges the clock", pattern=forms.HTTP),
    Key("clock.tolerance_s", Kind.SECONDS, 300.0, "AWS refuses signatures beyond", least=1),
    Key("clock.warn_s", Kind.SECONDS, 60.0, "warn from this error on"),
    Key("agent.min_version", Kind.TEXT, "", "oldest version allowed", parse=forms.parse_version),
    Key("agent.max_age_days", Kind.DAYS, 30, "warn when further behind", most=MOST_DAYS),
    Key("agent.crit_age_days", Kind.DAYS, 90, "critical when further behind", most=MOST_DAYS),
    Key("agent.release_url", Kind.TEXT, "", "base of VERSION and manifest", pattern=forms.HTTP),
    Key("node.region", Kind.TEXT, "", "the node's Region; empty: discovered", pattern=forms.REGION),
    Key(
        "node.expected_region",
        Kind.TEXT,
        "",
        "the only Region allowed",
        pattern=forms.REGION,
    ),
    Key(
        "node.expected_account",
        Kind.TEXT,
        "",
        "the only account allowed",
        pattern=forms.ACCOUNT,
    ),
    Key("trust.keys", Kind.LIST, (), "further OpenPGP public key files", pattern=forms.FILE),
    Key("trust.builtin_keys", Kind.SWITCH, default=True, meaning="believe the pinned keys"),
    Key(
        "trust.distrust",
        Kind.LIST,
        (),
        "fingerprints no longer believed, or fingerprint@YYYY-MM-DD",
        parse=forms.parse_distrust,
    ),
    Key(
        "trust.package_dir", Kind.TEXT, "", "folder or URL of package and .sig", pattern=forms.PLACE
    ),
    Key(
        "trust.snap_ids",
        Kind.LIST,
        (),
        "snaps believed to be Amazon's: SNAP-ID@PUBLISHER-ID",
        pattern=forms.SNAP_ID,
    ),
    Key(
        "trust.publishers",
        Kind.LIST,
        PUBLISHERS,
        "organisations that may have signed the agent on Windows",
    ),
    Key(
        "report.sinks",
        Kind.LIST,
        (),
        "where reports go besides stdout",
        choices=(
            *("cloudwatch", "cloudwatch-metrics", "cloudwatch-agent"),
            *("compliance", "inventory", "syslog", "eventlog", "file"),
        ),
    ),
    Key("report.file", Kind.TEXT, "", "file that the sink file appends to", pattern=forms.FILE),
    Key("report.log_group", Kind.TEXT, "/nodecheck", "CloudWatch log group", pattern=forms.GROUP),
    Key(
        "report.namespace", Kind.TEXT, "NodeCheck", "CloudWatch namespace", pattern=forms.NAMESPACE
    ),
    Key(
        "report.per_node_metrics",
        Kind.SWITCH,
        default=False,
        meaning="cloudwatch-metrics also by node: 3 series, 0.90 USD a month for each node",
    ),
    Key(
        "report.fleet_nodes",
        Kind.COUNT,
        0,
        "nodes for which --dry-run names the price; 0: 1,000 and 100,000",
        most=MOST_NODES,
    ),
    Key(
        "report.splay_s",
        Kind.SECONDS,
        0.0,
        "spread network reports over; unset: 900 under systemd",
        most=86400,
    ),
    Key(
        "report.use_agent_credentials",
        Kind.SWITCH,
        default=False,
        meaning="read the agent's shared credentials, where there are no others",
    ),
    Key(
        "hygiene.scan_secrets",
        Kind.SWITCH,
        default=False,
        meaning="search the agent's documents, scripts and logs for secrets in plain text",
    ),
    Key("state.dir", Kind.TEXT, "", "folder for state; empty: the system's", pattern=forms.FILE),
)

LOCAL_SINKS: Final = frozenset({"cloudwatch-agent", "inventory", "syslog", "eventlog", "file"})
"""Sinks of the node itself: they need no network."""

BY_NAME: Final = {key.name: key for key in KEYS}


@dataclass(frozen=True)
class Settings:
    """Every effective value, and where it came from; ``notes`` are worth a line on stderr."""

    values: Mapping[str, Setting]
    origins: Mapping[str, str]
    waivers: tuple[Waiver, ...] = ()
    notes: tuple[str, ...] = ()

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


DEFAULTS: Final = Settings(
    {key.name: key.default for key in KEYS}, {key.name: "default" for key in KEYS}
)
