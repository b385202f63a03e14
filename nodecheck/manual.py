"""What nodecheck tells about itself: checks, settings, keys, schema and version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck import VERSION
from nodecheck.model.errors import ConfigError, ProbeError, UsageError
from nodecheck.model.report import counted, shorten

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping
    from datetime import datetime

    from nodecheck.host.door import Host
    from nodecheck.model.node import Platform
    from nodecheck.model.settings import Setting, Settings
    from nodecheck.model.trust import PinnedKey
    from nodecheck.plan import Check


LINE_LIMIT: Final = 1_000
COMMON_CODES: Final = frozenset({"not-observed", "no-permission", "timeout", "not-understood"})
"""Reason codes of any check whose facts could not be had."""


KMS_NOTE: Final = (
    "a SecureString under the key aws/ssm needs no more; one under a key of yours also"
    " kms:Decrypt on that key"
)


def version(*, verbose: bool) -> str:
    """Return the version; verbose adds commit, interpreter and libraries."""
    if not verbose:
        return f"nodecheck {VERSION}\n"
    from nodecheck import versions

    rows = versions.origin() | versions.parts()
    width = max(map(len, rows))
    lines = "".join(f"{name:<{width}} {text}\n" for name, text in rows.items())
    return f"nodecheck {VERSION}\n{lines}"


def listing(here: Platform) -> str:
    """Return every check with its question, and whether it applies to this node."""
    from nodecheck.catalogue import BY_ID

    width = max(len(check_id) for check_id in BY_ID)
    lines = [
        f"{check.check_id:<{width}}  {check.question}{_limits(check, here)}\n"
        for check in BY_ID.values()
    ]
    groups = ", ".join(dict.fromkeys(check.group for check in BY_ID.values()))
    lines.append(f"\ngroups, for --only and --skip: {groups}\n")
    count = sum(here.system in check.systems for check in BY_ID.values())
    which = "all of them" if count == len(BY_ID) else f"{count} of them"
    return "".join(lines) + f"{which} can be judged on this system ({here.os_name})\n"


def _limits(check: Check, here: Platform) -> str:
    place = "" if here.system in check.systems else f" (not on {here.system})"
    return place or (" (needs the network)" if check.only_online else "")


def explanation(check_id: str) -> str:
    """Return the manual page of one check.

    Raises:
        UsageError: there is no such check.
    """
    from nodecheck.catalogue import BY_ID

    check = BY_ID.get(check_id)
    if check is None:
        from nodecheck.flags import unknown_check

        members = [name for name in BY_ID if name.startswith(f"{check_id}.")]
        hint = f"{check_id} is a group: explain one of {', '.join(members)}"
        raise UsageError(hint if members else unknown_check(check_id))
    parts = (check.check_id, check.question, check.why, check.explanation.strip())
    return "\n\n".join(parts) + "\n"


def schema() -> str:
    """Return the JSON Schema of the report."""
    import json

    from nodecheck.sinks.json_schema import SCHEMA

    return json.dumps(SCHEMA, indent=2) + "\n"


def settings(
    host: Host,
    file: str | None,
    flags: Mapping[str, object] | None = None,
    *,
    must_ask: bool = False,
) -> Settings:
    """Return the effective settings; ``must_ask`` Parameter Store, whatever is kept.

    Raises:
        ConfigError: the settings are wrong.
    """
    from nodecheck.catalogue import SELECTORS
    from nodecheck.settings import load, settings_file

    return load(host, SELECTORS, file=settings_file(file), flags=flags, must_ask=must_ask)


def configuration(settings: Settings, *, shows: bool) -> str:
    """Return every effective setting with its origin, or just that there is no mistake.

    Raises:
        ConfigError: a waiver names a reason code that its check does not know.
    """
    from nodecheck.model.settings import KEYS

    _refuse_unknown_codes(settings)
    notes = [f"# note: {shorten(note, LINE_LIMIT)}\n" for note in settings.notes]
    if not shows:
        changed = sum(origin != "default" for origin in settings.origins.values())
        waived = f", {counted(len(settings.waivers), 'waiver')}" if settings.waivers else ""
        words = f"settings are valid: {changed} set{waived}, the rest are defaults\n"
        return words + "".join(notes)
    rows = [
        (f"{key.name} = {_toml(settings.values[key.name])}", settings.origins[key.name])
        for key in KEYS
    ]
    width = min(60, max(len(row) for row, _ in rows))
    lines = [f"{row:<{width}}  # {origin}\n" for row, origin in rows]
    waivers = [
        f"waivers: {waiver.check} {' '.join(waiver.reasons)}{' ' if waiver.reasons else ''}"
        f"until {waiver.expires} by "
        f"{shorten(f'{waiver.owner}: {waiver.reason}', LINE_LIMIT)}\n"
        for waiver in settings.waivers
    ]
    return "".join([*lines, *waivers, *notes])


def _refuse_unknown_codes(settings: Settings) -> None:
    """Find reason codes in waivers that no page of ``explain`` has, nor any check could give.

    Raises:
        ConfigError: names them.
    """
    import re

    from nodecheck.catalogue import BY_ID

    problems = [
        f"waivers: {waiver.check} has no reason {code!r}; see: nodecheck explain {waiver.check}"
        for waiver in settings.waivers
        for code in waiver.reasons
        if code not in COMMON_CODES
        and not re.search(rf"(?<![\w-]){code}(?![\w-])", BY_ID[waiver.check].explanation)
    ]
    if problems:
        raise ConfigError(tuple(problems))


def iam_policy(host: Host, options: Namespace) -> str:
    """Return one IAM policy for all sinks that are named, else for those of the settings.

    Raises:
        ConfigError: the settings are wrong.
        UsageError: no sink is named, or none of them calls AWS.
    """
    from nodecheck.flags import read_flags
    from nodecheck.host.output import write_error
    from nodecheck.outlets import RIGHTS
    from nodecheck.records import replace
    from nodecheck.settings import FILE_VARIABLE
    from nodecheck.sinks import iam

    parameter = _parameter_of(host, options)
    config = options.config
    if parameter:  # settings that this policy first allows to be read cannot name the sinks
        left = {key: value for key, value in host.environment.items() if key != FILE_VARIABLE}
        host, config = replace(host, environment=left), None
    effective = settings(host, config, read_flags(options))
    sinks = effective.texts("report.sinks")
    if not sinks and not parameter:
        msg = f"name the sinks: nodecheck iam --report {' --report '.join(RIGHTS)}"
        raise UsageError(msg)
    rights = [right for name in sinks if name in RIGHTS for right in RIGHTS[name](effective)]
    if parameter:
        place = iam.arn("ssm", effective.text("node.region"), None, f"parameter{parameter}")
        rights.append(iam.Right(("ssm:GetParameter",), (place,)))
        write_error(f"nodecheck: note: {KMS_NOTE}\n")
    if not rights:
        msg = f"{', '.join(sinks)}: no IAM policy is needed, nodecheck makes no call to AWS"
        raise UsageError(msg)
    return iam.text(rights) + "\n"


def _parameter_of(host: Host, options: Namespace) -> str:
    """Return the name of the parameter that holds the settings, '' where a file does.

    Raises:
        ConfigError: that is no name of a parameter.
    """
    from nodecheck import settings_parameter
    from nodecheck.settings import FILE_VARIABLE

    named = options.config or host.environment.get(FILE_VARIABLE, "")
    if not named.startswith(settings_parameter.PREFIX):
        return ""
    try:
        return settings_parameter.wish(host, named, "", is_offline=True, must_ask=False).name
    except ProbeError as exc:
        raise ConfigError((str(exc),)) from exc


def _toml(value: Setting) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    import json

    return json.dumps(value)


def key_table(host: Host, settings: Settings) -> str:
    """Return the signing keys believed, with their days left by the local clock.

    Raises:
        ProbeError: a key file of the settings cannot be used.
    """
    from nodecheck import policies
    from nodecheck.model.moment import instant
    from nodecheck.probes import key_ring

    now = instant(host.clock.wall_ns())
    keys = key_ring.look(host, policies.trust(settings)).facts.keys
    lines = [
        f"{key.fingerprint}  {key.created_at:%Y-%m-%d}  {_until(key, now)}  {key.owner}\n"
        for key in keys
    ]
    head = f"{'fingerprint':<40}  {'created':<10}  {'expires':<10}  {'days left':>9}  owner\n"
    return head + "".join(lines) + f"\ndays left by the local clock, {now:%Y-%m-%d %H:%M} UTC\n"


def _until(key: PinnedKey, now: datetime) -> str:
    if key.distrusted_after:
        return f"{'distrusted':<10}  {key.distrusted_after:%Y-%m-%d}"
    if key.expires_at is None:
        return f"{'never':<10}  {'-':>9}"
    days = (key.expires_at - now).days
    return f"{key.expires_at:%Y-%m-%d}  {days if days >= 0 else 'expired':>9}"
