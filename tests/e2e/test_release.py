"""A release: packages, bill of materials and sums of the executable that ships."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from nodecheck import VERSION
from tests.bill_of_materials import TOP, validate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.e2e.made_packages import Packages

REHEARSAL: Final = ("--allow-older", "--allow-dirty")
PARTS: Final = frozenset(
    {"python", "openssl", "sqlite", "zlib", "libffi", "expat", "pyinstaller", "botocore"}
    | {"psutil", "requests", "ntplib", "certifi"}
)
TOOLS: Final = {"pip", "setuptools", "altgraph", "packaging", "pyinstaller-hooks-contrib"}


def script(name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TOP / "scripts" / name, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def sum_up(folder: Path) -> None:
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


@dataclass(frozen=True)
class Release:
    """A folder as scripts/release leaves it, and its bill."""

    folder: Path

    @property
    def bill_file(self) -> Path:
        (found,) = self.folder.glob("*.cdx.json")
        return found

    @property
    def bill(self) -> Any:  # noqa: ANN401 - a JSON document
        return json.loads(self.bill_file.read_text())

    def verify(self, options: Iterable[str] = REHEARSAL) -> tuple[int, str]:
        done = script("verify-release", *options, self.folder)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout


@pytest.fixture(scope="session")
def made(
    executable_path: Path, packages: Packages, tmp_path_factory: pytest.TempPathFactory
) -> Release:
    """The packages that other tests install, with their bill and sums."""
    folder = tmp_path_factory.mktemp("release")
    for package in (packages.deb[0], packages.rpm[0]):
        shutil.copy(package, folder)
    done = script("sbom", executable_path.parent)
    if "not made with the portable interpreter" in done.stderr:
        pytest.skip("only what is made with the portable interpreter can be accounted for")
    assert done.returncode == 0, done.stderr
    (folder / f"nodecheck-{VERSION}-linux-{platform.machine()}.cdx.json").write_text(done.stdout)
    sum_up(folder)
    return Release(folder)


@pytest.fixture
def release(made: Release, tmp_path: Path) -> Release:
    """A copy to spoil."""
    return Release(Path(shutil.copytree(made.folder, tmp_path / "copy")))


def test_the_bill_lists_everything_that_ships_and_no_tools(
    made: Release, executable_path: Path
) -> None:
    validate(made.bill)
    parts = {part["name"]: part for part in made.bill["components"]}
    assert set(parts) >= PARTS
    assert not set(parts) & (TOOLS | {"cryptography", "cffi", "charset-normalizer"})
    for name, part in parts.items():
        assert part["version"]
        assert part["licenses"][0]["expression"]
        assert part.get("hashes") or name in {"expat", "mpdecimal"}, name
    files = [path for path in executable_path.parent.rglob("*") if path.is_file()]
    assert len(files) == json.dumps(made.bill).count('"type": "file"')


def test_digests_of_wheels_are_locked(made: Release) -> None:
    locked = (TOP / "requirements-build.lock").read_text()
    for part in made.bill["components"]:
        if part["purl"].startswith("pkg:pypi/"):
            assert f"sha256:{part['hashes'][0]['content']}" in locked, part["name"]


def test_a_stray_file_has_no_bill(executable_path: Path, tmp_path: Path, made: Release) -> None:
    assert made
    copy = Path(shutil.copytree(executable_path.parent, tmp_path / "copy"))
    (copy / "_internal/libstray.so.1").write_bytes(b"\x7fELF")
    done = script("sbom", copy)
    assert (done.returncode, done.stdout) == (70, "")
    assert "libstray.so.1" in done.stderr


def test_verifies_in_plain_words(made: Release) -> None:
    code, said = made.verify()
    assert code == 0, said
    for kind in ("deb", "rpm"):
        assert re.search(rf"\.{kind}: its [0-9]+ files are those of the bill", said)
        assert re.search(rf"\.{kind}: .* highest GLIBC_2\.17, limit 2\.26", said)
        assert re.search(rf"\.{kind}: nodecheck --version -v and the bill agree", said)
    assert said.splitlines()[-1].startswith("verified: ")


def test_refuses_what_lacks_fixes_or_a_commit(made: Release) -> None:
    strict = ("REFUSED", 1) if re.search("older-than|-dirty", json.dumps(made.bill)) else ("", 0)
    code, said = made.verify(options=())
    assert code == strict[1], said
    assert strict[0] in said


def test_refuses_a_package_of_another_build(release: Release, packages: Packages) -> None:
    (deb,) = release.folder.glob("*.deb")
    with deb.open("ab") as file:
        file.write(b"x")
    assert release.verify()[0] == 1
    shutil.copy(packages.deb[0], deb)
    assert release.verify()[0] == 0
    spoiled = release.bill
    program = spoiled["metadata"]["component"]["components"][0]
    program["hashes"][0]["content"] = "0" * 64
    release.bill_file.write_text(json.dumps(spoiled))
    sum_up(release.folder)
    code, said = release.verify()
    assert code == 1
    assert f"{program['name']} is not the file of the bill" in said


def test_refuses_a_bill_of_other_versions(release: Release) -> None:
    spoiled = release.bill
    next(part for part in spoiled["components"] if part["name"] == "zlib")["version"] = "9"
    release.bill_file.write_text(json.dumps(spoiled))
    sum_up(release.folder)
    code, said = release.verify()
    assert code == 1
    assert "zlib is" in said
