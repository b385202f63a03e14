"""A stand-in for Amazon's deb: true layout, made by the real tools, in a root of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.rpm_maker import PROGRAMS, UNIT_TEXT, run, write_program

if TYPE_CHECKING:
    from tests.rpm_maker import SigningKey

TOOLS: Final = ("ar", "tar", "dpkg", "dpkg-deb", "debsums", "gpg", "gpgv", "sqv", "setcap")
UNIT: Final = "/lib/systemd/system/amazon-ssm-agent.service"
CONF: Final = "/etc/init/amazon-ssm-agent.conf"
NAME: Final = "amazon-ssm-agent.deb"
BINARIES: Final = "amazon-ssm-agent-binaries.tar.gz"
INFO: Final = "var/lib/dpkg/info/amazon-ssm-agent"

_CONTROL: Final = """\
Package: amazon-ssm-agent
Architecture: {arch}
Version: {version}-1
Section: base
Maintainer: Amazon.com, Inc. <ec2-ssm-feedback@amazon.com>
Priority: optional
Description: Stand-in for the SSM Agent
 Of no use but for tests.
"""
_CONFFILES: Final = f"/etc/amazon/ssm/amazon-ssm-agent.json\n/etc/amazon/ssm/seelog.xml\n{CONF}\n"


def missing() -> str:
    """Return what the tests of this module lack here, '' if nothing."""
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    return ", ".join(absent) or ("" if run("id", "-u") == "0\n" else "root")


def architecture() -> str:
    """Return dpkg's name of this machine's architecture."""
    return run("dpkg", "--print-architecture").strip()


def lay_out(folder: Path, version: str, size: int, program: Path) -> Path:
    """Make the tree of the installed files; ``size`` is that of each of six ELF programs."""
    source = folder / "source"
    (source / "usr/bin").mkdir(parents=True)
    for name in PROGRAMS:
        write_program(source / "usr/bin" / name, program, f"{name} {version}", size)
    texts = {
        "etc/amazon/ssm/amazon-ssm-agent.json.template": "{}\n",
        "etc/amazon/ssm/seelog.xml.template": "<seelog/>\n",
        "etc/amazon/ssm/NOTICE.md": "notice\n",
        "usr/share/doc/amazon-ssm-agent/README.md": "read me\n",
        CONF[1:]: "start on runlevel [2345]\n",
        UNIT[1:]: UNIT_TEXT,
    }
    for name, text in texts.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
    run("chmod", "-R", "go-w", source)
    return source


def build(
    folder: Path, version: str, size: int = 64 * 1024, program: Path = Path("/bin/true")
) -> Path:
    """Build an unsigned deb as Amazon's create_deb.sh does: tar, gzip and the ar of binutils."""
    source = lay_out(folder, version, size, program)
    control = folder / "control"
    control.mkdir()
    (control / "control").write_text(_CONTROL.format(version=version, arch=architecture()))
    (control / "conffiles").write_text(_CONFFILES)
    (folder / "debian-binary").write_text("2.0\n")
    for name, tree in (("control", control), ("data", source)):
        pack(tree, folder / f"{name}.tar.gz")
    package = folder / NAME
    members = ("debian-binary", "control.tar.gz", "data.tar.gz")
    run("ar", "r", package, *(folder / member for member in members))
    return package


def pack(tree: Path, target: Path) -> Path:
    """Pack a tree as root's."""
    run("tar", "--format=gnu", "--owner=root", "--group=root", "-C", tree, "-czf", target, ".")
    return target


def sign(package: Path, key: SigningKey, *options: str) -> Path:
    """Write the detached signature beside a package and return the package."""
    target = package.with_name(f"{package.name}.sig")
    run("gpg", "--batch", "--yes", *options, "-b", "-o", target, package, home=key.home)
    return package


def install(root: Path, *packages: Path) -> Path:
    """Install debs into a root of their own, whose /lib is that of /usr."""
    for name in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "usr/lib", "etc"):
        (root / name).mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "var/lib/dpkg/status").touch()
    for package in packages:
        run("dpkg", f"--root={root}", "--force-downgrade", "-i", package)
    return root


def ask_dpkg(root: Path) -> str:
    """Return what ``dpkg --verify`` prints: its exit code says nothing."""
    words = ("dpkg", f"--root={root}", "--verify", "amazon-ssm-agent")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def ask_debsums(root: Path) -> int:
    """Return the exit code of ``debsums``, configuration included."""
    words = ("debsums", f"--root={root}", "--all", "--silent", "amazon-ssm-agent")
    return subprocess.run(words, capture_output=True, check=False).returncode


def ask_gpgv(package: Path, key: SigningKey, tool: str = "gpgv") -> int:
    """Return what gpgv, gpg or sqv say of a package and the signature beside it."""
    ring = package.with_name(f"{key.fingerprint}.gpg")
    if not ring.exists():
        run("gpg", "--batch", "--export", "-o", ring, key.fingerprint, home=key.home)
    signature = package.with_name(f"{package.name}.sig")
    words = {
        "gpgv": ("gpgv", "--homedir", package.parent, "--keyring", ring, signature, package),
        "sqv": ("sqv", "--keyring", ring, signature, package),
    }
    return subprocess.run(words[tool], capture_output=True, check=False).returncode
