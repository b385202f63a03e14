"""Read the settings from Parameter Store: ask AWS once a day, else use what was kept.

A version that was valid is kept in the state folder for 24 hours, in which AWS is not asked. After
that it still counts where AWS cannot be reached or the role may not (default host management has no
ssm:GetParameter), for as long as it takes, and every run says so.

Signed at the time of the endpoint's own ``Date``, because a wrong clock is what nodecheck is there
to find. All of it ends after 3 s, in a thread of its own: where credentials come from, a program or
a server, botocore may wait for ever.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from nodecheck.aws.endpoints import ssm_endpoint
from nodecheck.host.boot import boot_id
from nodecheck.host.mailbox import Mailbox
from nodecheck.model.errors import Absent, ProbeError
from nodecheck.model.moment import CorrectedTime
from nodecheck.probes import clock_date, node_identity
from nodecheck.records import dataclass

if TYPE_CHECKING:
    from nodecheck.aws.parameter_store import Parameter
    from nodecheck.host.door import Host

PREFIX: Final = "ssm:"
CACHE: Final = "settings-parameter.json"
CACHE_LIMIT_BYTES: Final = 64 * 1024
FRESH_S: Final = 24 * 3600.0
LIMIT_S: Final = 3.0
CLOCK_LIMIT_S: Final = 1.2
_NAME: Final = re.compile(r"/[A-Za-z0-9_.-]{1,200}(?:/[A-Za-z0-9_.-]{1,200}){0,14}")
"""At most 15 levels (PutParameter, "Name")."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: a parameter, the Region if it is set, and whether AWS must be asked."""

    name: str
    region: str
    folder: str
    is_offline: bool
    must_ask: bool


@dataclass(frozen=True, slots=True)
class Found:
    """The text of settings, where it is from, what is to be said, and what is to be kept."""

    text: str
    origin: str
    note: str
    to_keep: bytes = b""


@dataclass(frozen=True, slots=True)
class _Kept:
    version: int
    text: str
    age_s: float | None


def wish(host: Host, path: str, region: str, *, is_offline: bool, must_ask: bool) -> Wish:
    """Return what ``ssm:/name`` asks for.

    Raises:
        ProbeError: that is no name of a parameter.
    """
    name = path.removeprefix(PREFIX)
    if not _NAME.fullmatch(name):
        msg = f"{path[:100]!r}: expected ssm:/name with letters, digits and . - _ / in the name"
        raise ProbeError(msg)
    folder = host.environment.get("NODECHECK_STATE_DIR") or host.state.default_folder()
    return Wish(name, region, folder, is_offline, must_ask)


def read_parameter(host: Host, wanted: Wish) -> Found:
    """Return the settings from what was kept today, from AWS, or from what was kept before.

    Raises:
        ProbeError: neither has them.
    """
    kept, problem = _read_kept(host, wanted)
    origin = f"{PREFIX}{wanted.name}"
    fresh = kept is not None and kept.age_s is not None and kept.age_s < FRESH_S
    if kept is not None and fresh and not wanted.must_ask:
        where = f"{origin} version {kept.version}, cached {_words(kept.age_s)}"
        return Found(kept.text, where, f"settings of {where}")
    try:
        parameter, region = _answer(host, wanted)
    except ProbeError as exc:
        if kept is None:
            msg = f"{origin}: {exc}; and none is kept{problem}"
            raise ProbeError(msg) from exc
        where = f"{origin} version {kept.version}, cached {_words(kept.age_s)}"
        return Found(kept.text, where, f"settings of {where}, because AWS gave none: {exc}")
    where = f"{origin} version {parameter.version}"
    return Found(parameter.text, where, f"settings of {where}", _record(host, parameter, region))


def keep(host: Host, wanted: Wish, content: bytes) -> str:
    """Keep valid settings, readable by their owner only, and return why that was not possible."""
    try:
        host.state.write(wanted.folder, CACHE, content)
    except ProbeError as exc:
        return f"settings of {PREFIX}{wanted.name} could not be cached: {exc}"
    return ""


def _answer(host: Host, wanted: Wish) -> tuple[Parameter, str]:
    """Return what AWS gives in time.

    Raises:
        ProbeError: nothing.
    """
    found: list[tuple[Parameter, str] | ProbeError] = []

    def ask() -> None:
        try:
            found.append(_ask(host, wanted))
        except ProbeError as exc:
            found.append(exc)

    with Mailbox() as mailbox:
        mailbox.start("settings", ask)
        mailbox.wait(LIMIT_S)
    for result in found:
        if isinstance(result, ProbeError):
            raise result
        return result
    msg = f"no answer in {LIMIT_S:.0f} s"
    raise ProbeError(msg)


def _ask(host: Host, wanted: Wish) -> tuple[Parameter, str]:
    """Return the parameter and the Region that gave it.

    Raises:
        ProbeError: offline, no Region, no answer, or a refusal.
    """
    from nodecheck.aws.client import CallError
    from nodecheck.aws.parameter_store import fetch

    if wanted.is_offline:
        msg = "not asked: offline"
        raise ProbeError(msg)
    ends_ns = host.clock.monotonic_ns() + int(LIMIT_S * 1e9)
    region = node_identity.look(host, wanted.region, host.network.metadata).region
    if not region:
        msg = "the Region is not known, set AWS_REGION"
        raise ProbeError(msg)
    corrected = _measure(host, region)
    left_s = (ends_ns - host.clock.monotonic_ns()) / 1e9
    if left_s <= 0:
        msg = f"no answer in {LIMIT_S:.0f} s"
        raise ProbeError(msg)
    try:
        return fetch(host, wanted.name, region, corrected, left_s), region
    except CallError as exc:
        msg = " ".join(str(exc).split())[:300]
        raise ProbeError(msg) from exc


def _measure(host: Host, region: str) -> CorrectedTime | None:
    """Return the time by the endpoint's ``Date``, None where it tells none."""
    variables = host.environment
    url = variables.get("AWS_ENDPOINT_URL_SSM") or variables.get("AWS_ENDPOINT_URL")
    try:
        reading = clock_date.measure(host, url or ssm_endpoint(region), timeout_s=CLOCK_LIMIT_S)
    except ProbeError:
        return None  # botocore then signs by the local clock, and AWS says what it thinks of it
    interval = reading.interval
    return CorrectedTime(
        interval.best_ns + reading.taken_ns,
        reading.taken_ns,
        interval.width_ns / 2e9,
        reading.name,
    )


def _record(host: Host, parameter: Parameter, region: str) -> bytes:
    content = {
        "name": parameter.name,
        "region": region,
        "version": parameter.version,
        "type": parameter.kind,
        "wall_s": host.clock.wall_ns() // 10**9,
        "boot_id": _boot(host),
        "monotonic_s": host.clock.monotonic_ns() // 10**9,
        "text": parameter.text,
    }
    return json.dumps(content).encode()


def _read_kept(host: Host, wanted: Wish) -> tuple[_Kept | None, str]:
    """Return what is kept of this parameter, and why it cannot be used."""
    damaged = f" ({wanted.folder}/{CACHE} is damaged)"
    try:
        content = json.loads(host.state.read(wanted.folder, CACHE, CACHE_LIMIT_BYTES))
    except ProbeError as exc:
        return None, "" if isinstance(exc, Absent) else f" ({exc})"
    except (ValueError, RecursionError):
        return None, damaged
    if not isinstance(content, dict) or content.get("name") != wanted.name:
        return None, ""
    version, text = content.get("version"), content.get("text")
    region = node_identity.look(host, wanted.region).region
    if region and content.get("region") != region:
        return None, f" (what is kept is not of {region})"
    if not isinstance(version, int) or not isinstance(text, str):
        return None, damaged
    return _Kept(version, text, _age_s(host, content)), ""


def _age_s(host: Host, content: dict[str, object]) -> float | None:
    """Return how long it is kept: by the monotonic clock within a boot, else by the local one."""
    is_this_boot = bool(content.get("boot_id")) and content.get("boot_id") == _boot(host)
    now_ns = host.clock.monotonic_ns() if is_this_boot else host.clock.wall_ns()
    then_s = content.get("monotonic_s" if is_this_boot else "wall_s")
    if not isinstance(then_s, int):
        return None
    age_s = now_ns // 10**9 - then_s
    return float(age_s) if age_s >= 0 else None


def _boot(host: Host) -> str:
    try:
        return boot_id(host.files)
    except ProbeError:
        return ""


def _words(age_s: float | None) -> str:
    """Return an age in words.

    >>> _words(59), _words(7300), _words(200_000), _words(None)
    ('0 min ago', '2 h ago', '2 d ago', 'at a time that is not known')
    """
    if age_s is None:
        return "at a time that is not known"
    for unit, seconds in (("d", 86_400), ("h", 3600)):
        if age_s >= seconds:
            return f"{age_s // seconds:.0f} {unit} ago"
    return f"{age_s // 60:.0f} min ago"
