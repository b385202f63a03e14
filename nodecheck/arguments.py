"""The command line: what may be asked, and a clear refusal of everything else."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final, NoReturn

from nodecheck.model.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

SINKS: Final = (
    "cloudwatch, cloudwatch-metrics, cloudwatch-agent, compliance, inventory, syslog, eventlog, "
    "file"
)

FORMATS: Final = ("text", "json", "nagios", "prometheus", "junit")

SHELLS: Final = ("bash", "zsh", "fish")

FAIL_ON: Final = ("warn", "unknown", "crit", "never")

EPILOG: Final = """\
exit codes:
  0 ok   1 warn   2 crit   3 unknown   64 usage   70 internal error   78 bad configuration

nodecheck run --help lists the options of a run. Settings are also read from
/etc/nodecheck/config.toml and from variables (NODECHECK_CLOCK_WARN_S and so on):
nodecheck config show.

examples:
  nodecheck                             all checks, for people
  nodecheck --only clock --format json  the clock alone, for programs
  nodecheck --report cloudwatch --dry-run
                                        what would be sent, and what it costs
  nodecheck iam --report compliance     the rights that a sink needs
  nodecheck explain clock.offset        what is judged, and how to mend it
"""


class HelpAsked(Exception):  # noqa: N818 - a wish, not an error
    """``--help`` was given; the message is the help."""


class _Parser(argparse.ArgumentParser):
    """A parser that neither prints nor exits: both belong to ``cli``."""

    def print_help(self, _file: object = None) -> NoReturn:
        """Hand the help over."""
        raise HelpAsked(self.format_help())

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise UsageError(message)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what was asked; ``nodecheck`` alone means ``nodecheck run``.

    Raises:
        UsageError: there is no such command, option or value.
        HelpAsked: the help is wanted.
    """
    words = list(arguments)
    if "--version" in words:  # wherever it stands
        return argparse.Namespace(version=True, verbose={"-v", "--verbose"} & set(words))
    if not words or (words[0].startswith("-") and words[0] not in {"-h", "--help", "--version"}):
        words.insert(0, "run")
    return command_line().parse_args(words)


def command_line() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog="nodecheck",
        description="Tell, with proof, whether AWS Systems Manager can manage this node.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("-v", "--verbose", action="store_true", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    run = commands.add_parser("run", help="check this node (the default)", allow_abbrev=False)
    _add_run(run)
    commands.add_parser("list", help="every check, and whether it applies to this node")
    explain = commands.add_parser("explain", help="what a check judges, why, and how to mend it")
    explain.add_argument("check", metavar="ID", help="a check as shown by 'nodecheck list'")
    commands.add_parser("schema", help="the JSON Schema of the report")
    keys = commands.add_parser("keys", help="the signing keys believed, and their days left")
    _add_config(keys)
    spool = commands.add_parser("spool", help="show or send the reports that wait for delivery")
    spool.add_argument("action", choices=("list", "flush"), metavar="{list,flush}")
    _add_config(spool)
    iam = commands.add_parser("iam", help="the IAM policy that sinks need, and no more")
    iam.add_argument("--report", action="append", metavar="SINK", help="a sink; repeatable")
    iam.add_argument("--region", metavar="REGION", help="allow it in this Region only")
    _add_config(iam)
    completion = commands.add_parser("completion", help="completions for a shell, to be sourced")
    completion.add_argument("shell", choices=SHELLS, metavar="{bash,zsh,fish}")
    config = commands.add_parser("config", help="validate or show the settings")
    config.add_argument("action", choices=("check", "show"), metavar="{check,show}")
    _add_config(config)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="settings: a file, or ssm:/name in Parameter Store (/etc/nodecheck/config.toml)",
    )


def _add_run(run: argparse.ArgumentParser) -> None:
    add = run.add_argument
    add("--only", action="append", metavar="ID|GROUP", help="run only this; repeatable")
    add("--skip", action="append", metavar="ID|GROUP", help="leave this out; repeatable")
    add("--format", choices=FORMATS, default="text", help="what stdout and --output get")
    add("--output", metavar="FILE", help="also write the full report to this file")
    add("--report", action="append", metavar="SINK", help=f"send the report: {SINKS}; repeatable")
    add("--fail-on", choices=FAIL_ON, help="the mildest verdict that exits non-zero")
    add("--deadline", type=float, metavar="SECONDS", help="time for checks and delivery (10)")
    add("--splay", type=float, metavar="SECONDS", help="spread reports over (0; under systemd 900)")
    add("--offline", action="store_const", const=True, help="use no network")
    add("--region", metavar="REGION", help="the node's Region (default: discovered)")
    stage = run.add_mutually_exclusive_group()
    stage.add_argument(
        "--preflight",
        action="store_const",
        const="preflight",
        dest="stage",
        help="before registration: what only a registered agent can have is left out",
    )
    stage.add_argument(
        "--ami",
        action="store_const",
        const="image",
        dest="stage",
        help="a gate for images: refuses registrations, credentials and logs baked in",
    )
    _add_config(run)
    add("--dry-run", action="store_true", help="print what would be sent, and send nothing")
    add("--fleet", type=int, metavar="NODES", help="with --dry-run: name the price of so many")
    loudness = run.add_mutually_exclusive_group()
    loudness.add_argument("-v", "--verbose", action="store_true", help="show all evidence")
    loudness.add_argument("-q", "--quiet", action="store_true", help="the verdict line only")
    add("--color", choices=("auto", "always", "never"), default="auto", help="colour the text")
