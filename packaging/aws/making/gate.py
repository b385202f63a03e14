"""A gate before an image is taken: as a script for AWS's update runbooks, and as a step of others.

The script is for PostUpdateScript of AWS-UpdateLinuxAmi (its address) and AWS-UpdateWindowsAmi (its
text). Systems Manager builds the image, so the agent's own logs are there until the end: the gate
fails on what is critical (a registration or credentials baked in, a wrong or unsigned agent).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from making.parameters import RUN
from making.places import lines_of

if TYPE_CHECKING:
    from making.documents import Document

FIXED: Final = {"Stage": "image", "FailOn": "crit"}
PLACE: Final = ("PackageUrl", "PackageSums")


def gate_sh() -> str:
    """Return the gate for Linux."""
    values = {name: str(parameter["default"]) for name, parameter in RUN.items()} | FIXED
    lines = [
        "#!/bin/sh",
        "# Name in the first two lines where nodecheck is, if the image lacks it.",
    ]
    lines += [f"SSM_{name}={values.pop(name)}" for name in PLACE]
    lines += [f"SSM_{name}={value}" for name, value in values.items()]
    return "\n".join([*lines, *lines_of("run.sh")]) + "\n"


def gate_ps1() -> str:
    """Return the gate for Windows."""
    values = {name: str(parameter["default"]) for name, parameter in RUN.items()} | FIXED
    lines = ["# Name in the first two lines where nodecheck is, if the image lacks it."]
    lines += [f"${name} = '{values.pop(name)}'" for name in PLACE]
    lines += [f"${name} = '{value}'" for name, value in values.items()]
    return "\n".join([*lines, *lines_of("run.ps1")]) + "\n"


def gate_step() -> Document:
    """Return the step for a runbook that builds images; it goes before aws:createImage."""
    return {
        "name": "nodecheckImage",
        "action": "aws:runCommand",
        "timeoutSeconds": 900,
        "onFailure": "Abort",
        "inputs": {
            "DocumentName": "NodeCheck-Run",
            "InstanceIds": ["{{ launchInstance.InstanceIds }}"],
            "Parameters": {name: [value] for name, value in FIXED.items()},
        },
    }
