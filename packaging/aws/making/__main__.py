"""Write the documents and templates, check that they are fresh, or build Distributor's packages.

scripts/aws-templates                     write documents, templates and gates anew
scripts/aws-templates --check             exit 1 where one of them is not what would be written
scripts/aws-templates package VERSION OUTDIR PLATFORM=FOLDER...
                                          PLATFORM: linux_x86_64, linux_arm64, windows_x86_64;
                                          FOLDER: a build of scripts/build
scripts/aws-templates picture [FILE]      draw the dashboard from invented data (needs matplotlib)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from making.dashboard import dashboard
from making.documents import install_and_run_document, repair_document, run_document
from making.gate import gate_ps1, gate_sh, gate_step
from making.places import AWS
from making.runbook import runbook
from making.stack import stack
from making.variables import variables
from making.yaml_text import yaml_text

USAGE = 64


def outputs() -> dict[str, str]:
    """Return the text of every file that is made, by its place in this folder."""
    documents = {
        "NodeCheck-Run": run_document(),
        "NodeCheck-Repair": repair_document(),
        "NodeCheck-Mend": runbook(),
    }
    made = {f"documents/{name}.json": _json(content) for name, content in documents.items()}
    template = stack(documents)
    # The stack installs by an association of its own, so this one is for Run Command alone.
    made["documents/NodeCheck-InstallAndRun.json"] = _json(install_and_run_document())
    note = "# Made by scripts/aws-templates from packaging/aws/making: change it there.\n"
    return made | {
        "documents/image-gate-step.json": _json(gate_step()),
        "image-gate.sh": gate_sh(),
        "image-gate.ps1": gate_ps1(),
        "nodecheck.yaml": note + yaml_text(template),
        "terraform/variables.tf": variables(template["Parameters"]),
        "terraform/dashboard.json.tftpl": _json(
            dashboard("${region}", "${log_group}", "${namespace}")
        ),
    }


def _json(content: object) -> str:
    return json.dumps(content, indent=2) + "\n"


def write() -> int:
    """Write every file."""
    for place, text in outputs().items():
        (AWS / place).write_text(text, newline="\n")
    return 0


def check() -> int:
    """Name the files that are not what would be written."""
    stale = [
        place
        for place, text in outputs().items()
        if not (AWS / place).is_file() or (AWS / place).read_bytes() != text.encode()
    ]
    for place in stale:
        sys.stderr.write(f"packaging/aws/{place} is not fresh; run scripts/aws-templates\n")
    return 1 if stale else 0


def main(words: list[str]) -> int:
    """Do what the command line asks."""
    match words:
        case []:
            return write()
        case ["--check"]:
            return check()
        case ["package", version, folder, *builds] if builds and all(
            "=" in item for item in builds
        ):
            from making.packages import package

            return package(version, Path(folder), dict(item.split("=", 1) for item in builds))
        case ["picture", *rest] if len(rest) <= 1:
            from making.picture import draw

            return draw(Path(rest[0]) if rest else AWS / "dashboard.png")
    sys.stderr.write(__doc__ or "")
    return USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
