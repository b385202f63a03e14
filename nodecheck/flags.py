"""What the flags of a run mean as settings, and which of them make no sense together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nodecheck.catalogue import CHECKS, SELECTORS
from nodecheck.model.errors import UsageError
from nodecheck.model.setting_values import checked
from nodecheck.model.settings import BY_NAME, LOCAL_SINKS

if TYPE_CHECKING:
    from argparse import Namespace

    from nodecheck.model.settings import Settings

FLAGS: Final = {
    "only": "run.only",
    "skip": "run.skip",
    "offline": "run.offline",
    "stage": "run.stage",
    "region": "node.region",
    "fail_on": "run.fail_on",
    "deadline": "run.deadline_s",
    "report": "report.sinks",
    "splay": "report.splay_s",
    "fleet": "report.fleet_nodes",
}
LISTS: Final = ("only", "skip", "report")


def read_flags(options: Namespace) -> dict[str, object]:
    """Return the settings that the command line gives; lists may be repeated or have commas.

    Raises:
        UsageError: a value is not allowed.
    """
    given = {}
    for flag, name in FLAGS.items():
        value = getattr(options, flag, None)
        if value is None:
            continue
        if flag in LISTS:
            value = [part.strip() for item in value for part in item.split(",") if part.strip()]
        try:
            checked(BY_NAME[name], value)
        except ValueError as exc:
            msg = f"--{flag.replace('_', '-')}: {exc}"
            raise UsageError(msg) from exc
        given[name] = value
    for name in ("run.only", "run.skip"):
        for item in given.get(name, ()):
            if item not in SELECTORS:
                raise UsageError(unknown_check(item))
    return given


def unknown_check(name: str) -> str:
    """Return the sentence about a check that there is not."""
    from difflib import get_close_matches

    near = get_close_matches(name, SELECTORS, 1)
    hint = f"did you mean {near[0]}?" if near else "see: nodecheck list"
    return f"there is no check or group {name!r}; {hint}"


def refuse_pointless(options: Namespace, settings: Settings) -> None:
    """Refuse what would do nothing, or not what was meant.

    Raises:
        UsageError: says what contradicts what.
    """
    sinks = settings.texts("report.sinks")
    remote = [name for name in sinks if name not in LOCAL_SINKS]
    reasons = (
        (options.dry_run and not sinks, "--dry-run shows what a sink would send: name --report"),
        (
            getattr(options, "fleet", None) is not None and not options.dry_run,
            "--fleet is the size for which --dry-run names the price",
        ),
        (options.dry_run and options.quiet, "--quiet would hide what --dry-run shows"),
        (
            options.dry_run and options.format not in {"text", "json"},
            f"--format {options.format} has no place for what --dry-run shows",
        ),
        (
            settings.switch("run.offline") and remote and not options.dry_run,
            f"offline, but reports to {', '.join(remote)} need the network",
        ),
        (
            "file" in sinks and not settings.text("report.file"),
            "--report file: name the file in report.file (NODECHECK_REPORT_FILE)",
        ),
        (options.output is not None and not options.output, "--output: the name is empty"),
        (options.output == "-", "--output: stdout gets the report anyway"),
        (not _left(settings), "--only and --skip together leave nothing to check"),
    )
    for contradicts, words in reasons:
        if contradicts:
            raise UsageError(words)


def _left(settings: Settings) -> bool:
    only, skip = settings.texts("run.only"), settings.texts("run.skip")
    return any(
        (not only or {check.check_id, check.group} & set(only))
        and not {check.check_id, check.group} & set(skip)
        for check in CHECKS
    )
