"""Print what the lane's Windows Python gets, out of the locks, with their hashes.

    python wheels.py LOCK...

pip judges the markers of a lock for the machine that it runs on, which is Linux here; so they are
judged for Windows first, and taken away.
"""

import sys
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement

WINDOWS = {
    "implementation_name": "cpython",
    "os_name": "nt",
    "platform_machine": "AMD64",
    "platform_python_implementation": "CPython",
    "platform_system": "Windows",
    "python_full_version": "3.11.9",
    "python_version": "3.11",
    "sys_platform": "win32",
}
LINTERS = {"ast-serialize", "librt", "mypy", "mypy-extensions", "pathspec", "ruff"}


def chosen(lock: Path) -> dict[str, str]:
    """Return the entries of a lock that count on Windows, by the name of the package."""
    found = {}
    text = "\n".join(
        line
        for line in lock.read_text("utf-8").splitlines()
        if line and not line.lstrip().startswith("#")
    )
    for entry in text.replace("\\\n", " ").splitlines():
        words, _, hashes = entry.partition("--hash=")
        requirement = Requirement(words)
        if requirement.marker is None or requirement.marker.evaluate(WINDOWS):
            hashes = f"--hash={hashes.partition('#')[0].strip()}"
            found[requirement.name] = f"{requirement.name}{requirement.specifier} {hashes}"
    return found


wheels: dict[str, str] = {}
for name in sys.argv[1:]:
    wheels |= chosen(Path(name))
for name in sorted(wheels):
    if name not in LINTERS and not name.startswith("types-"):
        sys.stdout.write(f"{wheels[name]}\n")
