"""The parameters of the Command documents, and how a script gets at them.

A parameter reaches a script in the environment (``interpolationType`` ENV_VAR, agents from
3.3.2746.0 on). Older agents put its text into the script: there it stands alone on a line of a
quoted here-document, where a shell reads it and runs nothing of it. No pattern allows what means
something to a shell, so nothing else gets that far.

No value is empty: Windows does not tell an empty variable from none.
"""

from __future__ import annotations

from typing import Any, Final

Parameter = dict[str, Any]

END: Final = "end-of-this-nodecheck-parameter"
SINKS: Final = "(cloudwatch|cloudwatch-metrics|cloudwatch-agent|compliance|inventory|syslog|file)"


def text(description: str, default: str, pattern: str) -> Parameter:
    """Return a parameter that a pattern bounds."""
    return {**_start(description, default), "allowedPattern": pattern}


def choice(description: str, *values: str) -> Parameter:
    """Return a parameter with a few values, of which the first is the default."""
    return {**_start(description, values[0]), "allowedValues": list(values)}


def _start(description: str, default: str) -> Parameter:
    return {
        "type": "String",
        "description": description,
        "default": default,
        "interpolationType": "ENV_VAR",
    }


RUN: Final[dict[str, Parameter]] = {
    "Detail": choice(
        "What stdout gets: the verdict in one line, all checks for people, or the JSON report",
        "line",
        "text",
        "json",
    ),
    "Reports": text(
        "Where the report is sent: names with commas (cloudwatch,compliance), or none",
        "none",
        f"^(none|{SINKS}(,{SINKS})*)$",
    ),
    "FailOn": choice("The mildest verdict that fails", "warn", "unknown", "crit", "never"),
    "Only": text(
        "Checks or groups with commas (clock,agent.version), or all",
        "all",
        "^[a-z][a-z.,-]{0,199}$",
    ),
    "Stage": choice(
        "What is checked: a node, one before its registration, or an image",
        "node",
        "preflight",
        "image",
    ),
    "DeadlineSeconds": text("Time for checks and delivery", "30", "^[1-9][0-9]{0,2}$"),
    "SplaySeconds": text("Spread reports over so many seconds", "0", "^(0|[1-9][0-9]{0,2})$"),
    "Config": text(
        "Settings: a file on the node, ssm:/NAME in Parameter Store, or none for the node's own",
        "none",
        "^(none|(ssm:|[A-Za-z]:)?/[A-Za-z0-9._/-]{1,199})$",
    ),
    "PackageUrl": text(
        "Folder with nodecheck's packages, for nodes that lack it; or none",
        "none",
        "^(none|https://[A-Za-z0-9][A-Za-z0-9._/-]{1,499})$",
    ),
    "PackageSums": text(
        "SHA-256 of the file SHA256SUMS in that folder, or none", "none", "^(none|[0-9a-f]{64})$"
    ),
}

PACKAGE: Final[dict[str, Parameter]] = {
    "Package": {
        "type": "String",
        "description": "Distributor package that holds nodecheck",
        "default": "NodeCheck",
        "allowedPattern": "^[A-Za-z0-9_.:/-]{1,200}$",
    },
}
"""For a step without a script."""

REPAIR: Final[dict[str, Parameter]] = {
    "Action": choice("What is mended", "mend-clock", "restart-agent"),
}


def for_sh(names: tuple[str, ...]) -> list[str]:
    """Return the lines that give a shell script SSM_Name for each name."""
    lines = []
    for name in names:
        lines += [
            f"""[ -n "${{SSM_{name}+x}}" ] || IFS= read -r SSM_{name} <<'{END}'""",
            "{{ " + name + " }}",
            END,
        ]
    return lines


def for_powershell(names: tuple[str, ...]) -> list[str]:
    """Return the lines that give a PowerShell script $Name for each name."""
    lines = []
    for name in names:
        lines += [
            f"${name} = $env:SSM_{name}",
            f"if (-not ${name}) {{ ${name} = @'",
            "{{ " + name + " }}",
            "'@ }",
        ]
    return lines
