"""A stand-in for Amazon's rpm: true layout, made by the real tools, in a root of its own."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nodecheck.host.door import ToolOutput
from tests.fake_host import FakeProcesses

if TYPE_CHECKING:
    from collections.abc import Sequence

TOOLS: Final = ("rpm", "rpmbuild", "rpmsign", "gpg", "gpgv", "setcap")
PROGRAMS: Final = (
    "amazon-ssm-agent",
    "ssm-agent-worker",
    "ssm-cli",
    "ssm-document-worker",
    "ssm-session-logger",
    "ssm-session-worker",
)
UNIT: Final = "/etc/systemd/system/amazon-ssm-agent.service"
CONF: Final = "/etc/init/amazon-ssm-agent.conf"
TRUE_SIZE: Final = 18 * 1024 * 1024
"""Of one program, in bytes: six are the 108 MB that Amazon's package has installed."""

DATABASE: Final = "var/lib/rpm/rpmdb.sqlite"

_SPEC: Final = """\
Name: amazon-ssm-agent
Version: {version}
Release: 1
Summary: Stand-in for the SSM Agent
License: Apache-2.0
%description
Stand-in for the SSM Agent
%install
mkdir -p %{{buildroot}}
cp -a {source}/. %{{buildroot}}/
%files
%defattr(-,root,root,-)
/usr/bin/*
%dir /etc/amazon/ssm
/etc/amazon/ssm/*
%config(noreplace) {conf}
%config(noreplace) {unit}
"""
UNIT_TEXT: Final = """\
[Unit]
Description=amazon-ssm-agent
After=network-online.target

[Service]
Type=simple
WorkingDirectory=/usr/bin/
ExecStart=/usr/bin/amazon-ssm-agent
KillMode=process
Restart=always
RestartSec=90

[Install]
WantedBy=network-online.target
"""


def missing() -> str:
    """Return what the tests of this module lack here, '' if nothing."""
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    return ", ".join(absent) or ("" if run("id", "-u") == "0\n" else "root")


def run(*argv: str | Path, home: Path | None = None) -> str:
    """Run a tool that must succeed, and return what it printed."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    if home is not None:
        environment["GNUPGHOME"] = str(home)
    done = subprocess.run(
        [str(word) for word in argv], capture_output=True, text=True, env=environment, check=False
    )
    if home is not None:  # gpg leaves an agent behind for each home
        words = ["gpgconf", "--homedir", str(home), "--kill", "all"]
        subprocess.run(words, capture_output=True, check=False)
    if done.returncode:
        message = f"{argv}: {done.returncode} {done.stdout} {done.stderr}"
        raise RuntimeError(message)
    return done.stdout


@dataclass(frozen=True)
class SigningKey:
    """A gpg key in a home of its own."""

    home: Path
    fingerprint: str

    @property
    def public(self) -> bytes:
        return run(
            "gpg", "--batch", "--armor", "--export", self.fingerprint, home=self.home
        ).encode()

    def detach(self, data: bytes, folder: Path) -> bytes:
        """Return a binary detached signature."""
        source, target = folder / "data", folder / "data.sig"
        source.write_bytes(data)
        run("gpg", "--batch", "--yes", "-b", "-o", target, source, home=self.home)
        return target.read_bytes()


def make_key(home: Path, name: str, *options: str, expires: str = "never") -> SigningKey:
    """Make an RSA signing key; ``options`` are lines of gpg.conf that stay in force."""
    home.mkdir(mode=0o700, parents=True)
    (home / "gpg.conf").write_text("\n".join(options) + "\n")
    words = ("--batch", "--passphrase", "", "--quick-gen-key", f"{name} <{name}@example.test>")
    run("gpg", *words, "rsa3072", "sign", expires, home=home)
    listing = run("gpg", "--batch", "--with-colons", "--list-keys", home=home)
    prints = [line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr")]
    return SigningKey(home, prints[0])


def write_program(path: Path, like: Path, label: str, size: int) -> None:
    """Write an ELF program that says its label nowhere but in its bytes; zeros make up the size."""
    content = like.read_bytes() + label.encode() + os.urandom(4096)
    path.write_bytes(content)
    os.truncate(path, max(size, len(content)))
    path.chmod(0o755)


def build(
    folder: Path, version: str, size: int = 64 * 1024, program: Path = Path("/bin/true")
) -> Path:
    """Build an unsigned rpm; ``size`` is that of each of its six ELF programs, in bytes."""
    source, top = folder / "source", folder / "top"
    for folder_name in ("usr/bin", "etc/amazon/ssm", "etc/init", "etc/systemd/system"):
        (source / folder_name).mkdir(parents=True)
    for name in PROGRAMS:
        write_program(source / "usr/bin" / name, program, f"{name} {version}", size)
    texts = {
        "etc/amazon/ssm/amazon-ssm-agent.json.template": "{}\n",
        "etc/amazon/ssm/seelog.xml.template": "<seelog/>\n",
        "etc/amazon/ssm/NOTICE.md": "notice\n",
        CONF[1:]: "start on runlevel [2345]\n",
        UNIT[1:]: UNIT_TEXT,
    }
    for file_name, text in texts.items():
        (source / file_name).write_text(text)
        (source / file_name).chmod(0o644)
    spec = folder / "agent.spec"
    spec.write_text(_SPEC.format(version=version, source=source, conf=CONF, unit=UNIT))
    defines = {
        "_topdir": str(top),
        "__os_install_post": "%{nil}",
        "debug_package": "%{nil}",
        "_build_id_links": "none",
    }
    words = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    run("rpmbuild", "-bb", "--quiet", "--nodeps", *words, spec)
    return next((top / "RPMS").glob("*/*.rpm"))


def sign(package: Path, key: SigningKey, *, digest: str = "sha256") -> Path:
    """Sign a copy of an rpm and return it."""
    copy = package.with_name(f"{package.stem}-{key.fingerprint[-8:]}-{digest}.rpm")
    shutil.copy(package, copy)
    defines = {
        "_gpg_name": key.fingerprint,
        "__gpg": "/usr/bin/gpg",
        "_gpg_digest_algo": digest,
    }
    words = [word for name, value in defines.items() for word in ("--define", f"{name} {value}")]
    run("rpmsign", "--addsign", *words, copy, home=key.home)
    return copy


def install(root: Path, *packages: Path, keys: Sequence[SigningKey] = ()) -> Path:
    """Install rpms into a root of their own, whose rpm keyring holds the given keys."""
    root.mkdir(parents=True)
    for key in keys:
        file = root.parent / f"{key.fingerprint}.asc"
        file.write_bytes(key.public)
        run("rpm", *rooted(root), "--import", file)
    for package in packages:
        run("rpm", *rooted(root), "-i", "--nodeps", "--noscripts", "--force", package)
    return root


def rooted(root: Path) -> tuple[str, ...]:
    """Return the options that point rpm at a private root."""
    return ("--root", str(root), "--dbpath", "/var/lib/rpm")


def copy_root(root: Path, target: Path) -> Path:
    """Return a copy of a root with owners, modes and capabilities."""
    run("cp", "-a", "--sparse=always", root, target)
    return target


def verify(root: Path) -> tuple[int, str]:
    """Return exit code and output of ``rpm -V``."""
    words = ("rpm", *rooted(root), "-V", "--nodeps", "amazon-ssm-agent")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def read_blob(root: Path) -> bytes:
    """Return the agent's header as the database stores it."""
    with sqlite3.connect(root / DATABASE) as database:
        query = "select blob from Packages where hnum in (select hnum from Name where key = ?)"
        blob: bytes = database.execute(query, ("amazon-ssm-agent",)).fetchone()[0]
    database.close()
    return blob


def write_blob(root: Path, blob: bytes) -> None:
    """Replace the agent's header in the database."""
    with sqlite3.connect(root / DATABASE) as database:
        query = "update Packages set blob = ? where hnum in (select hnum from Name where key = ?)"
        database.execute(query, (blob, "amazon-ssm-agent"))
    database.close()


@dataclass
class RootedRpm(FakeProcesses):
    """Runs the real rpm, and nothing else, on a private root."""

    root: Path = Path("/")

    def run(self, argv: tuple[str, ...], timeout_s: float, limit_bytes: int) -> ToolOutput:
        words = (argv[0], *rooted(self.root), *argv[1:])
        done = subprocess.run(words, capture_output=True, timeout=timeout_s, check=False)
        return ToolOutput(done.returncode, done.stdout, done.stderr)
