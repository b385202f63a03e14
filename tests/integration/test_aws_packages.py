"""The packages for Distributor: built, installed, updated, rolled back, removed."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from tests.command_document import SHELLS, shells

TOP = Path(__file__).parents[2]


def build(folder: Path, version: str, code: int = 0, name: str = "nodecheck") -> Path:
    """Return a stand-in for what scripts/build makes."""
    made = folder / f"build-{version}"
    (made / "_internal").mkdir(parents=True)
    (made / "_internal" / "base_library.zip").write_bytes(version.encode())
    program = made / name
    program.write_text(f"#!/bin/sh\necho nodecheck {version}\nexit {code}\n")
    program.chmod(0o755)
    return made


def packaged(folder: Path, version: str, **builds: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TOP / "scripts/aws-templates"), "package", version, str(folder)]
        + [f"{platform}={place}" for platform, place in builds.items()],
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Root:
    """A node's file system below a folder, on which Distributor installs."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "root" / "opt" / "nodecheck"

    @property
    def link(self) -> Path:
        return self.folder / "root" / "usr" / "local" / "bin" / "nodecheck"

    def unpack(self, version: str, code: int = 0) -> Path:
        """Return the unpacked zip of a version, without modes, as some unpackers leave it."""
        made = packaged(
            self.folder / f"out-{version}",
            version,
            linux_x86_64=build(self.folder, version, code),
        )
        assert made.returncode == 0, made.stderr
        target = self.folder / f"unpacked-{version}"
        with zipfile.ZipFile(
            self.folder / f"out-{version}" / "nodecheck_linux_x86_64.zip"
        ) as archive:
            archive.extractall(target)  # noqa: S202 - made above
        return target

    def script(self, place: Path, name: str, shell: str = "dash") -> tuple[int, str]:
        done = subprocess.run(
            [*SHELLS[shell], f"./{name}.sh"],
            cwd=place,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DESTDIR": str(self.folder / "root")},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    def version(self) -> str:
        return subprocess.run(
            [self.home / "nodecheck", "--version"], capture_output=True, text=True, check=False
        ).stdout.strip()


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Root:
    return Root(tmp_path)


@pytest.mark.parametrize("shell", shells())
def test_install_update_and_remove(root: Root, shell: str) -> None:
    first, second = root.unpack("1.0.0"), root.unpack("1.1.0")
    assert root.script(first, "install", shell)[0] == 0
    assert root.version() == "nodecheck 1.0.0"
    assert root.link.readlink() == Path("/opt/nodecheck/nodecheck")
    assert root.script(second, "update", shell)[0] == 0
    assert root.version() == "nodecheck 1.1.0"
    assert (root.home / "_internal" / "base_library.zip").read_text() == "1.1.0"
    settings = root.folder / "root" / "etc" / "nodecheck"
    settings.mkdir(parents=True)
    assert root.script(second, "uninstall", shell)[0] == 0
    assert not root.home.exists()
    assert not root.link.is_symlink()
    assert list((root.folder / "root" / "opt").iterdir()) == []
    assert settings.is_dir(), "settings stay, for Distributor also uninstalls before it installs"
    assert root.script(second, "uninstall", shell)[0] == 0


@pytest.mark.parametrize("shell", shells())
def test_a_new_program_that_does_not_run_goes_and_the_old_one_comes_back(
    root: Root, shell: str
) -> None:
    first, second = root.unpack("1.0.0"), root.unpack("1.1.0", code=127)
    root.script(first, "install", shell)
    code, said = root.script(second, "update", shell)
    assert code == 1
    assert "the new program does not run" in said
    assert "the one before is back" in said
    assert root.version() == "nodecheck 1.0.0"
    assert sorted(path.name for path in root.home.parent.iterdir()) == ["nodecheck"]


def test_a_first_program_that_does_not_run_leaves_nothing(root: Root) -> None:
    assert root.script(root.unpack("1.0.0", code=1), "install")[0] == 1
    assert list(root.home.parent.iterdir()) == []
    assert not root.link.is_symlink()


@pytest.mark.parametrize("spoil", ["changed", "missing", "added", "unlisted"])
def test_a_package_that_was_touched_changes_nothing(root: Root, spoil: str) -> None:
    first, second = root.unpack("1.0.0"), root.unpack("1.1.0")
    root.script(first, "install")
    victim = second / "nodecheck" / "_internal" / "base_library.zip"
    if spoil == "changed":
        victim.write_text("1.1.1")
    if spoil == "missing":
        victim.unlink()
    if spoil == "added":
        (second / "nodecheck" / "_internal" / "more.so").write_text("")
    if spoil == "unlisted":
        listing = second / "SHA256SUMS"
        listing.write_text(listing.read_text().splitlines()[0] + "\n")
    code, said = root.script(second, "install")
    assert code == 1
    assert "nothing was changed" in said
    assert root.version() == "nodecheck 1.0.0"


@pytest.mark.parametrize("killed", ["before", "between", "after"])
def test_a_killed_installation_is_cleared_away_by_the_next(root: Root, killed: str) -> None:
    first, second = root.unpack("1.0.0"), root.unpack("1.1.0")
    root.script(first, "install")
    old, new = root.home.with_name("nodecheck.old"), root.home.with_name("nodecheck.new")
    if killed == "before":
        shutil.copytree(second / "nodecheck", new)
    else:
        root.home.rename(old)
    if killed == "after":
        shutil.copytree(second / "nodecheck", root.home)
    assert root.script(second, "install")[0] == 0
    assert root.version() == "nodecheck 1.1.0"
    assert sorted(path.name for path in root.home.parent.iterdir()) == ["nodecheck"]


def test_modes_are_those_of_a_program_of_root(root: Root) -> None:
    place = root.unpack("1.0.0")
    (place / "nodecheck" / "_internal" / "base_library.zip").chmod(0o666)
    root.script(place, "install")
    assert (root.home / "nodecheck").stat().st_mode & 0o7777 == 0o755
    assert (root.home / "_internal" / "base_library.zip").stat().st_mode & 0o7777 == 0o644


def test_the_manifest_names_each_file_with_its_sum(tmp_path: Path) -> None:
    linux = build(tmp_path, "1.0.0")
    windows = build(tmp_path, "1.0.0w", name="nodecheck.exe")
    out = tmp_path / "out"
    made = packaged(out, "1.0.0", linux_x86_64=linux, linux_arm64=linux, windows_x86_64=windows)
    assert made.returncode == 0, made.stderr
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["schemaVersion"] == "2.0"
    assert manifest["version"] == "1.0.0"
    assert manifest["packages"]["amazon"]["_any"] == {
        "x86_64": {"file": "nodecheck_linux_x86_64.zip"},
        "arm64": {"file": "nodecheck_linux_arm64.zip"},
    }
    assert list(manifest["packages"]["windows"]["_any"]) == ["x86_64"]
    named = {
        item["file"]
        for system in manifest["packages"].values()
        for arches in system.values()
        for item in arches.values()
    }
    assert named == set(manifest["files"])
    for name, item in manifest["files"].items():
        assert item["checksums"]["sha256"] == sha256((out / name).read_bytes()).hexdigest()
        scripts = {".sh", ".ps1"} & {
            Path(member).suffix
            for member in zipfile.ZipFile(out / name).namelist()
            if "/" not in member
        }
        assert scripts == ({".ps1"} if "windows" in name else {".sh"}), "one kind, never both"
    assert not (out / "nodecheck_windows_x86_64.tar.gz").exists()
    with tarfile.open(out / "nodecheck_linux_arm64.tar.gz") as archive:
        assert archive.getmember("nodecheck/nodecheck").mode == 0o755


def test_the_same_build_gives_the_same_packages(tmp_path: Path) -> None:
    made = build(tmp_path, "1.0.0")
    first = packaged(tmp_path / "a", "1.0.0", linux_x86_64=made).stdout.split()[0]
    for path in made.rglob("*"):
        path.touch()
    second = packaged(tmp_path / "b", "1.0.0", linux_x86_64=made).stdout.split()[0]
    assert first == second


@pytest.mark.parametrize(
    ("version", "platform", "name", "words"),
    [
        ("1.0", "linux_riscv", "nodecheck", "no such platform: linux_riscv"),
        ("v1.0", "linux_x86_64", "nodecheck", "not a version"),
        ("1.0;reboot", "linux_x86_64", "nodecheck", "not a version"),
        ("1.0", "windows_x86_64", "nodecheck", "has no nodecheck.exe"),
        ("1.0", "linux_x86_64", "other", "has no nodecheck"),
    ],
)
def test_what_is_no_build_is_refused(
    tmp_path: Path, version: str, platform: str, name: str, words: str
) -> None:
    made = packaged(tmp_path / "out", version, **{platform: build(tmp_path, "1", name=name)})
    assert made.returncode == 1
    assert words in made.stderr
    assert not (tmp_path / "out").exists()


def test_a_link_out_of_the_build_is_refused(tmp_path: Path) -> None:
    made = build(tmp_path, "1.0.0")
    (made / "_internal" / "secret").symlink_to("/etc/passwd")
    done = packaged(tmp_path / "out", "1.0.0", linux_x86_64=made)
    assert done.returncode == 1
    assert "is a link out of the build" in done.stderr
