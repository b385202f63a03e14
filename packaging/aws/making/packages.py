"""Build what Distributor installs, and the same for an https folder: archives, sums, manifest.

OUTDIR gets for each platform a zip (Distributor; Windows by URL) and for Linux a tar.gz (by URL,
since not every system has unzip), ``manifest.json`` (the content of the package document) and
``SHA256SUMS``, whose own sum is the parameter PackageSums. The same builds give the same bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
import tarfile
import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from making.places import DISTRIBUTOR

if TYPE_CHECKING:
    from pathlib import Path

LINUX: Final = (
    *("amazon", "ubuntu", "debian", "raspbian", "redhat", "centos", "rocky", "oracle"),
    *("almalinux", "fedora", "suse", "opensuse", "opensuseleap"),
)
"""Names that Distributor knows of systems with glibc; alpine and bottlerocket cannot run it."""

PLATFORMS: Final = {
    "linux_x86_64": (LINUX, "x86_64"),
    "linux_arm64": (LINUX, "arm64"),
    "windows_x86_64": (("windows",), "x86_64"),
}
VERSION: Final = re.compile(r"[0-9]+(\.[0-9]+){1,3}")
TIME: Final = (1980, 1, 1, 0, 0, 0)

Files = dict[str, tuple[bytes, bool]]


def package(version: str, folder: Path, builds: dict[str, str]) -> int:
    """Write the packages of these builds; return an exit code."""
    from pathlib import Path

    if not VERSION.fullmatch(version):
        return _refuse(f"not a version of numbers and dots: {version!r}")
    unknown = sorted(set(builds) - set(PLATFORMS))
    if unknown:
        return _refuse(f"no such platform: {', '.join(unknown)}; there are {', '.join(PLATFORMS)}")
    made: dict[str, bytes] = {}
    for platform, place in builds.items():
        try:
            files = collect(Path(place), platform)
        except (OSError, ValueError) as exc:
            return _refuse(f"{platform}: {exc}")
        made[f"nodecheck_{platform}.zip"] = zipped(files)
        if platform.startswith("linux"):
            made[f"nodecheck_{platform}.tar.gz"] = tarred(files)
    folder.mkdir(parents=True, exist_ok=True)
    made["manifest.json"] = (json.dumps(manifest(version, made), indent=2) + "\n").encode()
    sums = "".join(f"{sha256(made[name]).hexdigest()}  {name}\n" for name in sorted(made))
    made["SHA256SUMS"] = sums.encode()
    for name, content in made.items():
        (folder / name).write_bytes(content)
    sys.stdout.write(f"{sha256(sums.encode()).hexdigest()}  {folder / 'SHA256SUMS'}\n")
    return 0


def collect(build: Path, platform: str) -> Files:
    """Return the files of a package by name, and whether each is a program.

    Raises:
        ValueError: this is no build of that platform.
    """
    program = "nodecheck.exe" if platform.startswith("windows") else "nodecheck"
    if not (build / program).is_file():
        msg = f"{build} has no {program}: it is no build of scripts/build for this platform"
        raise ValueError(msg)
    files: Files = {}
    for path in sorted(build.rglob("*")):
        if not path.is_file():
            continue
        if not path.resolve().is_relative_to(build.resolve()):
            msg = f"{path} is a link out of the build"
            raise ValueError(msg)
        name = "nodecheck/" + path.relative_to(build).as_posix()
        files[name] = (path.read_bytes(), os.access(path, os.X_OK))
    suffix = ".ps1" if platform.startswith("windows") else ".sh"
    for path in sorted(DISTRIBUTOR.glob(f"*{suffix}")):
        files[path.name] = (path.read_bytes(), suffix == ".sh")
    listed = {
        name: content for name, (content, _) in files.items() if name.startswith("nodecheck/")
    }
    sums = "".join(f"{sha256(content).hexdigest()}  {name}\n" for name, content in listed.items())
    files["SHA256SUMS"] = (sums.encode(), False)
    return files


def zipped(files: Files) -> bytes:
    """Return a zip of the files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (content, is_program) in sorted(files.items()):
            item = zipfile.ZipInfo(name, TIME)
            item.create_system = 3  # Unix: the mode counts
            item.external_attr = (0o100755 if is_program else 0o100644) << 16
            item.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(item, content)
    return target.getvalue()


def tarred(files: Files) -> bytes:
    """Return a tar.gz of the files."""
    target = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=target, mode="wb", mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for name, (content, is_program) in sorted(files.items()):
            item = tarfile.TarInfo(name)
            item.size, item.mode = len(content), 0o755 if is_program else 0o644
            archive.addfile(item, io.BytesIO(content))
    return target.getvalue()


def manifest(version: str, made: dict[str, bytes]) -> dict[str, object]:
    """Return the content of the package document (manifest 2.0)."""
    zips = {name: content for name, content in made.items() if name.endswith(".zip")}
    packages: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
    for name in zips:
        systems, arch = PLATFORMS[name.removeprefix("nodecheck_").removesuffix(".zip")]
        for system in systems:
            packages.setdefault(system, {"_any": {}})["_any"][arch] = {"file": name}
    return {
        "schemaVersion": "2.0",
        "version": version,
        "packages": packages,
        "files": {
            name: {"checksums": {"sha256": sha256(content).hexdigest()}}
            for name, content in zips.items()
        },
    }


def _refuse(text: str) -> int:
    sys.stderr.write(f"aws-templates: {text}\n")
    return 1
