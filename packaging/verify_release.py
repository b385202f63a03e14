"""Verify the folder of a release: what scripts/release made, here or elsewhere.

Unpacks every deb and rpm of the folder and runs the program in it with an empty environment, if it
is for this machine. The exit code is 1 where something is refused. SHA256SUMS is not signed: get
it, or the digest of it, by a way that you trust.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import stat
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

SUMS = "SHA256SUMS"
INSTALLED = "usr/lib/nodecheck"
GLIBC_CHECK = Path(__file__).parent / "interpreter/glibc_check.sh"
GLIBC_LIMIT = "2.26"
HEAD_BYTES = 110
"""Of a member of a cpio archive of the form newc, cpio(5)."""


class RefusedError(Exception):
    """The release is not what it should be."""


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return sha256(path.read_bytes()).hexdigest()


def check_sums(release: Path) -> str:
    """Compare every file of the folder with its sum."""
    listed = {}
    for line in (release / SUMS).read_text().splitlines():
        found = re.fullmatch(r"([0-9a-f]{64})  ((?:distributor/)?[^/]+)", line)
        if not found or found[2] in listed:
            msg = f"{SUMS}: not understood: {line}"
            raise RefusedError(msg)
        listed[found[2]] = found[1]
    paths = [path for path in release.rglob("*") if path.is_symlink() or not path.is_dir()]
    present = {name_in(release, path) for path in paths} - {SUMS}
    if present != set(listed):
        msg = f"{SUMS}: not both listed and there: {', '.join(sorted(present ^ set(listed)))}"
        raise RefusedError(msg)
    for name, wanted in listed.items():
        if digest(release / name) != wanted:
            msg = f"{name} is not the file that was summed"
            raise RefusedError(msg)
    return f"{len(listed)} files are the bytes that {SUMS} lists, and there are no others"


def name_in(release: Path, path: Path) -> str:
    """Return what the sums call a file."""
    return path.relative_to(release).as_posix()


def read_bills(release: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the name and content of the bill of materials of each machine."""
    found = {}
    for path in sorted(release.glob("*.cdx.json")):
        machine = path.name.removesuffix(".cdx.json").rpartition("-linux-")[2]
        if machine in found:
            msg = f"{found[machine][0]} and {path.name} are both bills of {machine}"
            raise RefusedError(msg)
        found[machine] = path.name, json.loads(path.read_text())
    if not found:
        msg = "there is no bill of materials (*-linux-MACHINE.cdx.json)"
        raise RefusedError(msg)
    return found


def machine_of(package: Path) -> str:
    """Return the machine that a package's name says it is for, in the words of uname -m."""
    word = package.stem.rpartition("." if package.suffix == ".rpm" else "_")[2]
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(word, word)


def every_part(bill: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all components, nested ones too."""
    waiting, found = [bill["metadata"]["component"], *bill["components"]], []
    while waiting:
        part = waiting.pop()
        found.append(part)
        waiting += part.get("components", [])
    return found


def check_age(bill: dict[str, Any], *, allowed: bool) -> str:
    """Refuse sources of which the archive had a newer version."""
    older = [
        f"{part['name']} {part['version']} (there is {item['value']})"
        for part in every_part(bill)
        for item in part.get("properties", ())
        if item["name"] == "nodecheck:older-than"
    ]
    if not older:
        return "every source was the archive's newest when the interpreter was built"
    text = f"made of sources that lack fixes: {', '.join(sorted(older))}"
    if not allowed:
        raise RefusedError(text)
    return f"ALLOWED: {text}"


def check_commit(bill: dict[str, Any], *, allowed: bool) -> str:
    """Refuse what was not built from a commit."""
    own = bill["metadata"]["component"]
    commit = next(x["value"] for x in own["properties"] if x["name"] == "nodecheck:commit")
    if re.fullmatch("[0-9a-f]{40}", commit):
        return f"built from commit {commit}"
    if not allowed:
        msg = f"built from no commit, but from {commit}"
        raise RefusedError(msg)
    return f"ALLOWED: built from {commit}"


def unpack(package: Path, target: Path) -> Path:
    """Unpack a package and return the program's folder."""
    if package.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", package, target], check=True)
    else:
        words = ["rpm2cpio", str(package)]
        unpack_cpio(subprocess.run(words, capture_output=True, check=True).stdout, target)
    return target / INSTALLED


def unpack_cpio(data: bytes, target: Path) -> None:
    """Write the program's files out of a cpio archive; other files are of no interest here."""
    place = 0
    while True:
        fields = [int(data[place + at : place + at + 8], 16) for at in range(6, HEAD_BYTES, 8)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        begin = place + HEAD_BYTES
        name = data[begin : begin + name_size - 1].decode().removeprefix("./")
        content = (begin + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return
        if stat.S_ISREG(mode) and name.startswith(f"{INSTALLED}/") and ".." not in name.split("/"):
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data[content : content + size])
            path.chmod(mode & 0o777)
        place = (content + size + 3) // 4 * 4


def check_folder(folder: Path, bill: dict[str, Any]) -> str:
    """Compare the files of a folder with those of the bill."""
    listed = {
        part["name"]: part["hashes"][0]["content"]
        for part in every_part(bill)
        if part["type"] == "file"
    }
    paths = [path for path in folder.rglob("*") if not path.is_dir()]
    present = {str(path.relative_to(folder)): path for path in paths}
    if set(present) != set(listed) or not listed:
        strays = sorted(set(present) ^ set(listed))
        msg = f"not both in the folder and in the bill: {', '.join(strays)}"
        raise RefusedError(msg)
    for name, path in present.items():
        if path.is_symlink() or digest(path) != listed[name]:
            msg = f"{name} is not the file of the bill"
            raise RefusedError(msg)
    return f"its {len(listed)} files are those of the bill of materials, each of a named part"


def check_glibc(folder: Path) -> str:
    """Refuse a program that asks for a newer C library than the oldest promised system has."""
    words = [GLIBC_CHECK, folder, GLIBC_LIMIT]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RefusedError((done.stderr or done.stdout).strip())
    return done.stdout.splitlines()[-1].removeprefix("ok: ")


def check_words(folder: Path, bill: dict[str, Any], machine: str) -> str:
    """Compare what the program says of itself with the bill, where this machine can run it."""
    if machine != platform.machine():
        return f"NOT RUN: it is for {machine}, this machine is {platform.machine()}"
    words = [folder / "nodecheck", "--version", "-v"]
    done = subprocess.run(words, env={}, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"nodecheck --version -v: exit code {done.returncode}: {done.stderr}"
        raise RefusedError(msg)
    told = dict(re.split(" +", line, maxsplit=1) for line in done.stdout.splitlines())
    own = bill["metadata"]["component"]
    wanted = {item["name"].split(":")[1]: item["value"] for item in own["properties"]}
    wanted["nodecheck"] = own["version"]
    wanted |= {part["name"]: part["version"] for part in bill["components"]}
    differing = [
        f"{name} is {told.get(name, 'not told')} by itself, {text or 'missing'} by the bill"
        for name, text in (dict.fromkeys(told, "") | wanted).items()
        if told.get(name) != text
    ]
    if differing:
        raise RefusedError("; ".join(sorted(differing)))
    return f"nodecheck --version -v and the bill agree on {len(told)} versions"


def check_same(folder: Path, machine: str, others: list[Path]) -> str:
    """Compare a folder with others, which are built for this machine, byte by byte."""
    if machine != platform.machine():
        return f"NOT COMPARED: it is for {machine}, this machine is {platform.machine()}"
    wanted = {p.relative_to(folder): digest(p) for p in folder.rglob("*") if p.is_file()}
    for other in others:
        found = {p.relative_to(other): digest(p) for p in other.rglob("*") if p.is_file()}
        differing = sorted(str(p) for p in {*wanted, *found} if wanted.get(p) != found.get(p))
        if differing:
            msg = f"built again, these differ: {', '.join(differing)}"
            raise RefusedError(msg)
    return f"built {len(others)} times again, it is the same bytes"


def verify(asked: argparse.Namespace) -> None:
    """Verify all and say what was verified.

    Raises:
        RefusedError: something is not as it should be.
    """
    release = Path(asked.release)
    say(release.name, check_sums(release))
    bills = read_bills(release)
    for name, bill in bills.values():
        say(name, check_age(bill, allowed=asked.allow_older))
        say(name, check_commit(bill, allowed=asked.allow_dirty))
    packages = sorted([*release.glob("*.deb"), *release.glob("*.rpm")])
    if {machine_of(package) for package in packages} != set(bills):
        machines = sorted({machine_of(package) for package in packages} ^ set(bills))
        msg = f"not both a bill and a package (*.deb, *.rpm) of {', '.join(machines)}"
        raise RefusedError(msg)
    for package in packages:
        machine = machine_of(package)
        with tempfile.TemporaryDirectory() as target:
            folder = unpack(package, Path(target))
            say(package.name, check_folder(folder, bills[machine][1]))
            say(package.name, check_glibc(folder))
            say(package.name, check_words(folder, bills[machine][1], machine))
            if asked.against:
                say(package.name, check_same(folder, machine, [Path(x) for x in asked.against]))
    looked_at = {SUMS, *(name for name, _ in bills.values()), *(p.name for p in packages)}
    if others := {path.name for path in release.iterdir()} - looked_at:
        say("not looked into", ", ".join(sorted(others)))


def say(what: str, text: str) -> None:
    """Print one line of what was verified."""
    sys.stdout.write(f"{what}: {text}\n")


def main() -> int:
    """Verify a release; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/verify-release", allow_abbrev=False)
    parser.add_argument("release", metavar="DIR")
    older = "let pass what lacks fixes, for a rehearsal"
    parser.add_argument("--allow-older", action="store_true", help=older)
    dirty = "let pass what is of no commit, for a rehearsal"
    parser.add_argument("--allow-dirty", action="store_true", help=dirty)
    again = "compare with this folder, another build of the same commit"
    parser.add_argument("--against", action="append", metavar="FOLDER", help=again)
    asked = parser.parse_args()
    try:
        verify(asked)
    except (RefusedError, OSError, ValueError, KeyError, subprocess.SubprocessError) as exc:
        sys.stdout.write(f"REFUSED: {exc}\n")
        return 1
    say("verified", f"{asked.release}; {SUMS} itself is not signed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
