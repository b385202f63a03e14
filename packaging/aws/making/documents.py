"""The Command documents (schema 2.2), whose scripts are in ``source``."""

from __future__ import annotations

from typing import Any

from making.parameters import PACKAGE, REPAIR, RUN, Parameter, for_powershell, for_sh
from making.places import lines_of

Document = dict[str, Any]


def run_document() -> Document:
    """Return the document that runs what is installed, else gets it from a URL and runs it."""
    return _command(
        "Tell whether Systems Manager can manage this node. Changes nothing; installs nodecheck"
        " first where it is missing and PackageUrl is given.",
        RUN,
        _steps("run", RUN, seconds=1800),
    )


def install_and_run_document() -> Document:
    """Return the document that gets nodecheck from Distributor before it runs it.

    It is a document of its own because agents that are too old to compare a parameter in a
    precondition are just those that nodecheck must be able to judge.
    """
    parameters = {name: item for name, item in RUN.items() if not name.startswith("Package")}
    install = {
        "action": "aws:configurePackage",
        "name": "install",
        "inputs": {
            "name": "{{ Package }}",
            "action": "Install",
            "installationType": "In-place update",
        },
    }
    fixed = {"PackageUrl": "none", "PackageSums": "none"}
    return _command(
        "Install nodecheck from Distributor, or its newer version, and run it.",
        {**parameters, **PACKAGE},
        [install, *_steps("run", parameters, seconds=1800, fixed=fixed)],
    )


def repair_document() -> Document:
    """Return the document of what the runbook may do to a node."""
    return _command(
        "Set a node's clock right by its own time daemon, or restart its SSM Agent.",
        REPAIR,
        _steps("repair", REPAIR, seconds=300),
    )


def _command(
    description: str, parameters: dict[str, dict[str, object]], steps: list[Document]
) -> Document:
    return {
        "schemaVersion": "2.2",
        "description": description,
        "parameters": parameters,
        "mainSteps": steps,
    }


def _steps(
    script: str,
    parameters: dict[str, Parameter],
    *,
    seconds: int,
    fixed: dict[str, str] | None = None,
) -> list[Document]:
    """Return a script's two steps, one for each platform; what is fixed is no parameter."""
    names, fixed = tuple(parameters), fixed or {}
    linux = [*for_sh(names), *(f"SSM_{name}={value}" for name, value in fixed.items())]
    windows = [*for_powershell(names), *(f"${name} = '{value}'" for name, value in fixed.items())]
    return [
        _step("aws:runShellScript", "Linux", [*linux, *lines_of(f"{script}.sh")], seconds),
        _step(
            "aws:runPowerShellScript", "Windows", [*windows, *lines_of(f"{script}.ps1")], seconds
        ),
    ]


def _step(action: str, platform: str, lines: list[str], seconds: int) -> Document:
    return {
        "action": action,
        "name": platform.lower(),
        "precondition": {"StringEquals": ["platformType", platform]},
        "inputs": {"timeoutSeconds": str(seconds), "runCommand": lines},
    }
