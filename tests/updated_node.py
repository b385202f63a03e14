"""A node on which rpm installs two versions of an agent, and nodecheck runs in between."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from tests import rpm_maker
from tests.node import Node

if TYPE_CHECKING:
    from collections.abc import Sequence

TOP: Final = Path(__file__).parents[1]
Run = dict[str, Any]


@dataclass(frozen=True)
class Versions:
    """Two signed packages, the older one first, and the key."""

    key: Path
    built: tuple[Path, ...]

    @classmethod
    def make(cls, folder: Path, *versions: str) -> Self:
        """Build and sign them."""
        key = rpm_maker.make_key(folder / "signer", "signer")
        (folder / "key.asc").write_bytes(key.public)
        programs = Path("/bin/sleep")
        built = (rpm_maker.build(folder / name, name, program=programs) for name in versions)
        return cls(folder / "key.asc", tuple(rpm_maker.sign(path, key) for path in built))

    def run(
        self,
        folder: Path,
        scripts: Sequence[str],
        *,
        flags: str = "",
        before: str = "",
        writable: tuple[str, ...] = (),
        **environment: str,
    ) -> list[Run]:
        """Run scripts on one node, and nodecheck after each; in them OLD and NEW install one."""
        settings = {
            "NODECHECK_TRUST_KEYS": str(self.key),
            "NODECHECK_TRUST_BUILTIN_KEYS": "false",
            "PYTHONPATH": str(TOP),
        }
        old, new = (
            f"rpm --dbpath /var/lib/rpm -U --nodeps --noscripts --force {shlex.quote(str(path))}\n"
            for path in self.built
        )
        check = f"{shlex.quote(sys.executable)} -m nodecheck --format json {flags} 2>/dev/null\n"
        lines = [script.replace("OLD", old).replace("NEW", new) for script in scripts]
        node = Node(folder / "node", more=writable)
        done = node.run(before + check.join((*lines, "")), settings | environment)
        reports = [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]
        assert len(reports) == len(scripts), done.stderr
        return [{item["id"]: item for item in report["checks"]} for report in reports]


def outcome(run: Run, check: str) -> str:
    """Return status and reason of a check."""
    return f"{run[check]['status']} {run[check]['reason']}"
