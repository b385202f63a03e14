"""List what a built folder is made of, as CycloneDX 1.5 JSON.

``python packaging/sbom.py FOLDER INTERPRETER [--unrun]`` runs on the environment that FOLDER was
built with and prints it; ``--unrun`` where the program itself cannot be run. The parts come from
what is in the folder: every file, and every module in the executable, must be of a known part, or
the exit code is 70. Their versions and digests come from ``BUILT-FROM.txt`` of the
interpreter, and from pip's report of what it installed (each digest is one of the lock's).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

OWN = "nodecheck"
INTERPRETER = "python"
BOOTLOADER = "pyinstaller"
NO_PART = 70
# What a source of BUILT-FROM.txt is called here, and its licence (SPDX).
SOURCES = {
    "python3.11": (INTERPRETER, "Python-2.0"),
    "openssl": ("openssl", "Apache-2.0"),
    "sqlite3": ("sqlite", "blessing"),
    "zlib": ("zlib", "Zlib"),
    "libffi": ("libffi", "MIT"),
}
BUNDLED = {"expat": "MIT", "mpdecimal": "BSD-2-Clause"}  # in the source of CPython
LICENCES = {
    BOOTLOADER: "GPL-2.0-or-later WITH Bootloader-exception",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
}


@dataclass
class Part:
    """One component and the files of the folder that are of it."""

    name: str
    version: str
    purl: str
    licence: str
    digest: str = ""
    kind: str = "library"
    properties: dict[str, str] = field(default_factory=dict)
    needs: list[str] = field(default_factory=list)
    files: list[dict[str, object]] = field(default_factory=list)

    def component(self) -> dict[str, object]:
        """Return it as CycloneDX has it."""
        found: dict[str, object] = {
            "type": self.kind,
            "bom-ref": self.name,
            "name": self.name,
            "version": self.version,
            "purl": self.purl,
            "licenses": [{"expression": self.licence}],
        }
        if self.digest:
            found["hashes"] = [{"alg": "SHA-256", "content": self.digest}]
        if self.properties:
            pairs = sorted(self.properties.items())
            found["properties"] = [{"name": name, "value": value} for name, value in pairs]
        if self.files:
            found["components"] = self.files
        return found


def told_versions(folder: Path) -> dict[str, str]:
    """Return what the program says of itself."""
    words = [folder / OWN, "--version", "-v"]
    said = subprocess.run(words, env={}, capture_output=True, text=True, check=True).stdout
    return dict(re.split(" +", line, maxsplit=1) for line in said.splitlines())


def versions_within(folder: Path) -> dict[str, str]:
    """Return what the program would say of itself, by its own code on this environment."""
    commit = ModuleType("nodecheck.commit")
    exec(modules_within(folder).extract("nodecheck.commit"), vars(commit))  # noqa: S102 - our own
    sys.modules["nodecheck.commit"] = commit
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from nodecheck import VERSION, versions

    return {OWN: VERSION} | versions.origin() | versions.parts()


def interpreter_parts(built_from: str, told: dict[str, str]) -> list[Part]:
    """Return CPython and the libraries that are linked into it."""
    parts = []
    for line in built_from.splitlines():
        source, *words = line.split()
        if source not in SOURCES or not words[0].endswith(".dsc"):
            continue
        name, licence = SOURCES[source]
        debian = words[0].removeprefix(f"{source}_").removesuffix(".dsc")
        purl = f"pkg:deb/debian/{source}@{debian.replace('+', '%2B')}?arch=source"
        part = Part(name, told[name], purl, licence, words[1].removeprefix("SHA256:"))
        part.properties = {"nodecheck:source": words[0]}
        if words[2:]:
            part.properties["nodecheck:older-than"] = words[2].removeprefix("OLDER-THAN-")
        parts.append(part)
    parts += [
        Part(name, told[name], f"pkg:generic/{name}@{told[name]}", licence)
        for name, licence in BUNDLED.items()
    ]
    parts[0].needs = [part.name for part in parts[1:]]
    return parts


def installed_digests(report: Path) -> dict[str, str]:
    """Return the SHA-256 of the wheels that pip installed, by normal name."""
    items = json.loads(report.read_text())["install"]
    return {
        normal(item["metadata"]["name"]): item["download_info"]["archive_info"]["hashes"]["sha256"]
        for item in items
    }


def normal(name: str) -> str:
    """Return a distribution's name as an index has it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wheel_part(name: str, digests: dict[str, str]) -> Part:
    """Return an installed distribution."""
    found = metadata.distribution(name)
    head = found.metadata
    licence = LICENCES.get(name) or head.get("License-Expression") or head["License"]
    part = Part(name, found.version, f"pkg:pypi/{name}@{found.version}", licence, digests[name])
    for requirement in found.requires or ():
        if "extra ==" not in requirement:
            part.needs.append(normal(re.split(r"[^A-Za-z0-9._-]", requirement)[0]))
    return part


def modules_within(folder: Path) -> Any:  # noqa: ANN401 - PyInstaller is untyped
    """Return the archive of Python modules inside the executable."""
    from PyInstaller.archive.readers import CArchiveReader

    archive = CArchiveReader(str(folder / OWN))
    (name,) = (name for name in archive.toc if name.endswith(".pyz"))
    return archive.open_embedded_archive(name)


def executable_modules(folder: Path) -> set[str]:
    """Return the top-level names of the Python modules inside the executable."""
    from PyInstaller.archive.readers import CArchiveReader

    names = {name for name in CArchiveReader(str(folder / OWN)).toc if not name.endswith(".pyz")}
    return {name.split(".")[0] for name in names | set(modules_within(folder).toc)}


def owner_of_module(name: str, distributions: dict[str, list[str]]) -> str:
    """Return the part that a module is of, '' where it is of none."""
    if name in {OWN, "entry"}:
        return OWN
    if name.startswith(("pyi", "_pyi", "pyimod", "struct_bootstrap")):
        return BOOTLOADER
    if name in distributions:
        return normal(distributions[name][0])
    return INTERPRETER if name.lstrip("_") and name in known_modules() else ""


def known_modules() -> set[str]:
    """Return the standard library's top-level names."""
    library = Path(sys.base_prefix, "lib", f"python3.{sys.version_info[1]}")
    return set(sys.stdlib_module_names) | {path.stem for path in library.glob("_sysconfigdata*")}


def owner_of_file(path: str, distributions: dict[str, list[str]]) -> str:
    """Return the part that a file of the folder is of, '' where it is of none."""
    inner = path.removeprefix("_internal/")
    if path == OWN or inner.startswith("nodecheck/"):
        return OWN
    if re.fullmatch(r"lib(ssl|crypto)\.so\.3", inner):
        return "openssl"
    if re.fullmatch(
        r"base_library\.zip|libpython3\.11\.so\.1\.0|python3\.11/lib-dynload/.*", inner
    ):
        return INTERPRETER
    top = re.split(r"[/.]", inner)[0]
    return normal(distributions[top][0]) if top in distributions else ""


def file_component(folder: Path, path: Path) -> dict[str, object]:
    """Return a file with its digest."""
    name = str(path.relative_to(folder))
    digest = sha256(path.read_bytes()).hexdigest()
    hashes = [{"alg": "SHA-256", "content": digest}]
    return {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": hashes}


def bill(folder: Path, interpreter: Path, told: dict[str, str]) -> dict[str, object]:
    """Return the bill of materials of a folder.

    Raises:
        LookupError: a file or module is of no part.
    """
    distributions = {
        name: list(owners) for name, owners in metadata.packages_distributions().items()
    }
    owners = {
        name: owner_of_module(name, distributions) for name in sorted(executable_modules(folder))
    }
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path: owner_of_file(str(path.relative_to(folder)), distributions) for path in paths}
    strays = [name for name, owner in owners.items() if not owner]
    strays += [str(path) for path, owner in files.items() if not owner]
    if strays:
        msg = f"of no known part: {', '.join(strays)}"
        raise LookupError(msg)
    own = Part(OWN, told[OWN], f"pkg:generic/{OWN}@{told[OWN]}", "Apache-2.0", kind="application")
    own.properties = {f"nodecheck:{name}": told[name] for name in ("commit", "built")}
    base = interpreter_parts((interpreter / "BUILT-FROM.txt").read_text(), told)
    digests = installed_digests(Path(sys.prefix) / "installed.json")
    shipped = {*owners.values(), *files.values()} - {OWN, *(part.name for part in base)}
    parts = {part.name: part for part in base}
    parts |= {name: wheel_part(name, digests) for name in sorted(shipped)}
    parts[BOOTLOADER].needs = []
    for path, owner in files.items():
        (own if owner == OWN else parts[owner]).files.append(file_component(folder, path))
    own.needs = sorted(parts)
    return document(own, parts)


def document(own: Part, parts: dict[str, Part]) -> dict[str, object]:
    """Return the whole document; the same parts give the same bytes."""
    components = [part.component() for part in parts.values()]
    edges = [
        {"ref": part.name, "dependsOn": sorted({name for name in part.needs if name in parts})}
        for part in (own, *parts.values())
    ]
    head = own.component()
    seed = sha256(json.dumps([head, components, edges]).encode()).hexdigest()
    built = datetime.fromisoformat(own.properties["nodecheck:built"].replace(" UTC", "+00:00"))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, seed)}",
        "version": 1,
        "metadata": {
            "timestamp": built.isoformat().replace("+00:00", "Z"),
            "component": head,
        },
        "components": components,
        "dependencies": edges,
    }


def main() -> int:
    """Print the bill of materials."""
    folder = Path(sys.argv[1])
    try:
        told = versions_within(folder) if sys.argv[3:] == ["--unrun"] else told_versions(folder)
        made = bill(folder, Path(sys.argv[2]), told)
    except LookupError as exc:
        sys.stderr.write(f"nodecheck: {exc}\n")
        return NO_PART
    sys.stdout.write(json.dumps(made, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
